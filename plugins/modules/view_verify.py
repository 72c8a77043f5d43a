#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what the views say with the kernel's own numbers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: view_verify
short_description: Compare what the views say with the kernel's own numbers
description:
  - Reads every deployed view in every selected cgroup and compares its values with the kernel's own
    files there, which are equal for what is set, and around it for what moves.
  - Fails on a mismatch, on a missing or empty file, and when not a single value of a view could be
    compared.
  - In check mode, on a host that has no views yet or whose kernel carries none, it says so and
    compares nothing.
options:
  settle_seconds:
    description: How long a cgroup may be without its files, as those that came since the last
      reconciliation are.
    type: float
    default: 75
author:
  - bpfview-fleet maintainers
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
"""

EXAMPLES = r"""
- name: Prove the views
  view_verify:
  register: proof
"""

RETURN = r"""
verified:
  description: Whether everything was compared and right.
  returned: always
  type: bool
compared:
  description: How many values were compared with the kernel's own.
  returned: always
  type: int
read:
  description: How many files were read.
  returned: always
  type: int
views:
  description:
    - By view, how many files were read (C(read)), values C(compared) with the kernel's own, values
      that have no native file and were C(consistent), values the view left out (C(omitted)),
      cgroups that C(vanished) meanwhile, cgroups that came meanwhile and are too C(young) to have
      their file, and the C(mismatches), each with C(cgroup), C(key), C(got) and C(expected).
  returned: always
  type: dict
reasons:
  description: Why the views are not as they have to be, one sentence each.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import view_apply, view_host, views_desired
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.view_failure import explain
from ..module_utils.bpfview.view_verify import verify

_SHOWN = 10


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"settle_seconds": {"type": "float", "default": 75}},
        supports_check_mode=True,
    )
    host = Host()
    nothing = {"changed": False, "verified": False, "compared": 0, "read": 0, "views": {}}
    try:
        views = views_desired.load(host)
        if module.check_mode and (views is None or view_host.kernel_lack(host)):
            module.exit_json(**nothing, reasons=[], msg="There are no views to verify yet")
        view_apply.check_host(host)
        result = verify(host, views or (), module.params["settle_seconds"])
    except (BpfviewError, OSError) as error:
        words = explain(error, "Verifying the views")
        module.fail_json(**nothing, reasons=[words], msg=words)
    facts = {"changed": False, "verified": not result.reasons, **result.facts()}
    if result.reasons:
        rest = len(result.reasons) - _SHOWN
        lines = [*result.reasons[:_SHOWN], *([f"and {rest} more"] if rest > 0 else [])]
        module.fail_json(
            msg="The views do not say what the kernel says:\n" + "\n".join(lines), **facts
        )
    module.exit_json(**facts)


if __name__ == "__main__":
    main()
