# SPDX-License-Identifier: GPL-3.0-or-later
"""Control-node side of the inventory_check task: it reads the roles' argument specs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.action import ActionBase

try:
    from ansible_collections.bpfview.fleet.plugins.module_utils.bpfview.inventory_check import (
        problems,
    )
except ImportError:  # a checkout: ansible.cfg does not extend Python's own path
    import sys

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from plugins.module_utils.bpfview.inventory_check import problems

ROLES = Path(__file__).parents[2] / "roles"


def role_options(roles: Path) -> dict[str, list[str]]:
    """Read each role's argument names from its meta/argument_specs.yml."""
    options: dict[str, list[str]] = {}
    for spec in sorted(roles.glob("*/meta/argument_specs.yml")):
        entry_points = yaml.safe_load(spec.read_text())["argument_specs"].values()
        options[spec.parts[-3]] = [name for point in entry_points for name in point["options"]]
    return options


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
        found = problems(
            group,
            task_vars["groups"].get(group, []),
            task_vars["hostvars"],
            role_options(ROLES),
        )
        if found:
            return {"failed": True, "msg": "\n".join(found), "problems": found}
        return {"changed": False, "problems": []}
