#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build one baseline's kernel into the cache, or find it there."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kernel_build
short_description: Build a Debian kernel with the BPF view series
version_added: "0.1.0"
description:
  - Takes Debian's kernel source package, applies the series of a baseline with neither fuzz nor
    offset, configures and compiles it. Debian packages, the image, its BTF, its configuration, the
    log and a manifest with every digest go to a content-addressed cache.
  - With the whole series, a package of the bpftool of the same tree is built as well. Kernels of
    different configurations share it.
  - The key is made of everything that decides the result. If the cache has an entry of that key,
    nothing is built.
  - The kernel release carries the key, so it is known before the build and two builds never share
    a package name.
options:
  baseline:
    description: The kernel source line to build, a folder of O(kernel_dir) with a C(series) file.
    type: str
    required: true
  kernel_dir:
    description: Folder with the baselines and the C(config) folder.
    type: path
    required: true
  config_base:
    description:
      - What the configuration starts from.
      - V(distro) is Debian's own cloud configuration of the same source version.
      - V(lab) is a small kernel for Debian virtual machines under QEMU.
      - V(file) is O(config_file).
    type: str
    choices: [distro, lab, file]
    default: distro
  config_file:
    description: A configuration of your own, whole or a list of options. Needs O(config_base=file).
    type: path
  config_fragments:
    description: More files with options, merged last and in this order.
    type: list
    elements: path
    default: []
  source_version:
    description: Version of the source package. Empty means the version that apt would install.
    type: str
    default: ""
  patches:
    description:
      - How many patches of the series to apply, from the first.
      - V(all), or a whole number. 0 gives Debian's kernel in the same configuration, to compare
        with.
    type: str
    default: all
  cache_dir:
    description: Cache folder. Empty means C(bpfview-fleet) in the user's cache folder.
    type: path
  output_dir:
    description: Folder that gets links to the result. Empty means none.
    type: path
  jobs:
    description: Compilers to run at once. 0 means one a processor.
    type: int
    default: 0
  progress_file:
    description: File to write the progress of the build to, for whoever wants to show it.
    type: path
attributes:
  check_mode:
    support: full
    description: Predicts key, release and whether a build is needed; writes and downloads nothing.
  diff_mode:
    support: full
    description: Shows release and key that O(output_dir) held and will hold.
requirements:
  - the packages of C(debian-packages.txt)
author:
  - bpfview-fleet maintainers (@bpfview)
"""

EXAMPLES = r"""
- name: Build the small kernel of the lab
  kernel_build:
    baseline: "6.1"
    kernel_dir: "{{ playbook_dir }}/../kernel"
    config_base: lab
    output_dir: "{{ playbook_dir }}/../build/kernel/6.1"
  register: built
"""

RETURN = r"""
key:
  description: The SHA-256 that names this build.
  returned: success
  type: str
release:
  description: What C(uname -r) says on a host that runs this kernel.
  returned: success
  type: str
  sample: 6.1.192-bpfview-0123456789ab
built:
  description: Whether a build was needed; in check mode, whether one would be.
  returned: success
  type: bool
entry:
  description: Folder of the cache entry.
  returned: success
  type: str
bpftool:
  description:
    - The manifest of the bpftool that belongs to the kernel, with the name of its package.
    - Empty without the whole series, and in check mode if it is not built yet.
  returned: success
  type: dict
manifest:
  description: The manifest; empty in check mode if the kernel is not built yet.
  returned: success
  type: dict
paths:
  description: Path of each file of kernel and bpftool by its name, of what is built.
  returned: success
  type: dict
summary:
  description: What became of the request, in a sentence.
  returned: success
  type: str
  sample: found kernel 6.1.192-bpfview-0123456789ab in the cache
notes:
  description: What is worth knowing about this build.
  returned: success
  type: list
  elements: str
