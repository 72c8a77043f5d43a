# SPDX-License-Identifier: GPL-3.0-or-later
"""What the base image is made from, and its key."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from bpfview_fleet.lab import image, sources, tools
from plugins.module_utils.bpfview.errors import BpfviewError

TARGETS = """\
Packages|Debian|bookworm|bookworm|main|http://mirror.invalid/debian/
Packages|Debian|bookworm|bookworm|contrib|http://mirror.invalid/debian/
Packages|Debian|bookworm-security|stable-security|main|http://mirror.invalid/security/
Packages|Debian|trixie|trixie|main|http://mirror.invalid/debian/
Packages|Somebody|bookworm|bookworm|main|http://other.invalid/
Sources|Debian|bookworm|bookworm|main|http://mirror.invalid/debian/
Packages|Debian Backports|bookworm-backports|bookworm-backports|main|http://mirror.invalid/debian/
"""


def test_only_debians_own_suite_is_taken_from_apt() -> None:
    assert [source.line() for source in sources.parse_targets(TARGETS)] == [
        "deb http://mirror.invalid/debian/ bookworm main",
        "deb http://mirror.invalid/security/ stable-security main",
    ]


def test_no_debian_mirror_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "run", lambda _: "")
    with pytest.raises(BpfviewError, match="apt knows no Debian repository"):
        sources.configured()


def test_the_candidate_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "run", lambda _: "x:\n  Installed: (none)\n  Candidate: 6.1-2\n")
    assert sources.candidate("x") == "6.1-2"
    monkeypatch.setattr(sources, "run", lambda _: "")
    with pytest.raises(BpfviewError, match="no package x"):
        sources.candidate("x")


def test_apts_proxy_is_carried_and_its_own_files_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    dump = 'Acquire::http::Proxy "http://p.invalid";\nDir "/";\nAcquire::https::Proxy "";\n'
    monkeypatch.setattr(sources, "run", lambda _: dump)
    assert sources.apt_options() == ['Acquire::http::Proxy "http://p.invalid"']


def test_the_key_follows_content_and_not_the_mirror() -> None:
    line = "deb http://a.invalid/ bookworm main"
    key = image.compute_key([line], "6.1-1", b"files")
    assert key == image.compute_key([line.replace("a.invalid", "b.invalid")], "6.1-1", b"files")
    assert key != image.compute_key([line], "6.1-2", b"files")
    assert key != image.compute_key([line], "6.1-1", b"other files")
    assert key != image.compute_key([line, "deb http://a.invalid/ x main"], "6.1-1", b"files")


def test_the_labs_files_depend_on_content_and_mode_only(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    script = tmp_path / "etc" / "x"
    script.write_text("1")
    first = image.rootfs_tar(tmp_path)
    script.touch()
    assert image.rootfs_tar(tmp_path) == first
    script.chmod(0o755)
    data = image.rootfs_tar(tmp_path)
    assert data != first
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [(member.name, member.mode, member.uid) for member in archive] == [
            ("etc/x", 0o755, 0)
        ]


def test_the_disk_has_one_active_partition_to_its_end() -> None:
    table = image.partition_table(4 << 30)
    assert len(table) == 512
    assert table[446] == 0x80
    assert table[450] == 0x83
    start = int.from_bytes(table[454:458], "little")
    size = int.from_bytes(table[458:462], "little")
    assert (start, start + size) == (2048, (4 << 30) // 512)
    assert table[510:] == b"\x55\xaa"


def test_missing_programs_name_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find_tool", lambda _: None)
    with pytest.raises(BpfviewError, match=r"make deps.*mmdebstrap qemu-system-x86"):
        tools.need_tools("qemu-system-x86_64", "mmdebstrap")


def test_too_little_space_is_said_before_the_work(tmp_path: Path) -> None:
    tools.need_space(tmp_path, 1, "It")
    with pytest.raises(BpfviewError, match=r"It may need .* are free"):
        tools.need_space(tmp_path, 1 << 60, "It")


def test_a_failed_program_shows_its_last_lines() -> None:
    with pytest.raises(BpfviewError, match=r"status 2(.|\n)*cannot access"):
        tools.run(["ls", "/nonexistent-folder"])


@pytest.mark.parametrize("logged", [False, True])
def test_a_program_makes_its_temporary_files_where_it_is_told(tmp_path: Path, logged: bool) -> None:
    log = tmp_path / "log" if logged else None
    said = tools.run(["mktemp"], log, tmp_path)
    assert Path((log.read_text() if log else said).strip()).parent == tmp_path
