#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the views of a catalogue against a built kernel, or find them in the cache."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: view_build
short_description: Compile BPF views against a built kernel
version_added: "0.1.0"
description:
  - Compiles each view of a catalogue with clang against the BTF of a kernel that M(kernel_build)
    built. The objects, named by digest, and a manifest go to a content-addressed cache.
  - If the cache has the result of the same sources, kernel and tools, nothing is compiled.
options:
  source_dir:
    description: Folder with the sources of the views and their C(include) folder.
    type: path
    required: true
  views:
    description:
      - The catalogue, by name of view. Each has C(file), the file name it appears under in a
        cgroup, and C(source), its source file in O(source_dir). Other fields are ignored.
    type: dict
    required: true
  kernel_dir:
    description: Folder with the C(manifest.json) and C(vmlinux.btf) of the kernel to compile for.
    type: path
    required: true
  cache_dir:
    description: Cache folder. Empty means C(bpfview-fleet) in the user's cache folder.
    type: path
  output_dir:
    description: Folder that gets links to the result. Empty means none.
    type: path
  clang:
    description: The compiler.
    type: str
    default: clang-16
  strip:
    description: The program that takes debugging data out of an object.
    type: str
    default: llvm-strip-16
attributes:
  check_mode:
    support: full
    description: >-
      Predicts key and whether views would be compiled. If the kernel is not built yet the key is
      empty, as it follows from the kernel's BTF.
  diff_mode:
    support: full
    description: Shows the digests of the views that O(output_dir) held and will hold.
requirements:
  - clang, llvm, bpftool, libbpf-dev
author:
  - bpfview-fleet maintainers (@bpfview)
"""

EXAMPLES = r"""
- name: Compile the views
  view_build:
    source_dir: "{{ playbook_dir }}/../bpf"
    views: "{{ (lookup('ansible.builtin.file', 'bpf/catalog.yml') | from_yaml).views }}"
    kernel_dir: "{{ playbook_dir }}/../build/kernel/6.1"
    output_dir: "{{ playbook_dir }}/../build/views/6.1"
  register: built
"""

RETURN = r"""
key:
  description: The SHA-256 that names this build; empty in check mode without a built kernel.
  returned: success
  type: str
built:
  description: Whether views had to be compiled; in check mode, whether they would be.
  returned: success
  type: bool
entry:
  description: Folder of the cache entry; empty as RV(key) is.
  returned: success
  type: str
manifest:
  description: The manifest; empty in check mode if the views are not compiled yet.
  returned: success
  type: dict
paths:
  description: Path of each view's object by the view's name; empty as RV(manifest) is.
  returned: success
  type: dict
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import view_build as builder
from ..module_utils.bpfview.cache import cache_root, publish_links
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.process import signals_interrupt

ARGUMENTS: dict[str, Any] = {
    "source_dir": {"type": "path", "required": True},
    "views": {"type": "dict", "required": True},
    "kernel_dir": {"type": "path", "required": True},
    "cache_dir": {"type": "path"},
    "output_dir": {"type": "path"},
    "clang": {"type": "str", "default": "clang-16"},
    "strip": {"type": "str", "default": "llvm-strip-16"},
}


def describe(manifest: dict[str, Any]) -> str:
    """Return a manifest's objects as the diff shows them."""
    objects = manifest.get("objects", {})
    return "".join(f"{known['entry']} {known['sha256']}\n" for _, known in sorted(objects.items()))


def held(output_dir: Path | None) -> str:
    """Return which objects an output folder holds, as the diff shows it; empty if none."""
    if output_dir is None:
        return ""
    try:
        return describe(json.loads((output_dir / builder.MANIFEST).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do the module's work and return its result; raises BpfviewError."""
    params = module.params
    source_dir = Path(params["source_dir"]).absolute()
    request = builder.Request(
        source_dir=source_dir,
        views=builder.read_catalog(source_dir, params["views"]),
        kernel_dir=Path(params["kernel_dir"]).absolute(),
        cache_root=cache_root(params["cache_dir"]),
        clang=params["clang"],
        strip=params["strip"],
    )
    output_dir = Path(params["output_dir"]) if params["output_dir"] else None
    before = held(output_dir)
    if module.check_mode and not (request.kernel_dir / "manifest.json").is_file():
        return _result(key="", entry="", before=before, after="views of a kernel not built yet\n")
    planned = builder.plan(request)
    built = not planned.entry.is_dir()
    if built and not module.check_mode:
        built = builder.build(planned)
    if not planned.entry.is_dir():
        after = f"views compiled as {planned.key}\n"
        return _result(key=planned.key, entry=str(planned.entry), before=before, after=after)
    manifest = builder.load(planned.entry)
    linked = False
    if output_dir:
        linked = publish_links([planned.entry], output_dir, check=module.check_mode)
    result = _result(planned.key, str(planned.entry), before, describe(manifest))
    paths = {
        name: str(planned.entry / known["file"]) for name, known in manifest["objects"].items()
    }
    return {
        **result, "changed": built or linked, "built": built, "manifest": manifest, "paths": paths
    }  # fmt: skip


def _result(key: str, entry: str, before: str, after: str) -> dict[str, Any]:
    return {
        "changed": True,
        "built": True,
        "key": key,
        "entry": entry,
        "manifest": {},
        "paths": {},
        "diff": {
            "before_header": "views",
            "after_header": "views",
            "before": before,
            "after": after,
        },
    }


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        with signals_interrupt():
            result = run(module)
    except BpfviewError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
