# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host remembers about its kernels: /var/lib/bpfview/kernel.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from .digest import canonical_json
from .errors import BpfviewError
from .host_layout import Host, remove_durably, write_durably
from .named_errors import naming
from .trial_record import Guard
from .trial_record import guard as guard_from

RECORD = "/var/lib/bpfview/kernel.json"
_SCHEMA = 1


@dataclass(frozen=True)
class Trial:
    """A kernel that was given one boot, and what the host was when it was given."""

    release: str
    build_id: str
    entry: str
    boot_id_before: str
    taint_before: int
    previous: str  # release the host runs if the trial fails
    guard: Guard | None = None  # None in a record of a version without one


@dataclass(frozen=True)
class Decided:
    """What a trial came to that did not end in a promotion."""

    trial: Trial
    verdict: str
    reasons: tuple[str, ...]


@dataclass
class Record:
    """The record's content; an empty one stands for a host that never saw the toolkit."""

    # GRUB variables as they were before the first change, None for unset; empty if never changed.
    before: dict[str, str | None] = field(default_factory=dict)
    made_environment: bool = False  # there was no environment block
    # release → package name → SHA-256 of the package file
    installed: dict[str, dict[str, str]] = field(default_factory=dict)
    # packages that were on the host before the toolkit, and stay when it goes
    foreign: list[str] = field(default_factory=list)
    trial: Trial | None = None  # armed and not judged yet
    decided: Decided | None = None  # the last trial, if it failed
    proven: str = ""
    fallback: str = ""
    history: list[str] = field(default_factory=list)  # what was ever proven, the last one last

    @property
    def last_trial(self) -> Trial | None:
        """The trial that is pending, or else the last one that failed."""
        return self.trial or (self.decided.trial if self.decided else None)

    def unproven(self, release: str) -> bool:
        """Tell whether a release was given a boot and has not proved itself."""
        trial = self.last_trial
        return trial is not None and release == trial.release != self.proven


def read(host: Host) -> Record:
    """Read the record; BpfviewError if there is one that cannot be understood."""
    text = host.text(RECORD)
    if not text:
        return Record()
    try:
        data = json.loads(text)
        if data.pop("schema") != _SCHEMA:
            raise ValueError("another schema")
        trial, decided = data.pop("trial"), data.pop("decided", None)
        return Record(
            **data,
            trial=_trial(trial) if trial else None,
            decided=_decided(**decided) if decided else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BpfviewError(
            f"{RECORD} cannot be understood ({error})",
            "Look at it; if it is damaged, remove the toolkit from the host by hand as"
            " docs/trial-boot.md describes",
        ) from error


def _trial(data: dict[str, Any]) -> Trial:
    guard = data.get("guard")
    return Trial(**{**data, "guard": guard_from(guard) if guard else None})


def _decided(trial: dict[str, Any], verdict: str, reasons: list[str]) -> Decided:
    return Decided(_trial(trial), verdict, tuple(reasons))


def write(host: Host, record: Record) -> bool:
    """Write the record if it differs from what is there; tell whether it did."""
    if read(host) == record:
        return False
    data = canonical_json({"schema": _SCHEMA, **asdict(record)}) + b"\n"
    with naming(RECORD):
        write_durably(host.path(RECORD), data)
    return True


def forget(host: Host) -> bool:
    """Remove the record; tell whether there was one."""
    return remove_durably(host.path(RECORD))
