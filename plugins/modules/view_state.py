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
    install one.
  - Manifest and catalogue are read, and the objects' digests checked, on the control node.
options:
  views:
    description: The wanted views, each with O(views[].name) and O(views[].cgroups).
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
  manifest:
    description: The manifest of a view build, on the control node.
    type: path
    required: true
  catalog:
    description: The catalogue of views, on the control node.
    type: path
    required: true
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
wanted:
  description: The wanted views as M(view_apply) takes them.
  returned: when they are built
  type: dict
agent:
  description: The agent, as O(ignore:src) on the control node and O(ignore:sha256).
  returned: always
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
  description: The systemd units that are missing, changed or not enabled.
  returned: always
  type: list
  elements: str
views:
  description: File, digest and number of cgroups by view.
  returned: always
  type: dict
predicted:
  description: Whether the views are not built yet, so that nothing could be compared.
  returned: always
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import view_inspect, views_desired
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.view_failure import explain


def main() -> None:
    """Run the module; its arguments are made by the action plugin of the same name."""
    module = AnsibleModule(
        argument_spec={
            "wanted": {"type": "dict", "required": True},
            "agent_sha256": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        state = view_inspect.inspect(
            Host(),
            views_desired.parse(module.params["wanted"]),
            module.params["agent_sha256"],
            predict=module.check_mode,
        )
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Looking at the views"))
    facts = state.facts()
    for warning in facts.pop("warnings"):
        module.warn(warning)
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()
