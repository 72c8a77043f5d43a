# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of a boot that failed: kept by the guard on the disk, and read afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from . import trial_record
from .host_layout import Host, write_durably

KEPT = "/var/lib/bpfview/trial-log.txt"
_PSTORE = ("/sys/fs/pstore", "/var/lib/systemd/pstore")
_LIMIT = 64 * 1024  # bytes of each source, its end
_SECONDS = 15


def _said(host: Host, title: str, command: Sequence[str]) -> str:
    output = host.within(_SECONDS, command)
    text = output.text[-_LIMIT:].strip() if not output.status else output.tail
    return f"## {title}\n{text or '(nothing)'}\n"


def keep(host: Host) -> None:
    """Write down what this boot's kernel and services said; never fails."""
    text = _said(host, "units that failed", ["systemctl", "--failed", "--plain", "--no-legend"])
    text += _said(host, "kernel log of the trial boot", ["dmesg"])
    with suppress(OSError):
        write_durably(host.path(KEPT), text.encode("utf-8", "replace"))


def collect(host: Host) -> str:
    """Return what the trial boot before this boot left, at most some 200 KiB of text."""
    status = trial_record.read_status(host)
    head = f"{status.release}: {status.state}: {'; '.join(status.reasons)}" if status else ""
    parts = [f"## the guard's last word\n{head or '(none)'}\n", host.text(KEPT)]
    parts.append(_said(host, "end of the boot before this one", _LAST_BOOT))
    for folder in _PSTORE:
        for file in sorted(host.path(folder).rglob("*")) if host.path(folder).is_dir() else ():
            if file.is_file():
                with suppress(OSError):
                    said = file.read_bytes()[-_LIMIT:].decode("utf-8", "replace")
                    parts.append(f"## {folder}/{file.name}\n{said}\n")
    return "\n".join(part for part in parts if part)


_LAST_BOOT = (
    "journalctl", "--boot=-1", "--no-pager", "--output=short-monotonic", "--lines=200",
)  # fmt: skip
