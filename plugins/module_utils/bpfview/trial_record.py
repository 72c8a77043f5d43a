# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guard of a trial is to hold the kernel to, and what it has found: on the host's disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .digest import canonical_json
from .errors import BpfviewError
from .host_layout import Host, write_durably

STATUS = "/var/lib/bpfview/trial-status.json"
REFUSED = "/run/bpfview-trial-refused"

WATCHING = "watching"
HEALTHY = "healthy"
GOING_BACK = "going_back"


@dataclass(frozen=True)
class Command:
    """A check of the user's: it holds if the command ends with 0 within ``timeout`` seconds."""

    name: str
    command: tuple[str, ...]
    timeout: int


@dataclass(frozen=True)
class Guard:
    """What must hold on the host, and until when it has to be promoted."""

    confirm_seconds: int  # since the kernel was started
    soak_seconds: int  # for which all checks must hold without a break
    commands: tuple[Command, ...] = ()
    units: tuple[str, ...] = ()  # that must be active
    failed_before: tuple[str, ...] = ()  # units that had failed under the former kernel
    said_before: tuple[str, ...] = ()  # what that kernel had reported, without numbers


def guard(data: Mapping[str, Any]) -> Guard:
    """Make one from plain data; BpfviewError for what cannot be meant."""
    try:
        commands = tuple(
            Command(
                str(given.get("name") or " ".join(given["command"])),
                tuple(str(word) for word in given["command"]),
                int(given.get("timeout") or 30),
            )
            for given in data.get("commands") or ()
        )
        made = Guard(
            int(data["confirm_seconds"]),
            int(data["soak_seconds"]),
            commands,
            tuple(str(unit) for unit in data.get("units") or ()),
            tuple(str(unit) for unit in data.get("failed_before") or ()),
            tuple(str(said) for said in data.get("said_before") or ()),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BpfviewError(
            f"The checks of a trial boot cannot be understood ({error!r})",
            "Look at kernel_install_health_commands and kernel_install_health_units",
        ) from error
    _check(made)
    return made


def _check(made: Guard) -> None:
    if made.confirm_seconds < 60:
        raise BpfviewError(
            f"kernel_install_confirm_seconds is {made.confirm_seconds}, in which no host boots and"
            " is looked at",
            "Set it to 60 or more",
        )
    if not 0 <= made.soak_seconds < made.confirm_seconds:
        raise BpfviewError(
            f"kernel_install_soak_seconds is {made.soak_seconds} and"
            f" kernel_install_confirm_seconds {made.confirm_seconds}: no kernel could prove itself",
            "Let the soak be shorter, with time for the boot besides",
        )
    for check in made.commands:
        if not check.command or check.timeout < 1:
            raise BpfviewError(
                f"The check {check.name!r} has no command, or a time limit below a second",
                "Correct kernel_install_health_commands",
            )


# The same, as Ansible's modules take it.
ARGUMENTS: dict[str, Any] = {
    "confirm_seconds": {"type": "int", "required": True},
    "soak_seconds": {"type": "int", "required": True},
    "commands": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "default": ""},
            "command": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "default": 30},
        },
    },
    "units": {"type": "list", "elements": "str", "default": []},
}


@dataclass(frozen=True)
class Status:
    """What the guard found last."""

    boot_id: str
    release: str
    state: str
    reasons: tuple[str, ...] = ()


def read_status(host: Host) -> Status | None:
    """Return what the guard noted last, None if that is nothing or cannot be understood."""
    try:
        data = json.loads(host.text(STATUS))
        return Status(
            str(data["boot_id"]), str(data["release"]), str(data["state"]), tuple(data["reasons"])
        )
    except (ValueError, KeyError, TypeError):
        return None


def write_status(host: Host, status: Status) -> None:
    """Note what was found, so that it is there after the boot that may follow."""
    write_durably(host.path(STATUS), canonical_json(asdict(status)) + b"\n")


def refuse(host: Host, boot_id: str, reasons: tuple[str, ...]) -> None:
    """Have the guard of this boot take the host back now."""
    data = canonical_json({"boot_id": boot_id, "reasons": list(reasons)}) + b"\n"
    write_durably(host.path(REFUSED), data, 0o600)


def refusal(host: Host, boot_id: str) -> tuple[str, ...]:
    """Return why the control node refused this boot; empty if it did not."""
    try:
        data = json.loads(host.text(REFUSED))
        found = tuple(str(reason) for reason in data["reasons"])
        return found if data["boot_id"] == boot_id else ()
    except (ValueError, KeyError, TypeError):
        return ()
