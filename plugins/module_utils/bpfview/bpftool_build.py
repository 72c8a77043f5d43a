# SPDX-License-Identifier: GPL-3.0-or-later
"""From the source of a planned kernel to a cached package of the bpftool that knows its views."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import (
    cache,
    deb_write,
    debian_packages,
    kernel_build,
    kernel_make,
    kernel_series,
    kernel_source,
)
from .digest import canonical_json, sha256_bytes
from .errors import BpfviewError
from .host_layout import Host
from .process import output, plain_environment
from .progress import Reporter

KIND = "bpftool"
MANIFEST = "bpftool.json"
PACKAGE = "bpftool-bpfview"
# Raise it when the builder changes what comes out of the same inputs.
BUILDER_FORMAT = 1
_ROOM = 3  # room in the cache for the tree, in GiB
LIBRARIES = ("libc6-dev", "libcap-dev", "libelf-dev", "zlib1g-dev")
# The features of Debian's own bpftool, whatever else the builder has installed: no disassembler,
# whose library the hosts would need, and no programs compiled against the builder's own kernel.
_FEATURES = (
    "feature-libcap=1", "feature-llvm=0", "feature-libbfd=0", "feature-libbfd-liberty=0",
    "feature-libbfd-liberty-z=0", "feature-clang-bpf-co-re=0",
)  # fmt: skip
_HARDENING = "-fstack-protector-strong -D_FORTIFY_SOURCE=2"
_COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Source: the Debian package {package} {version}
Comment: Built from tools/bpf/bpftool with the bpf_view series applied.

Files: *
Copyright: the authors of the Linux kernel
License: GPL-2.0-only
 On Debian systems the text of this license is in /usr/share/common-licenses/GPL-2.
"""


@dataclass(frozen=True)
class Plan:
    """The bpftool that belongs to a kernel, known before anything is done."""

    kernel: kernel_build.Plan
    toolchain: Mapping[str, str]

    @property
    def key(self) -> str:
        """The SHA-256 that names this build; kernels of another configuration share it."""
        inputs = self.kernel.inputs
        parts = {
            "format": BUILDER_FORMAT,
            "source": [inputs.source.name, inputs.source.version],
            "patches": [patch.sha256 for patch in inputs.patches],
            "toolchain": dict(self.toolchain),
        }
        return sha256_bytes(canonical_json(parts))

    @property
    def version(self) -> str:
        """The package's version: the source's, and what tells two builds of it apart."""
        return f"{self.kernel.inputs.source.version}+bpfview.{self.key[:12]}"

    @property
    def entry(self) -> Path:
        """Where the result is or will be."""
        return cache.entry_path(self.kernel.request.cache_root, KIND, self.key)


def plan(kernel: kernel_build.Plan) -> Plan | None:
    """Work out what bpftool belongs to a kernel; None for one without the whole series.

    Writes nothing. Raises BpfviewError naming the packages that the builder lacks.
    """
    request = kernel.request
    if kernel.inputs.patches != kernel_series.read_series(request.kernel_dir, request.baseline):
        return None
    tools = {name: kernel.inputs.toolchain[name] for name in ("gcc", "ld", "as")}
    return Plan(kernel, {**tools, **_package_versions()})


def _package_versions() -> dict[str, str]:
    found = debian_packages.installed(Host(), ["dpkg", *LIBRARIES])
    missing = [name for name in LIBRARIES if name not in found]
    if missing:
        raise BpfviewError(
            f"the builder lacks Debian packages that bpftool needs: {', '.join(missing)}",
            f"Install them: apt-get install {' '.join(missing)}",
        )
    return found


def build(planned: Plan, reporter: Reporter) -> bool:
    """Make sure that the plan's package is in the cache; returns whether it had to be built.

    Raises BpfviewError with the cause; then the cache has no entry for the key.
    """
    if planned.entry.is_dir():
        return False
    request = planned.kernel.request
    root, name = request.cache_root, f"{KIND}-{request.baseline}"
    reporter.phase("waiting for another bpftool build")
    with cache.locked(root, "work", name):
        if planned.entry.is_dir():
            return False
        kernel_build.require_room(root, _ROOM, "a bpftool build")
        with (
            kernel_build.work_folder(root, name, planned.version) as (work, log),
            cache.publishing(root, KIND, planned.key) as staging,
        ):
            _build_in(planned, work, log, staging, reporter)
    return True


