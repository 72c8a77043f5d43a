# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of one playbook through ansible-runner, its output on the terminal as it comes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner

from .hosts import ansible_environment
from .verdicts import Collector

# ansible-runner asks whether to cancel this often, in seconds.
_CANCEL_POLL = 1


@dataclass(frozen=True)
class Request:
    """What to run: hosts is the --limit (None: whatever the playbook names).

    Tasks with one of skip_tags are left out.
    """

    root: Path
    folder: Path
    playbook: Path
    inventory: Path
    hosts: Sequence[str] | None = None
    skip_tags: Sequence[str] = ()
    check: bool = False
    extra_vars: Sequence[str] = ()


@dataclass(frozen=True)
class Result:
    """How the run ended: status is ansible-runner's word, rc the exit status."""

    status: str
    rc: int
    collected: Collector

    @property
    def passed(self) -> bool:
        """Tell whether Ansible itself was content."""
        return self.status == "successful"


Runner = Callable[[Request, Callable[[], bool]], Result]


def run(request: Request, cancelled: Callable[[], bool]) -> Result:
    """Run a playbook; `cancelled` is polled, and once true the run is killed."""
    request.folder.mkdir(mode=0o700)
    collected = Collector()

    def keep(event: dict[str, Any]) -> bool:
        collected.take(event)
        return True

    arguments = ["--check", "--diff"] if request.check else []
    for variable in request.extra_vars:
        arguments += ["--extra-vars", variable]
    environment = ansible_environment(request.root)
    # Left alone, ansible-runner turns host key checks off.
    environment["ANSIBLE_HOST_KEY_CHECKING"] = "True"
    if not sys.stdout.isatty():
        environment["ANSIBLE_NOCOLOR"] = "1"
    # Files of the environment would keep the caller's secrets on disk: none are written, and
    # the one that ansible-runner always writes is removed.
    runner = ansible_runner.run(
        private_data_dir=str(request.folder),
        project_dir=str(request.root),
        playbook=str(request.playbook),
        inventory=str(request.inventory),
        limit=",".join(request.hosts) if request.hosts is not None else None,
        skip_tags=",".join(request.skip_tags) or None,
        cmdline=shlex.join(arguments) or None,
        envvars=environment,
        settings={"pexpect_timeout": _CANCEL_POLL},
        suppress_env_files=True,
        event_handler=keep,
        cancel_callback=cancelled,
    )
    for command in request.folder.glob("artifacts/*/command"):
        command.unlink()
    return Result(str(runner.status), int(runner.rc), collected)
