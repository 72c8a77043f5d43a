# SPDX-License-Identifier: GPL-3.0-or-later
"""The files a lab writes: inventory, ssh configuration, known_hosts, seed, memory."""

from __future__ import annotations

import io
import shlex
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from bpfview_fleet.lab import inventory, keys, state
from bpfview_fleet.lab.layout import Layout
from bpfview_fleet.lab.machine import Machine
from plugins.module_utils.bpfview.errors import BpfviewError

ONE = Machine("bpfview-1", 20001, ("canary",))
TWO = Machine("bpfview-2", 20002, ("fleet",))


def layout(tmp_path: Path) -> Layout:
    result = Layout.of("t", tmp_path / "a lab")
    result.folder.mkdir()
    return result


def hosts_group(text: str) -> dict[str, Any]:
    whole = yaml.safe_load(text)["all"]
    assert whole["vars"]["kernel_build_config"] == "lab"
    group: dict[str, Any] = whole["children"]["bpfview_hosts"]
    assert group["vars"]["kernel_install_reboot_ok"] is True
    return group


def test_the_inventory_has_canary_and_fleet_under_one_parent(tmp_path: Path) -> None:
    lab = layout(tmp_path)
    parent = hosts_group(inventory.inventory(lab, [ONE, TWO]))
    assert parent["children"]["canary"]["hosts"]["bpfview-1"]["ansible_port"] == 20001
    assert list(parent["children"]["fleet"]["hosts"]) == ["bpfview-2"]
    options = shlex.split(parent["vars"]["ansible_ssh_common_args"])
    assert f"UserKnownHostsFile={lab.known_hosts}" in options
    assert "StrictHostKeyChecking=yes" in options


def test_one_vm_leaves_an_empty_fleet(tmp_path: Path) -> None:
    parent = hosts_group(inventory.inventory(layout(tmp_path), [ONE]))
    assert parent["children"]["fleet"] == {"hosts": {}}


def test_a_group_named_like_the_parent_is_the_parent(tmp_path: Path) -> None:
    machine = Machine("x", 20001, ("bpfview_hosts", "odd"))
    parent = hosts_group(inventory.inventory(layout(tmp_path), [machine]))
    assert list(parent["hosts"]) == ["x"]
    assert sorted(parent["children"]) == ["canary", "fleet", "odd"]


def test_ssh_itself_understands_the_configuration(tmp_path: Path) -> None:
    lab = layout(tmp_path)
    lab.ssh_config.write_text(inventory.ssh_config(lab, [ONE, TWO]))
    seen = subprocess.run(
        ["ssh", "-G", "-F", str(lab.ssh_config), "bpfview-2"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert "port 20002" in seen
    assert "hostname 127.0.0.1" in seen
    assert "stricthostkeychecking true" in seen
    assert f"identityfile {lab.key}" in seen
    assert f"userknownhostsfile {lab.known_hosts}" in seen


def test_known_hosts_names_each_port() -> None:
    text = keys.known_hosts({20002: "ssh-ed25519 BBB two\n", 20001: "ssh-ed25519 AAA one\n"})
    assert text == "[127.0.0.1]:20001 ssh-ed25519 AAA\n[127.0.0.1]:20002 ssh-ed25519 BBB\n"


def test_a_key_is_made_once(tmp_path: Path) -> None:
    keys.make_key(tmp_path / "id", "comment")
    first = (tmp_path / "id").read_bytes()
    keys.make_key(tmp_path / "id", "comment")
    assert (tmp_path / "id").read_bytes() == first
    assert (tmp_path / "id").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["id", "id.pub"]


def test_the_seed_fits_a_disk_and_keeps_secrets_to_root() -> None:
    data = keys.seed_archive("vm-1", b"private", b"public", b"login")
    assert len(data) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        modes = {member.name: member.mode for member in archive}
        assert {member.uid for member in archive.getmembers()} == {0}
        hosts = archive.extractfile("etc/hosts")
        assert hosts is not None
        assert b"127.0.1.1 vm-1\n" in hosts.read()
    assert modes["etc/ssh/ssh_host_ed25519_key"] == 0o600
    assert modes["root/.ssh"] == 0o700


def test_the_lab_remembers_its_vms(tmp_path: Path) -> None:
    lab = layout(tmp_path)
    assert state.load(lab) == {}
    state.save(lab, [ONE, TWO])
    assert state.load(lab) == {"bpfview-1": ONE, "bpfview-2": TWO}


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 99, "vms": []}', '{"schema": 1}'])
def test_a_damaged_memory_names_the_file_and_the_way_out(tmp_path: Path, content: str) -> None:
    lab = layout(tmp_path)
    lab.state.write_text(content)
    with pytest.raises(BpfviewError, match=r"lab\.json.*`down`"):
        state.load(lab)
