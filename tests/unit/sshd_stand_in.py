# SPDX-License-Identifier: GPL-3.0-or-later
"""An SSH server on the loopback that runs what it is asked, with /bin/sh, as the caller."""

from __future__ import annotations

import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import paramiko

GRANT_SECONDS = 0.2


def _copy(source: socket.socket | paramiko.Channel, sink: socket.socket | paramiko.Channel) -> None:
    with suppress(OSError, EOFError):
        while data := source.recv(4096):
            sink.sendall(data)
    with suppress(OSError, EOFError):
        sink.shutdown(socket.SHUT_WR)


class _Session(paramiko.ServerInterface):
    def __init__(self, transport: paramiko.Transport, jumps: list[tuple[str, int]]) -> None:
        self.transport = transport
        self.jumps = jumps

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        # what follows this call tells the client that its request was granted: a command that
        # ends at once must not close the channel before that
        answer = threading.Timer(GRANT_SECONDS, self._answer, (channel, command.decode()))
        answer.daemon = True
        answer.start()
        return True

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        """Be a jump host: pass what comes through the channel on to the destination, and back."""
        self.jumps.append(destination)
        try:
            beyond = socket.create_connection(destination, 5)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        threading.Thread(target=self._pass_on, args=(chanid, beyond), daemon=True).start()
        return paramiko.OPEN_SUCCEEDED

    def _pass_on(self, chanid: int, beyond: socket.socket) -> None:
        with beyond:
            channel = self.transport.accept(5)
            assert channel is not None and channel.get_id() == chanid
            back = threading.Thread(target=_copy, args=(beyond, channel), daemon=True)
            back.start()
            _copy(channel, beyond)

    def _answer(self, channel: paramiko.Channel, command: str) -> None:
        done = subprocess.run(
            ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        channel.sendall(done.stdout)
        channel.sendall_stderr(done.stderr)
        channel.send_exit_status(done.returncode)
        channel.close()


class StandIn:
    """One server; key and known_hosts are files for its client, jumps are what it connected to."""

    def __init__(self, folder: Path) -> None:
        host_key = paramiko.ECDSAKey.generate()
        self.key = folder / "key"
        paramiko.ECDSAKey.generate().write_private_key_file(str(self.key))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(
            f"[127.0.0.1]:{self.port} {host_key.get_name()} {host_key.get_base64()}\n"
        )
        self.host_key = host_key
        self.jumps: list[tuple[str, int]] = []
        self.transports: list[paramiko.Transport] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.host_key)
            self.transports.append(transport)
            try:
                transport.start_server(server=_Session(transport, self.jumps))
            except (paramiko.SSHException, EOFError):
                transport.close()

    def close(self) -> None:
        self.listener.close()
        for transport in self.transports:
            transport.close()
