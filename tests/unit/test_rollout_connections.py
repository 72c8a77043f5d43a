# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bpfview_fleet import connections
from bpfview_fleet.connections import Target, ask, targets
from bpfview_fleet.hosts import Inventory
from plugins.module_utils.bpfview.errors import BpfviewError

sys.path.insert(0, str(Path(__file__).parent))
from sshd_stand_in import StandIn


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    stand_in = StandIn(tmp_path_factory.mktemp("sshd"))
    yield stand_in
    stand_in.close()


@pytest.fixture
def target(server: StandIn) -> Target:
    return Target(
        "up",
        "127.0.0.1",
        server.port,
        "root",
        server.key,
        (server.known_hosts,),
        Path("/dev/null"),
    )


def test_one_dead_host_does_not_hide_the_others(target):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = [
            replace(target, name="refuses", port=1),
            replace(target, name="silent", port=silent.getsockname()[1]),
            target,
        ]
        start = time.monotonic()
        answers = list(ask(hosts, "echo here; echo 'and here'", connect_timeout=1))
        assert time.monotonic() - start < 15
    assert [answer.name for answer in answers] == ["refuses", "silent", "up"]
    assert "cannot connect to 127.0.0.1:1" in answers[0].error
    assert answers[1].error
    assert (answers[2].output, answers[2].error) == ("here\nand here\n", "")


def test_the_order_is_the_inventorys_with_fewer_workers_than_hosts(target):
    hosts = [replace(target, name=f"h{number}") for number in range(5)]
    assert [answer.name for answer in ask(hosts, "true", workers=2)] == [h.name for h in hosts]


def test_an_unknown_host_key_is_refused(target, tmp_path):
    empty = tmp_path / "known_hosts"
    empty.touch()
    (answer,) = ask([replace(target, known_hosts=(empty,))], "echo secret")
    assert answer.output == ""
    assert f"is not in {empty}" in answer.error


def test_a_changed_host_key_is_refused(target, server, tmp_path):
    other = StandIn(tmp_path)
    other.close()
    changed = tmp_path / "changed"
    changed.write_text(other.known_hosts.read_text().replace(str(other.port), str(server.port)))
    (answer,) = ask([replace(target, known_hosts=(changed,))], "echo secret")
    assert answer.output == ""
    assert "does not match" in answer.error


def test_a_command_that_hangs_is_given_up(target):
    start = time.monotonic()
    (answer,) = ask([target], "sleep 20", command_timeout=1)
    assert time.monotonic() - start < 10
    assert "did not end within 1 s" in answer.error


def test_a_failed_command_keeps_what_it_printed(target):
    (answer,) = ask([target], "echo part; echo why >&2; exit 3")
    assert answer.output == "part\n"
    assert answer.error == "the command ended with 3: why"


def test_another_user_than_root_asks_sudo(target):
    (answer,) = ask([replace(target, user="nobody")], "true")
    assert answer.error == "" or "sudo" in answer.error


@pytest.fixture
def jump(tmp_path: Path) -> Iterator[StandIn]:
    stand_in = StandIn(tmp_path)
    yield stand_in
    stand_in.close()


def behind(jump: StandIn, target: Target, tmp_path: Path) -> Target:
    """The target, behind a jump host that ~/.ssh/config would name."""
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host inner\n HostName {target.address}\n ProxyJump outer\n"
        f"Host outer\n HostName 127.0.0.1\n Port {jump.port}\n User root\n"
        f" IdentityFile {jump.key}\n"
    )
    return replace(target, address="inner", ssh_config=config)


def test_a_jump_host_whose_key_is_known_is_gone_through(target, jump, server, tmp_path):
    hosts = replace(
        behind(jump, target, tmp_path), known_hosts=(server.known_hosts, jump.known_hosts)
    )
    (answer,) = ask([hosts], "echo here")
    assert (answer.output, answer.error) == ("here\n", "")
    assert jump.jumps == [("127.0.0.1", server.port)]


def test_an_unknown_key_of_a_jump_host_is_refused(target, jump, server, tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "SYSTEM_KNOWN_HOSTS", (server.known_hosts,))
    (answer,) = ask([behind(jump, target, tmp_path)], "echo secret")
    assert answer.output == ""
    assert f"the host key of the jump host 127.0.0.1:{jump.port} is not in" in answer.error
    assert jump.jumps == []


def test_a_changed_key_of_a_jump_host_is_refused(target, jump, server, tmp_path):
    changed = tmp_path / "changed"
    changed.write_text(server.known_hosts.read_text().replace(str(server.port), str(jump.port)))
    hosts = replace(behind(jump, target, tmp_path), known_hosts=(server.known_hosts, changed))
    (answer,) = ask([hosts], "echo secret")
    assert answer.output == ""
    assert "does not match" in answer.error
    assert jump.jumps == []


def test_the_key_of_the_host_behind_a_jump_host_is_checked_too(target, jump, tmp_path):
    hosts = replace(behind(jump, target, tmp_path), known_hosts=(jump.known_hosts,))
    (answer,) = ask([hosts], "echo secret")
    assert answer.output == ""
    assert f"the host key of 127.0.0.1:{target.port} is not in {jump.known_hosts}" in answer.error


def test_a_host_that_the_jump_host_does_not_reach_is_named(target, jump, tmp_path):
    gone = replace(
        behind(jump, target, tmp_path), port=1, known_hosts=(jump.known_hosts,), name="gone"
    )
    (answer,) = ask([gone], "true", connect_timeout=5)
    assert "the jump host cannot connect to 127.0.0.1:1" in answer.error


def test_a_jump_host_that_is_down_is_named(target, jump, tmp_path):
    jump.close()
    (answer,) = ask([behind(jump, target, tmp_path)], "true", connect_timeout=2)
    assert f"the jump host 127.0.0.1:{jump.port}" in answer.error


def inventory(tmp_path: Path, **variables: object) -> Inventory:
    return Inventory(tmp_path / "inv.yml", {"g": ("h",)}, {"h": variables})


def test_connection_variables_are_taken_from_the_inventory(tmp_path):
    known = tmp_path / "known hosts"
    known.touch()
    (found,) = targets(
        inventory(
            tmp_path,
            ansible_host="192.0.2.1",
            ansible_port=2201,
            ansible_user="admin",
            ansible_ssh_private_key_file="{{ inventory_dir }}/key",
            ansible_ssh_common_args=f"-F /dev/null -o 'UserKnownHostsFile=\"{known}\"'"
            " -oStrictHostKeyChecking=yes",
        ),
        ["h"],
    )
    assert found == Target(
        "h", "192.0.2.1", 2201, "admin", tmp_path / "key", (known,), Path("/dev/null")
    )


def test_a_bare_host_is_reached_by_its_name(tmp_path):
    assert targets(inventory(tmp_path), ["h"]) == [Target("h", "h")]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ansible_ssh_common_args": "-J jump"}, "proxyjump"),
        ({"ansible_ssh_extra_args": "-o ProxyCommand='nc x'"}, "proxycommand"),
        ({"ansible_ssh_common_args": "-o UserKnownHostsFile=/nonexistent"}, "/nonexistent"),
        ({"ansible_connection": "local"}, "connection local"),
        ({"ansible_host": "{{ nowhere }}"}, "ansible_host"),
    ],
)
def test_what_cannot_be_honoured_is_said(tmp_path, variables, message):
    with pytest.raises(BpfviewError, match=message):
        targets(inventory(tmp_path, **variables), ["h"])
