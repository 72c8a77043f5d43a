# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel a host is to run: read from a build's manifest, handed to modules as plain data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import debian_packages
from .cache import cache_root, make_folder
from .debian_packages import PackageFile
from .digest import sha256_file
from .errors import BpfviewError
from .host_layout import Host
from .running_kernel import btf_has_function

_BUILD = "Build the kernel again: make kernel"
_BTF = "vmlinux.btf"


@dataclass(frozen=True)
class WantedKernel:
    """A kernel by identity. Without packages it is a prediction: not built yet."""

    release: str
    build_id: str = ""
    packages: tuple[PackageFile, ...] = ()

    @property
    def digests(self) -> dict[str, str]:
        """Package name → SHA-256 of its file."""
        return {package.package: package.sha256 for package in self.packages}

    @property
    def built(self) -> bool:
        """Whether there is something to install."""
        return bool(self.packages)

    def facts(self) -> dict[str, object]:
        """The same as plain data, as from_facts takes it."""
        return {
            "release": self.release,
            "build_id": self.build_id,
            "packages": [package.facts() for package in self.packages],
        }


def from_facts(data: Mapping[str, Any]) -> WantedKernel:
    """Make one from plain data; BpfviewError for data that is none."""
    try:
        packages = tuple(PackageFile(**package) for package in data.get("packages") or ())
        return WantedKernel(str(data["release"]), str(data.get("build_id") or ""), packages)
    except (KeyError, TypeError) as error:
        raise BpfviewError(
            f"The description of the wanted kernel is incomplete ({error})",
            "Pass what kernel_packages returned as `kernel`",
        ) from error


def kept_manifest(release: str) -> Path:
    """Return the manifest of a release that this control node has built and kept.

    Raises BpfviewError if its cache has none.
    """
    key = release.rpartition("-")[2]
    found = sorted((cache_root() / "kernel").glob(f"{key}*/manifest.json")) if key else []
    if not found:
        raise BpfviewError(
            f"The cache of this control node ({cache_root()}) has no kernel {release or 'named'}",
            "Name the manifest it was deployed from, on the control node that has it:"
            " -e rollback_manifest=PATH",
        )
    return found[0]


def read(path: Path, function: str, release: str, *, predict: bool) -> WantedKernel:
    """Read the manifest of ``release`` (any, if empty); with ``predict`` it may not be built yet.

    Raises BpfviewError for a manifest that is missing, damaged or of another release.
    """
    try:
        wanted = from_manifest(path, function)
    except BpfviewError:
        if predict and release and not path.exists():
            return WantedKernel(release)
        raise
    if release and wanted.release != release:
        if predict:
            return WantedKernel(release)
        raise BpfviewError(f"{path} is of {wanted.release}, the build made {release}", _BUILD)
    return wanted


def from_manifest(path: Path, function: str) -> WantedKernel:
    """Read a manifest and check what lies beside it: digests, packages, BTF with ``function``.

    Raises BpfviewError naming the file and what to do.
    """
    try:
        manifest = json.loads(path.read_text("utf-8"))
        kind = (manifest["kind"], manifest["schema"])
        release, build_id = str(manifest["release"]), str(manifest["build_id"]).lower()
        files = {str(name): str(entry["sha256"]) for name, entry in manifest["files"].items()}
        packages = [str(name) for name in manifest["packages"]]
    except OSError as error:
        raise BpfviewError(
            f"There is no kernel manifest at {path} ({error.strerror})", _BUILD
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BpfviewError(f"{path} is no kernel manifest ({error!r})", _BUILD) from error
    if kind != ("kernel", 1):
        raise BpfviewError(f"{path} is a manifest of {kind[0]}, schema {kind[1]}", _BUILD)
    if not packages or not build_id:
        raise BpfviewError(f"{path} names no packages or no build id", _BUILD)
    for name in [*packages, _BTF]:
        _check_file(path.parent, name, files)
    if not btf_has_function((path.parent / _BTF).read_bytes(), function):
        raise BpfviewError(
            f"Kernel {release} has no BTF for {function}, so no view could run on it",
            "Check that the series was applied and that CONFIG_DEBUG_INFO_BTF survived the build",
        )
    described = [_describe(path.parent / name, files[name]) for name in packages]
    if not any(package.package == f"linux-image-{release}" for package in described):
        names = ", ".join(package.package for package in described)
        raise BpfviewError(f"{path} is of {release}, its packages are {names}", _BUILD)
    return WantedKernel(release, build_id, tuple(described))


def _check_file(directory: Path, name: str, files: Mapping[str, str]) -> None:
    if name not in files or name != Path(name).name:
        raise BpfviewError(f"The manifest in {directory} gives no digest of {name}", _BUILD)
    try:
        found = sha256_file(directory / name)
    except OSError as error:
        problem = f"{directory / name} cannot be read: {error.strerror}"
        raise BpfviewError(problem, _BUILD) from error
    if found != files[name]:
        raise BpfviewError(
            f"{directory / name} has SHA-256 {found}, its manifest says {files[name]}", _BUILD
        )


def _content_sizes(file: Path, sha256: str) -> tuple[int, int]:
    """Return what a package unpacks to, from the cache if it was unpacked once already."""
    folder = cache_root() / "package-sizes"
    known = folder / sha256
    try:
        boot, other = (int(word) for word in known.read_text("ascii").split())
    except (OSError, ValueError):
        boot, other = debian_packages.content_sizes(file)
        with tempfile.NamedTemporaryFile("w", dir=make_folder(folder), delete=False) as draft:
            draft.write(f"{boot} {other}\n")
        Path(draft.name).rename(known)
    return boot, other


def _describe(file: Path, sha256: str) -> PackageFile:
    package, version, architecture = debian_packages.fields(Host(), file)
    boot, other = _content_sizes(file, sha256)
    return PackageFile(
        file=file.name,
        sha256=sha256,
        size=file.stat().st_size,
        package=package,
        version=version,
        architecture=architecture,
        boot_bytes=boot,
        other_bytes=other,
    )
