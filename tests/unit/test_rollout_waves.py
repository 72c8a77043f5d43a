# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from bpfview_fleet.hosts import Inventory, find_inventory, load_inventory, parse_inventory
from bpfview_fleet.waves import parse_sizes, plan, split
from plugins.module_utils.bpfview.errors import BpfviewError

ROOT = Path(__file__).parents[2]
HOSTS = [f"h{number}" for number in range(1, 11)]


def inventory(**groups: list[str]) -> Inventory:
    return Inventory(Path("inv.yml"), {name: tuple(hosts) for name, hosts in groups.items()}, {})


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [("3", [3, 3, 3, 1]), ("10%", [1] * 10), ("25%", [3, 3, 3, 1]), ("1,20%,50%", [1, 2, 5, 2])],
)
def test_waves_take_the_sizes_in_turn_and_repeat_the_last(sizes, lengths):
    waves = split(HOSTS, parse_sizes(sizes))
    assert [len(wave) for wave in waves] == lengths
    assert [host for wave in waves for host in wave] == HOSTS


@pytest.mark.parametrize("text", ["0", "", "-1", "101%", "x", "1,,2", "5 %", "0%"])
def test_a_size_that_cannot_be_meant_is_refused(text):
    with pytest.raises(BpfviewError, match="no wave size"):
        parse_sizes(text)


def test_the_canary_goes_first_and_only_once():
    fleet = inventory(bpfview_hosts=["a", "b", "c", "d"], canary=["c"])
    waves = plan(fleet, "canary", parse_sizes("2"))
    assert [(wave.name, wave.hosts) for wave in waves] == [
        ("canary", ("c",)),
        ("1", ("a", "b")),
        ("2", ("d",)),
    ]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"canary": ["a"]}, "no group bpfview_hosts"),
        ({"bpfview_hosts": ["a"]}, "no group canary"),
        ({"bpfview_hosts": [], "canary": ["a"]}, "has no host"),
        ({"bpfview_hosts": ["a"], "canary": []}, "canary group canary .* has no host"),
        ({"bpfview_hosts": ["a"], "canary": ["a", "x"]}, "x of the canary group"),
    ],
)
def test_an_inventory_without_a_usable_canary_is_refused(groups, message):
    with pytest.raises(BpfviewError, match=message):
        plan(inventory(**groups), "canary", ("1",))


def test_hosts_of_child_groups_count_once_and_in_order():
    listing = {
        "_meta": {"hostvars": {"b": {"ansible_port": 22}}},
        "bpfview_hosts": {"children": ["canary", "fleet"], "hosts": ["z"]},
        "canary": {"hosts": ["b"]},
        "fleet": {"hosts": ["a", "b"]},
    }
    found = parse_inventory(Path("inv.yml"), listing)
    assert found.hosts("bpfview_hosts") == ("z", "b", "a")
    assert found.variables["b"] == {"ansible_port": 22}


def test_the_default_inventory_is_the_users_before_the_labs(tmp_path):
    with pytest.raises(BpfviewError, match="There is no inventory"):
        find_inventory(tmp_path, None)
    lab = tmp_path / "build/lab/demo/inventory.yml"
    lab.parent.mkdir(parents=True)
    lab.touch()
    assert find_inventory(tmp_path, None) == lab
    (tmp_path / "inventory").touch()
    assert find_inventory(tmp_path, None) == tmp_path / "inventory"
    with pytest.raises(BpfviewError, match=r"no inventory other\.yml"):
        find_inventory(tmp_path, "other.yml")


def test_ansible_reads_the_inventory_and_refuses_typing_mistakes(tmp_path):
    source = tmp_path / "inv.yml"
    source.write_text("all: {children: {bpfview_hosts: {hosts: {a: {}, b: {}}}}}\n")
    assert load_inventory(ROOT, source).hosts("bpfview_hosts") == ("a", "b")
    assert load_inventory(ROOT, source, "b").hosts("bpfview_hosts") == ("b",)
    with pytest.raises(BpfviewError, match="bb"):
        load_inventory(ROOT, source, "a,bb")
    source.write_text("[a\n")
    with pytest.raises(BpfviewError, match="cannot read"):
        load_inventory(ROOT, source)


def test_a_broken_inventory_is_told_by_its_line(tmp_path):
    source = tmp_path / "inventory"
    source.write_text("all:\n  children:\n    bpfview_hosts: [\n")
    with pytest.raises(BpfviewError, match=r"inventory line 4 is no YAML.* Nothing was run"):
        load_inventory(ROOT, source)


def test_a_misspelt_group_is_named():
    with pytest.raises(BpfviewError, match=r"Did you mean that group where it says bpfview_host\?"):
        Inventory(Path("inv"), {"all": (), "bpfview_host": ("a",)}, {}).hosts("bpfview_hosts")
