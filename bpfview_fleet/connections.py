# SPDX-License-Identifier: GPL-3.0-or-later
"""One command on many hosts: bounded, with time limits, and only to hosts whose key is known."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from fabric import Config, Connection
from fabric.runners import Remote
from invoke.exceptions import CommandTimedOut
from paramiko import RejectPolicy, SSHException
from paramiko.ssh_exception import (
    AuthenticationException,
    ChannelException,
    NoValidConnectionsError,
)

from plugins.module_utils.bpfview.errors import BpfviewError

from .hosts import Inventory

WORKERS = 16
CONNECT_TIMEOUT = 10
COMMAND_TIMEOUT = 30
SYSTEM_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("~/.ssh/known_hosts"))
_ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args")


@dataclass(frozen=True)
class Target:
    """How one host is reached.

    Without known_hosts or ssh_config, the files of the system and the user count.
    """

    name: str
    address: str
    port: int | None = None
    user: str | None = None
    key: Path | None = None
    known_hosts: tuple[Path, ...] = ()
    ssh_config: Path | None = None


@dataclass(frozen=True)
class Answer:
    """What a host said. error is empty when the command ran and passed."""

    name: str
    output: str = ""
    error: str = ""


class _Remote(Remote):  # type: ignore[misc]
    """Fabric's runner, with a time limit that does not depend on which thread looks first."""

    killed = False

    def kill(self) -> None:
        """Give the command up; called by the timer's thread."""
        self.killed = True
        with suppress(EOFError, OSError, SSHException):
            super().kill()

    @property
    def timed_out(self) -> bool:
        """Tell whether the time limit ended the command."""
        return self.killed


def targets(inventory: Inventory, hosts: Sequence[str]) -> list[Target]:
    """Translate the inventory's connection variables; a BpfviewError where that cannot be."""
    return [_target(inventory, host) for host in hosts]


def ask(
    hosts: Sequence[Target],
    command: str,
    *,
    workers: int = WORKERS,
    connect_timeout: int = CONNECT_TIMEOUT,
    command_timeout: int = COMMAND_TIMEOUT,
) -> Iterator[Answer]:
    """Run a shell command on every host, at most `workers` at once; time limits in seconds.

    Yields one answer a host, in the order given; what goes wrong with a host is in its answer.
    """

    def one(host: Target) -> Answer:
        return _ask(host, command, connect_timeout, command_timeout)

    with ThreadPoolExecutor(max_workers=max(1, min(workers, len(hosts)))) as pool:
        yield from pool.map(one, hosts)


def _ask(host: Target, command: str, connect_timeout: int, command_timeout: int) -> Answer:
    links: list[Connection] = []
    where = ""
    try:
        links = _links(host, connect_timeout)
        for link in links:
            where = f"{'' if link is links[-1] else 'the jump host '}{link.host}:{link.port}"
            link.open()
        connection = links[-1]
        if connection.user != "root":
            command = f"sudo -n {command}"
        result = connection.run(
            command,
            hide=True,
            warn=True,
            in_stream=False,
            encoding="utf-8",
            timeout=command_timeout,
        )
    except CommandTimedOut:
        return Answer(host.name, error=f"the command did not end within {command_timeout} s")
    except Exception as error:  # any one host's trouble must not hide the others
        return Answer(host.name, error=_explain(host, where, error, connect_timeout))
    finally:
        for link in reversed(links):
            link.close()
    if result.ok and not result.stderr.strip():
        return Answer(host.name, result.stdout)
    said = result.stderr.strip() or "it said nothing"
    return Answer(host.name, result.stdout, f"the command ended with {result.exited}: {said}")


def _links(host: Target, timeout: int) -> list[Connection]:
    """Connections in the order in which they are opened: jump hosts, then the host itself."""
    links = [_connection(host, timeout)]
    while isinstance(links[0].gateway, Connection):
        hop = links[0].gateway
        hop.connect_timeout = timeout
        hop.connect_kwargs = {**hop.connect_kwargs, **_limits(timeout)}
        links.insert(0, hop)
    for link in links:
        # Fabric accepts any host key unless told otherwise, and tells a jump host's client nothing.
        link.client.set_missing_host_key_policy(RejectPolicy())
        for path in host.known_hosts:
            link.client.load_host_keys(str(path))
        # ssh does not hand a host's own known_hosts on to its jump hosts.
        if not host.known_hosts or link is not links[-1]:
            for path in SYSTEM_KNOWN_HOSTS:
                if path.expanduser().exists():
                    link.client.load_system_host_keys(str(path.expanduser()))
    return links


