# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a kernel that is in the cache again, elsewhere and otherwise, and compare bit by bit.

``python -m bpfview_fleet.kernel_reproduce --baseline 6.1`` takes what ``make kernel`` would give,
and its bpftool. The second build has another folder, home, umask, time zone and locale, another
user if root runs this, and nothing compiled before. If both are alike, the manifests say so from
then on. Exit status: 0 alike, 1 not alike, 2 nothing could be said.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pwd
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plugins.module_utils.bpfview import (
    bpftool_build,
    cache,
    kernel_build,
    kernel_series,
    kernel_source,
)
from plugins.module_utils.bpfview.deb_contents import contents_sha256, differences
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.process import signals_interrupt
from plugins.module_utils.bpfview.progress import Reporter

from .direct_boot import ROOT

PLACE = Path("/var/tmp")  # noqa: S108 - a folder of its own is made in it
UMASK = 0o077
SURROUNDINGS = {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8"}
_PREFIX = "bpfview-reproduce-"
_BELOW = Path("another-path/of/another-length")
# a log names the folder that it was written in
_LOG = ".log"
_SHOWN = 40  # lines of difference for each package


@dataclass(frozen=True)
class Twice:
    """One build and its second: where each is, the manifest's name, and how to make the second."""

    first: Path
    second: Path
    manifest: str
    build: Callable[[], object]


def plans(request: kernel_build.Request, elsewhere: Path) -> list[Twice]:
    """Return what is to be built again below ``elsewhere``, which gets the sources it needs.

    Raises BpfviewError if the cache does not have the first builds.
    """
    first = kernel_build.plan(request)
    for package in filter(None, (first.inputs.source, first.config_package)):
        archive = kernel_source.fetch(request.cache_root, package)
        shutil.copytree(archive.parent, elsewhere / "cache/source" / package.slug)
    for name in (request.baseline, "config"):
        shutil.copytree(request.kernel_dir / name, elsewhere / "kernel" / name)
    version = first.inputs.source.version
    again = kernel_build.plan(
        replace(
            request,
            kernel_dir=elsewhere / "kernel",
            cache_root=elsewhere / "cache",
            source_version=version,
        )
    )

    def build_kernel() -> bool:
        return kernel_build.build(again, Reporter(None, "kernel"))

    found = [Twice(first.entry, again.entry, kernel_build.MANIFEST, build_kernel)]
    tool, tool_again = bpftool_build.plan(first), bpftool_build.plan(again)
    if tool and tool_again:
        plan = tool_again

        def build_tool() -> bool:
            return bpftool_build.build(plan, Reporter(None, "bpftool"))

        found.append(Twice(tool.entry, plan.entry, bpftool_build.MANIFEST, build_tool))
    for each in found:
        if not each.first.is_dir():
            raise BpfviewError(
                f"there is nothing to compare with in {each.first}", "Build it first: make kernel"
            )
    return found


def other_user() -> pwd.struct_passwd | None:
    """Return whom a second build can belong to; None if that cannot be another user."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def make_elsewhere(place: Path) -> Path:
    """Make a new folder, deep enough to have a path of another length."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place)) / _BELOW
    folder.mkdir(parents=True)
    return folder


def _top(folder: Path) -> Path:
    return folder.parents[len(_BELOW.parts) - 1]


def _otherwise(builds: Sequence[Twice], folder: Path, user: pwd.struct_passwd | None) -> None:
    """Build in this process, a child, after everything around the build was changed."""
    os.umask(UMASK)
    os.environ.update(SURROUNDINGS, HOME=str(folder / "home"))
    time.tzset()
    os.chdir(folder)
    if user:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    try:
        with signals_interrupt():
            for each in builds:
                each.build()
    except BpfviewError as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(1)


def build_again(builds: Sequence[Twice], folder: Path, user: pwd.struct_passwd | None) -> None:
    """Make the second of each build. Raises BpfviewError if one fails."""
    (folder / "home").mkdir()
    if user:
        top = _top(folder)
        for path in (top, *top.rglob("*")):
            shutil.chown(path, user.pw_uid, user.pw_gid)
    # the child has everything in memory that it needs, and may not be able to read the checkout
    child = multiprocessing.get_context("fork").Process(
        target=_otherwise, args=(builds, folder, user)
    )
    child.start()
    child.join()
    if child.exitcode:
        raise BpfviewError(
            f"the second build failed; what there is of it is in {folder}",
            "Correct what was said above, remove that folder and run again",
        )


def compare(each: Twice) -> list[str]:
    """Return a line for whatever is not alike; each package by its members."""
    one = kernel_build.load(each.first, each.manifest)["files"]
    other = kernel_build.load(each.second, each.manifest)["files"]
    lines: list[str] = []
    for name in sorted(one.keys() | other.keys()):
        if name.endswith(_LOG) or one.get(name) == other.get(name):
            continue
        lines.append(f"{name}: {_facts(one.get(name))} here, {_facts(other.get(name))} there")
        if name.endswith(".deb") and name in one and name in other:
            inner = differences(each.first / name, each.second / name)
            lines += [f"    {line}" for line in inner[:_SHOWN] or ["the same members, packed anew"]]
            if len(inner) > _SHOWN:
                lines.append(f"    and {len(inner) - _SHOWN} more")
    return lines


def _facts(known: Mapping[str, Any] | None) -> str:
    return f"{known['size']} bytes {known['sha256'][:12]}" if known else "absent"


def report(each: Twice) -> bool:
    """Print whether a build and its second are alike, and what is not; returns whether."""
    lines = compare(each)
    print(f"{'NOT ALIKE' if lines else 'alike'}: {each.first / each.manifest}")
    for line in lines:
        print(f"    {line}")
    return not lines


def record(each: Twice, user: pwd.struct_passwd | None) -> None:
    """Write into the first build's manifest that a second came out alike, and what was changed."""
    manifest = kernel_build.load(each.first, each.manifest)
    packages = [name for name in manifest["files"] if name.endswith(".deb")]
    manifest["contents_sha256"] = {name: contents_sha256(each.first / name) for name in packages}
    manifest["reproduced"] = {
        "alike": sorted(name for name in manifest["files"] if not name.endswith(_LOG)),
        "changed": ["folder", "home", "locale", "time zone", "umask", *(["user"] if user else [])],
        "compiled_anew": True,
    }
    kernel_build.write_manifest(each.first / each.manifest, manifest)


def run(request: kernel_build.Request, place: Path) -> int:
    """Build again, compare, record. Returns the exit status; raises BpfviewError."""
    user, folder = other_user(), make_elsewhere(place)
    try:
        builds = plans(request, folder)
    except BaseException:
        shutil.rmtree(_top(folder))
        raise
    print(f"# building again in {folder}, as long as a first build takes", flush=True)
    # what failed or is not alike stays, to be looked at
    build_again(builds, folder, user)
    if not all([report(each) for each in builds]):
        print(f"The second build stays in {folder}. If an older builder made the first:")
        print("remove its folder, build it anew (make kernel), and run this again.")
        return 1
    for each in builds:
        record(each, user)
    shutil.rmtree(_top(folder))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bpfview_fleet.kernel_reproduce", description=__doc__
    )
    parser.add_argument("--baseline", default="6.1", help="kernel source line (default: 6.1)")
    parser.add_argument("--config", default="lab", help="lab, distro or a file (default: lab)")
    parser.add_argument("--fragment", type=Path, action="append", default=[], metavar="FILE")
    parser.add_argument("--patches", default="all", help="how many of the series (default: all)")
    parser.add_argument("--in", type=Path, default=PLACE, dest="place", metavar="FOLDER")
    given = parser.parse_args(argv)
    named = given.config in ("lab", "distro")
    try:
        request = kernel_build.Request(
            baseline=given.baseline,
            kernel_dir=ROOT / "kernel",
            cache_root=cache.cache_root(),
            config_base=given.config if named else "file",
            config_file=None if named else Path(given.config).absolute(),
            fragments=[path.absolute() for path in given.fragment],
            patches=kernel_series.count_from(given.patches),
        )
        return run(request, given.place)
    except BpfviewError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
