# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet at hand: `fab rollout`, `fab status`, `fab read VIEW`. See docs/rollout.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from bpfview_fleet import connections, observe
from bpfview_fleet import rollout as engine
from bpfview_fleet.hosts import HOSTS_GROUP, find_inventory, load_inventory
from bpfview_fleet.waves import DEFAULT_SIZES
from plugins.module_utils.bpfview.errors import BpfviewError

ROOT = Path(__file__).resolve().parent

_INVENTORY = "inventory file (default: inventory, else the demo lab's)"
_LIMIT = "Ansible host pattern that narrows the hosts"
_CONNECT = "seconds to wait for a connection"
_TIMEOUT = "seconds to wait for a host's answer"
_PARALLEL = "hosts asked at once"


@task(
    help={
        "inventory": _INVENTORY,
        "playbook": "playbook of each wave; it must publish bpfview_verdict for each host",
        "build_playbook": "playbook that is run once before the first wave",
        "canary_group": "group that goes first",
        "wave_size": f"hosts a wave: 5, 10%, or growing 1,10%,50% (default {DEFAULT_SIZES})",
        "limit": _LIMIT,
        "check": "write nothing, say what would be done (--check --diff)",
        "extra_vars": "variables for Ansible, as its --extra-vars; may stand several times",
    },
    iterable=["extra_vars"],
)
def rollout(  # noqa: PLR0913, PLR0917 - a task's options are its arguments
    _context: Context,
    inventory: str | None = None,
    limit: str | None = None,
    playbook: str = "deploy.yml",
    check: bool = False,
    wave_size: str = DEFAULT_SIZES,
    extra_vars: list[str] | None = None,
    canary_group: str = "canary",
    build_playbook: str = "playbooks/build.yml",
) -> None:
    """Deploy to the canary group, then in waves; stop at the first host that is not well."""
    with _explained():
        status = engine.rollout(
            engine.Options(
                root=ROOT,
                inventory=find_inventory(ROOT, inventory),
                playbook=_playbook(playbook),
                build_playbook=_playbook(build_playbook),
                canary_group=canary_group,
                wave_size=wave_size,
                limit=limit,
                check=check,
                extra_vars=extra_vars or (),
            )
        )
    if status:
        raise Exit(code=status)


@task(
    help={
        "inventory": _INVENTORY,
        "limit": _LIMIT,
        "connect_timeout": _CONNECT,
        "timeout": _TIMEOUT,
        "parallel": _PARALLEL,
    }
)
def status(
    _context: Context,
    inventory: str | None = None,
    limit: str | None = None,
    connect_timeout: int = connections.CONNECT_TIMEOUT,
    timeout: int = connections.COMMAND_TIMEOUT,
    parallel: int = connections.WORKERS,
) -> None:
    """Say which kernel each host runs, what was proven there, its uptime and its views."""
    with _explained():
        hosts = _targets(inventory, limit)
        answers = connections.ask(
            hosts,
            observe.status_command(),
            workers=parallel,
            connect_timeout=connect_timeout,
            command_timeout=timeout,
        )
        well = observe.show_status(answers)
    if not well:
        raise Exit(code=1)


@task(
    positional=["view"],
    help={
        "view": "the view's name, as in `fab read memory`",
        "cgroup": "one cgroup, as in system.slice (default: all that have the view)",
        "inventory": _INVENTORY,
        "limit": _LIMIT,
        "connect_timeout": _CONNECT,
        "timeout": _TIMEOUT,
        "parallel": _PARALLEL,
    },
)
def read(  # noqa: PLR0913, PLR0917 - a task's options are its arguments
    _context: Context,
    view: str,
    cgroup: str | None = None,
    inventory: str | None = None,
    limit: str | None = None,
    connect_timeout: int = connections.CONNECT_TIMEOUT,
    timeout: int = connections.COMMAND_TIMEOUT,
    parallel: int = connections.WORKERS,
) -> None:
    """Print a view's files, host by host and cgroup by cgroup."""
    with _explained():
        command = observe.read_command(view, cgroup)
        hosts = _targets(inventory, limit)
        answers = connections.ask(
            hosts,
            command,
            workers=parallel,
            connect_timeout=connect_timeout,
            command_timeout=timeout,
        )
        well = observe.show_view(answers, view, cgroup)
    if not well:
        raise Exit(code=1)


def _targets(given: str | None, limit: str | None) -> list[connections.Target]:
    source = find_inventory(ROOT, given)
    print(f"Inventory: {source.relative_to(ROOT) if source.is_relative_to(ROOT) else source}")
    loaded = load_inventory(ROOT, source, limit)
    hosts = loaded.hosts(HOSTS_GROUP)
    if not hosts:
        raise BpfviewError(f"{source} has no host in {HOSTS_GROUP}", "Name hosts there")
    return connections.targets(loaded, hosts)


def _playbook(name: str) -> Path:
    """Find a playbook from where the user stands, else from the checkout's root."""
    here = Path(name).expanduser().absolute()
    return here if here.is_file() else ROOT / name


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except BpfviewError as error:
        raise Exit(f"fab: {error}", code=engine.BAD_INPUT) from None
