# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.action.inventory_check import ROLES, read_roles
from plugins.module_utils.bpfview.inventory_check import (
    Inventory,
    Roles,
    problems,
    unknown_variables,
    unreadable,
)

TAKEN = Roles(
    {
        "kernel_install": ["kernel_install_reboot_ok"],
        "view_deploy": ["view_deploy_views"],
        "kernel_build": ["kernel_build_baseline", "kernel_build_config"],
    },
    {"kernel_build_baseline": "6.1", "kernel_build_config": "distro"},
    frozenset({"kernel_install_verdict"}),
)


def check(
    variables: dict[str, dict[str, Any]],
    builder: dict[str, Any] | None = None,
    *,
    groups: dict[str, list[str]] | None = None,
    sources: tuple[str, ...] = ("inv",),
    need_hosts: bool = True,
) -> list[str]:
    found = Inventory(
        sources,
        {"g": list(variables)} if groups is None else groups,
        {**variables, "localhost": builder or {}},
    )
    return problems("g", found, TAKEN, ["localhost"], need_hosts=need_hosts)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("kernel_install_reboot_okay", "kernel_install_reboot_ok"),
        ("kernel_instal_reboot_ok", "kernel_install_reboot_ok"),
        ("view_deploy_viewz", "view_deploy_views"),
        ("kernel_install_zzzzzzzzzzzzzzzzzzzzzzzzz", None),
    ],
)
def test_a_misspelt_role_variable_is_named_with_its_nearest(name: str, near: str | None) -> None:
    assert unknown_variables([name, "ansible_host", "view", "deploy_views"], TAKEN) == {name: near}


def test_what_a_former_play_left_is_no_mistake() -> None:
    assert check({"a": {"kernel_install_verdict": "unchanged"}}) == []


def test_an_empty_group_is_a_problem_unless_nothing_but_a_build_is_wanted() -> None:
    (sentence,) = check({}, groups={"all": [], "others": ["x"]}, sources=("/dev/null",))
    assert "inventory /dev/null has no host in the group g." in sentence
    assert "its groups: others" in sentence
    assert check({}, need_hosts=False) == []


def test_a_misspelt_group_is_named() -> None:
    groups: dict[str, list[str]] = {"bpfview_host": ["a"], "canary": ["a"]}
    found = Inventory(("/dev/null",), groups, {"localhost": {}})
    (sentence,) = problems("bpfview_hosts", found, TAKEN, ["localhost"], need_hosts=True)
    assert "Did you mean that group where it says bpfview_host?" in sentence


def test_an_inventory_that_is_not_there_or_broken_is_told_instead(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("all:\n  children:\n   g: [\n  x\n")
    (sentence,) = check({}, groups={}, sources=(str(broken),))
    assert f"{broken} line 5 is no YAML" in sentence
    (sentence,) = check({}, groups={}, sources=(str(tmp_path / "none"),))
    assert f"There is no inventory {tmp_path / 'none'}. Correct the path" in sentence


def test_what_is_no_yaml_is_not_judged_as_yaml(tmp_path: Path) -> None:
    ini = tmp_path / "ini"
    ini.write_text("[g]\na: [\n")
    assert unreadable(ini) is None
    assert unreadable(tmp_path) is None
    assert unreadable(Path("localhost,")) is None


def test_each_mistake_is_reported_once_with_its_hosts() -> None:
    (sentence,) = check({name: {"view_deploy_viewz": []} for name in "abcd"})
    assert "inv sets view_deploy_viewz (on a, b, c and 1 more)" in sentence
    assert "Did you mean view_deploy_views?" in sentence


def test_a_mistake_of_the_builder_is_found_without_any_host() -> None:
    (sentence,) = check({}, {"kernel_build_confg": "lab"}, need_hosts=False)
    assert "kernel_build_confg (on localhost)" in sentence


@pytest.mark.parametrize(
    ("host", "builder", "wrong"),
    [
        ({"kernel_build_config": "lab"}, {}, True),
        ({"kernel_build_config": "lab"}, {"kernel_build_config": "lab"}, False),
        ({"kernel_build_config": "distro"}, {}, False),
        ({"kernel_build_config": "distro"}, {"kernel_build_config": "lab"}, True),
        ({"kernel_build_baseline": 6.1}, {}, False),
        ({}, {"kernel_build_config": "lab"}, False),
    ],
)
def test_a_build_variable_that_only_hosts_have_is_refused(
    host: dict[str, Any], builder: dict[str, Any], wrong: bool
) -> None:
    found = check({"a": host, "b": host}, builder)
    assert len(found) == wrong
    if wrong:
        assert "sets kernel_build_config on a, b, but the build runs on localhost" in found[0]
        assert "Set it for all hosts (all: vars:)" in found[0]


def test_a_right_inventory_has_no_problem() -> None:
    assert check({"a": {"kernel_install_reboot_ok": True, "ansible_user": "root"}}) == []


def test_arguments_defaults_and_facts_are_read_off_the_roles() -> None:
    found = read_roles(ROLES)
    assert "kernel_install_reboot_ok" in found.options["kernel_install"]
    assert found.defaults["kernel_build_config"] == "distro"
    assert {"kernel_install_verdict", "kernel_build_result", "view_verify_result"} <= found.facts
