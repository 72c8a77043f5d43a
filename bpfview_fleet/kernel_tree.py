# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel source to patch step by step, and small kernels built from it in folders of their own.

What a host runs comes from ``make kernel``; these kernels are for tests that need many of them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from plugins.module_utils.bpfview import (
    cache,
    kernel_config,
    kernel_make,
    kernel_series,
    kernel_source,
)
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_series import Patch
from plugins.module_utils.bpfview.kernel_source import Package
from plugins.module_utils.bpfview.progress import Reporter

_PATCHED = re.compile(r"^patching file '?(.+?)'?$", re.MULTILINE)
# the compiler names a line, objtool an object
_WARNING = re.compile(r"^(\S+?)(?:\.o)?(?::\d+)*: warning: .*$", re.MULTILINE)


def warnings_of(log: str, files: set[str]) -> list[str]:
    """The warnings of a build log about these files, which are named as patches name them."""
    stems = {name.removesuffix(".c") for name in files}
    found = []
    for match in _WARNING.finditer(log):
        parts = Path(match[1].removesuffix(".c")).parts
        # the log may say how to get to the source from elsewhere
        if any("/".join(parts[start:]) in stems for start in range(len(parts))):
            found.append(match[0])
    return found


class Tree:
    """One unpacked source. Make it with ``unpacked``."""

    def __init__(self, folder: Path, make: kernel_make.Make) -> None:
        self._folder = folder
        self._make = make
        self._touched: set[str] = set()

    def apply(self, patch: Patch) -> None:
        """Apply the next patch. Raises BpfviewError if it does not fit exactly."""
        self._touched |= set(_PATCHED.findall(kernel_series.apply_patch(patch, self._make.tree)))

    def build(self, name: str, options: Mapping[str, str]) -> Path:
        """Build the kernel of these options, all others off; the folder with what came of it.

        The folder is called ``name``, and building there again compiles what changed. Raises
        BpfviewError for an option that is lost, the first error, or a warning about a file that
        one of the patches touches.
        """
        out = self._folder / name
        log = self._make.log
        said = log.stat().st_size if log.exists() else 0
        self._configure(out, options)
        self._make.logged([f"O={out}", "bzImage"], Reporter(None, name))
        with log.open(encoding="utf-8", errors="replace") as stream:
            stream.seek(said)
            warnings = warnings_of(stream.read(), self._touched)
        if warnings:
            raise BpfviewError(
                f"the kernel {name} builds with {len(warnings)} warning(s) about what the series "
                f"changes, the first: {warnings[0]}",
                f"Correct the patch; the whole log is {log}",
            )
        return out

    def _configure(self, out: Path, options: Mapping[str, str]) -> None:
        request = cache.make_folder(out) / "request"
        request.write_text(kernel_config.render(options), "utf-8")
        self._make.quiet(f"O={out}", f"KCONFIG_ALLCONFIG={request}", "allnoconfig")
        kernel_config.require(options, kernel_config.read(out / ".config"))


@contextmanager
def unpacked(root: Path, source: Package, name: str) -> Iterator[Tree]:
    """Unpack a kernel source below the cache ``root``, for as long as the block runs.

    Waits for another run that builds under this ``name``. The log of the last run stays in the
    cache's folder of logs.
    """
    kernel_make.require_tools()
    with cache.locked(root, "work", name):
        work = root / "work" / name
        shutil.rmtree(work, ignore_errors=True)
        log = cache.make_folder(root / "logs") / f"{name}.log"
        log.write_text("", "utf-8")
        archive = kernel_source.fetch(root, source)
        try:
            make = kernel_make.Make(
                tree=kernel_source.unpack(archive, source, work / "tree"),
                log=log,
                ccache_dir=cache.make_folder(root / "ccache"),
                release=source.upstream,
                epoch=kernel_source.changelog_time(archive, source),
                jobs=os.cpu_count() or 1,
            )
            yield Tree(work, make)
        finally:
            shutil.rmtree(work, ignore_errors=True)
