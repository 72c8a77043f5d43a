# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's way from its own kernel to ours and back, on a host in a temporary directory."""

import errno
import json
import os
from contextlib import suppress
from dataclasses import replace

import pytest

from plugins.module_utils.bpfview import (
    apt_protection,
    grub_boot,
    kernel_diff,
    kernel_promotion,
    kernel_record,
    kernel_removal,
    kernel_staging,
    kernel_survey,
)
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.kernel_plan import Action
from plugins.module_utils.bpfview.kernel_promotion import Settled
from plugins.module_utils.bpfview.kernel_survey import Settings
from plugins.module_utils.bpfview.kernel_verdict import Verdict
from tests.unit.fake_host import FUNCTION, OURS, STOCK, FakeHost, PowerCutError, wanted_kernel
from tests.unit.grub_fixture import path_of

SETTINGS = Settings(FUNCTION, panic_timeout=30, margin_mib=0)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return FakeHost(tmp_path)


def stage(fake, arm=True, settings=SETTINGS):
    wanted = wanted_kernel()
    found = kernel_survey.survey(fake.host, wanted, settings)
    if found.copy:
        fake.deliver(wanted)
    return kernel_staging.stage(fake.host, wanted, found, settings, arm)


def settle(fake, settings=SETTINGS):
    wanted = wanted_kernel()
    judgement, _ = kernel_promotion.examine(fake.host, wanted, settings)
    return kernel_promotion.settle(fake.host, wanted, judgement, settings)


def confirm(fake, settings=SETTINGS):
    return settle(fake, settings).judgement


def action(fake, settings=SETTINGS):
    return kernel_survey.survey(fake.host, wanted_kernel(), settings).action


def no_space(*_arguments, **_named):
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere")


def promote(fake):
    stage(fake)
    fake.boot()
    assert confirm(fake).verdict is Verdict.PROMOTED


def test_good_kernel_is_promoted_and_stays(fake):
    assert action(fake) is Action.STAGE
    staged = stage(fake)
    assert staged.armed == path_of(OURS)
    assert fake.default() == STOCK
    assert fake.boot() == OURS
    assert action(fake) is Action.CONFIRM
    assert confirm(fake).verdict is Verdict.PROMOTED
    assert fake.boot() == OURS
    assert action(fake) is Action.UNCHANGED
    record = kernel_record.read(fake.host)
    assert (record.proven, record.fallback, record.trial) == (OURS, STOCK, None)


def test_the_survey_writes_nothing(fake):
    before = fake.files()
    found = kernel_survey.survey(fake.host, wanted_kernel(), SETTINGS)
    diff = kernel_diff.staging(wanted_kernel(), found, SETTINGS, True)
    assert fake.files() == before
    assert f"default: {STOCK}" in diff["before"]
    assert f"default: {STOCK}" in diff["after"]
    assert f"next boot only: {OURS}" in diff["after"]
    assert f"package linux-image-{OURS}: absent" in diff["before"]


def test_a_kernel_that_does_not_come_up_is_left_after_one_boot(fake):
    stage(fake)
    assert fake.boot() == OURS  # it panics here
    assert fake.boot() == STOCK
    judgement = confirm(fake)
    assert judgement.verdict is Verdict.FELL_BACK
    assert STOCK in judgement.reasons[0]
    assert fake.default() == STOCK
    record = kernel_record.read(fake.host)
    assert record.trial is None
    assert (record.decided.verdict, record.decided.reasons) == ("fell_back", judgement.reasons)
    assert settle(fake) == Settled(judgement, False)
    assert action(fake) is Action.TRIAL
    promote(fake)
    assert kernel_record.read(fake.host).decided is None


def test_without_leave_to_reboot_nothing_is_armed(fake):
    staged = stage(fake, arm=False)
    assert staged.armed == ""
    assert fake.boot() == STOCK
    assert action(fake) is Action.TRIAL
    assert not stage(fake, arm=False).changed


def test_no_reboot_is_no_fall_back(fake):
    stage(fake)
    assert confirm(fake).verdict is Verdict.NOT_ATTEMPTED
    assert fake.boot() == STOCK  # the one-shot was taken back


