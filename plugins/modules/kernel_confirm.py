# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: judge the running kernel by identity and promote it if it is the wanted one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_confirm
short_description: Judge the kernel that came up and promote it only if it is the wanted one
description:
  - Reads release, GNU build id, boot id, command line, taint and BTF off the host and compares
    them with what was wanted and with what was recorded before the reboot.
  - Waits for the guard of the trial boot, which runs on the host, to find that the host is well.
  - Makes the kernel the default, by entry id, if all of it holds; otherwise the next boot is the
    former kernel, and the guard is told to take the host there at once.
  - A kernel that was promoted before, and only has its settings put right, is not compared with
    the command line of its boot entry, which may be newer than its boot.
  - Of the taint only what says that something went wrong counts, not which modules were loaded.
  - Notes a trial that did not end in a promotion as decided, in C(/var/lib/bpfview/kernel.json).
  - A verdict other than C(promoted) is no failure of the module; the caller decides.
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
  wait_seconds:
    description:
      - Seconds to wait for the guard's word. Where it is still watching then, the kernel did not
        prove itself.
    type: int
    default: 0
  objections:
    description: What the control node itself has against the kernel; any keeps it from promotion.
    type: list
    elements: str
    default: []
  promote:
    description: Whether to act on the verdict. If not, the host is only looked at.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Judges and does not promote.
  diff_mode:
    support: full
    description: Shows the default kernel before and after.
author:
  - bpfview-fleet maintainers
"""

EXAMPLES = r"""
- name: Promote the kernel if it is the wanted one
  kernel_confirm:
    kernel: "{{ read_manifest.kernel }}"
"""

RETURN = r"""
verdict:
  description: What became of the host.
  returned: success
  type: str
  choices: [promoted, fell_back, wrong_kernel, not_attempted]
reasons:
  description: The sentences that found a verdict other than C(promoted).
  returned: success
  type: list
  elements: str
running:
  description: The running kernel's release, build id, boot id, command line, taint and BTF.
  returned: success
  type: dict
goes_back:
  description: Whether the guard is about to take the host to its former kernel.
  returned: success
  type: bool
evidence:
  description: What is left of the boot that failed, as text; empty unless this run found that.
  returned: success
  type: str
default_release:
  description: The release that a plain reboot starts now.
  returned: success
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.bpfview import kernel_promotion, kernel_wanted
from ..module_utils.bpfview.errors import BpfviewError
from ..module_utils.bpfview.grub_boot import GrubBoot
from ..module_utils.bpfview.host_layout import Host
from ..module_utils.bpfview.kernel_promotion import Settled
from ..module_utils.bpfview.kernel_survey import Settings
from ..module_utils.bpfview.kernel_verdict import Verdict
from ..module_utils.bpfview.view_failure import explain


def _default(host: Host) -> str:
    entry = GrubBoot(host).default_entry()
    return entry.release if entry else ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "kernel": {"type": "dict", "required": True},
            "btf_function": {"type": "str", "default": "bpf_view_cgroup"},
            "panic_timeout": {"type": "int", "default": 30},
            "wait_seconds": {"type": "int", "default": 0},
            "objections": {"type": "list", "elements": "str", "default": []},
            "promote": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    host = Host()
    try:
        settings = Settings(options["btf_function"], options["panic_timeout"], margin_mib=0)
        wanted = kernel_wanted.from_facts(options["kernel"])
        judgement, running = kernel_promotion.examine(host, wanted, settings)
        seconds = 0 if module.check_mode else options["wait_seconds"]
        judgement = kernel_promotion.await_health(host, judgement, running, seconds)
        before = _default(host)
        if module.check_mode or not options["promote"]:
            after = wanted.release if judgement.verdict is Verdict.PROMOTED else before
            settled = Settled(judgement, module.check_mode and before != after)
        else:
            # it may have gone wrong while it was waited for
            again, _ = kernel_promotion.examine(host, wanted, settings)
            judgement = again if judgement.verdict is Verdict.PROMOTED else judgement
            judgement = kernel_promotion.object_to(judgement, options["objections"])
            settled = kernel_promotion.settle(host, wanted, judgement, settings)
            after = _default(host)
            if settled.goes_back:
                time.sleep(seconds)  # the host goes down meanwhile, which tells the caller more
    except (BpfviewError, OSError) as error:
        module.fail_json(msg=explain(error, "Judging the kernel"))
    module.exit_json(
        changed=settled.changed,
        verdict=settled.judgement.verdict.value,
        reasons=list(settled.judgement.reasons),
        running=running.facts(),
        goes_back=settled.goes_back,
        evidence=settled.evidence,
        default_release=after,
        diff={"before": f"default: {before}\n", "after": f"default: {after}\n"},
    )


if __name__ == "__main__":
    main()
