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
        if self._task.check_mode and not manifest.exists():
            return {
                "changed": False,
                "pending": True,
                "predicted": True,
                "msg": f"{manifest} is not there yet: a real run builds and deploys the views",
            }
        try:
            built = views_catalog.read_manifest(manifest)
            catalog = yaml.safe_load(Path(arguments["catalog"]).read_text("utf-8"))
            wanted = views_catalog.wanted(built, catalog, arguments["views"])
            names = [view.name for view in wanted]
            files = views_catalog.check_objects(built, manifest.parent, names)
        except (BpfviewError, OSError, KeyError, TypeError, yaml.YAMLError) as error:
            return {"failed": True, "msg": f"On the control node: {error}"}
        local = agent()
        facts = views_desired.facts(wanted)
        result: dict[str, Any] = self._execute_module(
            module_name=self._task.action,
            module_args={"wanted": facts, "agent_sha256": local["sha256"]},
            task_vars=task_vars,
        )
        result.pop("invocation", None)
        return result | {
            "predicted": False,
            "wanted": facts,
            "agent": local,
            "objects": [
                {"src": files[digest], "sha256": digest}
                for digest in result.get("missing_objects", [])
            ],
        }