@pytest.mark.parametrize("cut", range(12))
def test_power_cut_while_staging_boots_the_old_kernel_and_can_be_resumed(fake, cut):
    wanted = wanted_kernel()
    found = kernel_survey.survey(fake.host, wanted, SETTINGS)
    fake.deliver(wanted)
    fake.cut_after = cut
    try:
        kernel_staging.stage(fake.host, wanted, found, SETTINGS, False)
    except PowerCutError:
        assert fake.default() == STOCK
    fake.cut_after = -1
    assert fake.boot() == STOCK
    promote(fake)
    assert fake.boot() == OURS


@pytest.mark.parametrize("cut", range(4))
def test_power_cut_while_promoting_leaves_a_kernel_that_boots(fake, cut):
    stage(fake)
    fake.boot()
    fake.cut_after = cut
    try:
        confirm(fake)
    except PowerCutError:
        assert fake.default() in (STOCK, OURS)
    fake.cut_after = -1
    if fake.boot() == STOCK:
        promote(fake)
    assert confirm(fake).verdict is Verdict.PROMOTED
    assert fake.default() == OURS


def test_the_controller_may_die_after_the_reboot(fake):
    stage(fake)
    fake.boot()
    assert action(fake) is Action.CONFIRM
    assert confirm(fake).verdict is Verdict.PROMOTED


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("/sys/kernel/notes", b"", "build id none"),
        ("/sys/kernel/btf/vmlinux", b"", FUNCTION),
        ("/proc/sys/kernel/tainted", "512\n", "warning"),
        ("/proc/cmdline", "BOOT_IMAGE=x root=/dev/vda1\n", "command line"),
    ],
)
def test_a_kernel_that_is_not_what_was_wanted_is_not_promoted(fake, path, content, reason):
    stage(fake)
    fake.boot()
    fake.put(path, content)
    judgement = confirm(fake)
    assert judgement.verdict is Verdict.WRONG_KERNEL
    assert reason in judgement.reasons[0]
    assert fake.default() == STOCK
    # The next run finds it still running, and must neither promote it nor fall back to it.
    assert confirm(fake) == judgement
    record = kernel_record.read(fake.host)
    assert (record.trial, record.decided.verdict) == (None, "wrong_kernel")
    newer = replace(wanted_kernel(), release="6.1.193-bpfview-ba9876543210")
    assert kernel_survey.survey(fake.host, newer, SETTINGS).pin == STOCK


def test_unsigned_and_foreign_modules_are_no_fault_of_the_kernel(fake):
    stage(fake)
    fake.boot()
    fake.put("/proc/sys/kernel/tainted", f"{4096 | 8192}\n")
    assert confirm(fake).verdict is Verdict.PROMOTED


def test_a_verdict_that_cannot_be_noted_is_told_all_the_same(fake, monkeypatch):
    stage(fake)
    fake.boot()
    fake.boot()
    monkeypatch.setattr(kernel_record, "write_durably", no_space)
    judgement = confirm(fake)
    assert judgement.verdict is Verdict.FELL_BACK
    assert "Noting the verdict failed: /somewhere: No space left" in judgement.reasons[1]


@pytest.mark.parametrize("module", [grub_boot, apt_protection, kernel_record])
def test_a_promotion_that_cannot_be_written_leaves_the_old_default(fake, monkeypatch, module):
    stage(fake)
    fake.boot()
    fake.put(apt_protection.DROP_IN, "")
    fake.put(grub_boot.DROP_IN, "")  # so that there is something to write in all three
    with monkeypatch.context() as patched:
        patched.setattr(module, "write_durably", no_space)
        judgement = confirm(fake)
    assert judgement.verdict is Verdict.WRONG_KERNEL
    assert "could not be made the default: Promoting it failed: /somewhere" in judgement.reasons[0]
    assert fake.default() == STOCK
    assert action(fake) is Action.CONFIRM
    assert confirm(fake).verdict is Verdict.PROMOTED
    assert fake.default() == OURS


