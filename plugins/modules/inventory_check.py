# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the inventory_check action; the work is done on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_check
short_description: Refuse an inventory with a mistake before any host is touched
description:
  - Fails when the group is empty, and when a host has a variable that begins with the name of one
    of this collection's roles and is none of its arguments, which is what a typing mistake looks
    like.
  - Runs on the control node and connects to no host.
options:
  group:
    description: The inventory group whose hosts get the toolkit.
    type: str
    default: bpfview_hosts
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

RETURN = r"""
problems:
  description: One sentence a mistake.
  returned: always
  type: list
  elements: str
"""
