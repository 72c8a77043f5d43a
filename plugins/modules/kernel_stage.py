# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: install a kernel beside the running one and arm its one boot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_stage
short_description: Install a kernel beside the running one and arm its one boot
description:
  - Verifies the digests of the packages on the host, pins GRUB's default to the running kernel by
    entry id, installs the packages, reads back that the default is still the running kernel, and
    arms one boot of the new one.
  - Whenever the power goes meanwhile, the host boots the kernel it ran before.
  - Does not reboot.
options:
  kernel:
    description: The wanted kernel, as M(kernel_packages) returned it.
    type: dict
    required: true
  arm:
    description: Arm the one-shot boot; only useful if a reboot follows at once.
    type: bool
    default: false
  btf_function:
    description: Kernel function that the kernel's BTF must describe.
    type: str
    default: bpf_view_cgroup
  panic_timeout:
    description: Seconds after which a kernel that panicked reboots the host; at least 1.
    type: int
    default: 30
  boot_margin_mib:
    description: MiB that must stay free in C(/boot).
    type: int
    default: 32
  accept_no_watchdog:
    description: Whether to try a kernel on a host that has no watchdog device.
    type: bool
    default: false
  guard:
    description:
      - What the host itself holds the trial to. A service, installed before the one-shot is armed,
        takes the host back unless all of it holds and the kernel is promoted in time.
      - Without it nothing but a panic or somebody's reboot does.
    type: dict
    suboptions:
      confirm_seconds:
        description: Seconds since the start of the kernel within which it has to be promoted.
        type: int
        required: true
      soak_seconds:
        description: Seconds for which everything must hold without a break.
        type: int
        required: true
      commands:
        description: Commands on the host that must end with status 0.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: What messages call it; the command itself if empty.
            type: str
            default: ""
          command:
            description: The command and its arguments; no shell.
            type: list
            elements: str
            required: true
          timeout:
            description: Seconds it may take.
            type: int
            default: 30
      units:
        description: Units of systemd that must be active.
        type: list
        elements: str
        default: []
attributes:
  check_mode:
    support: full
    description: Predicts the change and writes nothing.
  diff_mode:
    support: full
    description: Shows running and default kernel, packages and GRUB settings before and after.
author:
  - bpfview-fleet maintainers
"""

EXAMPLES = r"""
- name: Stage the kernel and arm its trial boot
  kernel_stage:
    kernel: "{{ read_manifest.kernel }}"
    arm: true
"""

RETURN = r"""
action:
  description: What was found to be done.
  returned: success
  type: str
  choices: [unchanged, settle, confirm, trial, stage]
installed:
  description: Packages that were installed.
  returned: success
  type: list
  elements: str
armed:
  description: GRUB entry of the one-shot boot; empty if none was armed.
  returned: success
  type: str
  sample: gnulinux-advanced-5e4b>gnulinux-6.1.192-bpfview-0123456789ab-advanced-5e4b
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import (
    kernel_diff,
    kernel_staging,
    kernel_survey,
    kernel_wanted,
    trial_guard,  # noqa: F401 - Ansible brings only what is imported, and the guard is made of it
    trial_record,
)
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.kernel_staging import Staged
from ..module_utils.bpfview.kernel_survey import Settings
from ..module_utils.bpfview.view_failure import explain


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "kernel": {"type": "dict", "required": True},
            "arm": {"type": "bool", "default": False},
            "btf_function": {"type": "str", "default": "bpf_view_cgroup"},
            "panic_timeout": {"type": "int", "default": 30},
            "boot_margin_mib": {"type": "int", "default": 32},
            "accept_no_watchdog": {"type": "bool", "default": False},
            "guard": {"type": "dict", "options": trial_record.ARGUMENTS},
        },
        supports_check_mode=True,
    )
    options = module.params
    host = Host()
    try:
        settings = Settings(
            options["btf_function"],
            options["panic_timeout"],
            options["boot_margin_mib"],
            trial_record.guard(options["guard"]) if options["guard"] else None,
            not options["accept_no_watchdog"],
        )
        wanted = kernel_wanted.from_facts(options["kernel"])
        found = kernel_survey.survey(host, wanted, settings)
        diff = kernel_diff.staging(wanted, found, settings, options["arm"])
        staged = Staged(diff["before"] != diff["after"], (), "")
        if not module.check_mode:
            staged = kernel_staging.stage(host, wanted, found, settings, options["arm"])
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Staging the kernel"))
    module.exit_json(
        changed=staged.changed,
        action=found.action.value,
        installed=list(staged.installed),
        armed=staged.armed,
        diff=diff,
    )


if __name__ == "__main__":
    main()
