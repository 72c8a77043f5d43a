# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what views cost, as ratios, in directly booted virtual machines.

``python -m bpfview_fleet.bench --baseline 6.1 --baseline 6.12 --page docs/bench.md`` needs the
kernel that was built last for each baseline, with the series and without. Without ``--page`` the
page goes to the standard output. Exit status: 0 measured, whatever came out; 2 it could not be
measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.process import output

from . import direct_boot
from .accel import Acceleration, detect, qemu_version
from .bench_figures import Group, Run, Verdict, all_groups
from .bench_log import Boot, read_boot
from .bench_page import Machine, page
from .initramfs import build_initramfs

ROOT = direct_boot.ROOT
SOURCES = ROOT / "bench"
TESTS = ROOT / "kernel" / "tests"
VIEWS = ROOT / "bpf"
# What of the boot test is in the program too.
SHARED = ("files", "memory", "mounts", "objects", "say")
MEMORY_MIB = 2048
TIMEOUT_SECONDS = 300.0
# Where code and data come to lie differs from boot to boot, and matters.
READS = 5
# How often the patched kernel and the stock kernel take turns.
TURNS = 4
# The emulated processor moves strings byte by byte, and yet says that it is fast at it, so that
# the kernel would copy every text that way.
CPUS = {"tcg": "max,-erms,-fsrm", "kvm": "max"}


@dataclass(frozen=True)
class Bench:
    """All that booting takes, but for the kernel and the part."""

    initrd: Path
    folder: Path
    acceleration: Acceleration

    def boot(self, kernel: Path, part: str, name: str) -> Boot:
        """Measure one part on one kernel. Raises BpfviewError if the machine failed."""
        log = self.folder / f"{name}.log"
        started = time.monotonic()
        trouble = direct_boot.boot(
            kernel,
            self.initrd,
            log,
            self.acceleration,
            TIMEOUT_SECONDS,
            command_line=f"{direct_boot.COMMAND_LINE} bench={part}",
            memory_mib=MEMORY_MIB,
            cpu=CPUS[self.acceleration.name],
        )
        print(f"# {name} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        return read_boot(log, trouble)


def compile_bench(kernel_dir: Path, folder: Path) -> dict[str, bytes]:
    """Build the program and the views, those of ``bpf/`` among them, in ``folder``.

    Raises BpfviewError with the compiler's words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    btf = ["bpftool", "btf", "dump", "file", str(kernel_dir / "vmlinux.btf"), "format", "c"]
    (folder / "vmlinux.h").write_text(output(btf), "utf-8")
    views = [SOURCES / "all_keys.bpf.c", SOURCES / "ten_keys.bpf.c"]
    files = direct_boot.compile_bpf(
        views,
        folder,
        ["-mcpu=v3", "-D__TARGET_ARCH_x86", f"-I{folder}", f"-I{VIEWS}", f"-I{VIEWS / 'include'}"],
    )
    others = [SOURCES / "mutex.bpf.c", TESTS / "views.bpf.c"]
    files |= direct_boot.compile_bpf(others, folder, [f"-I{TESTS}"])
    programs = [path for path in SOURCES.glob("*.c") if not path.name.endswith(".bpf.c")]
    programs += [TESTS / f"{name}.c" for name in SHARED]
    files["init"] = direct_boot.compile_program(programs, folder / "init", [f"-I{TESTS}"])
    return files


def measure(baseline: str, folder: Path) -> tuple[list[Group], Acceleration, list[str]]:
    """All figures of a baseline, how they were taken, and the releases of the kernels.

    Raises BpfviewError if a kernel is not built or a machine fails.
    """
    patched = direct_boot.built_kernel(baseline)
    stock = direct_boot.built_kernel(baseline, stock=True)
    files = compile_bench(patched.parent, folder)
    initrd = folder / "initramfs.gz"
    initrd.write_bytes(build_initramfs(files))
    bench = Bench(initrd, folder, detect(patched))
    print(f"# {baseline}: {bench.acceleration}", file=sys.stderr, flush=True)
    reads = [bench.boot(patched, "reads", f"reads-{number}") for number in range(1, READS + 1)]
    many = bench.boot(patched, "many", "many")
    turns = [
        (bench.boot(patched, "dirs", f"dirs-{turn}"),
         bench.boot(stock, "dirs-without-views", f"dirs-stock-{turn}"))
        for turn in range(1, TURNS + 1)
    ]  # fmt: skip
    run = Run(reads, many, [turn[0] for turn in turns], [turn[1] for turn in turns])
    return all_groups(run), bench.acceleration, [_release(patched), _release(stock)]


def _release(kernel: Path) -> str:
    manifest = json.loads((kernel.parent / "manifest.json").read_text("utf-8"))
    return str(manifest["release"])


def processor(cpuinfo: str) -> str:
    """The model that /proc/cpuinfo names first."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.M)
    return found[1].strip() if found else "of unknown model"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bpfview_fleet.bench", description=__doc__)
    parser.add_argument("--baseline", action="append", required=True, help="may be repeated")
    parser.add_argument("--page", type=Path, help="write the page here")
    return parser.parse_args(argv)


def _report(results: Mapping[str, Sequence[Group]]) -> str:
    lines = []
    for verdict in (Verdict.MISSED, Verdict.NOT_DECIDED):
        those = [
            f"{baseline}: {figure.what}"
            for baseline, groups in results.items()
            for group in groups
            for figure in group.figures
            if figure.verdict is verdict
        ]
        if those:
            lines.append(f"{verdict}: {'; '.join(those)}")
    return "\n".join(lines) or "every aim is met"


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit status."""
    arguments = _arguments(argv)
    results: dict[str, list[Group]] = {}
    kernels: dict[str, list[str]] = {}
    try:
        for baseline in arguments.baseline:
            folder = ROOT / "build" / "bench" / baseline
            with direct_boot.alone_in(folder):
                results[baseline], acceleration, kernels[baseline] = measure(baseline, folder)
    except BpfviewError as error:
        print(error, file=sys.stderr)
        return 2
    machine = Machine(
        processor(Path("/proc/cpuinfo").read_text("utf-8")),
        os.cpu_count() or 1,
        acceleration.name,
        qemu_version(),
        f"2 processors (`{CPUS[acceleration.name]}`), {MEMORY_MIB} MiB, nothing but the bench",
        kernels,
    )
    text = page(machine, results)
    if arguments.page:
        arguments.page.write_text(text, "utf-8")
    else:
        print(text, end="")
    print(_report(results), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
