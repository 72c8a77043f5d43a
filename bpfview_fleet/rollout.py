# SPDX-License-Identifier: GPL-3.0-or-later
"""The staged rollout: build once, then canary and waves, stopping at the first host not well."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from plugins.module_utils.bpfview.digest import sha256_file
from plugins.module_utils.bpfview.errors import BpfviewError

from . import journal
from .hosts import Inventory, load_inventory
from .runs import Request, Runner
from .runs import run as run_playbook
from .table import table
from .verdicts import GOOD, IN_PROGRESS, Outcome, judge
from .waves import DEFAULT_SIZES, Wave, parse_sizes, plan

ALL_WELL, STOPPED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
RECORDS = Path("build/rollout")
MANIFESTS = ("build/kernel/*/manifest.json", "build/views/*/manifest.json")
# What a deployment takes from the checkout beside what was built: the agent's sources, and what the
# views' keys mean.
SHIPPED = ("plugins/module_utils/bpfview/*.py", "bpf/catalog.yml")
# Tags of the tasks that build; no wave runs them, or it could get another kernel than its canary.
BUILD_TAGS = ("kernel_build", "view_build")


@dataclass(frozen=True)
class Options:
    """What the user asked for; paths are absolute."""

    root: Path
    inventory: Path
    playbook: Path
    build_playbook: Path
    canary_group: str = "canary"
    wave_size: str = DEFAULT_SIZES
    limit: str | None = None
    check: bool = False
    extra_vars: Sequence[str] = ()


class Interrupts:
    """Ctrl-C once: stop after the current wave. Twice, or another signal: kill the current run."""

    def __init__(self) -> None:
        self.stop = False
        self.kill = False
        self.on_hosts = False

    def take(self, number: int, _frame: FrameType | None) -> None:
        """Handle one signal."""
        if self.stop or not self.on_hosts or number != signal.SIGINT:
            self.kill = True
            _say("\nStopping the current run now.")
        else:
            _say(
                "\nThe rollout stops when the current wave is done, so that its hosts are judged. "
                "Press Ctrl-C again to kill the wave."
            )
        self.stop = True

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handle SIGINT, SIGTERM and SIGHUP inside the block."""
        former = {number: signal.signal(number, self.take) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def rollout(options: Options, run: Runner = run_playbook) -> int:
    """Roll the deployment out over the inventory's hosts.

    run: what runs one playbook; tests pass their own.
    Returns 0 when every host is promoted or unchanged (with check: when every host passed), 1 when
    the rollout stopped, 130 when it was interrupted. Raises BpfviewError, before anything is run,
    for an inventory, group, limit or option that cannot be meant.
    """
    for playbook in (options.playbook, options.build_playbook):
        if not playbook.is_file():
            raise BpfviewError(f"There is no playbook {playbook}", "Correct the path")
    sizes = parse_sizes(options.wave_size)
    inventory = load_inventory(options.root, options.inventory, options.limit)
    if options.limit is not None:
        # A limit that leaves no canary must not look like an inventory without that group.
        load_inventory(options.root, options.inventory).hosts(options.canary_group)
        groups = {options.canary_group: (), **inventory.groups}
        inventory = Inventory(inventory.source, groups, inventory.variables)
    waves = plan(inventory, options.canary_group, sizes)
    records = options.root / RECORDS
    with journal.lock(records / "lock"):
        return _Rollout(options, inventory, waves, journal.new_folder(records), run).go()


class _Rollout:
    """One rollout in progress: its waves, what is known of each host, and its journal."""

    def __init__(
        self,
        options: Options,
        inventory: Inventory,
        waves: Sequence[Wave],
        folder: Path,
        run: Runner,
    ) -> None:
        self.options = options
        self.waves = waves
        self.folder = folder
        self.run = run
        self.interrupts = Interrupts()
        self.outcomes = {host: Outcome("not_attempted") for wave in waves for host in wave.hosts}
        self.shipped: dict[str, str] = {}
        # A check run leaves no build behind, so each wave has to predict it, where it is made.
        builders = ["builder"] if options.check and "builder" in inventory.groups else []
        # deploy.yml checks the inventory on the control node, in every wave.
        self.control = [*builders, "localhost"]
        self.record: dict[str, Any] = {
            "schema": 1,
            "id": folder.name,
            "state": "running",
            "reason": "",
            "started": journal.now(),
            "ended": None,
            "inventory": str(options.inventory),
            "playbook": str(options.playbook),
            "limit": options.limit,
            "check": options.check,
            "waves": [],
        }

    def go(self) -> int:
        """Do the rollout and return its exit status."""
        self._announce()
        self._save()
        try:
            with self.interrupts.caught():
                reason = self._build() or self._waves()
        except BaseException as error:
            self._finish("stopped", f"the rollout itself broke: {error!r}")
            raise
        if self.interrupts.stop and reason:
            self._finish("interrupted", reason)
            return INTERRUPTED
        self._finish("stopped" if reason else "done", reason)
        return STOPPED if reason else ALL_WELL

    def _build(self) -> str:
        _say("\n== build, once for all waves")
        step = self._begin("build", ())
        result = self.run(self._request("build", self.options.build_playbook, None), self._killed)
        self._end(step, result.status, result.rc)
        if self.interrupts.stop:
            return "during the build; no host was touched"
        if not result.passed:
            return f"the build ended with status {result.status} ({result.rc}); no host was touched"
        self.shipped = digests(self.options.root, (*MANIFESTS, *SHIPPED))
        self.record["manifests"] = built = digests(self.options.root, MANIFESTS)
        self._save()
        if not built and not self.options.check:
            return f"the build left no manifest ({', '.join(MANIFESTS)}); no host was touched"
        return ""

    def _waves(self) -> str:
        for wave in self.waves:
            if self.interrupts.stop:
                return f"before wave {wave.name}"
            if changed := self._changed():
                return f"{changed} before wave {wave.name}"
            if reason := self._wave(wave):
                return f"after wave {wave.name}: {reason}"
        return ""

    def _wave(self, wave: Wave) -> str:
        _say(f"\n== wave {wave.name}: {_count(wave.hosts)}: {', '.join(wave.hosts)}")
        for host in wave.hosts:
            self.outcomes[host] = Outcome(IN_PROGRESS)
        step = self._begin(f"wave-{wave.name}", wave.hosts)
        request = self._request(
            f"wave-{wave.name}", self.options.playbook, [*wave.hosts, *self.control]
        )
        self.interrupts.on_hosts = True
        result = self.run(request, self._killed)
        self.interrupts.on_hosts = False
        check = self.options.check
        for host in wave.hosts:
            self.outcomes[host] = judge(host, result.collected, check=check)
        self._end(step, result.status, result.rc)
        unwell = [host for host in wave.hosts if not self.outcomes[host].well(check=check)]
        if unwell:
            listed = ", ".join(f"{host} ({self.outcomes[host].verdict})" for host in unwell)
            return f"{len(unwell)} of {_count(wave.hosts)} not well: {listed}"
        if not result.passed:
            return f"the run ended with status {result.status} ({result.rc})"
        return self._changed()

    def _changed(self) -> str:
        found = digests(self.options.root, (*MANIFESTS, *SHIPPED))
        names = sorted(
            name
            for name in found.keys() | self.shipped.keys()
            if found.get(name) != self.shipped.get(name)
        )
        if not names:
            return ""
        return f"{', '.join(names)} changed, so the waves would not get the same bytes"

    def _killed(self) -> bool:
        return self.interrupts.kill

    def _request(self, name: str, playbook: Path, hosts: Sequence[str] | None) -> Request:
        options = self.options
        builds = hosts is None or options.check
        return Request(
            root=options.root,
            folder=self.folder / name,
            playbook=playbook,
            inventory=options.inventory,
            hosts=hosts,
            skip_tags=() if builds else BUILD_TAGS,
            check=options.check,
            extra_vars=options.extra_vars,
        )

    def _begin(self, name: str, hosts: Sequence[str]) -> dict[str, Any]:
        step: dict[str, Any] = {
            "name": name,
            "hosts": list(hosts),
            "status": "running",
            "rc": None,
            "started": journal.now(),
            "ended": None,
        }
        self.record["waves"].append(step)
        self._save()
        return step

    def _end(self, step: dict[str, Any], status: str, code: int) -> None:
        step.update(status=status, rc=code, ended=journal.now())
        self._save()

    def _save(self) -> None:
        self.record["hosts"] = {
            host: {
                "wave": wave.name,
                "verdict": self.outcomes[host].verdict,
                "seconds": self.outcomes[host].seconds,
                "detail": self.outcomes[host].detail,
            }
            for wave in self.waves
            for host in wave.hosts
        }
        journal.write(self.folder / "journal.json", self.record)

    def _finish(self, state: str, reason: str) -> None:
        self.record.update(state=state, reason=reason, ended=journal.now())
        self._save()
        _say("\n" + summary(self.record))
        _say(f"Journal: {self._shown(self.folder / 'journal.json')}")

    def _announce(self) -> None:
        sizes = ", ".join(f"{wave.name}: {len(wave.hosts)}" for wave in self.waves)
        _say(f"Inventory: {self._shown(self.options.inventory)}")
        _say(f"Rollout {self.folder.name}{' (check mode)' if self.options.check else ''}: ", end="")
        _say(f"{_count(list(self.outcomes))}, by wave: {sizes}")

    def _shown(self, path: Path) -> Path:
        root = self.options.root
        return path.relative_to(root) if path.is_relative_to(root) else path


def digests(root: Path, patterns: Sequence[str]) -> dict[str, str]:
    """Digest, in hex, of each file that matches a pattern; by path from the root."""
    return {
        str(path.relative_to(root)): sha256_file(path)
        for pattern in patterns
        for path in sorted(root.glob(pattern))
    }


def summary(record: Mapping[str, Any]) -> str:
    """Render a journal's table of hosts and its last sentence."""
    rows = [
        [name, host["wave"], host["verdict"], _seconds(host["seconds"])]
        for name, host in record["hosts"].items()
    ]
    lines = [table(["host", "wave", "verdict", "seconds"], rows)]
    lines += [
        f"{name}: {host['detail']}"
        for name, host in record["hosts"].items()
        if host["detail"] and host["verdict"] not in GOOD
    ]
    reason = f": {record['reason']}" if record["reason"] else ""
    lines.append(f"Rollout {record['id']} {record['state']}{reason}")
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _count(hosts: Sequence[str]) -> str:
    return f"{len(hosts)} host{'' if len(hosts) == 1 else 's'}"


def _say(text: str, end: str = "\n") -> None:
    # A terminal that is gone must not keep the journal from being written.
    with suppress(OSError):
        print(text, end=end, flush=True)
