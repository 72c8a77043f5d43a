# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from plugins.module_utils.bpfview.inventory_check import problems, unknown_variables

OPTIONS = {"kernel_install": ["kernel_install_reboot_ok"], "view_deploy": ["view_deploy_views"]}


def test_a_misspelt_role_variable_is_named_with_its_nearest() -> None:
    assert unknown_variables(["kernel_install_reboot_okay", "ansible_host"], OPTIONS) == {
        "kernel_install_reboot_okay": "kernel_install_reboot_ok"
    }


def test_an_empty_group_is_a_problem() -> None:
    (sentence,) = problems("bpfview_hosts", [], {}, OPTIONS)
    assert "no host in the group bpfview_hosts" in sentence


def test_each_mistake_is_reported_once_with_its_hosts() -> None:
    hostvars = {name: {"view_deploy_viewz": []} for name in ("a", "b", "c", "d")}
    (sentence,) = problems("bpfview_hosts", list(hostvars), hostvars, OPTIONS)
    assert "view_deploy_viewz (on a, b, c and 1 more)" in sentence
    assert "Did you mean view_deploy_views?" in sentence


def test_a_right_inventory_has_no_problem() -> None:
    assert problems("g", ["a"], {"a": {"kernel_install_reboot_ok": True}}, OPTIONS) == []
