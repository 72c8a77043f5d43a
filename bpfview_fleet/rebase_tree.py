# SPDX-License-Identifier: GPL-3.0-or-later
"""A git work tree of a kernel source with a series as commits: made, mended, exported again."""

from __future__ import annotations

import email
import email.policy
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_series import Outcome, Patch, skipped_parts, try_patch
from plugins.module_utils.bpfview.process import output, plain_environment

_NAME, _ADDRESS = "bpfview-fleet maintainers", "maintainers@bpfview.invalid"
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", _NAME), ("EMAIL", _ADDRESS))
}
_BASE = "base"
_STATE = ".git/bpfview.json"
_MESSAGE = ".git/bpfview-message"
_EXPORT = ".git/bpfview-export"
_REJECTED = ".rej"
_EVERYTHING = re.compile(r"^/\*\n", re.MULTILINE)
_PREFIX = re.compile(r"^\[PATCH[^\]]*\] *")
_FORMAT = ("--zero-commit", "--full-index", "--no-signature", "--no-numbered")


@dataclass(frozen=True)
class State:
    """How far a tree is: source version, last commit made here, the patch that waits."""

    version: str
    head: str
    pending: str = ""
    # whether a patch was mended by hand and the series was not exported since
    mended: bool = False


def message_of(patch: Patch) -> tuple[str, str, str]:
    """Return author, date and message of a patch as a commit has them.

    Raises BpfviewError if the patch does not begin like a mail.
    """
    head, _, body = patch.path.read_text("utf-8", "replace").partition("\n\n")
    fields = email.message_from_string(head, policy=email.policy.default)
    author, date, subject = (str(fields[name] or "") for name in ("From", "Date", "Subject"))
    if not (author and date and subject):
        raise BpfviewError(
            f"{patch.path} has no From, Date or Subject at its head",
            "Make it with git format-patch",
        )
    text = body.partition("\n---\n")[0]
    return author, date, f"{_PREFIX.sub('', subject)}\n\n{text}\n"


