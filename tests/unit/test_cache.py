# SPDX-License-Identifier: GPL-3.0-or-later
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import cache
from plugins.module_utils.bpfview.errors import BpfviewError


def publish(root, key, content):
    with cache.locked(root, "thing", key), cache.publishing(root, "thing", key) as staging:
        (staging / "file").write_text(content)


def names(root):
    return sorted(path.name for path in (root / "thing").iterdir())


def test_an_entry_appears_whole(tmp_path):
    assert cache.find(tmp_path, "thing", "k") is None
    publish(tmp_path, "k", "one")
    assert (cache.find(tmp_path, "thing", "k") / "file").read_text() == "one"
    assert names(tmp_path) == ["k"]


def test_the_first_of_two_equal_entries_stays(tmp_path):
    publish(tmp_path, "k", "one")
    publish(tmp_path, "k", "two")
    assert (cache.find(tmp_path, "thing", "k") / "file").read_text() == "one"
    assert names(tmp_path) == ["k"]


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), cache.publishing(tmp_path, "thing", "k") as staging:
        (staging / "file").write_text("half")
        raise RuntimeError
    assert names(tmp_path) == []


def hold_and_wait(root, ready):
    with cache.locked(root, "thing", "k"), cache.publishing(root, "thing", "k") as staging:
        (staging / "file").write_text("half")
        ready.set()
        time.sleep(60)


def test_a_killed_publisher_blocks_nobody_and_leaves_no_entry(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold_and_wait, args=(tmp_path, ready))
    process.start()
    assert ready.wait(10)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert cache.find(tmp_path, "thing", "k") is None
    publish(tmp_path, "k", "whole")
    assert names(tmp_path) == ["k"]


def append_slowly(root, path):
    with cache.locked(root, "thing", "k"):
        text = path.read_text()
        time.sleep(0.1)
        path.write_text(f"{text}x")


def test_the_lock_lets_one_in_at_a_time(tmp_path):
    path = tmp_path / "text"
    path.write_text("")
    context = multiprocessing.get_context("fork")
    crowd = [context.Process(target=append_slowly, args=(tmp_path, path)) for _ in range(4)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    assert path.read_text() == "xxxx"


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / "bpfview-fleet"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/does/not/count")
    assert cache.cache_root() == Path.home() / ".cache/bpfview-fleet"
    assert cache.cache_root("/elsewhere") == Path("/elsewhere")


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BpfviewError, match=r"file/below"):
        cache.make_folder(tmp_path / "file" / "below")


def test_a_file_is_replaced_or_kept(tmp_path):
    path = tmp_path / "file"
    cache.write_atomic(path, b"one")
    cache.write_atomic(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_links_follow_the_entry_and_check_mode_writes_nothing(tmp_path):
    old, new, out = tmp_path / "old", tmp_path / "new", tmp_path / "deep" / "out"
    for folder, name in ((old, "a-1.deb"), (new, "a-2.deb")):
        folder.mkdir()
        (folder / name).write_text(name)
        (folder / "config").write_text(name)
    assert cache.publish_links([old], out, check=True)
    assert not out.exists()
    assert cache.publish_links([old], out)
    assert not cache.publish_links([old], out)
    (out / "mine").write_text("kept")
    assert cache.publish_links([new], out)
    assert sorted(path.name for path in out.iterdir()) == ["a-2.deb", "config", "mine"]
    assert (out / "config").read_text() == "a-2.deb"
