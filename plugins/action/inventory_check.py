# SPDX-License-Identifier: GPL-3.0-or-later
"""Control-node side of the inventory_check task: it reads what the roles take and leave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

try:
    from ansible_collections.bpfview.fleet.plugins.module_utils.bpfview.inventory_check import (
        Inventory,
        Roles,
        problems,
    )
except ImportError:  # a checkout: ansible.cfg does not extend Python's own path
    import sys

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from plugins.module_utils.bpfview.inventory_check import Inventory, Roles, problems

ROLES = Path(__file__).parents[2] / "roles"
_SET_FACT = ("ansible.builtin.set_fact", "set_fact")


def read_roles(folder: Path) -> Roles:
    """Read what each role takes, from its argument specs, and the facts that its tasks leave."""
    options: dict[str, list[str]] = {}
    defaults: dict[str, Any] = {}
    for path in sorted(folder.glob("*/meta/argument_specs.yml")):
        arguments: dict[str, Any] = {}
        for point in yaml.safe_load(path.read_text("utf-8"))["argument_specs"].values():
            arguments.update(point.get("options") or {})
        options[path.parts[-3]] = list(arguments)
        defaults.update({name: spec.get("default") for name, spec in arguments.items()})
    tasks = [yaml.safe_load(path.read_text("utf-8")) for path in folder.glob("*/tasks/*.yml")]
    return Roles(options, defaults, frozenset(_facts(tasks)))


def _facts(part: object) -> Iterator[str]:
    """Names that tasks register or set, in blocks too."""
    if isinstance(part, list):
        for item in part:
            yield from _facts(item)
    elif isinstance(part, dict):
        if isinstance(part.get("register"), str):
            yield part["register"]
        for key in _SET_FACT:
            yield from part.get(key) or ()
        for key in ("block", "rescue", "always"):
            yield from _facts(part.get(key))


class ActionModule(ActionBase):  # type: ignore[misc]
    """Fail with one sentence a mistake; never touches a host."""

    _supports_check_mode = True
    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run on the control node; see plugins/modules/inventory_check.py for the arguments."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        group = self._task.args.get("group", "bpfview_hosts")
        groups = task_vars["groups"]
        builders = list(groups.get("builder") or ["localhost"])
        # As they are written: a template may need what only a later play knows.
        raw = task_vars["hostvars"].raw_get
        inventory = Inventory(
            sources=list(task_vars.get("ansible_inventory_sources") or ()),
            groups=groups,
            variables={host: raw(host) for host in [*groups.get(group, []), *builders]},
        )
        need_hosts = boolean(self._task.args.get("need_hosts", True))
        found = problems(group, inventory, read_roles(ROLES), builders, need_hosts=need_hosts)
        return {"failed": True, "msg": "\n".join(found)} if found else {"changed": False}
