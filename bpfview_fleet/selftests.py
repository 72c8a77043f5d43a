# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the kernel tree's own tests on the stock and on the patched kernel, and compare.

``python -m bpfview_fleet.selftests --baseline 6.1`` takes the two kernels that were built last
with kernel/config/selftests.config. Exit status: 0 nothing is worse on the patched kernel and
every test of views passes there, 1 something is, or a run cannot be believed, 2 the tests could
not be run.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError

from . import direct_boot, selftest_bpftool, selftest_build, selftest_judge, selftest_log
from .accel import detect
from .initramfs import build_initramfs
from .selftest_build import BPF, CGROUP
from .selftest_log import Console, Outcome, Output

# The series' own test.
VIEW_TEST = "pinning_kernfs"
# Tests of what the series changes, and of what lies next to it: pins and bpffs, iterators and
# cgroups, links and their information, the verifier's rules for tracing programs, libbpf.
BPF_TESTS = (
    VIEW_TEST,
    "bpf_iter",
    "bpf_obj_id",
    "btf",
    "cgroup_hierarchical_stats",
    "cgroup_iter",
    "cgroup_link",
    "cgroup_v1v2",
    "custom_sec_handlers",
    "d_path",
    "fexit_sleep",
    "libbpf_probes",
    "libbpf_str",
    "link_pinning",
    "lsm_cgroup",
    "modify_return",
    "perf_link",
    "pinning",
    "recursion",
    "section_names",
    "sk_storage_tracing",
    "snprintf_btf",
    "sockmap_basic",
    "test_bpffs",
    "test_lsm",
    "trace_vprintk",
)
CGROUP_TESTS = ("test_core", "test_freezer", "test_kill")
# What one baseline has besides.
MORE_BPF_TESTS = {
    "6.1": ("bpf_cookie",),
    "6.12": (
        "bpf_obj_pinning",
        "cgroup1_hierarchy",
        "cgrp_kfunc",
        "cgrp_local_storage",
        "fill_link_info",
        "libbpf_get_fd_by_id_opts",
        "rcu_read_lock",
        "task_kfunc",
        "token",
        "tracing_failure",
    ),
}
# Where the tests in a file do not bear its name.
PATTERNS = {"libbpf_probes": "libbpf_probe_*"}
MORE_CGROUP_TESTS = {"6.12": ("test_pids",)}

PROBE = "bpftool feature probe"

FRAGMENT = "selftests"
SECONDS = 180
# Hundreds of subtests each, which emulation makes slow.
LONG_SECONDS = {"bpf_iter": 600, "btf": 900}
TIMEOUT_SECONDS = 3600.0
# of a test that came out worse: some of the kernel's own depend on who is scheduled when
REPEATS = 4
MEMORY_MIB = 2048
# besides what any direct boot has: the root file system is the first disk
COMMAND_LINE = f"{direct_boot.COMMAND_LINE} root=/dev/vda rootwait rw init=/init"
_SECTOR = 512

_PIN = "/sys/fs/bpf/shown"

Reader = Callable[[str, Output], dict[str, Outcome]]


@dataclass(frozen=True)
class Command:
    """One program to run in the machine, and how its output becomes rows."""

    name: str
    folder: str
    line: str
    rows: Reader
    seconds: int = SECONDS

    def __str__(self) -> str:
        return "\t".join((self.name, self.folder, str(self.seconds), self.line))


def _view_rows(name: str, output: Output) -> dict[str, Outcome]:
    right = selftest_bpftool.says_what_it_should(name, output)
    return {name: Outcome.OK if right else Outcome.FAIL}


def bpf_tests(baseline: str) -> tuple[str, ...]:
    """The tests of test_progs that are run on a baseline."""
    return (*BPF_TESTS, *MORE_BPF_TESTS.get(baseline, ()))


def cgroup_tests(baseline: str) -> tuple[str, ...]:
    """The programs of selftests/cgroup that are run on a baseline."""
    return (*CGROUP_TESTS, *MORE_CGROUP_TESTS.get(baseline, ()))


def commands(baseline: str) -> list[Command]:
    """Everything that runs in the machine, in order."""
    view = {
        "fdinfo": f"./pin_view {VIEW_TEST}.bpf.o show_id {_PIN}",
        "bpftool link show": "bpftool link show",
        "bpftool -j link show": "bpftool -j link show",
        "bpftool prog show": "bpftool prog show",
    }
    return [
        *(
            Command(
                name,
                BPF,
                f"./test_progs -a '{PATTERNS.get(name, name)}'",
                selftest_log.test_progs_rows,
                LONG_SECONDS.get(name, SECONDS),
            )
            for name in bpf_tests(baseline)
        ),
        *(
            Command(name, CGROUP, f"./{name}", selftest_log.tap_rows)
            for name in cgroup_tests(baseline)
        ),
        *(Command(name, BPF, line, _view_rows) for name, line in view.items()),
        Command(PROBE, BPF, "bpftool feature probe kernel", selftest_log.status_rows, 600),
    ]


