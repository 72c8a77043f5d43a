# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from plugins.module_utils.bpfview import grub_config
from tests.unit.grub_fixture import OURS, STOCK, UUID, grub_cfg, path_of

SAVED = "${saved_entry}"


@pytest.fixture(scope="module")
def config():
    return grub_config.parse(grub_cfg([OURS, STOCK], default=SAVED))


def test_menu_and_submenu(config):
    assert [node.id for node in config.menu] == [
        f"gnulinux-simple-{UUID}",
        f"gnulinux-advanced-{UUID}",
    ]
    assert [entry.release for entry in config.entries()] == [OURS, OURS, OURS, STOCK, STOCK]


@pytest.mark.parametrize("release", [OURS, STOCK])
def test_a_kernels_own_entry_is_neither_the_short_cut_nor_recovery(config, release):
    entry = config.entry_for(release)
    assert entry.path == path_of(release)
    assert not entry.recovery
    assert entry.initrd == (f"/boot/initrd.img-{release}",)
    assert "panic=30" in entry.arguments


def test_an_unknown_kernel_has_no_entry(config):
    assert config.entry_for("6.1.0-51-cloud-amd64") is None


def test_settings(config):
    assert config.uses_saved_entry
    assert config.loads_environment
    assert config.clears_one_shot
    assert config.timeout == 5
    assert not config.has_password


@pytest.mark.parametrize(
    ("choice", "release", "recovery"),
    [
        (path_of(STOCK), STOCK, False),
        (path_of(OURS), OURS, False),
        ("", OURS, False),
        ("0", OURS, False),
        ("1>2", STOCK, False),
        ("1>3", STOCK, True),
        ("1", OURS, False),
        ("9", OURS, False),
        (
            f"Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux {STOCK}",
            STOCK,
            False,
        ),
        ("gnulinux-advanced-gone>gnulinux-gone", OURS, False),
        # GRUB opens the submenu and takes its first entry when the second part is not found.
        (f"gnulinux-advanced-{UUID}>gnulinux-gone", OURS, False),
        # Without the submenu's part the id is not found at the top.
        (f"gnulinux-{STOCK}-advanced-{UUID}", OURS, False),
    ],
)
def test_default_as_grub_resolves_it(config, choice, release, recovery):
    entry = config.default_entry(choice)
    assert (entry.release, entry.recovery) == (release, recovery)


def test_a_fixed_default_ignores_the_saved_entry():
    config = grub_config.parse(grub_cfg([OURS, STOCK], default="0"))
    assert not config.uses_saved_entry
    assert config.default_entry(path_of(STOCK)).release == OURS


def test_an_empty_menu_boots_nothing():
    assert grub_config.parse("set default=0\n").default_entry("") is None


def test_flat_menu_and_odd_titles():
    text = (
        "menuentry 'Bob'\\''s > Linux' --unrestricted --id 'flat' {\n"
        "\tlinuxefi /vmlinuz-6.1.0-50-amd64 root=/dev/vda1\n"
        "}\n"
        'menuentry "Windows" {\n\tchainloader +1\n}\n'
        'set superusers="root"\n'
    )
    config = grub_config.parse(text)
    first, second = config.menu
    assert (first.title, first.path, first.release) == ("Bob's > Linux", "flat", "6.1.0-50-amd64")
    assert first.unrestricted
    assert second.release == ""
    assert config.has_password
    assert config.resolve("Windows") is second


def test_a_title_with_a_greater_sign_is_found_doubled():
    config = grub_config.parse("menuentry 'a' {\n}\nmenuentry 'b > c' {\n}\n")
    assert config.menu[1].path == "b >> c"
    assert config.resolve("b >> c") is config.menu[1]


def test_waiting_for_ever_is_seen():
    assert grub_config.parse(grub_cfg([STOCK], timeout=-1)).timeout == -1
