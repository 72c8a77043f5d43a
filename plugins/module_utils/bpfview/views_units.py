# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd units that bring the views back: at boot, and in cgroups that came later."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import BpfviewError
from .host_layout import Host, remove_durably, write_durably
from .views_desired import FILE

AGENT = "/usr/lib/bpfview/agent.pyz"
SERVICE = "bpfview.service"
RECONCILE = "bpfview-reconcile.service"
TIMER = "bpfview-reconcile.timer"
INTERVAL = 60  # seconds between two reconciliations
_FOLDER = "/etc/systemd/system"
_WANTS = {
    SERVICE: f"{_FOLDER}/multi-user.target.wants/{SERVICE}",
    TIMER: f"{_FOLDER}/timers.target.wants/{TIMER}",
}
_RUNNING = frozenset({"active", "activating"})
_FAILED = "failed"

# In the root slice, so that no selector on system.slice finds the service that serves it.
_RUN = f"""\
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 {AGENT} apply --boot
Slice=-.slice
"""

_HEAD = "# Written by bpfview-fleet's role view_deploy; changes are overwritten.\n"

TEXTS = {
    SERVICE: f"""\
{_HEAD}[Unit]
Description=BPF views in cgroups
ConditionPathExists={FILE}
After=local-fs.target sys-fs-bpf.mount

{_RUN}RemainAfterExit=yes

[Install]
WantedBy=multi-user.target
""",
    RECONCILE: f"""\
{_HEAD}[Unit]
Description=BPF views in cgroups that came since the last look
ConditionPathExists={FILE}
After={SERVICE}

{_RUN}# once a minute: what the agent does is worth a line, that it ran is not
SyslogLevel=notice
LogLevelMax=notice
""",
    TIMER: f"""\
{_HEAD}[Unit]
Description=Look for cgroups that came since the last look, for their BPF views

[Timer]
OnBootSec={INTERVAL}
OnUnitInactiveSec={INTERVAL}
AccuracySec=5

[Install]
WantedBy=timers.target
""",
}


def path_of(unit: str) -> str:
    """Return where a unit's file is."""
    return f"{_FOLDER}/{unit}"


@dataclass(frozen=True)
class Difference:
    """One thing about a unit that is not as it has to be: file, start at boot, or state."""

    unit: str
    what: str
    before: str
    after: str


def differing(host: Host) -> list[Difference]:
    """Return how the units differ from what they have to be; a failed one counts, too."""
    found = [
        Difference(unit, path_of(unit), host.text(path_of(unit)), text)
        for unit, text in TEXTS.items()
        if host.text(path_of(unit)) != text
    ]
    found += [
        Difference(unit, f"{unit} at boot", "not started\n", "started\n")
        for unit, link in _WANTS.items()
        if not host.path(link).is_symlink()
    ]
    for unit, state in _states(host).items():
        if unit in _WANTS and state not in _RUNNING:
            found.append(Difference(unit, f"state of {unit}", f"{state}\n", "active\n"))
        elif state == _FAILED:
            found.append(Difference(unit, f"state of {unit}", f"{state}\n", "inactive\n"))
    return found


def _states(host: Host) -> dict[str, str]:
    """Return every unit's state in systemd's word for it."""
    said = host.runner(["systemctl", "is-active", *TEXTS]).text.split()
    if len(said) != len(TEXTS):  # systemd did not answer: nothing is known to run
        return dict.fromkeys(TEXTS, "unknown")
    return dict(zip(TEXTS, said, strict=True))


def install(host: Host) -> None:
    """Write the units, have them started at boot, and start them; BpfviewError if one fails."""
    for unit, text in TEXTS.items():
        if host.text(path_of(unit)) != text:
            write_durably(host.path(path_of(unit)), text.encode())
    remedy = f"See what it said: journalctl -u {SERVICE}; then deploy the views again"
    host.must(["systemctl", "daemon-reload"], remedy)
    host.must(["systemctl", "enable", "--quiet", SERVICE, TIMER], remedy)
    host.must(["systemctl", "start", SERVICE, TIMER], remedy)
    if _states(host)[RECONCILE] == _FAILED:
        # the timer would do it within a minute, but the host is to be well when this ends
        host.must(["systemctl", "start", RECONCILE], remedy.replace(SERVICE, RECONCILE))


def remove(host: Host) -> bool:
    """Stop and remove the units; tell whether there were any."""
    there = [unit for unit in TEXTS if host.path(path_of(unit)).exists()]
    if not there:
        return False
    remedy = "See why with systemctl status, then remove again"
    if not host.runner(["systemctl", "--version"]).status:
        host.must(["systemctl", "disable", "--now", "--quiet", *there], remedy)
    for unit in there:
        remove_durably(host.path(path_of(unit)))
    if not host.runner(["systemctl", "daemon-reload"]).status:
        host.runner(["systemctl", "reset-failed", *there])
    return True


def check_systemd(host: Host) -> None:
    """Raise BpfviewError on a host that systemd does not run."""
    if not host.path("/run/systemd/system").is_dir():
        raise BpfviewError(
            "This host was not booted by systemd, which brings the views back after a reboot",
            "Use a host with systemd, or load the views yourself with the agent's apply command",
        )
