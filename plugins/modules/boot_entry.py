# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: read and set what a host boots, by the id of its boot entry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_entry
short_description: Read and set what a host boots, where that can be proved to work
description:
  - Reads GRUB's default and one-shot entry as kernel releases, and says why a one-shot boot that
    falls back to the running kernel cannot be proved to work, if that is so.
  - Sets either by entry id, which stays the same when kernels are installed, and reads it back.
  - Arming a release is refused, with every reason, where the way back cannot be proved.
  - The role C(kernel_install) does all of this itself; this is to look at hosts, and for repairs.
options:
  state:
    description:
      - C(query) changes nothing. C(default) makes the release the default. C(armed) boots it once.
      - C(disarmed) takes a one-shot boot back.
    type: str
    choices: [query, default, armed, disarmed]
    default: query
  release:
    description: The kernel release, as C(uname -r) says it; for C(default) and C(armed).
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says what would change.
  diff_mode:
    support: full
    description: Shows default and one-shot before and after.
author:
  - bpfview-fleet maintainers
"""

EXAMPLES = r"""
- name: See what the host boots, and whether it could try a kernel
  boot_entry:

- name: Make the host's own kernel the default
  boot_entry:
    state: default
    release: 6.1.0-50-amd64
"""

RETURN = r"""
default_release:
  description: The release that a plain reboot starts now; after the change, if there was one.
  returned: success
  type: str
one_shot_release:
  description: The release that is armed for one boot; empty for none.
  returned: success
  type: str
obstacles:
  description: Why a one-shot boot cannot be proved to work; empty if it can.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import boot_choice
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.view_failure import explain


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["query", "default", "armed", "disarmed"],
                "default": "query",
            },
            "release": {"type": "str", "default": ""},
        },
        required_if=[("state", "default", ["release"]), ("state", "armed", ["release"])],
        supports_check_mode=True,
    )
    state, release = module.params["state"], module.params["release"]
    host = Host()
    try:
        running = host.text("/proc/sys/kernel/osrelease").strip() or os.uname().release
        found = boot_choice.obstacles(host, running)
        now = boot_choice.read(host)
        after = now if state == "query" else boot_choice.wanted(now, state, release)
        if state == "armed" and found and after != now:
            raise BpfviewError(
                f"{release} was not armed, since the way back is not proved: {'; '.join(found)}",
                "Stage kernels with the role kernel_install, which puts in place what is missing",
            )
        if after != now and not module.check_mode:
            boot_choice.apply(host, after, now)
            after = boot_choice.read(host)
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Reading or setting what the host boots"))
    module.exit_json(
        changed=after != now,
        default_release=after.default,
        one_shot_release=after.one_shot,
        obstacles=found,
        diff={"before": now.text, "after": after.text},
    )


if __name__ == "__main__":
    main()
