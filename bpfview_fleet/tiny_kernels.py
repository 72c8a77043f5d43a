# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels that lack something each, built in a minute and kept: what the series says on them.

``kernel/config/tiny.config`` and ``bpf_view.config`` make the smallest kernel with views; the
others are that one without something, be it memory at times.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.bpfview import cache, kernel_config, kernel_key, kernel_series
from plugins.module_utils.bpfview.kernel_source import Package, choose

from .direct_boot import ROOT
from .kernel_tree import Tree, unpacked

KERNEL_DIR = ROOT / "kernel"
KIND = "tiny-kernel"


@dataclass(frozen=True)
class TinyKernel:
    """A kernel by what it lacks, and the rule that its tests prove."""

    name: str
    proves: str
    # of kernel/config, merged onto the smallest kernel with views
    fragment: str = ""
    patched: bool = True


# The one without the series is first, as it is built before anything is patched.
TINY_KERNELS = (
    TinyKernel("stock", "security", patched=False),
    TinyKernel("no-bpf", "rule-10", "tiny-no-bpf.config"),
    TinyKernel("no-cgroups", "rule-10", "tiny-no-cgroups.config"),
    TinyKernel("no-fsnotify", "rule-10", "tiny-no-fsnotify.config"),
    TinyKernel("failslab", "no-memory", "tiny-failslab.config"),
)


def options(fragment: str = "") -> dict[str, str]:
    """The options of the smallest kernel with views, changed by a fragment of kernel/config."""
    names = ["tiny.config", "bpf_view.config", *filter(None, [fragment])]
    return kernel_config.merge(kernel_config.read(KERNEL_DIR / "config" / name) for name in names)


def source_of(baseline: str, root: Path) -> Package:
    """The source package that a baseline's kernels are built from."""
    return choose(root, f"linux-source-{baseline}")


def build_all(
    baseline: str, root: Path, say: Callable[[str], None] = lambda _: None
) -> dict[str, Path]:
    """Make sure that the cache has all tiny kernels of a baseline; the bzImage of each by name.

    ``say`` is told what is being built. Raises BpfviewError with the cause.
    """
    source = source_of(baseline, root)
    series = kernel_series.read_series(KERNEL_DIR, baseline)
    toolchain = kernel_key.toolchain()
    keys = {
        tiny: kernel_key.Inputs(
            baseline=baseline,
            source=source,
            patches=series if tiny.patched else (),
            config_base=KIND,
            config_origin={},
            options=options(tiny.fragment),
            toolchain=toolchain,
        ).key
        for tiny in TINY_KERNELS
    }
    missing = [tiny for tiny in TINY_KERNELS if not cache.find(root, KIND, keys[tiny])]
    if missing:
        say(f"unpacking the source of {baseline}")
        with unpacked(root, source, f"{KIND}-{baseline}") as tree:
            patched = False
            for tiny in missing:
                if tiny.patched and not patched:
                    for patch in series:
                        tree.apply(patch)
                    patched = True
                started = time.monotonic()
                _build(tree, tiny, root, keys[tiny])
                say(f"built the tiny kernel {tiny.name} in {time.monotonic() - started:.0f} s")
    return {tiny.name: cache.entry_path(root, KIND, keys[tiny]) / "bzImage" for tiny in keys}


def _build(tree: Tree, tiny: TinyKernel, root: Path, key: str) -> None:
    out = tree.build(tiny.name, options(tiny.fragment))
    with cache.locked(root, KIND, key), cache.publishing(root, KIND, key) as staging:
        shutil.copyfile(out / "arch/x86/boot/bzImage", staging / "bzImage")
        shutil.copyfile(out / ".config", staging / "config")
    shutil.rmtree(out)
