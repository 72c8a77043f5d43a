# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's kernel source: which version there is, fetching it through apt, unpacking it."""

from __future__ import annotations

import email.utils
import gzip
import lzma
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cmp_to_key
from pathlib import Path
from typing import IO

from . import cache
from .deb_contents import tar_stream
from .digest import sha256_file
from .errors import BpfviewError
from .process import output, plain_environment

_DIGEST = "sha256"
# apt checks the download against the signed archive index; an unsigned one is refused
_APT_OPTIONS = ("-q", "-o", "APT::Get::AllowUnauthenticated=false", "-o", "APT::Sandbox::User=root")


@dataclass(frozen=True)
class Package:
    """A Debian package by name and version."""

    name: str
    version: str

    @property
    def slug(self) -> str:
        """The name of its folder in the cache; an epoch's colon would not suit every tool."""
        return f"{self.name}_{self.version}".replace(":", "%3a")

    @property
    def upstream(self) -> str:
        """The upstream part of the version, as the kernel's own makefile names it."""
        return self.version.rpartition(":")[2].rpartition("-")[0] or self.version


def parse_candidate(policy: str) -> str | None:
    """Return the candidate version in the output of ``apt-cache policy``, None if there is none."""
    for line in policy.splitlines():
        name, _, value = line.strip().partition(": ")
        if name == "Candidate" and value != "(none)":
            return value.strip()
    return None


def _newer(one: str, other: str) -> int:
    command = ["dpkg", "--compare-versions", one, "gt", other]
    return 1 if subprocess.run(command, check=False).returncode == 0 else -1


def cached_versions(root: Path, name: str) -> list[str]:
    """Return the versions of a package in the cache, newest first."""
    prefix = f"{name}_"
    found = [
        path.name.removeprefix(prefix).replace("%3a", ":")
        for path in (root / "source").glob(f"{prefix}*")
    ]
    return sorted(found, key=cmp_to_key(_newer), reverse=True)


def choose(root: Path, name: str, pinned: str = "") -> Package:
    """Return the package to build from: the pinned version, apt's candidate, or the newest cached.

    Nothing is written. Raises BpfviewError if apt offers none and none is cached.
    """
    if pinned:
        return Package(name, pinned)
    candidate = parse_candidate(output(["apt-cache", "policy", name]))
    if candidate:
        return Package(name, candidate)
    cached = cached_versions(root, name)
    if cached:
        return Package(name, cached[0])
    raise BpfviewError(
        f"apt knows no package {name}, and none is cached in {root / 'source'}",
        "Run `apt-get update`, or add the Debian release that has it to the builder's apt sources",
    )


def fetch(root: Path, package: Package) -> Path:
    """Return the package's .deb in the cache, downloading it through apt if it is not there.

    Raises BpfviewError if apt cannot get or verify it, or if the cached file was changed.
    """
    with cache.locked(root, "source", package.slug):
        folder = cache.find(root, "source", package.slug)
        if folder is None:
            _download(root, package)
            folder = cache.entry_path(root, "source", package.slug)
    try:
        (archive,) = folder.glob("*.deb")
        intact = (folder / _DIGEST).read_text("ascii").strip() == sha256_file(archive)
    except (OSError, ValueError):
        intact = False
    if not intact:
        raise BpfviewError(
            f"the cached package in {folder} is not the one that was verified at its download",
            "Remove that folder and run again to download it anew",
        )
    return archive


def _download(root: Path, package: Package) -> None:
    with cache.publishing(root, "source", package.slug) as staging:
        try:
            output(
                ["apt-get", *_APT_OPTIONS, "download", f"{package.name}={package.version}"],
                cwd=staging,
                timeout=1800,
            )
        except BpfviewError as error:
            cached = ", ".join(cached_versions(root, package.name)) or "none"
            raise BpfviewError(
                f"{package.name} {package.version} cannot be downloaded: {error.message}",
                "Run `apt-get update` and check the network, or pin a version that is cached "
                f"(cached: {cached})",
            ) from error
        archives = list(staging.glob("*.deb"))
        if len(archives) != 1:
            raise BpfviewError(
                f"apt left {len(archives)} files for {package.name} {package.version}",
                "Run `apt-get update` and try again",
            )
        (staging / _DIGEST).write_text(f"{sha256_file(archives[0])}\n", "ascii")


def read_member(archive: Path, suffix: str) -> bytes:
    """Return the content of the one file in a .deb whose path ends so, unpacked if .gz or .xz."""
    with tar_stream(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(suffix):
                file = tar.extractfile(member)
                data = file.read() if file else b""
                if suffix.endswith(".gz"):
                    return gzip.decompress(data)
                return lzma.decompress(data) if suffix.endswith(".xz") else data
    raise BpfviewError(
        f"the package {archive.name} holds no file that ends in {suffix}",
        "Check that it is the package of a Debian kernel source, and of a known layout",
    )


def changelog_time(archive: Path, package: Package) -> int:
    """Return when this source version was made, in seconds since 1970, from its changelog."""
    text = read_member(archive, f"/{package.name}/changelog.Debian.gz").decode("utf-8", "replace")
    for line in text.splitlines():
        if line.startswith(" -- "):
            stamp = email.utils.parsedate_to_datetime(line.rpartition(">")[2].strip())
            return int(stamp.timestamp())
    raise BpfviewError(f"{archive.name} has no date in its changelog", "Download it anew")


def unpack(archive: Path, package: Package, into: Path) -> Path:
    """Unpack the kernel tree of a linux-source package below ``into`` and return its folder.

    Raises BpfviewError if the package holds no kernel tree or the disk is full.
    """
    into.mkdir(parents=True)
    inner = f"./usr/src/{package.name}.tar.xz"
    stages = (
        ["dpkg-deb", "--fsys-tarfile", str(archive)],
        ["tar", "--extract", "--to-stdout", inner],
        ["xz", "--decompress", "--threads=0"],
        ["tar", "--extract", "--directory", str(into), "--strip-components=1", "--no-same-owner"],
    )
    running: list[subprocess.Popen[bytes]] = []
    feed: IO[bytes] | None = None
    for stage in stages:
        process = subprocess.Popen(
            stage,
            stdin=feed or subprocess.DEVNULL,
            stdout=subprocess.PIPE if stage is not stages[-1] else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=plain_environment(),
        )
        if feed:
            feed.close()
        # the next stage is its only reader; communicate() must not read it too
        feed, process.stdout = process.stdout, None
        running.append(process)
    words = [process.communicate()[1] for process in reversed(running)]
    if any(process.returncode for process in running) or not (into / "Makefile").is_file():
        said = b" ".join(words).decode("utf-8", "replace").strip()
        raise BpfviewError(
            f"{archive.name} cannot be unpacked: {said or 'it holds no kernel tree'}",
            f"Free space for the tree in {into.parent}, or remove {archive.parent} and run again",
        )
    return into
