# SPDX-License-Identifier: GPL-3.0-or-later
"""A panic that QEMU makes and no kernel: a breakpoint that a kernel has long since taken back.

Linux patches its own code with an int3 first. QEMU before 8.1, with a thread for each processor
(``-accel tcg,thread=multi``), can miss a change of code that another processor is just translating,
and runs the int3 from then on (its commit deba78709ae8 locks the page before the translation).
"""

from __future__ import annotations

import re

from .accel import Acceleration

FIXED_IN = (8, 1)
# "Oops: int3: 0000 [#1]" since Linux 6.10, and without the first word before.
_STALE_BREAKPOINT = re.compile(r"\bint3: 0000 \[#1\]")
_VERSION = re.compile(r"\bversion (\d+)\.(\d+)")


def explains(console: str, acceleration: Acceleration, qemu_version: str) -> bool:
    """Whether a boot with this console log may have ended by that race and has to be repeated.

    ``qemu_version`` is the first line of ``--version``; one that tells no number is not excused.
    """
    version = _VERSION.search(qemu_version)
    if acceleration.name != "tcg" or version is None:
        return False
    has_race = (int(version[1]), int(version[2])) < FIXED_IN
    return has_race and _STALE_BREAKPOINT.search(console) is not None
