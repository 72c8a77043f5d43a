# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot a kernel under QEMU with an init of our own: no disk, no boot loader, seconds."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError

from . import emulator_race
from .accel import Acceleration, qemu_version

ROOT = Path(__file__).resolve().parent.parent
QEMU = "qemu-system-x86_64"
CLANGS = ("clang-16", "clang")
MEMORY_MIB = 1024

# No message of lower urgency than init's own; no limit on how much it may say; a kernel that
# fails must end QEMU and not sit there.
COMMAND_LINE = (
    "console=ttyS0 loglevel=6 printk.devkmsg=on panic=-1 oops=panic lsm=capability,bpf rdinit=/init"
)


def tool(*names: str) -> str:
    """Path of the first of these programs that this machine has. Raises BpfviewError if none."""
    for name in names:
        if found := shutil.which(name):
            return found
    raise BpfviewError(
        f"This needs {names[0]}, which this machine lacks",
        "Run `make deps` to install the Debian packages that the project needs",
    )


def run(command: Sequence[str]) -> None:
    """Run a program. Raises BpfviewError with what it said if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BpfviewError(
            f"{command[0]} failed with status {done.returncode}:\n{done.stderr.strip()}",
            "Correct what it names, or install what is missing with `make deps`",
        )


def compile_bpf(
    sources: Iterable[Path], folder: Path, options: Sequence[str] = ()
) -> dict[str, bytes]:
    """Build BPF objects in ``folder``; content by file name. Raises BpfviewError."""
    folder.mkdir(parents=True, exist_ok=True)
    clang = tool(*CLANGS)
    multiarch = subprocess.run(
        [tool("gcc"), "-print-multiarch"], capture_output=True, text=True, check=True
    ).stdout.strip()
    objects = {}
    for source in sorted(sources):
        out = folder / source.with_suffix(".o").name
        run([clang, "-target", "bpf", "-g", "-O2", "-Wall", "-Werror", *options,
             f"-I/usr/include/{multiarch}", "-c", str(source), "-o", str(out)])  # fmt: skip
        objects[out.name] = out.read_bytes()
    return objects


def compile_program(sources: Iterable[Path], out: Path, options: Sequence[str] = ()) -> bytes:
    """Build one static program with libbpf; its content. Raises BpfviewError."""
    out.parent.mkdir(parents=True, exist_ok=True)
    run([tool("gcc"), "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-static", *options,
         *map(str, sorted(sources)), "-o", str(out), "-lbpf", "-lelf", "-lz"])  # fmt: skip
    return out.read_bytes()


def boot(  # noqa: PLR0913  # a machine has that many parts
    kernel: Path,
    initrd: Path,
    log: Path,
    acceleration: Acceleration,
    timeout: float,
    *,
    command_line: str = COMMAND_LINE,
    memory_mib: int = MEMORY_MIB,
    drives: Sequence[Path] = (),
    cpu: str = "max",
) -> str | None:
    """Boot until QEMU ends. Returns what was wrong with that, or None; the console is in ``log``.

    ``timeout`` is in seconds. ``drives`` are raw images, /dev/vda and on. A boot that QEMU's own
    race may have ended is repeated, once; the first console is kept beside ``log``.
    """
    command = [tool(QEMU), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
               "-machine", "q35", *acceleration.args(), "-cpu", cpu, "-smp", "2",
               "-m", str(memory_mib), "-serial", f"file:{log}",
               "-kernel", str(kernel), "-initrd", str(initrd),
               "-append", command_line]  # fmt: skip
    for drive in drives:
        command += ["-drive", f"file={drive},format=raw,if=virtio"]
    trouble = _run_machine(command, log, timeout)
    if emulator_race.explains(_text(log), acceleration, qemu_version()):
        first = log.rename(log.with_suffix(".int3.log"))
        print(f"# a race in this QEMU may have ended that boot: again; its console: {first}")
        trouble = _run_machine(command, log, timeout)
    return trouble


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def _run_machine(command: Sequence[str], log: Path, timeout: float) -> str | None:
    log.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the machine did not switch itself off within {timeout:.0f} s"
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        return f"QEMU ended with status {done.returncode}: {said}"
    return None


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder, or the two would judge each other's console."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"# waiting for another run to leave {folder}", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def built_kernel(baseline: str, fragment: str = "", *, stock: bool = False) -> Path:
    """The bzImage that `make kernel` left for these. Raises BpfviewError if there is none."""
    name = "-".join(filter(None, (baseline, fragment, "stock" if stock else "")))
    kernel = ROOT / "build" / "kernel" / name / "bzImage"
    if not kernel.is_file():
        wanted = f"make kernel BASELINE={baseline}"
        wanted += f" FRAGMENT={fragment}" if fragment else ""
        wanted += " PATCHES=0" if stock else ""
        raise BpfviewError(f"There is no kernel {kernel}", f"Build it with `{wanted}`")
    return kernel
