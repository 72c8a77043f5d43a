#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a host lacks of its wanted views."""

from __future__ import annotations

DOCUMENTATION = r"""
module: view_state
short_description: Tell what a host lacks of its wanted views
description:
  - Compares the views, the agent and the units on a host with what is wanted, and changes nothing.
  - Whatever stands in the way (a kernel without the series, no BTF, cgroup v1, a selector that
    matches nothing, a name that is taken) fails here, before anything is changed.
  - In check mode a kernel without the series is a warning, because the same run may be about to
    install one, and views that are not built yet are no error, because a real run builds them.
  - Manifest and catalogue are read, names and form of O(views) judged, and the objects checked by
    digest and for being BPF objects, on the control node.
options:
  views:
    description:
      - The wanted views, each with O(views[].name), O(views[].cgroups) and, if at all,
        O(views[].subtree).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: A view of the catalogue.
        type: str
        required: true
      cgroups:
        description: Paths and globs relative to the cgroup root; V(/) is the root cgroup.
        type: list
        elements: str
        required: true
      subtree:
        description: Whether the view is in all cgroups below these as well.
        type: bool
        default: false
  manifest:
    description: The manifest of a view build, on the control node.
    type: path
    required: true
  catalog:
    description: The catalogue of views, on the control node.
    type: path
    required: true
  kernel_to_come:
    description:
      - Whether a later stage brings the kernel. Then one that carries no views stands in nobody's
        way, and all else is judged before anything is changed.
    type: bool
    default: false
author:
  - bpfview-fleet maintainers
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
"""

EXAMPLES = r"""
- name: See what is missing
  view_state:
    views:
      - name: memory
        cgroups: ["/", "system.slice/*.service"]
    manifest: build/views/6.1/manifest.json
    catalog: bpf/catalog.yml
  register: state
"""

RETURN = r"""
pending:
  description: Whether anything is to be done.
  returned: always
  type: bool
steps:
  description: What M(view_apply) would do, in order.
  returned: always
  type: list
  elements: str
summary:
  description: The same in a few words.
  returned: always
  type: str
wanted:
  description: The wanted views as M(view_apply) takes them.
  returned: when they are built
  type: dict
agent:
  description: The agent, as O(ignore:src) on the control node and O(ignore:sha256).
  returned: when they are built
  type: dict
objects:
  description: The objects the host lacks, each with C(src) on the control node and C(sha256).
  returned: always
  type: list
  elements: dict
missing_packages:
  description: The Debian packages the host lacks.
  returned: always
  type: list
  elements: str
agent_differs:
  description: Whether the host lacks the agent.
  returned: always
  type: bool
units:
  description: The systemd units that are missing, changed, not enabled, or not running.
  returned: always
  type: list
  elements: str
views:
  description: File, digest and number of cgroups by view.
  returned: always
  type: dict
predicted:
  description: Whether some views are not built yet, so that their objects could not be judged.
  returned: always
  type: bool
"""

import sys

from ansible.module_utils.basic import AnsibleModule

if sys.version_info >= (3, 11):
    from ..module_utils.bpfview import view_inspect, views_desired
    from ..module_utils.bpfview.errors import BpfviewError
    from ..module_utils.bpfview.host_layout import Host
    from ..module_utils.bpfview.view_failure import explain
    from ..module_utils.bpfview.view_kernel import Kernel


def main() -> None:
    """Run the module; its arguments are made by the action plugin of the same name."""
    module = AnsibleModule(
        argument_spec={
            "wanted": {"type": "dict", "required": True},
            "agent_sha256": {"type": "str", "required": True},
            "kernel_to_come": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if sys.version_info < (3, 11):
        # the first of the views' modules that a host runs: the imports would fail here
        module.fail_json(
            msg=f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]} and views"
            " take 3.11 or later: install one and name it in ansible_python_interpreter"
        )
    to_come, host = module.params["kernel_to_come"], Host()
    try:
        state = view_inspect.inspect(
            host,
            Kernel(host),
            views_desired.parse(module.params["wanted"]),
            module.params["agent_sha256"],
            predict=module.check_mode or to_come,
        )
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Looking at the views"))
    facts = state.facts()
    warnings = facts.pop("warnings")
    for warning in [] if to_come else warnings:
        module.warn(warning)
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()