seconds:
  description: How long it took, in seconds.
  returned: success
  type: float
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import bpftool_build, kernel_series
from ..module_utils.bpfview import kernel_build as builder
from ..module_utils.bpfview.cache import cache_root, publish_links
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.process import signals_interrupt
from ..module_utils.bpfview.progress import Reporter

ARGUMENTS: dict[str, Any] = {
    "baseline": {"type": "str", "required": True},
    "kernel_dir": {"type": "path", "required": True},
    "config_base": {"type": "str", "choices": ["distro", "lab", "file"], "default": "distro"},
    "config_file": {"type": "path"},
    "config_fragments": {"type": "list", "elements": "path", "default": []},
    "source_version": {"type": "str", "default": ""},
    "patches": {"type": "str", "default": "all"},
    "cache_dir": {"type": "path"},
    "output_dir": {"type": "path"},
    "jobs": {"type": "int", "default": 0},
    "progress_file": {"type": "path"},
}


def request_from(params: dict[str, Any]) -> builder.Request:
    """Return the request that module parameters stand for; raises BpfviewError."""
    file = params["config_file"]
    return builder.Request(
        baseline=params["baseline"],
        kernel_dir=Path(params["kernel_dir"]).absolute(),
        cache_root=cache_root(params["cache_dir"]),
        config_base=params["config_base"],
        config_file=Path(file).absolute() if file else None,
        fragments=[Path(item).absolute() for item in params["config_fragments"]],
        source_version=params["source_version"],
        patches=kernel_series.count_from(params["patches"]),
        jobs=params["jobs"],
    )


def held(output_dir: Path | None) -> str:
    """Return which kernel an output folder holds, as the diff shows it; empty if none."""
    if output_dir is None:
        return ""
    try:
        manifest = json.loads((output_dir / builder.MANIFEST).read_text("utf-8"))
        return f"{manifest['release']} {manifest['key']}\n"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do the module's work and return its result; raises BpfviewError."""
    request = request_from(module.params)
    output_dir = Path(module.params["output_dir"]) if module.params["output_dir"] else None
    progress = module.params["progress_file"]
    planned = builder.plan(request)
    tool = bpftool_build.plan(planned)
    inputs = planned.inputs
    reporter = Reporter(Path(progress) if progress else None, f"kernel {inputs.release}")
    before = held(output_dir)
    built = not planned.entry.is_dir()
    tool_built = tool is not None and not tool.entry.is_dir()
    if built and not module.check_mode:
        built = builder.build(planned, reporter)
    if tool and tool_built and not module.check_mode:
        tool_built = bpftool_build.build(tool, reporter)
    wanted = [planned.entry, *([tool.entry] if tool else [])]
    present = [entry for entry in wanted if entry.is_dir()]
    manifest = builder.load(planned.entry) if planned.entry in present else {}
    linked = bool(output_dir) and not present
    if output_dir and present:
        linked = publish_links(present, output_dir, check=module.check_mode)
    did = "would build" if module.check_mode else "built"
    where = "" if built else " in the cache"
    return {
        "summary": f"{did if built else 'found'} kernel {inputs.release}{where}"
        + (f", {did} its bpftool" if tool_built else ""),
        "changed": built or tool_built or linked,
        "built": built,
        "key": inputs.key,
        "release": inputs.release,
        "entry": str(planned.entry),
        "manifest": manifest,
        "bpftool": builder.load(tool.entry, bpftool_build.MANIFEST)
        if tool and tool.entry in present
        else {},
        "paths": {path.name: str(path) for entry in present for path in entry.iterdir()},
        "notes": planned.notes,
        "seconds": round(reporter.seconds, 1),
        "diff": {
            "before_header": "kernel",
            "after_header": "kernel",
            "before": before,
            "after": f"{inputs.release} {inputs.key}\n" if output_dir else before,
        },
    }


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("config_base", "file", ["config_file"])],
    )
    try:
        with signals_interrupt():
            result = run(module)
    except BpfviewError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
