# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a plan: load, prove, expose, take away. Killed anywhere, the next run continues."""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from . import view_host, view_pins, view_plan, view_refusals
from .cgroup_tree import ROOT, ROOT_CGROUP, ancestors, check_unified, shown
from .errors import BpfviewError
from .host_layout import Host
from .libbpf import Rejected
from .view_failure import Full
from .view_kernel import Kernel
from .view_pins import PINS, STAGING, TRIAL, Entry, entry_path
from .view_plan import Action, Observed, Step
from .view_text import NotAView, parse
from .views_desired import View

_WENT = {errno.ENOENT, errno.ENODEV}
_GONE_PATIENCE = 5.0  # seconds for the kernel to take an entry away


@contextmanager
def only_one(host: Host) -> Iterator[None]:
    """Keep a second run out until this one is done (Ansible, the timer, a person)."""
    folder = host.path(view_pins.RUN)
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_host(host: Host) -> None:
    """Raise BpfviewError for the first thing a host lacks."""
    check_unified(host)
    lack = view_host.kernel_lack(host)
    if lack:
        raise lack
    view_host.check_bpffs(host)


class Refused(BpfviewError):
    """A view that this kernel's verifier does not take, or that cannot be read."""


class Applier:
    """Carries out steps. What is about to be made is recorded first, so nothing stays unclaimed."""

    def __init__(
        self,
        host: Host,
        kernel: Kernel,
        views: Sequence[View],
        observed: Observed,
        log: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._host = host
        self._kernel = kernel
        self._views = {view.name: view for view in views}
        self._observed = observed
        # entries of cgroups that are gone are forgotten here, silently: that is no change
        self._record = {
            path: entry
            for path, entry in (observed.record or {}).items()
            if path in observed.inodes
        }
        self._announced: set[str] = set()
        self._former: dict[str, Entry] = {}
        self._made: set[str] = set()
        self._loaded: list[str] = []
        self._log = log
        self._strict = True

    def apply(self, *, strict: bool) -> list[Step]:
        """Plan and carry out; return the steps that were taken.

        Not ``strict`` leaves a refused view as it was, and goes on with the others. What this
        kernel refused before it then leaves out without a word.
        """
        self._strict = strict
        views = list(self._views.values())
        steps = view_plan.plan(views, self._observed)
        taken = self.run(steps) if steps else []
        # also what a run that was killed left
        drop_empty_folders(self._host, views)
        return taken

    def run(self, steps: Sequence[Step]) -> list[Step]:
        """Carry out the steps in order, and return those that were taken.

        Whatever comes, the record is true afterwards.
        """
        contents = {
            step.view: view_host.read_object(self._host, self._views[step.view])
            for step in steps
            if step.action is Action.LOAD
        }
        self._announce([step for step in steps if step.action in {Action.EXPOSE, Action.REPLACE}])
        taken: list[Step] = []
        refused: set[str] = set()
        hopeless = set() if self._strict else view_refusals.known(self._host)
        try:
            for step in steps:
                if step.action is Action.LOAD and step.target in hopeless:
                    refused.add(step.view)
                if step.view in refused:
                    continue
                self._log(str(step))
                try:
                    self._do(step, contents)
                except Refused as error:
                    if self._strict:
                        raise
                    self._log(f"left as it was: {error.message.splitlines()[0]}")
                    view_refusals.add(self._host, step.target, error.__cause__)
                    refused.add(step.view)
                except Full as error:
                    # the owner of one cgroup must not keep all others from having views
                    if self._strict:
                        raise
                    self._log(str(error))
                else:
                    taken.append(step)
        finally:
            for path in self._announced:
                self._settle(path)
            self._save()
        return taken

    def _announce(self, steps: Sequence[Step]) -> None:
        """Record the entries that are about to be made."""
        for step in steps:
            if step.target in self._record:
                self._former[step.target] = self._record[step.target]
            sha256 = self._views[step.view].sha256
            self._record[step.target] = Entry(step.view, sha256, subtree=step.subtree)
            self._announced.add(step.target)
        self._save()

    def _do(self, step: Step, contents: dict[str, bytes]) -> None:
        match step.action:
            case Action.DISCARD:
                self._kernel.discard(f"{PINS}/{step.view}/{step.target}")
            case Action.LOAD:
                self._load(self._views[step.view], contents[step.view])
            case Action.UPDATE:
                self._update(step)
            case Action.EXPOSE:
                self._expose(step)
            case Action.REPLACE:
                self._replace(step)
            case Action.HIDE:
                self._hide(step.target)
                self._record.pop(step.target, None)
            case Action.UNPIN:
                self._unpin(step)

    def _save(self) -> None:
        view_pins.save_record(self._host, self._record)

    def _settle(self, path: str) -> None:
        """Make the record of an entry that was to be made say what became of it."""
        inode = view_pins.inode_of(self._host, path)
        former = self._former.get(path)
        if path in self._made and inode is not None:
            return
        if former and inode == former.inode:
            self._record[path] = former
        else:  # not there, or made by something else since it was looked for
            self._record.pop(path, None)

    def _load(self, view: View, content: bytes) -> None:
        staging = f"{PINS}/{view.name}/{STAGING}{view.sha256[:12]}"
        try:
            self._kernel.load(content, view.name, staging)
            self._prove(view, staging)
        except (Rejected, BpfviewError, OSError) as error:
            goes_on = not self._strict and isinstance(error, Rejected | Refused)
            for folder in (staging, *(() if goes_on else self._loaded)):
                self._kernel.discard(folder)
            if isinstance(error, Rejected):
                raise Refused(
                    f"The view {view.name} was refused: {error}\n",
                    "Nothing was replaced. Mend its source in bpf/ so that the verifier accepts it"
                    " and build the views again: make views",
                ) from error
            raise
        self._kernel.publish(staging, view.sha256)
        view_refusals.forget(self._host, view.sha256)
        self._loaded.append(f"{PINS}/{view.name}/{view.sha256}")

    def _prove(self, view: View, staging: str) -> None:
        """Read the new view once, under another name, before it replaces anything."""
        # a selected cgroup may go at any time; the root does not
        for cgroup in (*self._observed.cgroups.get(view.name, ()), ROOT_CGROUP):
            path = entry_path(cgroup, view.entry + TRIAL)
            self._record[path] = Entry(view.name, view.sha256)
            self._save()
            try:
                self._try(view, staging, path)
            except (OSError, NotAView, UnicodeDecodeError) as error:
                full = getattr(error, "errno", None) == errno.ENOSPC
                if cgroup == ROOT_CGROUP or not (full or self._went(cgroup, error)):
                    why = Full(view.name, cgroup) if full else self._unreadable(view, cgroup, error)
                    raise why from error
            else:
                return
            finally:
                del self._record[path]

    def _try(self, view: View, staging: str, path: str) -> None:
        self._kernel.expose(staging, path)
        try:
            unknown = set(parse(self._kernel.read(path))) - set(view.keys)
        finally:
            self._hide(path)
        if unknown and view.keys:
            raise NotAView(f"the key {min(unknown)} is not in the catalogue")

    def _went(self, cgroup: str, error: Exception) -> bool:
        """Tell whether something failed because its cgroup went, be there another by now or not."""
        return getattr(error, "errno", None) in _WENT or not self._is_there(cgroup)

    def _is_there(self, cgroup: str) -> bool:
        return self._host.path(f"{ROOT}/{cgroup}").is_dir()

    @staticmethod
    def _unreadable(view: View, cgroup: str, error: Exception) -> Refused:
        return Refused(
            f"The new view {view.name} cannot be read in {shown(cgroup)}: {error}",
            "Nothing was replaced. Mend its source in bpf/ and build the views again",
        )

    def _update(self, step: Step) -> None:
        """Exchange the program behind all files of a generation's link, which then is the new's."""
        view = self._views[step.view]
        folder = f"{PINS}/{view.name}/{step.target}"
        generation = f"{PINS}/{view.name}/{view.sha256}"
        try:
            self._kernel.update(folder, generation)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._replace_all(step.target, view)
            return
        if folder == generation:
            return
        self._kernel.hand_over(folder, generation)
        # what files showed that are still to be replaced runs the new program as well
        for known in (self._record, self._former):
            for path, entry in _of(known, step.target, view).items():
                known[path] = replace(entry, sha256=view.sha256)
        self._save()

    def _replace_all(self, generation: str, view: View) -> None:
        """On a kernel that cannot exchange the program: make every file anew."""
        steps = [
            Step(Action.REPLACE, view.name, path, entry.subtree)
            for path, entry in _of(self._record, generation, view).items()
            if entry.inode
        ]
        self._announce(steps)
        for step in steps:
            self._log(str(step))
            self._replace(step)

    def _expose(self, step: Step) -> None:
        view = self._views[step.view]
        try:
            self._kernel.expose(
                f"{PINS}/{view.name}/{view.sha256}", step.target, below=step.subtree
            )
        except OSError as error:
            cgroup = step.target.rpartition("/")[0]
            if not self._is_there(cgroup):
                return  # the cgroup is gone, and its views with it
            if error.errno == errno.EEXIST and self._came_of_subtree(step):
                return  # the cgroup was made anew, and the kernel was faster
            if error.errno == errno.ENOSPC:
                raise Full(view.name, cgroup) from error
            raise BpfviewError(
                f"The view {view.name} cannot be exposed in {shown(cgroup)}: {error.strerror}",
                "Look at that cgroup; entries that this toolkit did not make stay untouched",
            ) from error
        self._note(step.target, Entry(view.name, view.sha256, subtree=step.subtree))

    def _came_of_subtree(self, step: Step) -> bool:
        """Tell whether a file has its place in a subtree of ours, and is not that one's root."""
        cgroup, _, name = step.target.rpartition("/")
        if step.subtree or not cgroup:
            return False
        for root in (entry_path(ancestor, name) for ancestor in ancestors(cgroup)):
            entry = self._record.get(root)
            if entry and entry.subtree and entry.view == step.view:
                return view_pins.inode_of(self._host, root) is not None
        return False

    def _note(self, path: str, entry: Entry) -> None:
        """Record an entry that was made."""
        self._record[path] = replace(entry, inode=view_pins.inode_of(self._host, path) or 0)
        self._made.add(path)

    def _replace(self, step: Step) -> None:
        former = self._former[step.target]
        self._hide(step.target)
        try:
            self._expose(step)
        except BpfviewError as error:
            # better the former text than none
            try:
                self._kernel.expose(
                    f"{PINS}/{former.view}/{former.sha256}", step.target, below=former.subtree
                )
            except OSError as second:
                raise BpfviewError(
                    f"{error.message}; nor can the former text be put back: {second.strerror}",
                    error.remedy,
                ) from error
            self._note(step.target, former)
            raise

    def _hide(self, path: str) -> None:
        self._kernel.hide(path)
        self._await_gone(path)

    def _unpin(self, step: Step) -> None:
        self._kernel.discard(f"{PINS}/{step.view}/{step.target}")
        if self._observed.record is None:
            # they were not recorded, so all that stand where a view is wanted must be theirs
            mine = [
                entry_path(cgroup, self._views[step.view].entry)
                for cgroup in self._observed.cgroups.get(step.view, ())
            ]
        else:
            mine = [
                path
                for path, entry in self._record.items()
                if entry.view == step.view and entry.sha256 == step.target
            ]
        for path in mine:
            self._await_gone(path)

    def _await_gone(self, path: str) -> None:
        end = time.monotonic() + _GONE_PATIENCE
        while view_pins.inode_of(self._host, path) is not None:
            if time.monotonic() > end:
                raise BpfviewError(
                    f"The entry {ROOT}/{path} is still there {_GONE_PATIENCE:.0f} s after it was to"
                    " go",
                    "If something else made it, write rm to it; else look at the kernel's log"
                    " (dmesg)",
                )
            time.sleep(0.01)


def _of(known: Mapping[str, Entry], generation: str, view: View) -> dict[str, Entry]:
    """Return the entries that show a view's generation."""
    return {
        path: entry
        for path, entry in known.items()
        if entry.view == view.name and entry.sha256 == generation
    }


def remove_all(
    host: Host, kernel: Kernel, log: Callable[[str], None] = lambda _line: None
) -> list[Step]:
    """Take every entry and pin of ours away, and the folders; return the steps taken."""
    observed = view_host.observe(host, kernel, (), view_host.Targets({}, [], {}))
    steps = Applier(host, kernel, (), observed, log).apply(strict=True)
    host.path(view_pins.RECORD).unlink(missing_ok=True)
    return steps


def drop_empty_folders(host: Host, views: Sequence[View]) -> None:
    """Remove pin folders that nothing is in, but for those of the views given."""
    kept = {view.name for view in views}
    top = host.path(PINS)
    if not top.is_dir():
        return
    for folder in top.iterdir():
        if folder.name not in kept and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if not any(top.iterdir()):
        top.rmdir()
