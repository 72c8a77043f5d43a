# SPDX-License-Identifier: GPL-3.0-or-later
"""Which panic= a kernel will get, by the settings that grub-mkconfig sources."""

import pytest

from plugins.module_utils.bpfview import grub_defaults
from plugins.module_utils.bpfview.host_layout import Host

MAIN = "grub"
BEFORE = "grub.d/10_cloud.cfg"
OURS = "grub.d/bpfview.cfg"
AFTER = "grub.d/kdump.cfg"
LAST = "grub.d/zz.cfg"
DROP_IN = 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX panic=30"\n'


def obstacles(tmp_path, files, running="", fresh=True):
    for name, text in files.items():
        path = tmp_path / "etc/default" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return grub_defaults.obstacles(Host(tmp_path), running.split(), fresh)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {MAIN: "GRUB_CMDLINE_LINUX=\"quiet panic=0\"\nGRUB_CMDLINE_LINUX_DEFAULT='quiet'\n"},
        {BEFORE: "export GRUB_CMDLINE_LINUX=panic=0 # a comment\n"},
        {AFTER: 'GRUB_CMDLINE_LINUX="${GRUB_CMDLINE_LINUX} crashkernel=1G"\n'},
        {AFTER: 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=1G"\n'},
        {MAIN: '#GRUB_CMDLINE_LINUX_DEFAULT="panic=0"\nGRUB_CMDLINE_LINUX_RECOVERY="panic=0"\n'},
        # taken back by a later file
        {
            MAIN: 'GRUB_CMDLINE_LINUX_DEFAULT="panic=0"\n',
            LAST: "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n",
        },
        {MAIN: 'GRUB_CMDLINE_LINUX_DEFAULT="never closed\n'},
        {AFTER: 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX panic_on_oops=1"\n'},
        {"grub.d/zz.dpkg-old": "GRUB_CMDLINE_LINUX=panic=0\n"},
    ],
)
def test_ours_counts(tmp_path, files):
    assert obstacles(tmp_path, files) == []


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({MAIN: 'GRUB_CMDLINE_LINUX_DEFAULT="quiet panic=0"\n'}, "panic=0 in /etc/default/grub "),
        ({BEFORE: "GRUB_CMDLINE_LINUX_DEFAULT='panic=5'\n"}, "panic=5 in /etc/default/grub.d/10_"),
        (
            {MAIN: 'GRUB_CMDLINE_LINUX_DEFAULT="quiet \\\n panic=0"\n'},
            "panic=0 in /etc/default/grub",
        ),
        (
            {AFTER: 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX panic=0"\n'},
            "panic=0 in /etc/default/gr",
        ),
        ({AFTER: 'GRUB_CMDLINE_LINUX="quiet"\n'}, "kdump.cfg sets GRUB_CMDLINE_LINUX without what"),
        (
            {AFTER: "GRUB_CMDLINE_LINUX=x\n", LAST: 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX y"\n'},
            "kdump.cfg sets",
        ),
    ],
)
def test_what_overrides_ours_or_loses_it_is_named(tmp_path, files, words):
    (found,) = obstacles(tmp_path, files)
    assert words in found


def test_a_word_of_unknown_origin_might_come_after_ours(tmp_path):
    (found,) = obstacles(tmp_path, {}, "root=x panic=0 quiet")
    assert "panic=0 on the running kernel's boot entry" in found
    assert "/etc/grub.d" in found
    assert obstacles(tmp_path, {MAIN: "GRUB_CMDLINE_LINUX=panic=0\n"}, "root=x panic=0") == []


@pytest.mark.parametrize(
    ("running", "found"),
    [
        ("panic=30 quiet", 0),
        ("panic=0 panic=30", 0),
        ("panic=30 panic=0", 1),
        ("panic=60", 0),  # the drop-in was changed, grub.cfg not yet
        ("", 0),
    ],
)
def test_on_a_host_that_has_our_settings_only_what_comes_after_them_counts(
    tmp_path, running, found
):
    assert len(obstacles(tmp_path, {OURS: DROP_IN}, running, fresh=False)) == found


def test_lost_settings_say_nothing_about_the_words_that_are_left_of_them(tmp_path):
    assert obstacles(tmp_path, {OURS: "GRUB_DEFAULT=0\n"}, "panic=30", fresh=False) == []
