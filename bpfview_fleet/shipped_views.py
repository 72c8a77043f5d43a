# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of the views that the project ships, as a host gets them."""

from __future__ import annotations

from pathlib import Path

import yaml

from plugins.module_utils.bpfview import cache, view_build

from .direct_boot import ROOT

SOURCES = ROOT / "bpf"


def shipped_views(kernel_folder: Path) -> dict[str, bytes]:
    """Build the views against a kernel of `make kernel`; each object by ``<view>.bpf.o``.

    Raises BpfviewError if they cannot be built.
    """
    catalog = yaml.safe_load((SOURCES / "catalog.yml").read_text("utf-8"))
    views = view_build.read_catalog(SOURCES, catalog["views"])
    planned = view_build.plan(view_build.Request(SOURCES, views, kernel_folder, cache.cache_root()))
    view_build.build(planned)
    objects = view_build.load(planned.entry)["objects"]
    return {
        f"{name}.bpf.o": (planned.entry / known["file"]).read_bytes()
        for name, known in objects.items()
    }