class RebaseTree:
    """One such tree. Nothing of the user's git configuration decides what comes out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *arguments: str) -> str:
        """Run git in the tree and return what it prints; raises BpfviewError."""
        settings = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", **_IDENTITY}
        return output(
            ["git", *arguments], cwd=self.folder, env=plain_environment(settings), timeout=1800
        )

    def _head(self) -> str:
        return self.git("rev-parse", "HEAD").strip()

    @property
    def state(self) -> State:
        """What was remembered last. Raises BpfviewError if there is no tree."""
        try:
            return State(**json.loads((self.folder / _STATE).read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BpfviewError(
                f"there is no work tree of a series in {self.folder}",
                "Make it first, by the same command without STEP",
            ) from error

    def _remember(self, state: State) -> None:
        (self.folder / _STATE).write_text(json.dumps(asdict(state)), "utf-8")

    def has_work(self) -> bool:
        """Tell whether there is work here that would be lost with the tree."""
        if not (self.folder / _STATE).is_file():
            return False
        state = self.state
        return (
            bool(state.pending) or state.mended or self._head() != state.head or bool(self._dirty())
        )

    def _dirty(self) -> list[str]:
        """Return the files that differ from the last commit."""
        return [line[3:] for line in self.git("status", "--porcelain").splitlines()]

    # making it ---------------------------------------------------------------------------------

    def begin(self, version: str) -> None:
        """Commit the unpacked source as what the series starts from."""
        self.git("init", "--quiet", "--initial-branch=series")
        exclude = self.folder / ".git/info/exclude"
        exclude.parent.mkdir(exist_ok=True)
        exclude.write_text(f"*{_REJECTED}\n", "utf-8")
        # Debian's source tells git to look at nothing but debian/
        ignored = self.folder / ".gitignore"
        if ignored.is_file():
            ignored.write_text(_EVERYTHING.sub("", ignored.read_text("utf-8")), "utf-8")
        # the source has files that its .gitignore names
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", f"Debian's source {version}")
        self.git("tag", _BASE)
        self._remember(State(version, self._head()))

    def survey(self, patches: Sequence[Patch]) -> Iterator[tuple[Patch, Outcome]]:
        """Try patch after patch, each on what those before left; the tree is then as before."""
        for patch in patches:
            yield patch, try_patch(patch, self.folder)
        self.git("reset", "--quiet", "--hard")
        self.git("clean", "--quiet", "-d", "--force", "-x")

    def take(self, patches: Sequence[Patch]) -> Patch | None:
        """Commit patches as far as they apply; the first that does not stays half applied.

        Returns that patch. What of it applied is staged, so that `git diff` shows what is mended.
        """
        for patch in patches:
            # before anything is changed: whoever is interrupted here goes on from here
            self._remember(replace(self.state, pending=patch.name))
            outcome = try_patch(patch, self.folder)
            if outcome.failed:
                self._keep(skipped_parts(patch, outcome))
                # a patch that cannot be understood is to be done by hand as a whole
                if not self.rejected():
                    self._keep({patch.name: patch.path.read_text("utf-8", "replace")})
            self.git("add", "--all")
            if outcome.failed:
                return patch
            self._commit(patch)
        return None

    def _keep(self, parts: Mapping[str, str]) -> None:
        """Leave what is for files that are not there as patch leaves rejected hunks."""
        for name, text in parts.items():
            path = self.folder / f"{name}{_REJECTED}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")

    def _commit(self, patch: Patch) -> None:
        author, date, text = message_of(patch)
        message = self.folder / _MESSAGE
        message.write_text(text, "utf-8")
        who = ("--author", author, "--date", date)
        self.git("commit", "--quiet", "--no-verify", "--file", str(message), *who)
        self._remember(replace(self.state, head=self._head(), pending=""))

    # mending and exporting ---------------------------------------------------------------------

    def rejected(self) -> list[str]:
        """Return the files of rejected hunks that lie in the tree."""
        found = self.folder.rglob(f"*{_REJECTED}")
        return sorted(str(path.relative_to(self.folder)) for path in found)

    def lacks_file_of(self, reject: str) -> bool:
        """Tell whether the file is not in the tree whose rejected hunks these are."""
        return not (self.folder / reject.removesuffix(_REJECTED)).exists()

    def conclude(self, patches: Sequence[Patch]) -> list[Patch]:
        """Commit the patch that was mended and return those that come after it.

        Raises BpfviewError if none waits, or rejected hunks are left.
        """
        state = self.state
        names = [patch.name for patch in patches]
        if state.pending not in names:
            raise BpfviewError(
                f"no patch of the series waits to be mended in {self.folder}",
                "Export the series (STEP=export), or begin again without STEP",
            )
        left = self.rejected()
        if left:
            raise BpfviewError(
                f"rejected hunks are left in {self.folder}: {', '.join(left)}",
                "Put each into its file, or where that went, remove the .rej file, and run again",
            )
        index = names.index(state.pending)
        # whoever mended it may have committed it as well
        if self._head() == state.head:
            self.git("add", "--all")
            self._commit(patches[index])
        self._remember(replace(self.state, head=self._head(), pending="", mended=True))
        return list(patches[index + 1 :])

    def export(self, target: Path) -> list[str]:
        """Write the commits to ``target`` as patches, in place of those there, and the series.

        Returns the patches' names. Raises BpfviewError if a patch waits to be mended, or the tree
        has changes that no commit holds.
        """
        state, dirty = self.state, self._dirty()
        if state.pending or dirty:
            why = f"{state.pending} waits" if state.pending else f"{dirty[0]} is not committed"
            raise BpfviewError(
                f"the series in {self.folder} cannot be exported yet: {why}",
                "Mend it and go on with STEP=continue, or commit it",
            )
        fresh = self.folder / _EXPORT
        shutil.rmtree(fresh, ignore_errors=True)
        self.git("format-patch", "--quiet", *_FORMAT, f"--output-directory={fresh}", f"{_BASE}..")
        names = sorted(path.name for path in fresh.iterdir())
        for path in target.glob("*.patch"):
            path.unlink()
        for name in names:
            shutil.copyfile(fresh / name, target / name)
        (target / "series").write_text("".join(f"{name}\n" for name in names), "utf-8")
        self._remember(replace(state, head=self._head(), mended=False))
        return names
