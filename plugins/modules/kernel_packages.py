# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: read a kernel manifest on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_packages
short_description: Describe the kernel that a build's manifest says to install
description:
  - Reads the manifest of a kernel build and checks what lies beside it against its digests.
  - Looks into the packages for their names, versions and the room they need once unpacked.
  - Runs on the control node and changes nothing.
options:
  manifest:
    description:
      - Path of the manifest; its packages and C(vmlinux.btf) stand beside it.
      - If empty, O(release) is looked for among the kernels that this control node has built.
    type: path
    default: ""
  release:
    description:
      - The kernel release that M(kernel_build) named; a manifest of another one is refused.
      - In check mode, where nothing is built, it stands for a manifest that is missing or older.
      - Empty if the manifest decides.
    type: str
    default: ""
  btf_function:
    description: Kernel function that the kernel's BTF must describe.
    type: str
    default: bpf_view_cgroup
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: Changes nothing.
author:
  - bpfview-fleet maintainers
"""

EXAMPLES = r"""
- name: Read the manifest
  kernel_packages:
    manifest: build/kernel/6.1/manifest.json
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
kernel:
  description: The kernel's identity and packages, as the other kernel modules take it.
  returned: success
  type: dict
  sample:
    release: 6.1.192-bpfview-0123456789ab
    build_id: 9f1c0e5a7c1f4a5db0f0c1d2e3f405162738495a
    packages:
      - file: linux-image-6.1.192-bpfview-0123456789ab_1_amd64.deb
        package: linux-image-6.1.192-bpfview-0123456789ab
directory:
  description: Directory of the manifest and the packages.
  returned: success
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import kernel_wanted
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.view_failure import explain


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "manifest": {"type": "path", "default": ""},
            "release": {"type": "str", "default": ""},
            "btf_function": {"type": "str", "default": "bpf_view_cgroup"},
        },
        supports_check_mode=True,
    )
    try:
        given = module.params["manifest"]
        manifest = Path(given) if given else kernel_wanted.kept_manifest(module.params["release"])
        wanted = kernel_wanted.read(
            manifest,
            module.params["btf_function"],
            module.params["release"],
            predict=module.check_mode,
        )
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Reading the kernel's manifest"))
    module.exit_json(changed=False, kernel=wanted.facts(), directory=str(manifest.parent))


if __name__ == "__main__":
    main()
