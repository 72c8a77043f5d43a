# SPDX-License-Identifier: GPL-3.0-or-later
"""Reduce the kernel tree's BPF selftests to a few tests and what these need."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError

_INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.M)
_SKELETON = re.compile(r"^(\w+)\.(l?skel)\.h$")
# an object that a test opens by its name while it runs
_OBJECT = re.compile(r'"(?:\./)?(\w+)\.bpf\.o"')
# the makefile takes type information from it when it links test_progs
_ALWAYS = "btf_data"


@dataclass(frozen=True)
class Kept:
    """The BPF programs that were kept, and of which there are light skeletons only."""

    programs: frozenset[str]
    light: frozenset[str]


def reduce_tests(bpf: Path, tests: Collection[str]) -> Kept:
    """Delete all other tests and programs from ``bpf``, the folder tools/testing/selftests/bpf.

    Raises BpfviewError if the tree lacks one of the tests.
    """
    folder = bpf / "prog_tests"
    missing = [name for name in sorted(tests) if not (folder / f"{name}.c").is_file()]
    if missing:
        raise BpfviewError(
            f"the kernel tree has no BPF selftest {', '.join(missing)}",
            "Correct the lists in bpfview_fleet/selftests.py",
        )
    skeletons: set[str] = set()
    light: set[str] = set()
    objects = {_ALWAYS}
    for path in folder.glob("*.c"):
        if path.stem not in tests:
            path.unlink()
            continue
        text = path.read_text("utf-8")
        for name, kind in _skeletons(text):
            (light if kind == "lskel" else skeletons).add(name)
        objects.update(_OBJECT.findall(text))
    programs = _with_sources(bpf / "progs", {*skeletons, *light, *objects})
    for path in (bpf / "progs").glob("*.c"):
        if path.stem not in programs:
            path.unlink()
    return Kept(frozenset(programs), frozenset(light - skeletons))


def _skeletons(text: str) -> Iterable[tuple[str, str]]:
    for included in _INCLUDE.findall(text):
        if match := _SKELETON.match(included):
            yield match[1], match[2]


def _with_sources(folder: Path, names: set[str]) -> set[str]:
    """Add the sources that those of ``names`` include."""
    found: set[str] = set()
    rest = set(names)
    while rest:
        name = rest.pop()
        path = folder / f"{name}.c"
        if name in found or not path.is_file():
            continue
        found.add(name)
        included = _INCLUDE.findall(path.read_text("utf-8"))
        rest.update(Path(file).stem for file in included if file.endswith(".c"))
    return found
