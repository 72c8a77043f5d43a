# SPDX-License-Identifier: GPL-3.0-or-later
"""One deployment to the fault lab's VM in a process of its own, which can be killed.

``python -m bpfview_fleet.faults.deploy FOLDER INVENTORY HOST PLAYBOOK VARIABLES`` writes what
became of the host to FOLDER/outcome.json.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bpfview_fleet.runs import Request, run
from bpfview_fleet.verdicts import judge
from plugins.module_utils.bpfview.errors import BpfviewError

ROOT = Path(__file__).parents[2]
OUTCOME = "outcome.json"
LOG = "ansible.log"


class Deployment:
    """A deployment that runs; its output goes to ``folder``."""

    def __init__(
        self, folder: Path, inventory: Path, host: str, playbook: str, variables: dict[str, Any]
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        command = [
            sys.executable, "-m", "bpfview_fleet.faults.deploy",
            str(folder), str(inventory), host, playbook, json.dumps(variables),
        ]  # fmt: skip
        with (folder / LOG).open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def wait(self, seconds: float) -> tuple[str, str]:
        """Wait for its end; return the host's verdict and the reason."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return "stranded", f"the deployment did not end within {seconds:.0f} s"
        try:
            outcome = json.loads((self.folder / OUTCOME).read_text("utf-8"))
        except (OSError, ValueError):
            return "none", f"the deployment left no outcome: see {self.folder / LOG}"
        return str(outcome["verdict"]), str(outcome["detail"])

    def kill(self) -> None:
        """Kill it with everything that it started, as a control node that goes away is."""
        for process in (*reversed(_descendants(self.process.pid)), self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()


def built_release(baseline: str) -> str:
    """The release of the kernel that was built last; BpfviewError if there is none."""
    path = ROOT / "build" / "kernel" / baseline / "manifest.json"
    try:
        return str(json.loads(path.read_text("utf-8"))["release"])
    except OSError as error:
        remedy = f"Build it: make kernel BASELINE={baseline}"
        raise BpfviewError(f"There is no kernel at {path}", remedy) from error


def _descendants(process: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            own, rest = stat.read_text().split(" ", 1)
            parents.setdefault(int(rest.rpartition(")")[2].split()[1]), []).append(int(own))
    found = [process]
    for parent in found:
        found += parents.get(parent, [])
    return found[1:]


def main(arguments: list[str]) -> int:
    """Run the deployment; returns 0 if it could be judged."""
    folder, inventory, host, playbook, variables = arguments
    request = Request(
        ROOT, Path(folder) / "run", ROOT / "playbooks" / playbook, Path(inventory),
        [host, "localhost"], skip_tags=["verify"], extra_vars=[variables],
    )  # fmt: skip
    result = run(request, lambda: False)
    outcome = judge(host, result.collected, check=False)
    (Path(folder) / OUTCOME).write_text(json.dumps(asdict(outcome)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
