# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import pytest

from plugins.module_utils.bpfview.kernel_record import Trial
from plugins.module_utils.bpfview.kernel_verdict import Verdict, judge, missing_arguments
from plugins.module_utils.bpfview.kernel_wanted import WantedKernel
from plugins.module_utils.bpfview.running_kernel import TAINT_FAULTS, RunningKernel

WANTED = WantedKernel("6.1-new", "bb")
ENTRY = ("root=UUID=1", "ro", "panic=30")
GOOD = RunningKernel("6.1-new", "bb", "boot-2", ("BOOT_IMAGE=/x", *ENTRY), 0, True)
TRIAL = Trial("6.1-new", "bb", "entry", "boot-1", 0, "6.1-old")


@pytest.mark.parametrize(
    ("change", "trial", "verdict", "reason"),
    [
        ({}, TRIAL, Verdict.PROMOTED, None),
        ({}, None, Verdict.PROMOTED, None),
        # an out-of-tree, an unsigned, a proprietary and a staging module
        ({"taint": 4096}, TRIAL, Verdict.PROMOTED, None),
        ({"taint": 8192}, TRIAL, Verdict.PROMOTED, None),
        ({"taint": 1 | 1 << 10}, None, Verdict.PROMOTED, None),
        # without a trial the entry may be newer than the boot
        ({"arguments": ("ro",)}, None, Verdict.PROMOTED, None),
        ({"release": "6.1-old"}, TRIAL, Verdict.FELL_BACK, "went back"),
        ({"release": "6.1-old"}, None, Verdict.WRONG_KERNEL, "runs 6.1-old, expected was 6.1-new"),
        ({"release": "6.1-third"}, TRIAL, Verdict.WRONG_KERNEL, "6.1-third"),
        ({"boot_id": "boot-1"}, TRIAL, Verdict.NOT_ATTEMPTED, "did not reboot"),
        (
            {"boot_id": "boot-1", "release": "6.1-old"},
            TRIAL,
            Verdict.NOT_ATTEMPTED,
            "still runs 6.1-old",
        ),
        ({"build_id": "cc"}, TRIAL, Verdict.WRONG_KERNEL, "build id cc, expected was bb"),
        ({"build_id": ""}, TRIAL, Verdict.WRONG_KERNEL, "build id none"),
        ({"has_function": False}, TRIAL, Verdict.WRONG_KERNEL, "does not describe f"),
        ({"arguments": ("ro",)}, TRIAL, Verdict.WRONG_KERNEL, "lacks root=UUID=1 panic=30"),
        ({"taint": 1 << 9}, TRIAL, Verdict.WRONG_KERNEL, "warning"),
        (
            {"taint": 1 << 9},
            replace(TRIAL, taint_before=1 << 9),
            Verdict.WRONG_KERNEL,
            "the kernel before it was as well: 512 (bit 9: warning)",
        ),
        *(
            ({"taint": 8192 | 1 << bit}, trial, Verdict.WRONG_KERNEL, f"bit {bit}: {word}")
            for bit, word in TAINT_FAULTS.items()
            for trial in (TRIAL, None)
        ),
    ],
)
def test_verdicts(change, trial, verdict, reason):
    judgement = judge(WANTED, replace(GOOD, **change), trial, "f", ENTRY)
    assert judgement.verdict is verdict
    if reason is None:
        assert judgement.reasons == ()
    else:
        assert any(reason in sentence for sentence in judgement.reasons)


def test_every_reason_is_given_at_once():
    running = replace(GOOD, build_id="cc", has_function=False, taint=128)
    assert len(judge(WANTED, running, TRIAL, "f", ENTRY).reasons) == 3


def test_quotes_on_the_command_line_do_not_matter():
    entry = ("dyndbg=file foo.c +p", "ro")
    assert missing_arguments(entry, ('"dyndbg=file', "foo.c", '+p"', "ro")) == []
