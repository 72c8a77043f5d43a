# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP ports on the loopback address for the VMs' SSH servers."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Container

from plugins.module_utils.bpfview.errors import BpfviewError

# Below the ports that Linux gives to outgoing connections, so none of those takes a VM's port.
FIRST, COUNT = 20000, 12000
ADDRESS = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def choose(identity: str, taken: Container[int], free: Callable[[int], bool] = is_free) -> int:
    """A free port, the same one for the same identity where possible.

    ``taken`` are the ports that other VMs of the lab own even when they are off. Raises
    BpfviewError if none is left.
    """
    start = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:4], "big") % COUNT
    for step in range(COUNT):
        port = FIRST + (start + step) % COUNT
        if port not in taken and free(port):
            return port
    raise BpfviewError(
        f"No TCP port from {FIRST} to {FIRST + COUNT - 1} is free on {ADDRESS}",
        "Stop what occupies them",
    )
