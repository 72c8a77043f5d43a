# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Debian packages come from: what apt on this machine is configured to use."""

from __future__ import annotations

from dataclasses import dataclass

from plugins.module_utils.bpfview.errors import BpfviewError

from .tools import run

SUITE = "bookworm"
_FORMAT = "$(CREATED_BY)|$(ORIGIN)|$(CODENAME)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)"
# What of apt's configuration reaches beyond this machine's own files.
_CARRIED = ("Acquire::Check-Valid-Until", "Acquire::http::Proxy", "Acquire::https::Proxy")


@dataclass(frozen=True)
class Source:
    """One line of a sources.list: a repository, a suite and its components."""

    uri: str
    suite: str
    components: tuple[str, ...]

    def line(self) -> str:
        """The line for sources.list."""
        return f"deb {self.uri} {self.suite} {' '.join(self.components)}"


def parse_targets(text: str, suite: str = SUITE) -> list[Source]:
    """Pick Debian's own repositories of ``suite`` out of ``apt-get indextargets`` lines."""
    components: dict[tuple[str, str], list[str]] = {}
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) != 6 or fields[:2] != ["Packages", "Debian"]:
            continue
        _, _, codename, release, component, uri = fields
        if codename == suite or codename in (f"{suite}-updates", f"{suite}-security"):
            known = components.setdefault((uri, release), [])
            if component == "main":
                known.append(component)
    return [
        Source(uri, release, tuple(names)) for (uri, release), names in components.items() if names
    ]


def configured(suite: str = SUITE) -> list[Source]:
    """The repositories apt uses here for ``suite``; raises BpfviewError if there is none."""
    found = parse_targets(run(["apt-get", "indextargets", "--format", _FORMAT]), suite)
    if not found:
        raise BpfviewError(
            f"The lab VMs are made from {suite}, and apt knows no Debian repository of it here",
            f"Add a Debian mirror with the suite {suite} to the apt sources and run apt-get update",
        )
    return found


def candidate(package: str) -> str:
    """The version of ``package`` that apt would install; raises BpfviewError if there is none."""
    for line in run(["apt-cache", "policy", package]).splitlines():
        label, _, version = line.strip().partition(": ")
        if label == "Candidate" and version != "(none)":
            return version
    raise BpfviewError(f"apt knows no package {package}", "Run apt-get update as root")


def apt_options() -> list[str]:
    """Options of this machine's apt (proxy, old snapshots) that the new system's apt needs too."""
    options = []
    for line in run(["apt-config", "dump"]).splitlines():
        name, _, value = line.partition(" ")
        if name in _CARRIED and value not in ('"";', ""):
            options.append(f"{name} {value.rstrip(';')}")
    return options
