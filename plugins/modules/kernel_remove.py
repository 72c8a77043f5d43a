# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: take the toolkit's kernels and GRUB settings off a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_remove
short_description: Take the toolkit's kernels, GRUB settings and files off a host
description:
  - On a host that runs one of our kernels it makes another installed kernel the default and says
    that a reboot is required; run it again after that.
  - On any other host it purges our kernels' packages, restores GRUB's settings and environment as
    they were before the toolkit came, and removes C(/etc/bpfview), C(/usr/lib/bpfview) and
    C(/var/lib/bpfview).
  - The views have to be removed before.
  - A host that holds nothing of the toolkit is left as it is.
attributes:
  check_mode:
    support: full
    description: Predicts the change and writes nothing.
  diff_mode:
    support: full
    description: Shows packages, files and default kernel before and after.
author:
  - bpfview-fleet maintainers
"""

EXAMPLES = r"""
- name: Remove the kernel or prepare its removal
  kernel_remove:
  register: removal

- name: Boot the kernel that stays
  ansible.builtin.reboot:
  when: removal.reboot_required
"""

RETURN = r"""
reboot_required:
  description: Whether the host has to boot the kernel that stays before the rest can be removed.
  returned: success
  type: bool
running:
  description: The running kernel's release.
  returned: success
  type: str
successor:
  description: The kernel that a reboot starts, if one is required.
  returned: success
  type: str
packages:
  description: Packages that were removed, or will be after the reboot.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import kernel_diff, kernel_removal
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.grub_boot import GrubBoot
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.view_failure import explain


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    host = Host()
    try:
        found = kernel_removal.holdings(host)
        successor, changed = "", not found.nothing
        if found.in_use and module.check_mode:
            successor = kernel_removal.successor(GrubBoot(host).config(), found, host)
        elif found.in_use:
            successor, changed = kernel_removal.hand_over(host, found)
        elif changed and not module.check_mode:
            kernel_removal.remove(host, found)
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Removing the kernel"))
    module.exit_json(
        changed=changed,
        reboot_required=found.in_use,
        running=found.running,
        successor=successor,
        packages=list(found.packages),
        diff=kernel_diff.removal(found, successor),
    )


if __name__ == "__main__":
    main()
