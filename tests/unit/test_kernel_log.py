# SPDX-License-Identifier: GPL-3.0-or-later
"""The scanner that decides whether a kernel reported that it is broken."""

import pytest

from plugins.module_utils.bpfview.kernel_log import find_splats, message

SPLATS = [
    "[    1.234567] WARNING: CPU: 1 PID: 42 at kernel/bpf/inode.c:100 bpf_pin_gone+0x1/0x2",
    "[    1.234567][   T42] WARNING: possible circular locking dependency detected",
    "WARNING: possible recursive locking detected",
    "[   12.000001] ------------[ cut here ]------------",
    "[    3.000000] kernel BUG at mm/slub.c:379!",
    "[    3.000000] BUG: unable to handle page fault for address: ffff888000000000",
    "[    3.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "[    3.000000] BUG: KASAN: use-after-free in bpf_kernfs_removed+0x10/0x20",
    "[    3.000000] BUG: KCSAN: data-race in a / b",
    "[    3.000000] BUG: KFENCE: out-of-bounds read in a",
    "[    3.000000] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:1",
    "[    3.000000] BUG: scheduling while atomic: init/1/0x00000002",
    "[   40.000000] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [init:77]",
    "[   40.000000] rcu: INFO: rcu_preempt self-detected stall on CPU",
    "[   40.000000] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
    "[  250.000000] INFO: task init:77 blocked for more than 120 seconds.",
    "[    0.500000] INFO: trying to register non-static key.",
    "[    3.000000] Oops: 0000 [#1] PREEMPT SMP KASAN",
    "[    3.000000] general protection fault, probably for non-canonical address 0xdead0",
    "[    3.000000] general protection fault: 0000 [#1] SMP",
    "[    3.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
    "[    3.000000] UBSAN: array-index-out-of-bounds in a.c:1:2",
    "[    3.000000] ODEBUG: free active (active state 0) object type: timer_list",
    "[    3.000000] list_del corruption. prev->next should be ffff, but was 0000",
    "[    3.000000] refcount_t: underflow; use-after-free.",
    "[   99.000000] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "[    3.000000] kernfs_put: child/view.x: released with incorrect active_ref 1",
    "\x1b[0;31m[    3.000000] WARNING: CPU: 0 PID: 1 at a.c:1\x1b[0m",
]

HARMLESS = [
    "",
    "[    0.000000] Linux version 6.1.192 (gcc (Debian 12.2.0-14) 12.2.0)",
    "[    0.000000] kasan: KernelAddressSanitizer initialized",
    "[    0.000000] kfence: initialized - using 2097152 bytes for 255 objects",
    "[    0.100000] NMI watchdog: Perf NMI watchdog permanently disabled",
    "[    0.100000] ACPI: BIOS IRQ0 override; Warning: no interrupt",
    "[    0.100000] Warning: unable to open an initial console.",
    "[    0.100000] rcu: Hierarchical RCU implementation.",
    "[    0.100000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
    "[    5.000000] cgroup: cgroup_addrm_files: failed to add max, err=-17",
    "[    5.000000] traps: a.out[77] general protection fault ip:401000 sp:7ffc error:0 in a.out",
    "[    5.000000] a.out[77]: segfault at 0 ip 0000000000401000 sp 00007ffc error 4",
    "[    5.000000] ok 7 rule-3: a security module is asked, and obeyed",
    "[    5.000000] not ok 8 rule-4: a stray write gives EINVAL, whatever the object",
    "         Starting systemd-journald.service - Journal Service...",
    "[  OK  ] Reached target sysinit.target - System Initialization.",
    "Debian GNU/Linux 12 bpfview-1 ttyS0",
    "debug: this is no bug",
]


@pytest.mark.parametrize("line", SPLATS)
def test_a_splat_is_found(line: str) -> None:
    assert len(find_splats(f"before\n{line}\nafter\n")) == 1


@pytest.mark.parametrize("line", HARMLESS)
def test_a_harmless_line_is_none(line: str) -> None:
    assert find_splats(line) == []


def test_all_splats_are_found_in_their_order() -> None:
    found = find_splats("\r\n".join([*HARMLESS, *SPLATS]))
    assert found == [message(line) for line in SPLATS]


def test_a_splat_is_given_without_time_stamp() -> None:
    assert find_splats("[    1.5] BUG: bad\r\n") == ["BUG: bad"]


def test_an_empty_log_has_no_splats() -> None:
    assert find_splats("") == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[    1.234567] ok 1 rule-1: a", "ok 1 rule-1: a"),
        ("[  101.234567][T1] ok 1 rule-1: a", "ok 1 rule-1: a"),
        ("[  101.234567][    C0] a", "a"),
        ("<5>[    1.234567] a", "a"),
        ("no stamp", "no stamp"),
        ("[not a stamp] a", "[not a stamp] a"),
        ("\x1b[1mbold\x1b[0m\r", "bold"),
    ],
)
def test_message_is_the_line_without_its_prefix(line: str, said: str) -> None:
    assert message(line) == said
