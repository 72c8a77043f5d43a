# SPDX-License-Identifier: GPL-3.0-or-later
"""Show how far a kernel build is while its module runs."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

_EVERY = 15.0  # seconds between two lines

display = Display()


def elapsed(seconds: float) -> str:
    """Return a duration in seconds as minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d} elapsed"


def read_line(path: Path) -> str:
    """Return what a progress file says, nothing if it is not there (yet)."""
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""


def from_here(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the module's arguments with files named from where Ansible was started."""
    known = dict(arguments)
    if known.get("config_file"):
        known["config_file"] = str(Path(known["config_file"]).expanduser().absolute())
    if known.get("config_fragments"):
        known["config_fragments"] = [
            str(Path(item).expanduser().absolute()) for item in known["config_fragments"]
        ]
    return known


class _Watcher(threading.Thread):
    """Shows a progress file's content from time to time until told to stop."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._since = time.monotonic()
        self._done = threading.Event()

    def run(self) -> None:
        """Show a line each interval; silent as long as there is nothing to say."""
        while not self._done.wait(_EVERY):
            text = read_line(self._path)
            if text:
                display.display(f"{text} {elapsed(time.monotonic() - self._since)}")

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._done.set()
        self.join()


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no types
    """Runs the module of the same name and shows its progress."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run the task; raises AnsibleActionFail if the builder is not the control node."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._connection.transport != "local":
            host = (task_vars or {}).get("inventory_hostname", "the builder")
            raise AnsibleActionFail(
                f"{host} is reached by {self._connection.transport}, but a kernel can be built on "
                "the control node only. Set ansible_connection=local for the builder and build "
                "on the machine that shall do it."
            )
        # Ansible removes its own folder at its end, also when it is interrupted
        with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as folder:
            file = Path(folder) / "progress"
            watcher = _Watcher(file)
            watcher.start()
            try:
                arguments = {**from_here(self._task.args), "progress_file": str(file)}
                done = self._execute_module(
                    module_name=self._task.action, module_args=arguments, task_vars=task_vars
                )
            finally:
                watcher.stop()
        result.update(done)
        return result
