# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the inventory_check action; the work is done on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_check
short_description: Refuse an inventory with a mistake before any host is touched
description:
  - Fails when the group is empty, or the inventory cannot be read.
  - Fails when a host has a variable that begins with the name of one of this collection's roles, or
    nearly is an argument's name, and is none, which is what a typing mistake looks like.
  - Fails when a host has another value than the builder for an argument of a role that builds; it
    would have no effect.
  - Runs on the control node and connects to no host.
options:
  group:
    description: The inventory group whose hosts get the toolkit.
    type: str
    default: bpfview_hosts
  need_hosts:
    description: Whether an empty group is a mistake. To build it is none.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: There is nothing it could change.
author:
  - bpfview-fleet maintainers
"""

EXAMPLES = r"""
- name: Check the inventory
  inventory_check:
    group: bpfview_hosts
"""

RETURN = ""
