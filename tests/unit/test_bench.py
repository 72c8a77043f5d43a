# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench: what machines say becomes ratios, and no missed aim is hidden."""

from pathlib import Path

import pytest

from bpfview_fleet import bench
from bpfview_fleet.bench_figures import (
    Aim,
    Figure,
    Ratio,
    Run,
    Verdict,
    all_groups,
    all_of_them,
    at_least,
    at_most,
    not_measurable,
)
from bpfview_fleet.bench_log import Boot, read_boot
from bpfview_fleet.bench_page import Machine, page
from plugins.module_utils.bpfview.errors import BpfviewError

GOOD = """\
[    0.000000] Linux version 6.1.192-bpfview-0123456789ab
[    1.000000] fact keys.view 10
[    2.000000] time idle.floor 3000 3
[    2.000000] time idle.view 10000 5
[    2.100000] time idle.floor 4000 2
[    2.200000] # end of bench
[    2.300000] reboot: Restarting system
"""


def log_of(folder: Path, text: str) -> Path:
    log = folder / "console.log"
    log.write_text(text, "utf-8")
    return log


def test_times_are_for_doing_it_once_and_in_order(tmp_path):
    boot = read_boot(log_of(tmp_path, GOOD), None)
    assert boot.series("idle.floor") == [1000, 2000]
    assert boot.series("idle.view") == [2000]
    assert boot.fact("keys.view") == 10


@pytest.mark.parametrize(
    ("instead", "words"),
    [
        ("", "did not come to its end"),
        ("[    2.2] # cannot open memory.high: No such file", "cannot open memory.high"),
        ("[    2.2] Bail out! Invalid argument\n# end of bench", "Bail out! Invalid argument"),
        ("[    2.2] BUG: kernel NULL pointer\n# end of bench", "the kernel says: BUG: kernel NULL"),
    ],
)
def test_a_machine_that_failed_gives_no_times(tmp_path, instead, words):
    log = log_of(tmp_path, GOOD.replace("[    2.200000] # end of bench", instead))
    with pytest.raises(BpfviewError, match=words):
        read_boot(log, None)


def test_a_machine_that_never_started_gives_no_times(tmp_path):
    with pytest.raises(BpfviewError, match="did not come to its end"):
        read_boot(tmp_path / "none.log", None)


def test_trouble_with_booting_is_named(tmp_path):
    with pytest.raises(BpfviewError, match="did not switch itself off"):
        read_boot(log_of(tmp_path, GOOD), "the machine did not switch itself off within 1 s")


def test_what_was_not_told_is_named():
    with pytest.raises(BpfviewError, match=r"nothing of idle\.iterator"):
        Boot().series("idle.iterator")


def test_of_few_boots_none_is_left_out():
    assert Ratio.of([1.0, 9.0, 2.0]) == Ratio(2.0, 1.0, 9.0)


@pytest.mark.parametrize(
    ("aim", "met", "missed"),
    [
        (at_most(3), Ratio(3.0, 2.0, 9.0), Ratio(3.01, 1.0, 9.0)),
        (at_least(5), Ratio(5.0, 1.0, 9.0), Ratio(4.99, 1.0, 9.0)),
        (not_measurable(Ratio(1, 0.98, 1.02)), Ratio(1.03, 1.0, 1.9), Ratio(1.04, 0.9, 1.2)),
        (all_of_them(), Ratio(1.0, 1.0, 1.0), Ratio(1.0, 0.99, 1.0)),
    ],
)
def test_an_aim_is_missed_beyond_its_limit(aim: Aim, met: Ratio, missed: Ratio):
    assert Figure("x", met, aim).verdict is Verdict.MET
    assert Figure("x", missed, aim).verdict is Verdict.MISSED
    assert Figure("x", missed).verdict is None


def reads() -> Boot:
    both = {
        "floor": 100.0,
        "view": 250.0,
        "sleepable-view": 275.0,
        "flushed-view": 300.0,
        "shipped-view": 400.0,
        "parsed-view": 500.0,
        "parsed-flushed-view": 600.0,
        "native": 3000.0,
        "opened-view": 700.0,
        "iterator": 1000.0,
    }
    times = {
        f"{when}.{name}": [value] * 3 for when in ("idle", "busy") for name, value in both.items()
    }
    facts = {"mkdir-waited": 1, "iterator-waited": 1, "reads": 200, "reads-ended": 200}
    return Boot(times, {f"held.{name}": [value] for name, value in facts.items()})


def dirs(bare: float, tmpfs: float = 10.0) -> Boot:
    times = {
        "tmpfs": tmpfs,
        "bare": bare,
        "hidden": 200.0,
        "visible": 260.0,
        "one-view": bare + 3,
        "ten-views": bare + 50,
    }
    return Boot(
        {f"dirs.{name}": [value] * 3 for name, value in times.items()},
        {"files.hidden": [19], "files.visible": [34]},
    )


def many() -> Boot:
    times = {"cgroups": 100.0, "each": 30.0, "subtree": 4.0, "native": 2.0}
    return Boot(
        {f"{what}.{how}": [value] for what, value in times.items() for how in ("make", "remove")},
        {"each.bytes": [220], "subtree.bytes": [210], "native.bytes": [150]},
    )


def run(**changes) -> Run:
    boots = {
        "reads": [reads()],
        "many": many(),
        "patched": [dirs(101.0), dirs(99.0)],
        "stock": [dirs(100.0), dirs(102.0)],
    }
    return Run(**{**boots, **changes})


def figures(of: Run) -> dict[str, Figure]:
    return {figure.what: figure for group in all_groups(of) for figure in group.figures}


