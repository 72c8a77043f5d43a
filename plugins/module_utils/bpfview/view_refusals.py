# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects the running kernel has refused, so that the timer does not try them every minute.

The note is in /run: another kernel runs only after a boot, and the note is gone by then.
"""

from __future__ import annotations

import errno

from .host_layout import Host, write_durably
from .view_pins import RUN

NOTE = f"{RUN}/refused"
# what another try may get over, with the same object and the same kernel
_PASSING = {errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOSPC}


def known(host: Host) -> set[str]:
    """Return the digests of the objects that were refused."""
    return set(host.text(NOTE).split())


def add(host: Host, sha256: str, cause: BaseException | None) -> None:
    """Note that an object was refused, unless the cause may pass."""
    if getattr(cause, "errno", None) not in _PASSING:
        _write(host, known(host) | {sha256})


def forget(host: Host, sha256: str) -> None:
    """Note that an object was taken after all."""
    if sha256 in known(host):
        _write(host, known(host) - {sha256})


def _write(host: Host, digests: set[str]) -> None:
    text = "".join(f"{digest}\n" for digest in sorted(digests))
    write_durably(host.path(NOTE), text.encode(), 0o600)
