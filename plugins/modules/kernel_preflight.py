# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: look at a host and decide what its kernel needs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_preflight
short_description: Decide what a host's kernel needs, and refuse hosts where that is not safe
description:
  - Reads everything the decision depends on in one execution and writes nothing.
  - Fails, before anything is changed, when the host is not of the Debian family, has no cgroup v2
    or bpffs, has another architecture or a Python too old, lacks room, has Secure Boot on, or when
    a one-shot boot through GRUB and the reboot after a panic cannot be proved to work, and when a
    trial boot is due and the running kernel has no watchdog device.
  - Where the latter is accepted, it warns of it.
options:
  kernel:
    description: The wanted kernel, as M(kernel_packages) returned it.
    type: dict
    required: true
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
  keep:
    description: How many kernels M(kernel_retention) is to keep; here it is only checked.
    type: int
    default: 3
  accept_no_watchdog:
    description: Whether to try a kernel on a host that has no watchdog device.
    type: bool
    default: false
  guard:
    description: What M(kernel_stage) will hold the trial to; here it is only checked.
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
    description: Reads only.
  diff_mode:
    support: none
    description: Changes nothing.
author:
  - bpfview-fleet maintainers
"""

EXAMPLES = r"""
- name: Look at the host
  kernel_preflight:
    kernel: "{{ read_manifest.kernel }}"
"""

RETURN = r"""
action:
  description: What is still to be done.
  returned: success
  type: str
  choices: [unchanged, settle, confirm, trial, stage]
reboots:
  description: Whether the host has to boot the kernel on trial.
  returned: success
  type: bool
running:
  description: The running kernel's release, build id, boot id, command line, taint and BTF.
  returned: success
  type: dict
default_release:
  description: The release that a plain reboot starts now.
  returned: success
  type: str
pin:
  description: The release that stays or becomes the default while the wanted one is on trial.
  returned: success
  type: str
missing:
  description: Package files that have to be brought to the host.
  returned: success
  type: list
  elements: str
rooms:
  description: Room needed and free, a filesystem.
  returned: success
  type: list
  elements: str
drained:
  description: Whether this toolkit took the host out of service and has not put it back yet.
  returned: success
  type: bool
watchdog:
  description: Whether the running kernel has a watchdog device; in the trial boot systemd arms it.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import kernel_retention, kernel_survey, kernel_wanted, trial_record
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.kernel_plan import REBOOTS
from ..module_utils.bpfview.kernel_survey import Settings
from ..module_utils.bpfview.view_failure import explain

_NO_WATCHDOG = (
    "The host has no watchdog device (/dev/watchdog): should {} hang without a panic, somebody has"
    " to power-cycle the host, which then boots the kernel it runs now"
)


# written by the role before its first hook
DRAINED = "/var/lib/bpfview/drained"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "kernel": {"type": "dict", "required": True},
            "btf_function": {"type": "str", "default": "bpf_view_cgroup"},
            "panic_timeout": {"type": "int", "default": 30},
            "boot_margin_mib": {"type": "int", "default": 32},
            "accept_no_watchdog": {"type": "bool", "default": False},
            "keep": {"type": "int", "default": 3},
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
        kernel_retention.check(options["keep"])
        wanted = kernel_wanted.from_facts(options["kernel"])
        found = kernel_survey.survey(host, wanted, settings)
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Looking at the host"))
    reboots = found.action in REBOOTS
    watchdog = host.path("/dev/watchdog").exists()
    if reboots and not watchdog:
        module.warn(_NO_WATCHDOG.format(wanted.release))
    module.exit_json(
        changed=False,
        action=found.action.value,
        reboots=reboots,
        running=found.situation.running.facts(),
        default_release=found.situation.default_release,
        pin=found.pin,
        missing=list(found.copy),
        rooms=[str(room) for room in found.rooms],
        watchdog=watchdog,
        drained=host.path(DRAINED).exists(),
    )


if __name__ == "__main__":
    main()
