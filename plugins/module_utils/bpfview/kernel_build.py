# SPDX-License-Identifier: GPL-3.0-or-later
"""From a baseline's series and a configuration to a cached kernel with a manifest."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import cache, elf, kernel_config, kernel_key, kernel_make, kernel_series, kernel_source
from .deb_contents import contents_sha256
from .digest import canonical_json, sha256_file
from .errors import BpfviewError
from .kernel_source import Package
from .progress import Reporter

KIND = "kernel"
MANIFEST = "manifest.json"
_COMMON = "bpf_view.config"
_BASES = ("lab", "distro")
_CLOUD_CONFIG = "_cloud-amd64.xz"
_STEPS = "steps.json"
# room in the cache for the tree and what a build leaves in it, in GiB
_ROOM = {"lab": 6, "distro": 25, "file": 25}


@dataclass(frozen=True)
class Request:
    """What the user asks for; folders are absolute."""

    baseline: str
    kernel_dir: Path
    cache_root: Path
    config_base: str = "distro"
    config_file: Path | None = None
    fragments: Sequence[Path] = ()
    source_version: str = ""
    # how many of the series, from the first; None is all
    patches: int | None = None
    jobs: int = 0


@dataclass
class Plan:
    """What a request comes to, known before anything is done."""

    request: Request
    inputs: kernel_key.Inputs
    # options of our own fragments, or of a file written by hand: each must survive
    required: Mapping[str, str]
    config_package: Package | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def entry(self) -> Path:
        """Where the result is or will be."""
        return cache.entry_path(self.request.cache_root, KIND, self.inputs.key)


def _fragments(request: Request) -> list[Path]:
    folder = request.kernel_dir / "config"
    own = {"lab": ["lab.config"], "distro": ["distro.config"], "file": []}[request.config_base]
    # what one baseline alone has an option for
    special = [request.kernel_dir / request.baseline / name for name in own]
    return [
        *(folder / name for name in own),
        *(path for path in special if path.is_file()),
        folder / _COMMON,
        *request.fragments,
    ]


def plan(request: Request) -> Plan:
    """Work out key and release from a request; writes and downloads nothing.

    Raises BpfviewError for an unknown baseline or base, a bad configuration file, a missing
    source package or a missing tool.
    """
    if request.config_base not in (*_BASES, "file"):
        raise BpfviewError(
            f"there is no configuration base {request.config_base!r}",
            f"Choose one of: {', '.join(_BASES)}, or name a configuration file",
        )
    patches = kernel_series.read_series(request.kernel_dir, request.baseline, request.patches)
    root = request.cache_root
    source = kernel_source.choose(root, f"linux-source-{request.baseline}", request.source_version)
    parts = [kernel_config.read(path) for path in _fragments(request)]
    base: dict[str, str] = {}
    origin: dict[str, str] = {}
    config_package = None
    if request.config_base == "distro":
        # its options follow from its version, so the key needs no download
        config_package = Package(f"linux-config-{request.baseline}", source.version)
        origin = {"package": config_package.name, "version": config_package.version,
                  "file": _CLOUD_CONFIG}  # fmt: skip
    elif request.config_file is not None:
        base = kernel_config.read(request.config_file)
        if not kernel_config.is_generated(request.config_file.read_text("utf-8")):
            parts.insert(0, base)
            base = {}
    required = kernel_config.merge(parts)
    inputs = kernel_key.Inputs(
        baseline=request.baseline,
        source=source,
        patches=patches,
        config_base=request.config_base,
        config_origin=origin,
        options=kernel_config.merge([base, required]),
        toolchain=kernel_key.toolchain(),
    )
    return Plan(request, inputs, required, config_package)


def load(entry: Path, name: str = MANIFEST) -> dict[str, Any]:
    """Return the manifest of a cached build after comparing every file with it.

    Raises BpfviewError if a file is missing or is not the one that was built.
    """
    try:
        manifest: dict[str, Any] = json.loads((entry / name).read_text("utf-8"))
        wrong = [
            file
            for file, known in manifest["files"].items()
            if sha256_file(entry / file) != known["sha256"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BpfviewError(
            f"the cached build {entry} is not whole: {error}",
            "Remove that folder and run again to build it anew",
        ) from error
    if wrong:
        raise BpfviewError(
            f"the cached build {entry} was changed since it was built: {', '.join(wrong)}",
            "Remove that folder and run again to build it anew",
        )
    return manifest


def build(planned: Plan, reporter: Reporter) -> bool:
    """Make sure that the plan's kernel is in the cache; returns whether it had to be built.

    Raises BpfviewError with the cause; then the cache has no entry for the key.
    """
    if planned.entry.is_dir():
        return False
    kernel_make.require_tools()
    request = planned.request
    root = request.cache_root
    reporter.phase("waiting for another build")
    # one tree a baseline: its fixed folder is what makes ccache hit across keys
    with cache.locked(root, "work", f"{KIND}-{request.baseline}"):
        if planned.entry.is_dir():
            return False
        base = request.config_base
        require_room(root, _ROOM[base], f"a {base} kernel build")
        with (
            work_folder(root, f"{KIND}-{request.baseline}", planned.inputs.release) as (work, log),
            cache.publishing(root, KIND, planned.inputs.key) as staging,
        ):
            _build_in(planned, work, log, staging, reporter)
    return True


def require_room(root: Path, gib: int, what: str) -> None:
    """Raise BpfviewError if the disk of the cache has less room than ``what`` needs, in GiB."""
    free = shutil.disk_usage(cache.make_folder(root)).free / 2**30
    if free < gib:
        raise BpfviewError(
            f"{root} has {free:.1f} GiB free, {what} needs {gib} GiB",
            "Free space there or name another cache folder",
        )


@contextlib.contextmanager
def work_folder(root: Path, name: str, release: str) -> Iterator[tuple[Path, Path]]:
    """Give an empty folder to build in and a log; after a failure the log stays.

    The caller holds the lock of the folder, ``cache.locked(root, "work", name)``.
    """
    work = root / "work" / name
    log = cache.make_folder(root / "logs") / f"{name.partition('-')[0]}-{release}.log"
    shutil.rmtree(work, ignore_errors=True)
    cache.make_folder(work)
    log.write_text("", "utf-8")
    try:
        yield work, log
    finally:
        shutil.rmtree(work, ignore_errors=True)
    log.unlink()


def _build_in(planned: Plan, work: Path, log: Path, staging: Path, reporter: Reporter) -> None:
    request, inputs = planned.request, planned.inputs
    reporter.phase("fetching the source")
    archive = kernel_source.fetch(request.cache_root, inputs.source)
    options = {**_distro_options(planned), **inputs.options}
    tree = patched_tree(inputs, archive, work, log, reporter)
    make = kernel_make.Make(
        tree=tree,
        log=log,
        ccache_dir=cache.make_folder(request.cache_root / "ccache"),
        release=inputs.release,
        epoch=kernel_source.changelog_time(archive, inputs.source),
        jobs=request.jobs or os.cpu_count() or 1,
    )
    reporter.phase("configuring")
    kernel_make.configure(make, options, inputs.local_version, request.config_base == "lab")
    got = kernel_config.read(tree / ".config")
    kernel_config.require(planned.required, got)
    _note_dropped(planned, options, got, log)
    _require_release(make, inputs.release)
    steps = _Steps(request.cache_root, f"{request.baseline}-{request.config_base}")
    reporter.phase("CC", steps.expected())
    kernel_make.compile_tree(make, reporter)
    steps.remember(reporter.count)
    reporter.phase("packaging")
    packages = kernel_make.package(make, reporter)
    reporter.phase("publishing")
    _collect(planned, make, packages, staging)


def patched_tree(
    inputs: kernel_key.Inputs, archive: Path, work: Path, log: Path, reporter: Reporter
) -> Path:
    """Unpack the source below ``work`` and apply the series; returns the tree's folder.

    Raises BpfviewError naming the patch and the hunk that does not fit.
    """
    reporter.phase("unpacking the source")
    tree = kernel_source.unpack(archive, inputs.source, work / "tree")
    reporter.phase("patching")
    with log.open("a", encoding="utf-8") as stream:
        for patch in inputs.patches:
            stream.write(f"+ {patch.name}\n{kernel_series.apply_patch(patch, tree)}")
            reporter.step()
    return tree


def _distro_options(planned: Plan) -> dict[str, str]:
    if planned.config_package is None:
        return {}
    archive = kernel_source.fetch(planned.request.cache_root, planned.config_package)
    text = kernel_source.read_member(archive, _CLOUD_CONFIG).decode("utf-8")
    return kernel_config.parse(text, planned.config_package.name)


def _note_dropped(
    planned: Plan, asked: Mapping[str, str], got: Mapping[str, str], log: Path
) -> None:
    dropped = [str(item) for item in kernel_config.lost(asked, got)]
    with log.open("a", encoding="utf-8") as stream:
        for item in dropped:
            stream.write(f"differs from the base configuration: {item}\n")
    if dropped:
        planned.notes.append(
            f"{len(dropped)} option(s) of the base configuration came out differently, mostly "
            "what the compiler decides; build.log lists them"
        )


def _require_release(make: kernel_make.Make, release: str) -> None:
    make.quiet("syncconfig")
    got = make.quiet("kernelrelease").strip()
    if got != release:
        raise BpfviewError(
            f"the source says that this kernel's release is {got}, not {release}",
            "Check that the source package's version is that of the kernel in it",
        )


class _Steps:
    """How many files the last build of a kind compiled, to say how far the next one is."""

    def __init__(self, root: Path, kind: str) -> None:
        self._path = root / "work" / _STEPS
        self._kind = kind

    def _known(self) -> dict[str, int]:
        try:
            known = json.loads(self._path.read_text("utf-8"))
            return {str(name): int(count) for name, count in known.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def expected(self) -> int:
        return self._known().get(self._kind, 0)

    def remember(self, count: int) -> None:
        known = {**self._known(), self._kind: count}
        cache.write_atomic(self._path, canonical_json(known))


def _collect(
    planned: Plan, make: kernel_make.Make, packages: Sequence[Path], staging: Path
) -> None:
    inputs, tree = planned.inputs, make.tree
    vmlinux = elf.read_elf(tree / "vmlinux")
    build_id = elf.gnu_build_id(vmlinux.content(".notes"))
    if build_id is None:
        raise BpfviewError(
            "the built kernel has no GNU build id", f"Look at the linker's part of {make.log}"
        )
    (staging / "vmlinux.btf").write_bytes(vmlinux.content(".BTF"))
    shutil.copyfile(tree / "arch/x86/boot/bzImage", staging / "bzImage")
    shutil.copyfile(tree / ".config", staging / "config")
    shutil.copyfile(make.log, staging / "build.log")
    for package in packages:
        shutil.copyfile(package, staging / package.name)
    manifest = {
        "schema": 1,
        "kind": KIND,
        "baseline": inputs.baseline,
        "key": inputs.key,
        "release": inputs.release,
        "build_id": build_id,
        "source": {"package": inputs.source.name, "version": inputs.source.version},
        "patches": [patch.facts() for patch in inputs.patches],
        "config_base": inputs.config_base,
        "toolchain": dict(inputs.toolchain),
        **described(staging),
        "packages": [path.name for path in packages if path.name.startswith("linux-image-")],
    }
    write_manifest(staging / MANIFEST, manifest)


def described(folder: Path) -> dict[str, Any]:
    """Return what a manifest says of the files in a folder: sizes, digests, packages' contents."""
    files = sorted(folder.iterdir())
    return {
        "files": {
            path.name: {"sha256": sha256_file(path), "size": path.stat().st_size} for path in files
        },
        "contents_sha256": {
            path.name: contents_sha256(path) for path in files if path.suffix == ".deb"
        },
    }


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest, the same bytes for the same facts; raises OSError."""
    text = json.dumps(manifest, indent=2, sort_keys=True)
    cache.write_atomic(path, f"{text}\n".encode())
