# SPDX-License-Identifier: GPL-3.0-or-later
"""From view sources and a built kernel's type information to cached BPF objects."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import cache, elf
from .digest import canonical_json, sha256_bytes, sha256_file
from .errors import BpfviewError
from .kernel_key import first_version_line
from .process import output, plain_environment
from .view_name import RULE, is_file_name, is_view_name

KIND = "views"
MANIFEST = "manifest.json"
# Raise it when the builder changes what comes out of the same inputs.
BUILDER_FORMAT = 1
_HEADERS = "vmlinux-h"
_FLAGS = (
    "-g", "-O2", "-target", "bpf", "-mcpu=v3", "-D__TARGET_ARCH_x86",
    "-Wall", "-Werror", "-fno-ident",
)  # fmt: skip
_LIBBPF = ("bpf_helpers.h", "bpf_helper_defs.h", "bpf_tracing.h", "bpf_core_read.h")


@dataclass(frozen=True)
class View:
    """A view as the catalogue lists it: source file, and the file name it appears under."""

    name: str
    entry: str
    source: Path


@dataclass(frozen=True)
class Request:
    """What to compile, with what, against which kernel; folders are absolute."""

    source_dir: Path
    views: Sequence[View]
    kernel_dir: Path
    cache_root: Path
    clang: str = "clang-16"
    strip: str = "llvm-strip-16"


@dataclass(frozen=True)
class Plan:
    """What a request comes to, known before anything is done."""

    request: Request
    kernel: Mapping[str, str]
    key: str

    @property
    def entry(self) -> Path:
        """Where the result is or will be."""
        return cache.entry_path(self.request.cache_root, KIND, self.key)


def read_catalog(source_dir: Path, catalog: Mapping[str, Mapping[str, Any]]) -> list[View]:
    """Return the views of a catalogue, a mapping of name to its ``file`` and ``source``.

    Raises BpfviewError for an empty catalogue, a bad name, a source that is not there, or a file
    name that two views share.
    """
    views: list[View] = []
    for name, fields in catalog.items():
        entry, source = str(fields.get("file", "")), str(fields.get("source", ""))
        if not is_view_name(name) or not is_file_name(entry):
            raise BpfviewError(
                f"the catalogue's view {name!r} with the file {entry!r} is badly named",
                f"A name is {RULE}; a file is view. and such a name",
            )
        if "/" in source or not (source_dir / source).is_file():
            raise BpfviewError(
                f"the source {source!r} of the view {name} is no file in {source_dir}",
                "Add it there, or correct the view's `source` in the catalogue",
            )
        if any(view.entry == entry for view in views):
            raise BpfviewError(
                f"two views of the catalogue use the file {entry}", "Give each a file of its own"
            )
        views.append(View(name, entry, source_dir / source))
    if not views:
        raise BpfviewError(
            "the catalogue of views is empty", "List at least one view under `views`"
        )
    return views


def plan(request: Request) -> Plan:
    """Work out the key of a view build; writes nothing.

    Raises BpfviewError if the kernel is not built, has no BTF, or a tool is missing.
    """
    kernel = _read_kernel(request.kernel_dir)
    include = sorted((request.source_dir / "include").glob("**/*.h"))
    libbpf = [Path("/usr/include/bpf") / name for name in _LIBBPF]
    absent = [str(path) for path in libbpf if not path.is_file()]
    if absent:
        raise BpfviewError(
            f"libbpf's headers are missing: {', '.join(absent)}", "Install the package libbpf-dev"
        )
    parts = {
        "format": BUILDER_FORMAT,
        "kernel": dict(kernel),
        "views": [
            [view.name, view.entry, view.source.name, sha256_file(view.source)]
            for view in request.views
        ],
        "include": [
            [str(path.relative_to(request.source_dir)), sha256_file(path)] for path in include
        ],
        "libbpf": [sha256_file(path) for path in libbpf],
        "flags": list(_FLAGS),
        "tools": _tools(request),
    }
    return Plan(request, kernel, sha256_bytes(canonical_json(parts)))


def _tools(request: Request) -> dict[str, str]:
    found = {}
    for name in (request.clang, request.strip, "bpftool"):
        try:
            found[name] = first_version_line(output([name, "--version"]))
        except BpfviewError as error:
            raise BpfviewError(
                f"{name}, needed to compile views, cannot be used: {error.message}",
                "Install the packages of debian-packages.txt on the builder (`make deps`)",
            ) from error
    return found


def _read_kernel(folder: Path) -> dict[str, str]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        digest = sha256_file(folder / "vmlinux.btf")
        known = manifest["files"]["vmlinux.btf"]["sha256"]
        kernel = {"release": manifest["release"], "key": manifest["key"], "btf": digest}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BpfviewError(
            f"there is no built kernel in {folder}: {error}",
            "Build it first (`make kernel`, or the role kernel_build)",
        ) from error
    if digest != known:
        raise BpfviewError(
            f"{folder / 'vmlinux.btf'} is not the one that the kernel's manifest names",
            "Build the kernel again (`make kernel`)",
        )
    return kernel


def build(planned: Plan) -> bool:
    """Make sure that the plan's objects are in the cache; returns whether they had to be built.

    Raises BpfviewError with clang's own words; then the cache has no entry for the key.
    """
    if planned.entry.is_dir():
        return False
    root = planned.request.cache_root
    with cache.locked(root, KIND, planned.key):
        if planned.entry.is_dir():
            return False
        header = _vmlinux_header(root, planned)
        with cache.publishing(root, KIND, planned.key) as staging:
            objects = {
                view.name: _compile(planned.request, view, header.parent, staging)
                for view in planned.request.views
            }
            _write_manifest(planned, objects, staging)
    return True


def _vmlinux_header(root: Path, planned: Plan) -> Path:
    digest = planned.kernel["btf"]
    with cache.locked(root, _HEADERS, digest):
        folder = cache.find(root, _HEADERS, digest)
        if folder is None:
            btf = planned.request.kernel_dir / "vmlinux.btf"
            text = output(["bpftool", "btf", "dump", "file", str(btf), "format", "c"])
            with cache.publishing(root, _HEADERS, digest) as staging:
                (staging / "vmlinux.h").write_text(text, "utf-8")
            folder = cache.entry_path(root, _HEADERS, digest)
    return folder / "vmlinux.h"


def _compile(request: Request, view: View, headers: Path, staging: Path) -> dict[str, Any]:
    raw = staging / f"{view.name}.bpf.o"
    command = [
        request.clang,
        *_FLAGS,
        # no folder of this builder in the object: equal inputs, equal bytes
        f"-ffile-prefix-map={headers}=.",
        f"-ffile-prefix-map={request.source_dir}=.",
        "-Iinclude",
        f"-I{headers}",
        "-c",
        view.source.name,
        "-o",
        str(raw),
    ]
    done = subprocess.run(
        command,
        cwd=request.source_dir,
        env=plain_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise BpfviewError(
            f"the view {view.name} does not compile:\n{done.stderr.strip()}\n",
            f"Correct {view.source.name} and run again",
        )
    # debugging data is of no use to the kernel; BTF, which is, stays
    output([request.strip, "--strip-debug", str(raw)])
    require_view_object(raw, view.name)
    digest = sha256_file(raw)
    final = staging / f"{view.name}-{digest[:12]}.bpf.o"
    raw.rename(final)
    return {
        "file": final.name,
        "sha256": digest,
        "size": final.stat().st_size,
        "entry": view.entry,
    }


def require_view_object(path: Path, name: str) -> None:
    """Raise BpfviewError unless ``path`` is a BPF object with type information and a view."""
    found = elf.read_elf(path)
    if found.machine != elf.EM_BPF:
        raise BpfviewError(
            f"the object of the view {name} is for machine {found.machine}, not for BPF",
            "Compile it with clang -target bpf",
        )
    names = {section.name for section in found.sections}
    if not any(section.startswith(("view/", "view.s/")) for section in names):
        raise BpfviewError(
            f"the object of the view {name} has no program in a section view/cgroup",
            "Declare one with VIEW_CGROUP in its source",
        )
    missing = {".BTF", ".BTF.ext", "license"} - names
    if missing:
        raise BpfviewError(
            f"the object of the view {name} lacks {', '.join(sorted(missing))}",
            "Compile it with -g, and declare its license",
        )


def _write_manifest(planned: Plan, objects: Mapping[str, Mapping[str, Any]], staging: Path) -> None:
    manifest = {
        "schema": 1,
        "kind": KIND,
        "key": planned.key,
        "kernel": {"release": planned.kernel["release"], "key": planned.kernel["key"]},
        "objects": objects,
    }
    text = json.dumps(manifest, indent=2, sort_keys=True)
    (staging / MANIFEST).write_text(f"{text}\n", "utf-8")


def load(entry: Path) -> dict[str, Any]:
    """Return the manifest of cached views after comparing every object with it.

    Raises BpfviewError if one is missing or is not the one that was built.
    """
    try:
        manifest: dict[str, Any] = json.loads((entry / MANIFEST).read_text("utf-8"))
        wrong = [
            name
            for name, known in manifest["objects"].items()
            if sha256_file(entry / known["file"]) != known["sha256"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BpfviewError(
            f"the cached views {entry} are not whole: {error}",
            "Remove that folder and run again to build them anew",
        ) from error
    if wrong:
        raise BpfviewError(
            f"the cached views {entry} were changed since they were built: {', '.join(wrong)}",
            "Remove that folder and run again to build them anew",
        )
    return manifest
