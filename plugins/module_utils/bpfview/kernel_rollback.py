# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kernel a host goes back to when the promoted one is not wanted any more."""

from __future__ import annotations

from . import kernel_record
from .errors import BpfviewError
from .host_layout import Host


def target(host: Host) -> str:
    """Return the release that was proven before the present one; BpfviewError if none is ours."""
    record = kernel_record.read(host)
    if not record.proven:
        raise BpfviewError(
            "No kernel of ours was promoted on this host, so there is none to go back from",
            "Leave the host out, with --limit",
        )
    if record.fallback not in record.installed:
        raise BpfviewError(
            f"Before {record.proven} the host had {record.fallback or 'a kernel'} of its own, which"
            " has no views",
            "Go back to that with playbooks/remove.yml, or name a kernel of ours with"
            " -e rollback_manifest=PATH",
        )
    return record.fallback
