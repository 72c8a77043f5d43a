# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent on a host: the same decisions as Ansible's modules take, without Ansible."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from . import cgroup_tree, view_apply, view_host, view_inspect, view_verify, views_desired
from .cgroup_tree import ROOT, shown
from .errors import BpfviewError
from .host_layout import Host
from .view_failure import explain
from .view_kernel import Kernel
from .view_text import NotAView, parse, plain
from .views_desired import View


def main(arguments: Sequence[str] | None = None, host: Host | None = None) -> int:
    """Run a command; return the exit status: 0 well, 1 a problem that was said."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(host or Host(), options))
    except (BpfviewError, OSError) as error:
        print(f"bpfview: {explain(error, 'The command')}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent.pyz", description="Load, show and check this host's BPF views in cgroups."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, words in (
        ("apply", _apply, "bring the host to what /etc/bpfview/views.json says"),
        ("inspect", _inspect, "say what apply would do"),
        ("remove", _remove, "take the views, the agent and its units away"),
        ("read", _read, "print a view's text"),
        ("verify", _verify, "compare the views with the kernel's own numbers"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.set_defaults(run=function)
        command.add_argument("--json", action="store_true", help="print JSON")
        if name == "apply":
            command.add_argument(
                "--boot",
                action="store_true",
                help="do nothing on a kernel without views, leave out a view that it refuses, and"
                " expect cgroups to come later",
            )
        if name == "read":
            command.add_argument("view", metavar="VIEW", help="memory, cpu, tasks, …")
            command.add_argument(
                "cgroups", metavar="CGROUP", nargs="*", help="paths or globs; default: all it is in"
            )
    return parser


def _print(options: argparse.Namespace, data: dict[str, Any], lines: Sequence[str]) -> None:
    if options.json:
        print(json.dumps(data, sort_keys=True))
    else:
        for line in lines:
            print(line)


def _apply(host: Host, options: argparse.Namespace) -> int:
    kernel = Kernel(host)
    log = (lambda _line: None) if options.json else print
    steps = view_inspect.reconcile(host, kernel, not options.boot, log)
    _print(options, {"changed": bool(steps), "steps": [str(step) for step in steps]}, ())
    return 0


def _inspect(host: Host, options: argparse.Namespace) -> int:
    facts = view_inspect.inspect(host, Kernel(host), _listed(host)).facts()
    _print(options, facts, [*facts["warnings"], *facts["steps"]] or ["nothing to do"])
    return 0


def _remove(host: Host, options: argparse.Namespace) -> int:
    removed = view_inspect.remove(host, Kernel(host))
    _print(options, {"changed": bool(removed), "removed": removed}, removed or ["nothing there"])
    return 0


def _read(host: Host, options: argparse.Namespace) -> int:
    view = _named(_listed(host), options.view)
    if options.cgroups:
        cgroups, unmatched = cgroup_tree.select(host, options.cgroups)
        if unmatched:
            raise BpfviewError(f"No cgroup matches {unmatched[0]!r}", "List them with systemd-cgls")
    else:
        cgroups = view_host.targets(host, (view,)).cgroups[view.name]
    texts: dict[str, str] = {}
    for cgroup in cgroups:
        path = host.path(f"{ROOT}/{cgroup}") / view.entry
        try:
            texts[shown(cgroup)] = path.read_text("utf-8")
        except OSError as error:
            if options.cgroups:
                raise BpfviewError(
                    f"{path} cannot be read ({error.strerror})", "See agent.pyz inspect"
                ) from error
    if not texts:
        raise BpfviewError(
            f"The view {view.name} is in no cgroup of this host", "See agent.pyz inspect"
        )
    _print(
        options,
        {"view": view.name, "cgroups": {cgroup: _values(text) for cgroup, text in texts.items()}},
        [f"# {cgroup}\n{text.rstrip()}" for cgroup, text in texts.items() if text],
    )
    return 0


def _values(text: str) -> dict[str, int | str]:
    try:
        return {key: plain(value) for key, value in parse(text).items()}
    except NotAView as error:
        raise BpfviewError(
            f"A view's text is not understood: {error}", "Read it as text"
        ) from error


def _verify(host: Host, options: argparse.Namespace) -> int:
    views = _listed(host)
    view_apply.check_host(host)
    result = view_verify.verify(host, views, view_verify.SETTLE)
    lines = [
        f"{name}: {tally.read} files read, {tally.compared} values compared,"
        f" {tally.consistent} consistent, {len(tally.mismatches)} wrong, {tally.young} young"
        for name, tally in result.tallies.items()
    ]
    _print(options, result.facts(), [*lines, *result.reasons])
    return 1 if result.reasons else 0


def _listed(host: Host) -> tuple[View, ...]:
    views = views_desired.load(host)
    if views is None:
        raise BpfviewError(
            f"There is no {views_desired.FILE}: no views are deployed on this host",
            "Deploy them: ansible-playbook -i inventory playbooks/views.yml",
        )
    return views


def _named(views: Sequence[View], name: str) -> View:
    for view in views:
        if name in {view.name, view.entry}:
            return view
    raise BpfviewError(
        f"There is no view {name!r} on this host",
        f"Choose from {', '.join(view.name for view in views)}",
    )