def _build_in(planned: Plan, work: Path, log: Path, staging: Path, reporter: Reporter) -> None:
    request, inputs = planned.kernel.request, planned.kernel.inputs
    reporter.phase("fetching the source")
    archive = kernel_source.fetch(request.cache_root, inputs.source)
    epoch = kernel_source.changelog_time(archive, inputs.source)
    tree = kernel_build.patched_tree(inputs, archive, work, log, reporter)
    reporter.phase("compiling bpftool")
    program = _compile(tree, log, request.jobs or os.cpu_count() or 1, reporter)
    _require_views(program)
    package = staging / f"{PACKAGE}_{planned.version}_{_architecture()}.deb"
    deb_write.pack(_lay_out(planned, program, work), package, epoch)
    shutil.copyfile(log, staging / "bpftool.log")
    manifest = {
        "schema": 1,
        "kind": KIND,
        "baseline": inputs.baseline,
        "key": planned.key,
        "version": planned.version,
        "package": package.name,
        "source": {"package": inputs.source.name, "version": inputs.source.version},
        "patches": [patch.facts() for patch in inputs.patches],
        "toolchain": dict(planned.toolchain),
        **kernel_build.described(staging),
    }
    kernel_build.write_manifest(staging / MANIFEST, manifest)


def _compile(tree: Path, log: Path, jobs: int, reporter: Reporter) -> Path:
    flags = f"-O2 {_HARDENING} -ffile-prefix-map={tree}=/usr/src/linux"
    folder = tree / "tools/bpf/bpftool"
    command = [
        "make", f"-j{jobs}", "VMLINUX_BTF=", "VMLINUX_H=", *_FEATURES,
        f"EXTRA_CFLAGS={flags}", "EXTRA_LDFLAGS=-Wl,-z,relro,-z,now", "bpftool",
    ]  # fmt: skip
    kernel_make.run_logged(command, folder, plain_environment(), log, reporter)
    output(["strip", "bpftool"], cwd=folder)
    return folder / "bpftool"


def _require_views(program: Path) -> None:
    """Raise BpfviewError unless the program runs and knows links that are views."""
    output([str(program), "version"])
    output([str(program), "link", "help"])
    links = output([str(program), "feature", "list_builtins", "link_types"]).split()
    if "view" not in links:
        raise BpfviewError(
            "the built bpftool does not know links to views",
            "Check that the series' patch of tools/lib/bpf names the link type",
        )


def _lay_out(planned: Plan, program: Path, work: Path) -> Path:
    """Make the folder that becomes the package."""
    folder = work / "package"
    source = planned.kernel.inputs.source
    copyright = _COPYRIGHT.format(package=source.name, version=source.version)
    notes = work / "copyright"
    notes.write_text(copyright, "utf-8")
    for path, file in {
        "usr/sbin/bpftool": program,
        "usr/share/bash-completion/completions/bpftool": program.parent / "bash-completion/bpftool",
        f"usr/share/doc/{PACKAGE}/copyright": notes,
    }.items():
        (folder / path).parent.mkdir(parents=True)
        shutil.copy(file, folder / path)
    name, address = kernel_make.MAINTAINER
    control = {
        "Package": PACKAGE,
        "Version": planned.version,
        "Architecture": _architecture(),
        "Maintainer": f"{name} <{address}>",
        "Depends": _dependencies(folder / "usr/sbin/bpftool", work),
        "Provides": "bpftool",
        "Conflicts": "bpftool",
        "Replaces": "bpftool",
        "Section": "devel",
        "Priority": "optional",
        "Description": f"bpftool of a {planned.kernel.inputs.baseline} kernel with BPF views\n"
        " Shows and changes BPF programs, maps and links, as Debian's package bpftool does,\n"
        " and knows links to views as well.",
    }
    deb_write.write_fields(folder / "DEBIAN/control", control)
    return folder


def _architecture() -> str:
    return output(["dpkg", "--print-architecture"]).strip()


def _dependencies(program: Path, work: Path) -> str:
    """Return the packages whose libraries a program is linked with, as dpkg-shlibdeps says it."""
    # it looks for the source package that it is called in
    binary = {"Package": PACKAGE, "Architecture": "any"}
    deb_write.write_fields(work / "debian/control", {"Source": PACKAGE}, binary)
    text = output(["dpkg-shlibdeps", "-O", str(program)], cwd=work)
    return text.strip().removeprefix("shlibs:Depends=")
