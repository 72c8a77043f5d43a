# SPDX-License-Identifier: GPL-3.0-or-later
"""The few things that are asked of a host's kernel for its views."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from . import bpf_call
from .cgroup_tree import ROOT
from .host_layout import Host
from .libbpf import Libbpf
from .running_kernel import BTF, constant_in
from .view_pins import PROGRAM_PIN, VIEW_PIN

_SUBTREE = "BPF_F_VIEW_SUBTREE"


class Kernel:
    """The running kernel; a test puts another in its place. A folder is one of bpffs."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._library: Libbpf | None = None

    @property
    def _bpf(self) -> Libbpf:
        if self._library is None:
            self._library = Libbpf(self._host.path(BTF))
        return self._library

    def _pin_in(self, folder: str, pin: str) -> Path:
        return self._host.path(folder) / pin

    def load(self, content: bytes, name: str, folder: str) -> None:
        """Load an object and pin all it consists of in a new folder; Rejected if refused."""
        path = self._host.path(folder)
        path.mkdir(parents=True, mode=0o700)
        with self._bpf.load(content, name) as loaded:
            for pin, descriptor in loaded.maps():
                bpf_call.pin(descriptor, str(path / pin))
            bpf_call.pin(loaded.view_program(), str(path / PROGRAM_PIN))
            for pin, descriptor in loaded.links():
                bpf_call.pin(descriptor, str(path / pin))

    def publish(self, folder: str, name: str) -> None:
        """Give an unfinished generation the name of a whole one."""
        path = self._host.path(folder)
        path.rename(path.with_name(name))

    def discard(self, folder: str) -> None:
        """Unpin all that is in a folder."""
        path = self._host.path(folder)
        if not path.is_dir():
            return
        # the link first: what is left without it is seen as unfinished
        for pin in sorted(path.iterdir(), key=lambda pin: pin.name != VIEW_PIN):
            pin.unlink()
        path.rmdir()

    def expose(self, folder: str, path: str, *, below: bool = False) -> None:
        """Make the entry ``path`` (below the cgroup root) show the view pinned in a folder.

        With ``below`` in every cgroup below as well, also those to come.
        """
        flags = subtree_flag(self._host) if below else 0
        if flags is None:
            raise OSError(errno.EOPNOTSUPP, "the kernel knows no subtrees", path)
        descriptor = bpf_call.get(str(self._pin_in(folder, VIEW_PIN)))
        try:
            bpf_call.pin(descriptor, str(self._host.path(f"{ROOT}/{path}")), flags)
        finally:
            os.close(descriptor)

    def update(self, folder: str, generation: str) -> None:
        """Have the link pinned in a folder, wherever it is exposed, run a generation's program.

        OSError with EINVAL on a kernel that cannot.
        """
        bpf_call.update_link(
            str(self._pin_in(folder, VIEW_PIN)), str(self._pin_in(generation, PROGRAM_PIN))
        )

    def hand_over(self, folder: str, generation: str) -> None:
        """Move the link pinned in a folder to a generation, in the place of the one it has."""
        self._pin_in(folder, VIEW_PIN).rename(self._pin_in(generation, VIEW_PIN))

    def runs_its_own(self, generation: str) -> bool:
        """Tell whether a generation's link runs the program that was loaded with it."""
        try:
            own, runs = (
                bpf_call.program_of(str(self._pin_in(generation, pin)))
                for pin in (PROGRAM_PIN, VIEW_PIN)
            )
        except OSError as error:
            # pinned before programs were, when links were not updated, or unpinned just now
            if error.errno == errno.ENOENT:
                return True
            raise
        return own == runs

    def hide(self, path: str) -> None:
        """Take an entry away, and what came of it; nothing if it is gone already."""
        entry = self._host.path(f"{ROOT}/{path}")
        try:
            descriptor = os.open(entry, os.O_WRONLY)
        except FileNotFoundError:
            return
        try:
            os.write(descriptor, b"rm")
        except OSError as error:
            if error.errno != errno.ENODEV:  # it went in between
                raise OSError(error.errno, error.strerror, str(entry)) from error
        finally:
            os.close(descriptor)

    def read(self, path: str) -> str:
        """Return the text of an entry."""
        return self._host.path(f"{ROOT}/{path}").read_text("utf-8")


def subtree_flag(host: Host) -> int | None:
    """Return the flag that exposes in a subtree, None on a kernel that cannot."""
    try:
        return constant_in(host.path(BTF), _SUBTREE)
    except OSError:
        return None
