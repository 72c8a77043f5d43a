# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel says on its console when something is wrong with it."""

from __future__ import annotations

import re

# The time stamp and, with CONFIG_PRINTK_CALLER, the task that the kernel puts before a message.
_PREFIX = re.compile(r"^(?:<\d+>)?(?:\[[ 0-9]+\.[0-9]+\](?:\[ *[TC][0-9]+\])? ?)?")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0e-\x1f]")

# Matched against a message without its prefix. Programs write to the console as well, so a pattern
# that is not anchored must be one that only the kernel uses.
_SPLATS = re.compile(
    "|".join(
        (
            r"^WARNING: ",
            r"^(?:rcu: )?INFO: ",
            r"\bBUG: ",
            r"\bkernel BUG at ",
            r"^Oops\b",
            r"\bOops: ",
            r"^Kernel panic\b",
            r"\bKernel panic - not syncing",
            r"^------------\[ cut here \]------------",
            r"\bgeneral protection fault(?:,|: )",
            r"^Unable to handle kernel ",
            r"^BUG\b",
            r"\bKASAN: ",
            r"\bKCSAN: ",
            r"^UBSAN: ",
            r"^KFENCE: ",
            r"^kmemleak: \d+ new suspected memory leak",
            r"^ODEBUG: ",
            r"^DEBUG_LOCKS_WARN_ON",
            r"\bpossible (?:circular locking|recursive locking|irq lock inversion|deadlock)",
            r"\binconsistent lock state\b",
            r"\bsuspicious RCU usage\b",
            r"\bheld lock freed\b",
            r"\bsleeping function called from invalid context\b",
            r"\bscheduling while atomic\b",
            r"\bdetected stalls? on ",
            r"\bself-detected stall on CPU\b",
            r"\bblocked for more than \d+ seconds\b",
            r"\bsoft lockup - CPU",
            r"\bhard LOCKUP\b",
            r"^list_(?:add|del) corruption",
            r"^refcount_t: ",
            r"^Bad page state\b",
            r"\bstack is corrupted in\b",
            r"^kernfs_put: .* released with incorrect active_ref",
        )
    )
)


def message(line: str) -> str:
    """A console line without time stamp, terminal escapes and surrounding blanks."""
    return _PREFIX.sub("", _ESCAPES.sub("", line).strip()).strip()


def find_splats(text: str) -> list[str]:
    """The lines of a console log with which the kernel reports that it is broken, in order.

    A report of many lines gives the few that name it, not its registers and call trace. An empty
    list means that nothing was found, also if the text is empty: whether there ought to be a log
    is for the caller to know.
    """
    found = []
    for line in text.splitlines():
        said = message(line)
        if said and _SPLATS.search(said):
            found.append(said)
    return found