ABOUT_VIEWS = frozenset({VIEW_TEST, *selftest_bpftool.CHECKS})


def judge(wanted: Sequence[Command], stock: Console, patched: Console) -> selftest_judge.Comparison:
    """Compare the two runs of these commands."""
    comparison = selftest_judge.compare(_rows(wanted, stock), _rows(wanted, patched), ABOUT_VIEWS)
    comparison.problems += [
        f"{command.name} did not run on the {kind} kernel"
        for kind, console in (("stock", stock), ("patched", patched))
        for command in wanted
        if command.name not in console.outputs
    ]
    comparison.problems += selftest_judge.run_problems(stock, patched)
    probes = [console.outputs.get(PROBE) for console in (stock, patched)]
    if probes[0] and probes[1]:
        comparison.problems += [
            f"{PROBE} differs from stock: {line}"
            for line in selftest_bpftool.differences(probes[0], probes[1])
        ]
    return comparison


def _rows(wanted: Sequence[Command], console: Console) -> dict[str, Outcome]:
    rows: dict[str, Outcome] = {}
    for command in wanted:
        if command.name in console.outputs:
            rows |= command.rows(command.name, console.outputs[command.name])
    return rows


def _list_of(wanted: Sequence[Command]) -> bytes:
    text = "".join(f"{command}\n" for command in wanted).encode()
    return text + b"\n" * (-len(text) % _SECTOR)


def _run_on(kernel: Path, disk: Path, wanted: Sequence[Command], folder: Path) -> Console:
    """Run the commands on a kernel; ``folder`` keeps the console."""
    folder.mkdir(exist_ok=True)
    own_disk, listed, initrd = (folder / name for name in ("disk.img", "list.img", "initrd.gz"))
    shutil.copyfile(disk, own_disk)
    listed.write_bytes(_list_of(wanted))
    initrd.write_bytes(build_initramfs({}))
    log = folder / "console.log"
    acceleration = detect(kernel)
    print(f"# {kernel}, {acceleration}", flush=True)
    trouble = direct_boot.boot(
        kernel, initrd, log, acceleration, TIMEOUT_SECONDS,
        command_line=COMMAND_LINE, memory_mib=MEMORY_MIB, drives=(own_disk, listed),
    )  # fmt: skip
    own_disk.unlink()
    return _console(log, trouble)


def _console(log: Path, trouble: str | None) -> Console:
    try:
        console = selftest_log.read_console(log.read_text("utf-8", "replace"))
    except OSError as error:
        console = Console(problems=[f"the console log cannot be read: {error}"])
    if trouble:
        console.problems.insert(0, trouble)
    return console


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bpfview_fleet.selftests", description=__doc__)
    parser.add_argument("--baseline", default="6.1", help="kernel source line (default: 6.1)")
    parser.add_argument(
        "--fragment", default=FRAGMENT,
        help=f"with which the kernels were built, empty for none (default: {FRAGMENT})",
    )  # fmt: skip
    return parser.parse_args(argv)


def _test(baseline: str, fragment: str, folder: Path) -> selftest_judge.Comparison:
    patched = direct_boot.built_kernel(baseline, fragment)
    stock = direct_boot.built_kernel(baseline, fragment, stock=True)
    disk = selftest_build.build(
        selftest_build.Wanted(
            baseline,
            bpf_tests(baseline),
            cgroup_tests(baseline),
            patched.with_name("vmlinux.btf"),
        )
    )

    def run(wanted: Sequence[Command], folder: Path) -> selftest_judge.Comparison:
        folder.mkdir(exist_ok=True)
        return judge(
            wanted,
            _run_on(stock, disk, wanted, folder / "stock"),
            _run_on(patched, disk, wanted, folder / "patched"),
        )

    comparison = run(commands(baseline), folder)
    doubtful = [command for command in commands(baseline) if command.name in comparison.doubtful]
    for number in range(REPEATS if doubtful else 0):
        comparison = comparison.repeated(run(doubtful, folder / f"again-{number + 1}"))
    return comparison


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit status."""
    arguments = _arguments(argv)
    folder = direct_boot.ROOT / "build" / "selftests" / arguments.baseline
    started = time.monotonic()
    try:
        with direct_boot.alone_in(folder):
            comparison = _test(arguments.baseline, arguments.fragment, folder)
    except BpfviewError as error:
        print(error, file=sys.stderr)
        return 2
    print(comparison)
    took = time.monotonic() - started
    print(f"{comparison.summary()}, in {took:.0f} s; consoles: {folder}/*/console.log")
    return 0 if comparison.passed else 1


if __name__ == "__main__":
    sys.exit(main())
