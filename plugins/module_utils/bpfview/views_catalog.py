# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was built, catalogued and asked for to what a host is to have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import views_desired
from .cgroup_tree import parse_selector
from .digest import sha256_file
from .errors import BpfviewError
from .view_build import require_view_object
from .views_desired import View

_BUILD = "Build the views: make views"
_CORRECT = "Correct view_deploy_views; inventory.example shows how it is written"
_FIELDS = {"name", "cgroups", "subtree"}
_UNBUILT = "0" * 64  # stands for the digest of a view that is still to be built


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a view build's manifest; BpfviewError if there is none or it is something else."""
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BpfviewError(f"There is no view manifest {path}", _BUILD) from error
    except (OSError, ValueError) as error:
        raise BpfviewError(f"The view manifest {path} cannot be read ({error})", _BUILD) from error
    if not isinstance(manifest, dict) or manifest.get("kind") != "views":
        raise BpfviewError(f"{path} is no view manifest", _BUILD)
    return manifest


def check_objects(
    manifest: Mapping[str, Any], folder: Path, views: Sequence[View]
) -> dict[str, str]:
    """Return digest → file of the views that are built.

    Raises BpfviewError for a file that is not the one that was built, or is no view's object.
    """
    files = {}
    for view in views:
        if not is_built(view):
            continue
        path = folder / manifest["objects"][view.name]["file"]
        try:
            found = sha256_file(path)
        except OSError as error:
            raise BpfviewError(f"The object {path} cannot be read ({error})", _BUILD) from error
        if found != view.sha256:
            raise BpfviewError(
                f"{path} has the digest {found}, its manifest says {view.sha256}", _BUILD
            )
        require_view_object(path, view.name)
        files[found] = str(path.resolve())
    return files


def check_requests(requests: object, known: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what was asked for, ``[{name, cgroups, subtree}]``, if ``known`` has the names.

    Raises BpfviewError that names the first mistake.
    """
    if not isinstance(requests, Sequence) or isinstance(requests, str):
        raise BpfviewError(f"view_deploy_views is {requests!r} and no list of views", _CORRECT)
    names = [_check_request(request, known) for request in requests]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BpfviewError(
            f"view_deploy_views has the view {twice} twice",
            "Write it once, with the cgroups of both",
        )
    return list(requests)


def _check_request(request: object, known: Mapping[str, Any]) -> str:
    if not isinstance(request, Mapping) or set(request) | {"subtree"} != _FIELDS:
        raise BpfviewError(
            f"view_deploy_views has the entry {request!r}, which is not `name` and `cgroups`, and"
            " `subtree` if at all",
            _CORRECT,
        )
    if not isinstance(request.get("subtree", False), bool):
        raise BpfviewError(
            f"The view {request['name']} has the subtree {request['subtree']!r}, which is neither"
            " true nor false",
            _CORRECT,
        )
    name, selectors = request["name"], request["cgroups"]
    if not isinstance(name, str) or name not in known:
        raise BpfviewError(
            f"There is no view {name!r} in bpf/catalog.yml",
            f"Choose from {', '.join(sorted(known))}, or add it there",
        )
    if not isinstance(selectors, Sequence) or isinstance(selectors, str) or not selectors:
        raise BpfviewError(
            f"The cgroups of the view {name} are {selectors!r} and no list of paths or globs",
            _CORRECT,
        )
    for selector in selectors:
        if not isinstance(selector, str):
            raise BpfviewError(
                f"The view {name} selects the cgroup {selector!r}, which is no text", _CORRECT
            )
        parse_selector(selector)
    return name


def wanted(
    manifest: Mapping[str, Any],
    catalog: Mapping[str, Any],
    requests: object,
    *,
    predict: bool = False,
) -> tuple[View, ...]:
    """Join what was built and catalogued with what was asked for: ``[{name, cgroups, subtree}]``.

    Raises BpfviewError for what is badly asked for, and for a view that was not built unless
    ``predict``, when an earlier stage of the same run would have built it.
    """
    known = catalog["views"]
    views = []
    for request in check_requests(requests, known):
        name = request["name"]
        built = manifest.get("objects", {}).get(name)
        if built is None and not predict:
            raise BpfviewError(f"The view {name} was not built", _BUILD)
        built = built or {"sha256": _UNBUILT}
        views.append(
            {
                "name": name,
                "entry": built.get("entry") or known[name]["file"],
                "sha256": built["sha256"],
                "selectors": list(request["cgroups"]),
                "subtree": request.get("subtree", False),
                "keys": {
                    key: {**item["verify"], "may_be_absent": item.get("may_be_absent", False)}
                    for key, item in known[name]["keys"].items()
                },
            }
        )
    return views_desired.parse({"schema": 1, "views": views})


def is_built(view: View) -> bool:
    """Tell whether a view has an object, or one is still to be built for it."""
    return view.sha256 != _UNBUILT