def test_a_file_that_cannot_be_written_is_named(fake, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*kernel\.json"):
        stage(fake)


def test_a_host_that_lost_its_record_has_its_environment_remembered_before_it_changes(fake):
    promote(fake)
    fake.host.path(kernel_record.RECORD).unlink()
    fake.put("/boot/grub/grubenv", b"# GRUB Environment Block\nmine=1\n".ljust(1024, b"#"))
    assert action(fake) is Action.CONFIRM
    assert confirm(fake).verdict is Verdict.PROMOTED
    record = kernel_record.read(fake.host)
    assert record.before == dict.fromkeys(grub_boot.VARIABLES)
    assert fake.default() == OURS


def test_what_a_lost_record_cannot_tell_is_not_restored_to_a_kernel_that_is_gone(fake):
    promote(fake)
    fake.host.path(kernel_record.RECORD).unlink()
    assert confirm(fake).verdict is Verdict.PROMOTED
    assert kernel_record.read(fake.host).before["saved_entry"] == path_of(OURS)
    assert not remove(fake)
    fake.boot()
    assert remove(fake)
    assert b"saved_entry" not in (fake.root / "boot/grub/grubenv").read_bytes()


def test_a_one_shot_found_without_a_record_is_taken_back_and_never_restored(fake):
    promote(fake)
    fake.host.path(kernel_record.RECORD).unlink()
    fake.put("/sys/kernel/notes", b"")
    env = f"# GRUB Environment Block\nsaved_entry={path_of(STOCK)}\nnext_entry={path_of(OURS)}\n"
    fake.put("/boot/grub/grubenv", env.encode().ljust(1024, b"#"))
    assert settle(fake).changed
    record = kernel_record.read(fake.host)
    assert (record.before["next_entry"], record.before["saved_entry"]) == ("", path_of(STOCK))
    assert fake.boot() == STOCK


def test_records_from_before_the_note_of_a_decision_can_be_read(fake):
    stage(fake)
    data = json.loads(fake.host.text(kernel_record.RECORD))
    del data["decided"]
    fake.put(kernel_record.RECORD, json.dumps(data))
    assert kernel_record.read(fake.host).trial.release == OURS


def test_a_wrong_digest_changes_nothing_and_is_taken_away(fake):
    wanted = wanted_kernel()
    before = fake.files()
    found = kernel_survey.survey(fake.host, wanted, SETTINGS)
    fake.deliver(wanted, b"something else")
    with pytest.raises(BpfviewError, match="its manifest says"):
        kernel_staging.stage(fake.host, wanted, found, SETTINGS, True)
    assert fake.files() == before


def test_another_build_of_the_running_release_is_refused(fake):
    promote(fake)
    other = replace(wanted_kernel(), build_id="cc" * 20)
    with pytest.raises(BpfviewError, match="another build"):
        kernel_survey.survey(fake.host, other, SETTINGS)


def test_another_build_of_the_fallback_is_never_overwritten(fake):
    promote(fake)
    fake.boot(STOCK)
    wanted = wanted_kernel()
    other = replace(wanted, packages=(replace(wanted.packages[0], sha256="0" * 64),))
    with pytest.raises(BpfviewError, match="Another build"):
        kernel_survey.survey(fake.host, other, SETTINGS)


def test_half_installed_packages_are_installed_again(fake):
    stage(fake, arm=False)
    fake.packages[f"linux-image-{OURS}"] = ("iF", "1")
    assert action(fake) is Action.STAGE
    promote(fake)


def test_an_unproven_trial_never_becomes_the_fallback(fake):
    stage(fake)
    fake.boot()
    newer = "6.1.193-bpfview-ba9876543210"
    found = kernel_survey.survey(fake.host, replace(wanted_kernel(), release=newer), SETTINGS)
    assert found.pin == STOCK


def test_check_mode_before_the_first_build_goes_by_the_release(fake):
    predicted = replace(wanted_kernel(), build_id="", packages=())
    found = kernel_survey.survey(fake.host, predicted, SETTINGS)
    assert (found.action, found.copy, found.rooms) == (Action.STAGE, (), ())
    promote(fake)
    assert kernel_survey.survey(fake.host, predicted, SETTINGS).action is Action.UNCHANGED


def test_lost_settings_are_put_back(fake):
    promote(fake)
    fake.put("/etc/default/grub.d/bpfview.cfg", "GRUB_DEFAULT=0\n")
    assert action(fake) is Action.SETTLE
    assert stage(fake).changed
    assert action(fake) is Action.UNCHANGED
    assert fake.default() == OURS


def test_other_settings_on_a_promoted_host_do_not_make_it_a_wrong_kernel(fake):
    promote(fake)
    fake.put("/proc/sys/kernel/tainted", "4096\n")
    other = replace(SETTINGS, panic_timeout=60)
    assert action(fake, other) is Action.SETTLE
    assert stage(fake, settings=other).changed
    assert confirm(fake, other).verdict is Verdict.PROMOTED
    assert settle(fake, other).changed is False
    assert "panic=30" in fake.host.text("/proc/cmdline")
    assert "panic=60" in fake.host.text("/boot/grub/grub.cfg")
    assert action(fake, other) is Action.UNCHANGED
    assert fake.boot() == OURS
    assert action(fake, other) is Action.UNCHANGED


def test_settings_whose_grub_cfg_was_not_made_yet_are_not_current(fake):
    promote(fake)
    fake.put(grub_boot.DROP_IN, grub_boot.drop_in(60))
    assert action(fake, replace(SETTINGS, panic_timeout=60)) is Action.SETTLE


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_panic_that_never_reboots_is_refused(seconds):
    with pytest.raises(BpfviewError, match=f"kernel_install_panic_timeout is {seconds}"):
        Settings(FUNCTION, panic_timeout=seconds, margin_mib=0)


def test_a_margin_below_nothing_is_refused():
    with pytest.raises(BpfviewError, match="kernel_install_boot_margin_mib is -1"):
        Settings(FUNCTION, panic_timeout=30, margin_mib=-1)


def obstacle(fake, match):
    before = fake.files()
    with pytest.raises(BpfviewError, match=match):
        kernel_survey.survey(fake.host, wanted_kernel(), SETTINGS)
    assert fake.files() == before


@pytest.mark.parametrize("kind", ["lvm", "mdraid1x diskfilter", "cryptodisk luks"])
def test_grub_on_a_device_it_cannot_write_is_refused(fake, kind):
    fake.abstraction = kind
    obstacle(fake, kind.split()[0])


def test_grub_on_btrfs_is_refused(fake):
    fake.filesystem = "btrfs"
    obstacle(fake, "btrfs")


@pytest.mark.parametrize(
    ("path", "content", "match"),
    [
        ("/etc/os-release", "ID=fedora\nID_LIKE='rhel centos'\n", "Debian family"),
        ("/proc/self/mounts", MOUNTS_V1 := "cgroup /sys/fs/cgroup tmpfs rw 0 0\n", "cgroup v2"),
        ("/proc/self/mounts", MOUNTS_V1, "bpffs"),
        ("/proc/cmdline", "console=ttyS0\n", "not started by GRUB"),
        ("/boot/grub/grub.cfg", "menuentry 'mine' {\n}\n", "not written by grub-mkconfig"),
        ("/boot/grub/custom.cfg", "set default=7\n", "another default"),
        ("/boot/grub/grubenv", "damaged", "no GRUB environment block"),
    ],
)
def test_hosts_that_cannot_be_served_are_refused(fake, path, content, match):
    fake.put(path, content)
    obstacle(fake, match)


@pytest.mark.parametrize("version", [(3, 9, 2), (3, 10, 12)])
def test_a_python_too_old_for_the_views_is_refused_before_the_kernel(fake, monkeypatch, version):
    monkeypatch.setattr("sys.version_info", version)
    obstacle(fake, r"views take 3\.11")


@pytest.mark.parametrize("version", ["3 9", "3 10", "2 7"])
def test_a_python_too_old_for_the_units_is_refused_whatever_runs_the_modules(fake, version):
    fake.python = version
    obstacle(fake, rf"/usr/bin/python3 is Python {version.replace(' ', '.')} .* Debian")


def test_a_python_that_does_not_answer_is_refused(fake):
    fake.python = "python3: command not found"
    obstacle(fake, "/usr/bin/python3 does not run")


SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def test_secure_boot_is_refused(fake):
    fake.put(SECURE_BOOT, b"\6\0\0\0\1")
    obstacle(fake, "Secure Boot is on and the kernel's package is not signed.*turn Secure Boot off")


def test_secure_boot_that_is_off_or_did_not_keep_our_kernel_from_running_is_no_reason(fake):
    fake.put(SECURE_BOOT, b"\6\0\0\0\0")
    promote(fake)
    fake.put(SECURE_BOOT, b"\6\0\0\0\1")
    assert action(fake) is Action.UNCHANGED


def test_a_panic_that_would_override_ours_is_refused_before_anything_is_written(fake):
    fake.put("/etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet panic=0"\n')
    obstacle(fake, "panic=0 in /etc/default/grub would come after our")


def test_a_panic_of_unknown_origin_is_refused_before_anything_is_written(fake):
    fake.late_arguments = "panic=0"
    fake.mkconfig(fake.root / "boot/grub/grub.cfg")
    fake.boot(STOCK)
    obstacle(fake, "panic=0 on the running kernel's boot entry")


def test_a_panic_of_the_hosts_own_that_ours_overrides_is_none_of_our_business(fake):
    fake.put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="panic=0"\n')
    promote(fake)
    assert action(fake) is Action.UNCHANGED


def test_no_grub(fake):
    (fake.root / "usr/sbin/grub-mkconfig").unlink()
    obstacle(fake, "GRUB is not what boots this host")


def test_a_one_shot_of_somebody_else_is_respected(fake):
    env = f"# GRUB Environment Block\nnext_entry={path_of(STOCK)}\n"
    fake.put("/boot/grub/grubenv", env.encode().ljust(1024, b"#"))
    obstacle(fake, "somebody armed another one-shot")


def test_another_architecture(fake):
    fake.architecture = "arm64"
    obstacle(fake, "the host is arm64")


def test_no_room(fake):
    wanted = wanted_kernel()
    huge = replace(wanted.packages[0], boot_bytes=1 << 60)
    with pytest.raises(BpfviewError, match=r"/boot has .* MiB free and needs"):
        kernel_survey.survey(fake.host, replace(wanted, packages=(huge,)), SETTINGS)


def remove(fake):
    found = kernel_removal.holdings(fake.host)
    if found.in_use:
        kernel_removal.hand_over(fake.host, found)
        return False
    if not found.nothing:
        kernel_removal.remove(fake.host, found)
    return True


@pytest.mark.parametrize("saved", ["", f"saved_entry={path_of(STOCK)}\n"])
def test_removal_leaves_the_host_as_it_was(fake, saved):
    env = f"# GRUB Environment Block\n{saved}".encode().ljust(1024, b"#")
    fake.put("/boot/grub/grubenv", env)
    before, packages = fake.files(), dict(fake.packages)
    promote(fake)
    assert not remove(fake)
    assert fake.default() == STOCK
    assert fake.boot() == STOCK
    assert remove(fake)
    assert fake.files() == before
    assert fake.packages == packages
    assert kernel_removal.holdings(fake.host).nothing


def test_removal_of_nothing_changes_nothing(fake):
    before = fake.files()
    assert remove(fake)
    assert fake.files() == before
    assert not any(command[0] == "grub-mkconfig" for command in fake.commands)


@pytest.mark.parametrize("cut", range(8))
def test_removal_after_half_an_installation(fake, cut):
    before = fake.files()
    wanted = wanted_kernel()
    found = kernel_survey.survey(fake.host, wanted, SETTINGS)
    fake.deliver(wanted)
    fake.cut_after = cut
    with suppress(PowerCutError):
        kernel_staging.stage(fake.host, wanted, found, SETTINGS, True)
    fake.cut_after = -1
    fake.boot(STOCK)
    assert remove(fake)
    assert fake.files() == before


@pytest.mark.parametrize("cut", range(8))
def test_power_cut_while_removing(fake, cut):
    before = fake.files()
    promote(fake)
    remove(fake)
    fake.boot()
    fake.cut_after = cut
    try:
        remove(fake)
    except PowerCutError:
        assert fake.boot() == STOCK
    fake.cut_after = -1
    assert remove(fake)
    assert fake.files() == before


def test_removal_needs_another_kernel(fake):
    promote(fake)
    fake.drop_kernel(STOCK)
    with pytest.raises(BpfviewError, match="no other kernel"):
        remove(fake)


def test_a_package_from_before_the_toolkit_stays(fake):
    fake.add_kernel(OURS)
    fake.packages[f"linux-image-{OURS}"] = ("ii", "1")
    promote(fake)
    fake.boot(STOCK)
    assert remove(fake)
    assert f"linux-image-{OURS}" in fake.packages


def test_a_damaged_record_is_named(fake):
    fake.put(kernel_record.RECORD, json.dumps({"schema": 99}))
    with pytest.raises(BpfviewError, match=r"kernel\.json cannot be understood"):
        kernel_survey.survey(fake.host, wanted_kernel(), SETTINGS)
