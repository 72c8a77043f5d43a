# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was built, catalogued and asked for to what a host is to have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import views_desired
from .digest import sha256_file
from .errors import BpfviewError
from .views_desired import View

_BUILD = "Build the views: make views"


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
    manifest: Mapping[str, Any], folder: Path, names: Sequence[str]
) -> dict[str, str]:
    """Return digest → file of the named views; BpfviewError if a file is not what was built."""
    files = {}
    for name in names:
        entry = manifest["objects"][name]
        path = folder / entry["file"]
        try:
            found = sha256_file(path)
        except OSError as error:
            raise BpfviewError(f"The object {path} cannot be read ({error})", _BUILD) from error
        if found != entry["sha256"]:
            raise BpfviewError(
                f"{path} has the digest {found}, its manifest says {entry['sha256']}", _BUILD
            )
        files[found] = str(path.resolve())
    return files


def wanted(
    manifest: Mapping[str, Any], catalog: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]
) -> tuple[View, ...]:
    """Join what was built and catalogued with what was asked for: ``[{name, cgroups}]``.

    Raises BpfviewError for a view that the catalogue or the build does not have.
    """
    views = []
    for request in requests:
        name = request["name"]
        known = catalog["views"]
        if name not in known:
            raise BpfviewError(
                f"There is no view {name!r} in bpf/catalog.yml",
                f"Choose from {', '.join(sorted(known))}, or add it there",
            )
        if name not in manifest.get("objects", {}):
            raise BpfviewError(f"The view {name} was not built", _BUILD)
        built = manifest["objects"][name]
        views.append(
            {
                "name": name,
                "entry": built.get("entry") or known[name]["file"],
                "sha256": built["sha256"],
                "selectors": request["cgroups"],
                "keys": {
                    key: {**item["verify"], "may_be_absent": item.get("may_be_absent", False)}
                    for key, item in known[name]["keys"].items()
                },
            }
        )
    return views_desired.parse({"schema": 1, "views": views})
