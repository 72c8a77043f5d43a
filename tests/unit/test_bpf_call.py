# SPDX-License-Identifier: GPL-3.0-or-later
"""The bpf(2) calls: what can be seen of them without a kernel that has views."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import bpf_call


def test_what_is_not_pinned_is_named_with_its_path(tmp_path: Path) -> None:
    path = str(tmp_path / "view")
    for call in (
        lambda: bpf_call.get(path),
        lambda: bpf_call.program_of(path),
        lambda: bpf_call.update_link(path, path),
    ):
        with pytest.raises(OSError, match="view") as caught:
            call()
        assert caught.value.filename == path


def test_what_is_no_bpf_object_cannot_be_pinned(tmp_path: Path) -> None:
    path = str(tmp_path / "view")
    with Path(os.devnull).open() as stream, pytest.raises(OSError, match="view") as caught:
        bpf_call.pin(stream.fileno(), path)
    assert caught.value.filename == path
    # unless the kernel lets nobody without privilege come so far
    assert caught.value.errno in {errno.EINVAL, errno.EPERM}
    assert not Path(path).exists()
