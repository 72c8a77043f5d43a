# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a trial boot as a service, there from before the reboot until the trial is over.

It is written to the disk before the one-shot boot is armed, and nothing of it needs a network.
"""

from __future__ import annotations

import importlib.resources
from contextlib import suppress

from . import agent_archive
from .host_layout import Host, flush_directory, remove_durably, write_durably

SERVICE = "bpfview-trial.service"
PROGRAM = "/usr/lib/bpfview/guard.pyz"
WATCHDOG_SECONDS = 60

_UNIT = f"/etc/systemd/system/{SERVICE}"
_WANTED = f"/etc/systemd/system/sysinit.target.wants/{SERVICE}"
_MANAGER = "/etc/systemd/system.conf.d/90-bpfview-trial.conf"
PATHS = (PROGRAM, _UNIT, _WANTED, _MANAGER)

_HEAD = "# Written by bpfview-fleet for a trial boot; it goes when that is over.\n"

_MANAGER_TEXT = f"""\
{_HEAD}# A kernel that hangs once systemd runs is reset by the host's watchdog, where it has one.
[Manager]
RuntimeWatchdogSec={WATCHDOG_SECONDS}
"""


def unit_text(confirm_seconds: int) -> str:
    """Return the service's text.

    It is started before anything that a bad kernel may keep from starting, goes on in emergency
    mode and while the host shuts down, which may hang, and comes back whatever ends it, unless it
    says itself that there is nothing to guard.
    """
    return f"""\
{_HEAD}[Unit]
Description=Take this host back unless the kernel on trial is promoted in time
DefaultDependencies=no
After=systemd-remount-fs.service usr.mount var.mount
IgnoreOnIsolate=yes
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/python3 {PROGRAM} --confirm-seconds {confirm_seconds}
Restart=always
RestartPreventExitStatus=0
RestartSec=2
OOMScoreAdjust=-1000

[Install]
WantedBy=sysinit.target
"""


def install(host: Host, confirm_seconds: int) -> None:
    """Write the guard and have the next boot start it."""
    sources = importlib.resources.files(__package__ or "")
    write_durably(host.path(PROGRAM), agent_archive.build(sources, "trial_guard"))
    write_durably(host.path(_UNIT), unit_text(confirm_seconds).encode())
    write_durably(host.path(_MANAGER), _MANAGER_TEXT.encode())
    link = host.path(_WANTED)
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(f"../{SERVICE}")
    flush_directory(link.parent)


def remove(host: Host) -> bool:
    """Take the guard away, the one that may run last of all; tell whether there was one."""
    # without the link the next boot starts none, whatever of the rest is left
    found = [remove_durably(host.path(path)) for path in (_WANTED, _UNIT, _MANAGER, PROGRAM)]
    for folder in {path.rpartition("/")[0] for path in (_WANTED, _MANAGER, PROGRAM)}:
        with suppress(OSError):
            host.path(folder).rmdir()
    if any(found):
        host.within(30, ["systemctl", "daemon-reload"])
    return any(found)
