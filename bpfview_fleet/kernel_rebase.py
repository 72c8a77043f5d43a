# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a baseline's series still fit a newer source? Say so for each patch, and help to mend it.

``python -m bpfview_fleet.kernel_rebase --baseline 6.1`` takes the version that apt would install,
``--version`` another, ``--source FILE`` a linux-source package or a kernel's tar file. The work
tree is ``build/rebase/<baseline>``. Exit status: 0 every patch applies, 1 one has to be mended, 2
nothing could be said.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from plugins.module_utils.bpfview import cache, debian_packages, kernel_series, kernel_source
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.host_layout import Host
from plugins.module_utils.bpfview.kernel_series import Outcome, Patch
from plugins.module_utils.bpfview.kernel_source import Package
from plugins.module_utils.bpfview.process import output

from .direct_boot import ROOT
from .rebase_tree import RebaseTree

KERNEL = ROOT / "kernel"
WORK = ROOT / "build" / "rebase"


def verdict(patch: Patch, outcome: Outcome, shaky: bool) -> str:
    """Return the lines that say how a patch applied; ``shaky`` if one before it failed."""
    word = "FAILS" if outcome.failed else "moved" if outcome.rejects else "exact"
    lines = [f"{word}  {patch.name}" + (" (on what a patch that fails left)" if shaky else "")]
    lines += [f"       {reject}" for reject in outcome.rejects]
    if outcome.failed and not outcome.rejects:
        lines.append(f"       {outcome.text.strip()[-400:]}")
    return "\n".join(lines)


def _unpack(baseline: str, version: str, source: Path | None, into: Path) -> str:
    """Unpack the source that is asked for and return its version."""
    if source is None:
        root = cache.cache_root()
        package = kernel_source.choose(root, f"linux-source-{baseline}", version)
        kernel_source.unpack(kernel_source.fetch(root, package), package, into)
        return package.version
    if not source.is_file():
        raise BpfviewError(f"{source} is no file", "Name a linux-source package or a tar file")
    if source.suffix == ".deb":
        package = Package(*debian_packages.fields(Host(), source)[:2])
        kernel_source.unpack(source, package, into)
        return package.version
    into.mkdir(parents=True)
    output(
        ["tar", "--extract", "--file", str(source.absolute()), "--strip-components=1"],
        cwd=into,
        timeout=600,
    )
    return source.name


def begin(tree: RebaseTree, baseline: str, version: str, source: Path | None) -> int:
    """Make the tree, say how each patch fits, and take those that do. Returns the exit status."""
    patches = kernel_series.read_series(KERNEL, baseline)
    if tree.has_work():
        raise BpfviewError(
            f"the work tree {tree.folder} holds work that was not exported",
            f"Go on with it (STEP=continue, STEP=export), or remove it: rm -r {tree.folder}",
        )
    shutil.rmtree(tree.folder, ignore_errors=True)
    version = _unpack(baseline, version, source, tree.folder)
    tree.begin(version)
    print(f"# the series of {baseline} on {version}", flush=True)
    counts = dict.fromkeys(("exact", "moved", "FAILS"), 0)
    for patch, outcome in tree.survey(patches):
        text = verdict(patch, outcome, shaky=counts["FAILS"] > 0)
        counts[text.partition(" ")[0]] += 1
        print(text, flush=True)
    print(", ".join(f"{count} {word}" for word, count in counts.items()))
    return take(tree, baseline, patches)


def resume(tree: RebaseTree, baseline: str) -> int:
    """Commit the patch that was mended and take the next ones. Returns the exit status."""
    return take(tree, baseline, tree.conclude(kernel_series.read_series(KERNEL, baseline)))


def take(tree: RebaseTree, baseline: str, patches: Sequence[Patch]) -> int:
    """Commit what applies and tell what is left to do. Returns the exit status."""
    again = f"make kernel-rebase BASELINE={baseline}"
    waits = tree.take(patches)
    if waits is None:
        print(f"The whole series is in {tree.folder}. To renew the patches from it:")
        print(f"    {again} STEP=export")
        return 0
    print(f"{waits.name} is half applied in {tree.folder}. What did not fit:")
    for name in tree.rejected():
        gone = " (of a file that is not in this source: find where it went)"
        print(f"    {name}{gone if tree.lacks_file_of(name) else ''}")
    print("Put it where it belongs, remove the .rej files, and go on:")
    print(f"    git -C {tree.folder} diff    # what you changed")
    print(f"    {again} STEP=continue")
    return 1


def export(tree: RebaseTree, baseline: str) -> int:
    """Write the series of the tree to the baseline's folder. Returns the exit status."""
    names = tree.export(KERNEL / baseline)
    print(f"{len(names)} patches for {tree.state.version} are in {KERNEL / baseline}. Prove them:")
    print(f"    make kernel-test-{baseline}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bpfview_fleet.kernel_rebase", description=__doc__
    )
    parser.add_argument("--baseline", default="6.1", help="kernel source line (default: 6.1)")
    parser.add_argument("--version", default="", help="of the source package")
    parser.add_argument("--source", type=Path, help="a file instead of a package of apt's")
    step = parser.add_mutually_exclusive_group()
    step.add_argument("--continue", action="store_true", dest="resume", help="after mending")
    step.add_argument("--export", action="store_true", help="write the series from the tree")
    arguments = parser.parse_args(argv)
    tree = RebaseTree(WORK / arguments.baseline)
    try:
        if arguments.resume:
            return resume(tree, arguments.baseline)
        if arguments.export:
            return export(tree, arguments.baseline)
        return begin(tree, arguments.baseline, arguments.version, arguments.source)
    except BpfviewError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
