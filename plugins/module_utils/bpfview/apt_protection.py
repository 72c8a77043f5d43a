# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep apt's autoremove from the kernels a host depends on, without marking anybody's packages."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .host_layout import Host, remove_durably, write_durably
from .named_errors import naming

DROP_IN = "/etc/apt/apt.conf.d/50bpfview"


def text(releases: Iterable[str]) -> str:
    """Return the apt settings that protect the kernels of these releases."""
    patterns = [re.sub(r"([.+])", r"\\\1", release) for release in sorted(set(releases))]
    lines = [f'  "^linux-(image|modules)(-.*)?-{pattern}$";' for pattern in patterns if pattern]
    head = "// Written by bpfview-fleet; playbooks/remove.yml takes it away again.\n"
    return head + "APT::NeverAutoRemove {\n" + "\n".join(lines) + "\n};\n"


def protect(host: Host, releases: Iterable[str]) -> bool:
    """Protect exactly these releases from autoremove; tell whether that changed anything."""
    wanted = text(releases)
    if host.text(DROP_IN) == wanted:
        return False
    with naming(DROP_IN):
        write_durably(host.path(DROP_IN), wanted.encode())
    return True


def release_all(host: Host) -> bool:
    """Take the protection away; tell whether there was any."""
    return remove_durably(host.path(DROP_IN))
