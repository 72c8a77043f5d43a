# SPDX-License-Identifier: GPL-3.0-or-later
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import process
from plugins.module_utils.bpfview.errors import BpfviewError

ENVIRONMENT = process.plain_environment()


def alive(pid):
    fields = process._stat(pid)
    return fields is not None and fields[0] not in "ZX"


def wait_until(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_the_callers_environment_stays_out(monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", "-j99")
    monkeypatch.setenv("KCFLAGS", "-O9")
    found = process.plain_environment({"A": "b"})
    assert not {"MAKEFLAGS", "KCFLAGS"} & set(found)
    assert (found["LC_ALL"], found["A"]) == ("C", "b")
    assert "/usr/sbin" in found["PATH"].split(":")


def test_a_failure_tells_the_programs_last_words():
    with pytest.raises(BpfviewError, match=r"status 3: out of luck"):
        process.output(["sh", "-c", "echo out of luck >&2; exit 3"])


def test_a_missing_program_is_named():
    with pytest.raises(BpfviewError, match="no-such-program is not installed"):
        process.output(["no-such-program"])


def test_a_program_that_hangs_is_ended():
    with pytest.raises(BpfviewError, match=r"did not end within 0\.2 s"):
        process.output(["sleep", "60"], timeout=0.2)


def test_lines_come_one_by_one_and_the_last_needs_no_end(tmp_path):
    lines = []
    status = process.stream(
        ["sh", "-c", "echo one; echo two >&2; printf three; exit 7"],
        lines.append, cwd=tmp_path, env=ENVIRONMENT,
    )  # fmt: skip
    assert (status, lines) == (7, ["one", "two", "three"])


def test_an_exception_ends_the_whole_group(tmp_path):
    pids = []

    def stop(line):
        pids.append(int(line))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        process.stream(
            ["sh", "-c", "sleep 60 & echo $!; wait"], stop, cwd=tmp_path, env=ENVIRONMENT
        )
    assert wait_until(lambda: not alive(pids[0]))


CHILD = """
import sys
from pathlib import Path
from plugins.module_utils.bpfview import process

def note(line):
    Path(sys.argv[1]).write_text(line)

try:
    with process.signals_interrupt():
        process.stream(["sh", "-c", "sleep 60 & echo $!; wait"], note,
                       cwd=Path("."), env=process.plain_environment())
except process.Interrupted as error:
    Path(sys.argv[2]).write_text(str(error))
"""


def started(path):
    return wait_until(lambda: path.exists() and path.read_text().strip())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_build_and_is_told(tmp_path, number):
    note, end = tmp_path / "note", tmp_path / "end"
    with subprocess.Popen([sys.executable, "-c", CHILD, note, end], cwd=Path.cwd()) as child:
        assert started(note)
        child.send_signal(number)
        child.wait(20)
    assert signal.Signals(number).name in end.read_text()
    assert wait_until(lambda: not alive(int(note.read_text())))


def test_nobody_left_to_want_it_ends_the_build(tmp_path):
    """As when ansible-playbook's worker is killed: its shell and the module stay behind."""
    note, end = tmp_path / "note", tmp_path / "end"
    command = [sys.executable, "-c", CHILD, str(note), str(end)]
    starter = f"import subprocess; subprocess.run({command!r})"
    with subprocess.Popen(
        [sys.executable, "-c", starter], cwd=Path.cwd(), start_new_session=True
    ) as worker:
        assert started(note)
        os.kill(worker.pid, signal.SIGKILL)
    assert wait_until(end.exists)
    assert wait_until(lambda: not alive(int(note.read_text())))


def test_the_death_of_who_started_the_workers_session_ends_the_build(tmp_path):
    """As when ansible-playbook itself is killed: its worker leads a session and stays."""
    note, end = tmp_path / "note", tmp_path / "end"
    command = [sys.executable, "-c", CHILD, str(note), str(end)]
    worker = f"import subprocess; subprocess.run({command!r})"
    main = (
        "import subprocess, sys;"
        f"subprocess.run([sys.executable, '-c', {worker!r}], start_new_session=True)"
    )
    with subprocess.Popen([sys.executable, "-c", main], cwd=Path.cwd()) as playbook:
        assert started(note)
        os.kill(playbook.pid, signal.SIGKILL)
    assert wait_until(end.exists)
    assert wait_until(lambda: not alive(int(note.read_text())))
