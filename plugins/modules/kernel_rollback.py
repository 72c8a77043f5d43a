# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: name the kernel that a host is to go back to."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_rollback
short_description: Name the kernel that was proven before the present one
description:
  - Reads the host's record and changes nothing; the role C(kernel_install) does the rest.
  - Fails where the kernel before was the host's own, or where none was ever promoted.
options: {}
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
- name: Find the kernel that was proven before
  kernel_rollback:
  register: found
"""

RETURN = r"""
release:
  description: The release to go back to.
  returned: success
  type: str
  sample: 6.1.192-bpfview-0123456789ab
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import kernel_rollback
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.view_failure import explain


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        release = kernel_rollback.target(Host())
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Looking for the kernel before"))
    module.exit_json(changed=False, release=release)


if __name__ == "__main__":
    main()