def _limits(timeout: int) -> dict[str, Any]:
    return {"banner_timeout": timeout, "auth_timeout": timeout, "channel_timeout": timeout}


def _connection(host: Target, timeout: int) -> Connection:
    options = _limits(timeout)
    if host.key is not None:
        options.update(key_filename=str(host.key), look_for_keys=False, allow_agent=False)
    return Connection(
        host.address,
        user=host.user,
        port=host.port,
        config=Config(
            overrides={"runners": {"remote": _Remote}},
            runtime_ssh_path=str(host.ssh_config) if host.ssh_config else None,
        ),
        connect_timeout=timeout,
        connect_kwargs=options,
    )


def _explain(host: Target, where: str, error: Exception, connect_timeout: int) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer from {where} within {connect_timeout} s"
    if isinstance(error, ChannelException):
        return f"the jump host cannot connect to {where} ({error.text}); is the host up?"
    if isinstance(error, NoValidConnectionsError):
        return f"cannot connect to {where}; is the host up?"
    if isinstance(error, AuthenticationException):
        own = host.key and not where.startswith("the jump host")
        key = f" with the key {host.key}" if own else ""
        return f"{where} refused the login{key}"
    if isinstance(error, SSHException) and "known_hosts" in str(error):
        files = host.known_hosts
        if not files or where.startswith("the jump host"):
            files = (*files, *SYSTEM_KNOWN_HOSTS)
        listed = ", ".join(str(path) for path in files)
        return f"the host key of {where} is not in {listed}; check it, then add it there"
    return f"{type(error).__name__}: {error}"


def _target(inventory: Inventory, name: str) -> Target:
    variables = dict(inventory.variables.get(name, {}))
    magic = {
        "inventory_hostname": name,
        "inventory_dir": str(inventory.source.parent),
        "inventory_file": str(inventory.source),
    }

    def value(*names: str) -> str | None:
        for key in names:
            if variables.get(key) is not None:
                return _render(name, key, str(variables[key]), {**variables, **magic})
        return None

    kind = value("ansible_connection") or "ssh"
    if kind not in {
        "ssh",
        "ansible.builtin.ssh",
        "smart",
        "paramiko",
        "ansible.netcommon.paramiko",
    }:
        raise BpfviewError(
            f"{name} is reached by the connection {kind}, and status and read know only ssh",
            "Leave the host out with --limit",
        )
    port = value("ansible_port", "ansible_ssh_port")
    key = value("ansible_ssh_private_key_file", "ansible_private_key_file")
    options = _ssh_options(name, " ".join(filter(None, (value(key) for key in _ARGUMENTS))))
    files = shlex.split(options.get("userknownhostsfile", ""))
    missing = [path for path in files if not Path(path).expanduser().exists()]
    if missing:
        raise BpfviewError(
            f"{name}: there is no known_hosts file {', '.join(missing)}",
            f"Correct UserKnownHostsFile in {inventory.source}",
        )
    return Target(
        name=name,
        address=value("ansible_host", "ansible_ssh_host") or name,
        port=int(port) if port else None,
        user=value("ansible_user", "ansible_ssh_user"),
        key=Path(key).expanduser() if key else None,
        known_hosts=tuple(Path(path).expanduser() for path in files),
        ssh_config=Path(options["-F"]) if "-F" in options else None,
    )


def _render(host: str, key: str, text: str, variables: Mapping[str, Any]) -> str:
    if "{{" not in text:
        return text
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    try:
        return environment.from_string(text).render(variables)
    except jinja2.TemplateError as error:
        raise BpfviewError(
            f"{host}: the template in {key} cannot be read here: {error}",
            "Use a plain value, or other variables of the same host",
        ) from None


def _ssh_options(host: str, text: str) -> dict[str, str]:
    """Take the -o options out of ssh arguments, names in lower case, and -F.

    A jump host cannot be honoured from here and must not be dropped in silence.
    """
    words = shlex.split(text)
    options: dict[str, str] = {}
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        if word == "-o":
            option = following
        elif word == "-F":
            options["-F"] = following
            continue
        elif word.startswith("-o"):
            option = word[2:]
        else:
            if word.startswith("-J"):
                options["proxyjump"] = word
            continue
        name, _, setting = option.replace("=", " ", 1).partition(" ")
        options.setdefault(name.lower(), setting.strip())
    for name in ("proxyjump", "proxycommand", "hostkeyalias"):
        if name in options:
            raise BpfviewError(
                f"{host}: status and read do not take {name} from Ansible's ssh arguments",
                "Set it in ~/.ssh/config, which ssh and they both read",
            )
    return options
