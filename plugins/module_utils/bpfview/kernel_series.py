# SPDX-License-Identifier: GPL-3.0-or-later
"""A baseline's ordered patches: which there are, and applying them with nothing left to chance."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from .digest import sha256_file
from .errors import BpfviewError
from .process import plain_environment

_FILE = re.compile(r"^(?:patching|checking) file '?(.+?)'?(?: \(.*\))?$")
_MOVED = re.compile(r"^Hunk #(\d+) succeeded at \d+.*(?:with fuzz|offset).*$")
_FAILED = re.compile(r"^Hunk #(\d+) (?:FAILED|ignored).*$")
_OTHER = re.compile(r"^(?:patch: \*{4} .*|.*previously applied.*)$", re.I)
_NOT_FOUND = re.compile(r"^can't find file to patch.*$")
# after that patch quotes the lines before the hunks, and says this
_QUOTED = re.compile(r"^\|(?:diff --git .* b/|(?:---|\+\+\+) [ab]/)([^\t]+)")
_QUOTED_END = "No file to patch"
_WOULD = re.compile(r"^The next patch would (create|delete) the file '?(.+?)'?,$")
_BUT = {"create": "already exists", "delete": "does not exist"}
_PART = re.compile(r"^diff --git a/.* b/(.+)$", re.MULTILINE)
_NO_FILE = "(no file)"


@dataclass(frozen=True)
class Patch:
    """One patch of a series."""

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """The file's name, as the series lists it."""
        return self.path.name

    def facts(self) -> dict[str, str]:
        """Name and digest as plain data, as a manifest has them."""
        return {"name": self.name, "sha256": self.sha256}


@dataclass(frozen=True)
class Reject:
    """Why a patch is refused: the file and hunk (0 if unknown), and patch's own words."""

    file: str
    hunk: int
    words: str

    def __str__(self) -> str:
        where = f"{self.file} hunk {self.hunk}" if self.hunk else self.file
        return f"{where}: {self.words}"


def baselines(kernel_dir: Path) -> list[str]:
    """Return the names of the baselines that ``kernel_dir`` has a series for, oldest first."""
    names = [path.parent.name for path in kernel_dir.glob("*/series")]
    return sorted(names, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])


def count_from(text: str) -> int | None:
    """Return how many patches are asked for by ``text``; None stands for all.

    Raises BpfviewError for anything else than `all` and a whole number.
    """
    if text == "all":
        return None
    if not text.isdecimal():
        raise BpfviewError(
            f"{text!r} is no number of patches",
            "Say `all`, or how many from the first; 0 for Debian's kernel",
        )
    return int(text)


def read_series(kernel_dir: Path, baseline: str, count: int | None = None) -> list[Patch]:
    """Return a baseline's patches in order: all, or the first ``count``.

    Raises BpfviewError for an unknown baseline (listing the known), for a series that names a
    file twice, outside its folder, or that is not there, and for one with fewer patches.
    """
    known = baselines(kernel_dir)
    if baseline not in known:
        raise BpfviewError(
            f"there is no kernel series for baseline {baseline!r} in {kernel_dir}",
            f"Choose one of: {', '.join(known) or 'none (the folder has no series at all)'}",
        )
    folder = kernel_dir / baseline
    lines = (folder / "series").read_text("utf-8").splitlines()
    names = [line.split("#", 1)[0].strip() for line in lines]
    patches: list[Patch] = []
    for name in filter(None, names):
        path = folder / name
        if "/" in name or not path.is_file():
            raise BpfviewError(
                f"the series of baseline {baseline} lists {name}, which is no file in {folder}",
                "Add the patch there or take its line out of the series",
            )
        if any(patch.name == name for patch in patches):
            raise BpfviewError(
                f"the series of baseline {baseline} lists {name} twice", "Remove one of the lines"
            )
        patches.append(Patch(path, sha256_file(path)))
    if count is not None and not 0 <= count <= len(patches):
        raise BpfviewError(
            f"the first {count} patches of baseline {baseline} were asked for, which has "
            f"{len(patches)}",
            f"Ask for 0 to {len(patches)}, or leave the number out for all",
        )
    return patches[:count]


def parse_rejects(text: str) -> list[Reject]:
    """Return what in patch's output speaks against a clean and exact application."""
    found: list[Reject] = []
    file = _NO_FILE
    lines = [raw.strip() for raw in text.splitlines()]
    for number, line in enumerate(lines):
        if named := _FILE.match(line):
            file = named[1]
        elif hunk := _FAILED.match(line) or _MOVED.match(line):
            found.append(Reject(file, int(hunk[1]), line))
        elif would := _WOULD.match(line):
            file = would[2]
            words = f"the patch would {would[1]} it, which {_BUT[would[1]]}"
            found.append(Reject(file, 0, words))
        elif _NOT_FOUND.match(line):
            file = _quoted_file(lines[number:])
            found.append(Reject(file, 0, line))
        elif _OTHER.match(line):
            found.append(Reject(file, 0, line))
    return found


def _quoted_file(lines: Sequence[str]) -> str:
    """Return the file that patch did not find, from what it quotes of the patch."""
    file = _NO_FILE
    for line in takewhile(lambda each: not each.startswith(_QUOTED_END), lines):
        if quoted := _QUOTED.match(line):
            file = quoted[1]
    return file


@dataclass(frozen=True)
class Outcome:
    """What became of a patch: patch's output, and what in it speaks against an exact fit."""

    text: str
    rejects: tuple[Reject, ...]
    failed: bool


def try_patch(patch: Patch, tree: Path, *options: str) -> Outcome:
    """Apply as much of a patch to ``tree`` as fits, with further options of patch."""
    done = subprocess.run(
        ["patch", "-p1", "--forward", "--batch", "--no-backup-if-mismatch", *options,
         "--input", str(patch.path.absolute())],
        cwd=tree,
        env=plain_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )  # fmt: skip
    return Outcome(done.stdout, tuple(parse_rejects(done.stdout)), done.returncode != 0)


def skipped_parts(patch: Patch, outcome: Outcome) -> dict[str, str]:
    """Return, by file, the parts of a patch that were skipped: patch leaves no .rej of those."""
    reached = {named[1] for line in outcome.text.splitlines() if (named := _FILE.match(line))}
    text = patch.path.read_text("utf-8", "replace")
    parts = list(_PART.finditer(text))
    ends = [*(part.start() for part in parts[1:]), len(text)]
    return {
        part[1]: text[part.start() : end]
        for part, end in zip(parts, ends, strict=False)
        if part[1] not in reached
    }


def apply_patch(patch: Patch, tree: Path) -> str:
    """Apply one patch to ``tree`` and return patch's output.

    Raises BpfviewError naming patch, file and hunk if a hunk fails, or fits only at another line
    or with other context than the patch says.
    """
    outcome = try_patch(patch, tree, "--fuzz=0")
    if outcome.failed or outcome.rejects:
        words = "; ".join(str(item) for item in outcome.rejects) or outcome.text.strip()[-400:]
        raise BpfviewError(
            f"the patch {patch.name} does not apply exactly: {words}",
            "Port the patch to this source version, or pin the version it was made for: "
            "`make kernel-rebase` helps with the first",
        )
    return outcome.text
