# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs the lab needs and how they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError

_GRACE_SECONDS = 60.0
PACKAGE_OF = {
    "apt-cache": "apt",
    "apt-config": "apt",
    "apt-get": "apt",
    "fakeroot": "fakeroot",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "newuidmap": "uidmap",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "tar": "tar",
}


def find_tool(name: str) -> str | None:
    """Full path of a program, also where an ordinary user has no ``sbin`` on the PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def need_tools(*names: str) -> None:
    """Raise BpfviewError naming the Debian packages of the programs that are missing."""
    missing = [name for name in names if not find_tool(name)]
    if missing:
        packages = " ".join(sorted({PACKAGE_OF[name] for name in missing}))
        raise BpfviewError(
            f"The lab needs programs that this machine lacks: {', '.join(missing)}",
            f"Run `make deps`, or as root: apt-get install --no-install-recommends {packages}",
        )


def need_space(folder: Path, needed: int, what: str) -> None:
    """Raise BpfviewError unless ``needed`` bytes are free in ``folder``."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BpfviewError(
            f"{what} may need {needed >> 20} MiB in {folder}, and {free >> 20} MiB are free",
            "Free space there, or choose another disk: XDG_CACHE_HOME for the image, --dir for VMs",
        )


def run(command: list[str], log: Path | None = None, scratch: Path | None = None) -> str:
    """Run a program to its end and return its standard output.

    With ``log``, output and errors go there instead; ``scratch`` is where it makes temporary files.
    Raises BpfviewError with the last lines.
    """
    tool = find_tool(command[0])
    if tool is None:
        need_tools(command[0])
    argv = [tool or command[0], *command[1:]]
    environment = {**os.environ, "TMPDIR": str(scratch)} if scratch else None
    if log is None:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=environment
        )
        status, output = done.returncode, done.stdout.decode(errors="replace")
        said = done.stderr.decode(errors="replace") or output
    else:
        status, output = _run_logged(argv, log, environment), ""
        said = log.read_text(encoding="utf-8", errors="replace")
    if status:
        raise BpfviewError(
            f"{command[0]} failed with status {status}:\n{last_lines(said, 12)}",
            "See the lines above" + (f"; all of them are in {log}" if log else ""),
        )
    return output


def _run_logged(argv: list[str], log: Path, environment: dict[str, str] | None) -> int:
    with log.open("ab") as stream:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment
        )
        try:
            return child.wait()
        except BaseException:
            # asked politely first: mmdebstrap then removes its half-made tree
            child.terminate()
            try:
                child.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            raise


def last_lines(text: str, count: int) -> str:
    """The last non-empty lines of a text, indented, for a message."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in lines[-count:]) or "    (nothing)"
