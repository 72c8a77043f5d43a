# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes one kernel build different from another, and the names that follow from it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .digest import canonical_json, sha256_bytes
from .errors import BpfviewError
from .kernel_series import Patch
from .kernel_source import Package
from .process import output

# Raise it when the builder changes what comes out of the same inputs.
BUILDER_FORMAT = 2

_TOOLS = {
    "gcc": ("gcc", "--version"),
    "ld": ("ld", "--version"),
    "as": ("as", "--version"),
    "pahole": ("pahole", "--version"),
}


@dataclass(frozen=True)
class Inputs:
    """Everything that decides what a build gives."""

    baseline: str
    source: Package
    patches: Sequence[Patch]
    config_base: str
    # where a base that is not in the options comes from: its package, version and file
    config_origin: Mapping[str, str]
    options: Mapping[str, str]
    toolchain: Mapping[str, str]

    @property
    def key(self) -> str:
        """The hexadecimal SHA-256 that names this build."""
        return sha256_bytes(
            canonical_json(
                {
                    "format": BUILDER_FORMAT,
                    "source": [self.source.name, self.source.version],
                    "patches": [patch.sha256 for patch in self.patches],
                    "config_base": self.config_base,
                    "config_origin": dict(self.config_origin),
                    "options": dict(self.options),
                    "toolchain": dict(self.toolchain),
                }
            )
        )

    @property
    def local_version(self) -> str:
        """What the build adds to the kernel's own version; one without the series says so."""
        return f"-{'bpfview' if self.patches else 'stock'}-{self.key[:12]}"

    @property
    def release(self) -> str:
        """What ``uname -r`` says on a host that runs this build."""
        return f"{self.source.upstream}{self.local_version}"


def first_version_line(text: str) -> str:
    """Return the first line that holds a version number, or the first line at all."""
    lines = text.strip().splitlines() or [""]
    return next((line.strip() for line in lines if re.search(r"\d+\.\d+", line)), lines[0].strip())


def toolchain() -> dict[str, str]:
    """Return the version lines of the programs whose version shows in the result.

    Raises BpfviewError naming the first that is missing.
    """
    found = {}
    for name, command in _TOOLS.items():
        try:
            found[name] = first_version_line(output(command))
        except BpfviewError as error:
            raise BpfviewError(
                f"the build tool {name} cannot be used: {error.message}",
                "Install the packages of debian-packages.txt on the builder (`make deps`)",
            ) from error
    return found
