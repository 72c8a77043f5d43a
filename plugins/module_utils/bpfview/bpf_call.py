# SPDX-License-Identifier: GPL-3.0-or-later
"""The bpf(2) calls that take no object file: what is pinned, exposed and exchanged.

The distribution's libbpf knows neither the flag that exposes in a subtree nor, before 1.3, any flag
of this call; and what is pinned has to be seen where libbpf is not installed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path

_NUMBER = 321  # of bpf(2) on x86-64
_OBJ_PIN, _OBJ_GET, _LINK_UPDATE = 6, 7, 29
_PROGRAM_LINE = "prog_id:"

_libc = ctypes.CDLL(None, use_errno=True)


def _call(command: int, attributes: bytes, path: str) -> int:
    result: int = _libc.syscall(
        ctypes.c_long(_NUMBER),
        ctypes.c_long(command),
        ctypes.c_char_p(attributes),
        ctypes.c_long(len(attributes)),
    )
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return result


def _with_path(path: str, descriptor: int, flags: int) -> tuple[bytes, ctypes.Array[ctypes.c_char]]:
    """Return the attributes of a call on a path, and the buffer that has to live as long."""
    text = ctypes.create_string_buffer(os.fsencode(path))
    return struct.pack("=QII", ctypes.addressof(text), descriptor, flags), text


def pin(descriptor: int, path: str, flags: int = 0) -> None:
    """Pin a descriptor's object in bpffs, or expose it in a cgroup; OSError with the path."""
    attributes, _text = _with_path(path, descriptor, flags)
    _call(_OBJ_PIN, attributes, path)


def get(path: str) -> int:
    """Return a new descriptor of what is pinned at a path; OSError with the path."""
    attributes, _text = _with_path(path, 0, 0)
    return _call(_OBJ_GET, attributes, path)


def update_link(link: str, program: str) -> None:
    """Make the link pinned at one path run the program pinned at another; OSError with the path."""
    descriptors = []
    try:
        descriptors += [get(link)]
        descriptors += [get(program)]
        _call(_LINK_UPDATE, struct.pack("=IIII", *descriptors, 0, 0), link)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def program_of(path: str) -> int:
    """Return the id of the program, or of the link's program, pinned at a path; OSError."""
    descriptor = get(path)
    try:
        for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii").splitlines():
            if line.startswith(_PROGRAM_LINE):
                return int(line.removeprefix(_PROGRAM_LINE))
    finally:
        os.close(descriptor)
    raise OSError(errno.EINVAL, "it has no program", path)
