#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the views and all that serves them away from a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: view_remove
short_description: Take the views and all that serves them away from a host
description:
  - Removes the entries in cgroups, the pins, the units, the agent, the objects and the list of
    wanted views.
  - Leaves alone what it did not make, and the packages of the distribution.
options: {}
author:
  - bpfview-fleet maintainers
attributes:
  check_mode:
    support: full
    description: Tells what would be removed.
  diff_mode:
    support: full
    description: Shows what was there.
"""

EXAMPLES = r"""
- name: Remove the views
  view_remove:
"""

RETURN = r"""
removed:
  description: What was removed.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import view_inspect
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.view_failure import explain
from ..module_utils.bpfview.view_kernel import Kernel


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    host = Host()
    try:
        there = view_inspect.to_be_removed(host)
        removed = there if module.check_mode else view_inspect.remove(host, Kernel(host))
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Removing the views"))
    module.exit_json(
        changed=bool(removed),
        removed=removed,
        diff={"before": "".join(f"{line}\n" for line in there), "after": ""},
    )


if __name__ == "__main__":
    main()
