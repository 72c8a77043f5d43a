# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from bpfview_fleet import observe
from bpfview_fleet.connections import Answer
from plugins.module_utils.bpfview.errors import BpfviewError


def said(record: object, release: str = "6.1.1-bpfview-abc", views: str = "") -> Answer:
    text = json.dumps(record) if record else ""
    return Answer("h", f"{release}\n\0" + "3725.10 99.0\n\0" + text + "\0" + views)


def test_a_host_on_its_proven_kernel():
    record = {"proven": "6.1.1-bpfview-abc", "trial": None}
    row = observe.status_row(said(record, views="view.memory\nview.cpu\nview.memory\n"))
    release = "6.1.1-bpfview-abc"
    assert row == ["h", release, release, "on the proven kernel", "1h2m", "cpu:1 memory:2"]


def test_a_host_on_another_kernel_a_trial_and_a_stranger():
    proven = {"proven": "6.1.1-bpfview-abc"}
    assert observe.status_row(said(proven, "6.1.0-49"))[3] == "NOT on the proven kernel"
    trial = {"proven": "", "trial": {"release": "6.1.2-bpfview-def"}}
    assert observe.status_row(said(trial))[3] == "trial of 6.1.2-bpfview-def not decided"
    assert observe.status_row(said(None))[2:] == ["none", "nothing proven", "1h2m", "none"]


def test_the_status_command_is_understood_by_a_real_shell():
    done = subprocess.run(
        ["/bin/sh", "-c", observe.status_command()], capture_output=True, text=True, check=False
    )
    row = observe.status_row(Answer("here", done.stdout))
    assert row[1] == Path("/proc/sys/kernel/osrelease").read_text().strip()


def test_status_tells_of_every_host_and_fails_if_one_did_not_answer(capsys):
    answers = [said(None), Answer("dead", error="no answer"), Answer("odd", "nonsense")]
    assert not observe.show_status(answers)
    out = capsys.readouterr().out
    assert "nothing proven" in out
    assert "dead: no answer" in out
    assert "odd: its answer cannot be read" in out
    assert observe.show_status([said(None)])


def test_read_finds_every_cgroup_that_has_the_view(tmp_path, monkeypatch, capsys):
    (tmp_path / "b.slice/it's $x").mkdir(parents=True)
    (tmp_path / "b.slice/it's $x/view.memory").write_text("usage_bytes 2\n")
    (tmp_path / "view.memory").write_text("usage_bytes 1\n")
    (tmp_path / "view.memory_other").write_text("no\n")
    monkeypatch.setattr(observe, "CGROUPS", PurePosixPath(tmp_path))
    command = observe.read_command("memory", None)
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert observe.show_view([Answer("h", done.stdout)], "memory", None)
    assert capsys.readouterr().out == (
        "== h / view.memory\nusage_bytes 1\n== h b.slice/it's $x view.memory\nusage_bytes 2\n"
    )


def test_read_takes_one_cgroup_however_it_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(observe, "CGROUPS", PurePosixPath(tmp_path))
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/view.cpu").write_text("x_usec 1\n")
    for given in ("a b", "/a b", f"{tmp_path}/a b"):
        command = observe.read_command("cpu", given)
        done = subprocess.run(
            ["/bin/sh", "-c", command], capture_output=True, text=True, check=False
        )
        assert observe.show_view([Answer("h", done.stdout)], "cpu", given)
        assert capsys.readouterr().out == "== h a b view.cpu\nx_usec 1\n"


def test_a_host_without_the_view_is_an_error_beside_the_others_text(capsys):
    answers = [Answer("none"), Answer("dead", error="no answer"), Answer("h", "x 1\n")]
    assert not observe.show_view(answers[:2], "cpu", None)
    assert "== none: no cgroup has a file view.cpu" in capsys.readouterr().out
    assert not observe.show_view(answers[1:], "cpu", "/")
    assert "x 1" in capsys.readouterr().out


@pytest.mark.parametrize("view", ["../x", "Memory", "", "a b", "view.memory"])
def test_a_name_that_is_no_views_is_refused(view):
    with pytest.raises(BpfviewError, match="no view's name"):
        observe.read_command(view, None)


def test_a_cgroup_outside_the_tree_is_refused():
    with pytest.raises(BpfviewError, match="leaves"):
        observe.read_command("memory", "../../etc")