def test_the_figures_are_these_ratios():
    found = {what: figure.ratio.middle for what, figure in figures(run()).items()}
    assert found["`pread` of the view / of `pids.current`"] == 2.5
    assert found["reading and parsing the six native files with these keys / the view"] == 6
    assert found["open, read, close of the view / of that iterator"] == 0.7
    # fifteen files take 60
    assert found["what one subtree view adds / what one native file adds"] == pytest.approx(0.75)
    assert found["what each of ten subtree views adds / what one native file adds"] == 1.25
    assert found["by subtree, each entry / `mkdir` of a cgroup"] == 0.04
    assert found["memory of an entry made by subtree / of a native file"] == 1.4


def test_boots_are_compared_by_what_the_series_does_not_touch():
    # everything twice as slow in one boot: the machine was, not the kernel
    slow = run(patched=[dirs(200.0, tmpfs=20.0)], stock=[dirs(100.0), dirs(100.0)])
    found = figures(slow)["no view: patched kernel / stock kernel"]
    assert found.ratio == Ratio(1.0, 1.0, 1.0)
    assert found.verdict is Verdict.MET


def test_rounds_in_which_the_machine_was_disturbed_do_not_count():
    boot = reads()
    boot.times["idle.view"] = [250.0, 9000.0, 250.0]
    what = "`pread` of the view / of `pids.current`"
    assert figures(run(reads=[boot]))[what].ratio == Ratio(2.5, 2.5, 2.5)


@pytest.mark.parametrize(
    ("patched", "stock", "verdict"),
    [
        (103.0, (100.0, 101.0), Verdict.MET),
        (106.0, (100.0, 102.0), Verdict.MISSED),
        # the stock kernel differs as much from itself, which proves neither
        (115.0, (100.0, 120.0), Verdict.NOT_DECIDED),
        (150.0, (100.0, 120.0), Verdict.MISSED),
        (111.0, (100.0, 120.0), Verdict.MET),
    ],
)
def test_a_kernel_is_no_slower_by_a_bound_that_noise_does_not_move(patched, stock, verdict):
    found = figures(run(patched=[dirs(patched)], stock=[dirs(each) for each in stock]))
    assert found["no view: patched kernel / stock kernel"].verdict is verdict


def test_a_view_that_waits_for_the_mutex_misses_its_aim():
    what = "reads of views, flushed or not, that came back meanwhile / all of them"
    boot = reads()
    assert figures(run(reads=[reads(), boot]))[what].verdict is Verdict.MET
    boot.facts["held.reads-ended"] = [199]
    assert figures(run(reads=[reads(), boot]))[what].verdict is Verdict.MISSED


def test_reads_prove_nothing_unless_the_mutex_was_held():
    what = "reads of views, flushed or not, that came back meanwhile / all of them"
    boot = reads()
    boot.facts["held.mkdir-waited"] = [0]
    assert figures(run(reads=[reads(), boot]))[what].verdict is Verdict.MISSED


MACHINE = Machine("Some Processor", 2, "tcg", "QEMU 7.2", "2 processors", {"6.1": ["a", "b"]})


def test_the_page_shows_what_is_met_and_what_is_missed():
    text = page(MACHINE, {"6.1": all_groups(run()), "6.12": all_groups(run())})
    assert "| `pread` of the view / of `pids.current` | ≤ 3 | 2.50, met | 2.50, met |" in text
    assert "≤ 1 | 1.25, **missed** | 1.25, **missed** |" in text
    assert "Some Processor, 2 cores" in text
    assert "`a`, `b`" in text


def test_the_page_warns_of_emulation_and_of_nothing_else():
    groups = {"6.1": all_groups(run())}
    assert "Software emulation distorts" in page(MACHINE, groups)
    kvm = Machine("Some Processor", 2, "kvm", "QEMU 7.2", "2 processors", {"6.1": ["a", "b"]})
    assert "Software emulation" not in page(kvm, groups)


def test_the_processor_is_the_first_that_is_named():
    text = "processor\t: 0\nmodel name\t: Some Processor\n\nprocessor\t: 1\nmodel name\t: Other\n"
    assert bench.processor(text) == "Some Processor"
    assert bench.processor("") == "of unknown model"


def test_a_kernel_that_is_not_built_is_an_error_that_says_how(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    assert bench.main(["--baseline", "5.4", "--page", str(tmp_path / "bench.md")]) == 2
    assert "make kernel BASELINE=5.4" in capsys.readouterr().err
    assert not (tmp_path / "bench.md").exists()


def test_the_page_is_written_and_what_is_missed_is_told(monkeypatch, tmp_path, capsys):
    def measure(baseline, folder):
        return all_groups(run()), bench.Acceleration("tcg", "no KVM"), ["a", "b"]

    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "measure", measure)
    written = tmp_path / "bench.md"
    assert bench.main(["--baseline", "6.1", "--page", str(written)]) == 0
    assert "1.25, **missed**" in written.read_text("utf-8")
    assert "missed: 6.1: what each of ten subtree views adds" in capsys.readouterr().err


def test_what_noise_hides_is_told_as_not_decided(monkeypatch, tmp_path, capsys):
    noisy = run(patched=[dirs(115.0)], stock=[dirs(100.0), dirs(120.0)])

    def measure(baseline, folder):
        return all_groups(noisy), bench.Acceleration("tcg", "no KVM"), ["a", "b"]

    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "measure", measure)
    assert bench.main(["--baseline", "6.1"]) == 0
    said = capsys.readouterr()
    row = next(line for line in said.out.splitlines() if "patched kernel / stock" in line)
    assert "| ≤ 1.03 |" in row and row.endswith("not decided |")
    assert "not decided: 6.1: no view: patched kernel / stock kernel" in said.err
