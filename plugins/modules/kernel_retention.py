# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: take away the kernels of ours that a host does not need any more."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_retention
short_description: Take away the kernels of ours that a host does not need any more
description:
  - Keeps so many of the kernels that this toolkit installed, and always the one that runs, the
    default, the proven one, the one to go back to, and one on trial.
  - Kernels that never proved themselves go first, then those proven longest ago.
  - Nobody else's kernels are touched, and the default is read back afterwards.
options:
  keep:
    description: How many to keep, at least 2.
    type: int
    default: 3
attributes:
  check_mode:
    support: full
    description: Says what would go.
  diff_mode:
    support: none
    description: The result names what went.
author:
  - bpfview-fleet maintainers
"""

EXAMPLES = r"""
- name: Keep three kernels
  kernel_retention:
    keep: 3
"""

RETURN = r"""
removed:
  description: Releases that were taken away, or would be.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import kernel_record, kernel_retention
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.view_failure import explain


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"keep": {"type": "int", "default": 3}}, supports_check_mode=True
    )
    host = Host()
    try:
        record = kernel_record.read(host)
        needed = kernel_retention.needed(host, record)
        removed = kernel_retention.surplus(record, needed, module.params["keep"])
        if removed and not module.check_mode:
            kernel_retention.remove(host, removed)
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Taking old kernels away"))
    module.exit_json(changed=bool(removed), removed=removed)


if __name__ == "__main__":
    main()
