# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the patched tree's own tests, and the disk that a machine runs them from.

The result is kept in the cache, keyed by everything that goes into it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.bpfview import cache, kernel_key, kernel_series, kernel_source
from plugins.module_utils.bpfview.digest import canonical_json, sha256_bytes, sha256_file
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.process import output

from . import direct_boot, selftest_sources

KIND = "selftests"
DISK = "disk.img"
BPF = "/selftests/bpf"
CGROUP = "/selftests/cgroup"

_OWN = direct_boot.ROOT / "kernel" / "selftests"
_SELFTESTS = "tools/testing/selftests"
_LLVM = ("CLANG=clang-16", "LLC=llc-16", "LLVM_STRIP=llvm-strip-16")
# nothing of the result may depend on what else the machine has installed; what a test needs besides
# (modules, helper programs) belongs to tests that are not among ours
_NO_EXTRAS = ("CHECK_FEAT=", "feature-llvm=0", "feature-libbfd=0", "feature-libcap=0",
              "PCAP_CFLAGS=", "PCAP_LIBS=", "LINKED_SKELS=", "LSKELS_EXTRA=",
              "TRUNNER_EXTRA_FILES=")  # fmt: skip
_BUSYBOX = "/bin/busybox"
_FOLDERS = ("dev", "proc", "sys", "tmp", "run", "mnt", "etc", "bin", "lib", "selftests")
_DISK_MIB = 128
_BUILD_SECONDS = 3600
_LIBRARY = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.M)


@dataclass(frozen=True)
class Wanted:
    """What to build: the tests by their name in the tree, and the types of the kernel they test."""

    baseline: str
    bpf_tests: Sequence[str]
    cgroup_tests: Sequence[str]
    vmlinux_btf: Path


def build(wanted: Wanted) -> Path:
    """Return the disk, which has the tests but no list of what to run; built if it is not there.

    Raises BpfviewError with the last words of what failed.
    """
    root = cache.cache_root()
    series = kernel_series.read_series(direct_boot.ROOT / "kernel", wanted.baseline)
    source = kernel_source.choose(root, f"linux-source-{wanted.baseline}")
    key = _key(wanted, series, source)
    with cache.locked(root, KIND, key):
        entry = cache.find(root, KIND, key)
        if entry is None:
            with _tree(root, wanted.baseline, series, source) as tree:
                _build_tests(tree, wanted)
                with cache.publishing(root, KIND, key) as staging:
                    _fill(tree, wanted, tree.parent / "root")
                    _make_disk(tree.parent / "root", staging / DISK)
            entry = cache.entry_path(root, KIND, key)
    return entry / DISK


def _key(
    wanted: Wanted, series: Sequence[kernel_series.Patch], source: kernel_source.Package
) -> str:
    own = [*sorted(_OWN.iterdir()), Path(__file__), Path(selftest_sources.__file__)]
    inputs = {
        "source": source.slug,
        "patches": [patch.sha256 for patch in series],
        "tests": [sorted(wanted.bpf_tests), sorted(wanted.cgroup_tests)],
        "types": sha256_file(wanted.vmlinux_btf),
        "own": {path.name: sha256_file(path) for path in own},
        "busybox": sha256_file(_busybox()),
        "toolchain": kernel_key.toolchain(),
        "clang": kernel_key.first_version_line(output([direct_boot.CLANGS[0], "--version"])),
    }
    return sha256_bytes(canonical_json(inputs))


def _busybox() -> Path:
    path = Path(_BUSYBOX)
    if not path.is_file():
        raise BpfviewError(f"there is no {path}", "Run `make deps` to install busybox-static")
    return path


@contextmanager
def _tree(
    root: Path,
    baseline: str,
    series: Sequence[kernel_series.Patch],
    source: kernel_source.Package,
) -> Iterator[Path]:
    """Give the patched source tree in a folder that goes afterwards."""
    work = root / "work" / f"{KIND}-{baseline}"
    with cache.locked(root, "work", work.name):
        shutil.rmtree(work, ignore_errors=True)
        cache.make_folder(work)
        try:
            print(f"# unpacking and patching {source.name} {source.version}", flush=True)
            tree = kernel_source.unpack(kernel_source.fetch(root, source), source, work / "tree")
            for patch in series:
                kernel_series.apply_patch(patch, tree)
            yield tree
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _make(folder: Path, *words: str) -> None:
    output(
        ["make", f"--jobs={os.cpu_count()}", "--directory", str(folder), *words],
        timeout=_BUILD_SECONDS,
    )


def _build_tests(tree: Path, wanted: Wanted) -> None:
    print("# building the kernel's own tests and bpftool", flush=True)
    bpf = tree / _SELFTESTS / "bpf"
    kept = selftest_sources.reduce_tests(bpf, wanted.bpf_tests)
    light = " ".join(f"{name}.c" for name in sorted(kept.light))
    _make(bpf, "test_progs", *_LLVM, *_NO_EXTRAS, f"LSKELS={light}",
          f"VMLINUX_BTF={wanted.vmlinux_btf.resolve()}")  # fmt: skip
    _make(tree / _SELFTESTS / "cgroup")
    tools = bpf / "tools"
    direct_boot.run(
        [direct_boot.tool("gcc"), "-O2", "-Wall", "-Wextra", f"-I{tools}/include",
         str(_OWN / "pin_view.c"), "-o", str(bpf / "pin_view"),
         f"{tools}/build/libbpf/libbpf.a", "-lelf", "-lz"]
    )  # fmt: skip


def _fill(tree: Path, wanted: Wanted, root: Path) -> None:
    """Make the tree of files of the machine."""
    bpf, cgroup = (tree / _SELFTESTS / name for name in ("bpf", "cgroup"))
    for name in _FOLDERS:
        (root / name).mkdir(parents=True)
    shutil.copy(_OWN / "init", root)
    shutil.copy(_busybox(), root / "bin" / "busybox")
    (root / "bin" / "sh").symlink_to("busybox")
    copies = [(bpf / name, BPF) for name in ("test_progs", "pin_view")]
    copies += [(path, BPF) for path in sorted(bpf.glob("*.bpf.o"))]
    copies += [(cgroup / name, CGROUP) for name in wanted.cgroup_tests]
    copies += [(bpf / "tools" / "sbin" / "bpftool", "/bin")]
    for path, folder in copies:
        _copy_into(root, path, folder)
    libraries = {name for path, _ in copies for name in _libraries(path)}
    # the C library loads it when a thread ends or is cancelled
    found = output([direct_boot.tool("gcc"), "-print-file-name=libgcc_s.so.1"]).strip()
    libraries.add(str(Path(found).resolve()))
    for library in sorted(libraries):
        _copy_into(root, Path(library), str(Path(library).parent))


def _copy_into(root: Path, path: Path, folder: str) -> None:
    target = root / folder.lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)


def _libraries(program: Path) -> list[str]:
    """Return the shared libraries that a program is loaded with; none for a BPF object."""
    if program.suffix == ".o":
        return []
    return _LIBRARY.findall(output(["ldd", str(program)]))


def _make_disk(root: Path, disk: Path) -> None:
    output([direct_boot.tool("mke2fs", "/usr/sbin/mke2fs"), "-q", "-F", "-t", "ext4", "-d",
            str(root), str(disk), f"{_DISK_MIB}M"], timeout=_BUILD_SECONDS)  # fmt: skip
