#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load, pin and expose the wanted views on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: view_apply
short_description: Load, pin and expose the wanted views on a host
description:
  - Brings a host from any state to the wanted one; a run that was killed is finished or undone by
    the next.
  - A view is proved by its digest, the verifier and one read before it replaces another; a refused
    one changes nothing, and the verifier's log is in the message.
  - Objects and agent have to be on the host; M(view_state) tells which are missing.
  - Touches only what it made itself.
options:
  wanted:
    description: The wanted views, as M(view_state) returned them.
    type: dict
    required: true
  agent_sha256:
    description: The digest that the agent on the host has to have.
    type: str
    required: true
author:
  - bpfview-fleet maintainers
attributes:
  check_mode:
    support: full
    description: Tells what would be done.
  diff_mode:
    support: full
    description: Shows packages, the list of wanted views, the entries in cgroups and the units.
"""

EXAMPLES = r"""
- name: Bring the views up
  view_apply:
    wanted: "{{ state.wanted }}"
    agent_sha256: "{{ state.agent.sha256 }}"
"""

RETURN = r"""
steps:
  description: What was done, in order.
  returned: always
  type: list
  elements: str
summary:
  description: The same in a few words.
  returned: always
  type: str
views:
  description: File, digest and number of cgroups by view.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import view_inspect, views_desired
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.view_failure import explain
from ..module_utils.bpfview.view_kernel import Kernel


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "wanted": {"type": "dict", "required": True},
            "agent_sha256": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    host = Host()
    digest = module.params["agent_sha256"]
    try:
        views, kernel = views_desired.parse(module.params["wanted"]), Kernel(host)
        if module.check_mode:
            state = view_inspect.inspect(host, kernel, views, digest, predict=True)
        else:
            state = view_inspect.supply(host, kernel, views, digest)
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Bringing the views up"))
    facts = state.facts()
    told = {key: facts[key] for key in ("steps", "summary", "views")}
    module.exit_json(changed=state.pending, diff=state.diff(), **told)


if __name__ == "__main__":
    main()
