# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a Debian package file, member by member, and one digest over all of it."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .digest import canonical_json, sha256_bytes
from .errors import BpfviewError
from .process import plain_environment

_BLOCK = 1024 * 1024  # bytes read at a time
# the two archives of a package, by the name that their members get here
_PARTS = {"control": "--ctrl-tarfile", "data": "--fsys-tarfile"}

# what of a member counts; its time does not
Facts = Mapping[str, object]


@contextmanager
def tar_stream(package: Path, option: str = "--fsys-tarfile") -> Iterator[IO[bytes]]:
    """Give the stream of one of a package's archives as a tar; the file tree unless said."""
    command = ["dpkg-deb", option, str(package)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=plain_environment()
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above, for the type checker
        yield process.stdout
        # whoever found what they wanted stops reading; that is no failure of dpkg-deb
        process.stdout.close()
        process.terminate()


def members(package: Path) -> dict[str, Facts]:
    """Return each member of a package: kind, mode, owner, and what it holds or points to.

    Raises BpfviewError if the file is no package, or is damaged.
    """
    found: dict[str, Facts] = {}
    try:
        for part, option in _PARTS.items():
            with (
                tar_stream(package, option) as stream,
                tarfile.open(fileobj=stream, mode="r|") as tar,
            ):
                for member in tar:
                    name = member.name.removeprefix("./")
                    found[f"{part}/{name}"] = _facts(tar, member)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BpfviewError(
            f"{package} cannot be read as a Debian package: {error}",
            "Remove the cache entry that it is in and build it anew",
        ) from error
    return found


def _facts(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Facts:
    digest = hashlib.sha256()
    content = tar.extractfile(member) if member.isfile() else None
    while content and (block := content.read(_BLOCK)):
        digest.update(block)
    return {
        "kind": member.type.decode("ascii"),
        "mode": f"{member.mode:04o}",
        "owner": f"{member.uid}:{member.gid}",
        "size": member.size,
        "holds": digest.hexdigest() if content else member.linkname,
    }


def contents_sha256(package: Path) -> str:
    """Return one digest over the members of a package, in whatever order they stand."""
    return sha256_bytes(canonical_json(members(package)))


def differences(one: Path, other: Path) -> list[str]:
    """Return a line for each member that two packages do not have alike, sorted by name."""
    left, right = members(one), members(other)
    lines = []
    for name in sorted(left.keys() | right.keys()):
        if name not in left or name not in right:
            lines.append(f"{name}: only in {one.parent if name in left else other.parent}")
        elif left[name] != right[name]:
            apart = [key for key in left[name] if left[name][key] != right[name][key]]
            said = [f"{key} {left[name][key]} and {right[name][key]}" for key in apart]
            lines.append(f"{name}: {', '.join(said)}")
    return lines
