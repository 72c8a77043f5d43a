# SPDX-License-Identifier: GPL-3.0-or-later
"""A series of one patch and a builder's tools, as far as keys are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.bpfview import bpftool_build, debian_packages, kernel_key, kernel_source
from tests.unit.source_fixture import PACKAGE


@pytest.fixture
def kernel_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the series; tools and source package have fixed versions."""
    folder = tmp_path / "kernel"
    for name, text in {
        "6.1/series": "a.patch\n", "6.1/a.patch": "", "config/lab.config": "",
        "config/bpf_view.config": "",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(kernel_key, "toolchain", lambda: dict.fromkeys(("gcc", "ld", "as"), "1"))
    monkeypatch.setattr(kernel_source, "choose", lambda *_: PACKAGE)
    versions = dict.fromkeys(("dpkg", *bpftool_build.LIBRARIES), "1")
    monkeypatch.setattr(debian_packages, "installed", lambda *_: versions)
    return folder
