# SPDX-License-Identifier: GPL-3.0-or-later
"""Control-node side of the view_state task: from manifest and catalogue to a host's list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.action import ActionBase

try:
    from ansible_collections.bpfview.fleet.plugins.module_utils.bpfview import (
        agent_archive,
        cache,
        views_catalog,
        views_desired,
    )
    from ansible_collections.bpfview.fleet.plugins.module_utils.bpfview.digest import sha256_bytes
    from ansible_collections.bpfview.fleet.plugins.module_utils.bpfview.errors import BpfviewError
except ImportError:  # a checkout: ansible.cfg does not extend Python's own path
    import sys

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from plugins.module_utils.bpfview import agent_archive, cache, views_catalog, views_desired
    from plugins.module_utils.bpfview.digest import sha256_bytes
    from plugins.module_utils.bpfview.errors import BpfviewError

SOURCES = Path(agent_archive.__file__).parent


def agent() -> dict[str, str]:
    """Return the agent as a file of the cache, and its digest."""
    content = agent_archive.build(SOURCES)
    digest = sha256_bytes(content)
    path = cache.cache_root() / "agent" / f"{digest}.pyz"
    if not path.exists():
        cache.make_folder(path.parent)
        cache.write_atomic(path, content)
    return {"src": str(path), "sha256": digest}


def read_catalog(path: Path) -> dict[str, Any]:
    """Read the catalogue of views; BpfviewError if it is none."""
    remedy = "Correct it, or the variable view_deploy_catalog"
    try:
        catalog = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BpfviewError(f"The catalogue {path} cannot be read ({error})", remedy) from error
    if not isinstance(catalog, dict) or not isinstance(catalog.get("views"), dict):
        raise BpfviewError(f"{path} is no catalogue of views", remedy)
    return catalog


def without_objects(result: dict[str, Any], manifest: Path) -> dict[str, Any]:
    """Return what a host's answer comes to when some of the views are not built yet."""
    views = {name: {**view, "sha256": ""} for name, view in result["views"].items()}
    shown = ", ".join(f"{view['entry']} in {view['cgroups']} cgroups" for view in views.values())
    lack = f"{manifest} has not all views yet, so their objects could not be judged"
    return {
        "predicted": True,
        "pending": True,
        "steps": [],
        "objects": [],
        "views": views,
        "msg": f"{lack}; a real run builds them first, then exposes {shown}",
        "warnings": [*result.get("warnings", []), lack],
    }


class ActionModule(ActionBase):  # type: ignore[misc]
    """Join what was built with what was asked for, then inspect the host."""

    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """See plugins/modules/view_state.py for arguments and result."""
        super().run(tmp, task_vars)
        arguments = self._task.args
        manifest = Path(arguments["manifest"])
        predict = bool(self._task.check_mode)
        try:
            catalog = read_catalog(Path(arguments["catalog"]))
            absent = predict and not manifest.exists()
            built = {} if absent else views_catalog.read_manifest(manifest)
            views = views_catalog.wanted(built, catalog, arguments["views"], predict=predict)
            files = views_catalog.check_objects(built, manifest.parent, views)
        except (BpfviewError, OSError, KeyError, TypeError, AttributeError) as error:
            return {"failed": True, "msg": f"On the control node: {error}"}
        local = agent()
        facts = views_desired.facts(views)
        result: dict[str, Any] = self._execute_module(
            module_name=self._task.action,
            module_args={
                "wanted": facts,
                "agent_sha256": local["sha256"],
                "kernel_to_come": arguments.get("kernel_to_come", False),
            },
            task_vars=task_vars,
        )
        result.pop("invocation", None)
        if result.get("failed") or result.get("unreachable"):
            return result
        if not all(views_catalog.is_built(view) for view in views):
            return result | without_objects(result, manifest)
        return result | {
            "predicted": False,
            "wanted": facts,
            "agent": local,
            "objects": [
                {"src": files[digest], "sha256": digest} for digest in result["missing_objects"]
            ],
        }
