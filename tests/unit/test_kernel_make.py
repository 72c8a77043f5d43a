# SPDX-License-Identifier: GPL-3.0-or-later
import subprocess
from pathlib import Path

import pytest

from plugins.module_utils.bpfview import kernel_make
from plugins.module_utils.bpfview.deb_contents import members
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.progress import Reporter
from tests.unit.deb_fixture import make_deb

LOG = """\
+ make -j2 'CC=ccache gcc' bzImage
  CC      kernel/fork.o
  CC      mm/slub.o
kernel/fork.c: In function 'x':
kernel/fork.c:10:5: warning: unused variable 'y'
kernel/fork.c:12:1: error: expected ';' before '}' token
   12 | }
      | ^
  CC      mm/mmap.o
make[2]: *** [scripts/Makefile.build:250: kernel/fork.o] Error 1
make: *** [Makefile:2013: .] Error 2
"""


def make(tmp_path, makefile=""):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "Makefile").write_text(makefile)
    return kernel_make.Make(
        tree=tree, log=tmp_path / "log", ccache_dir=tmp_path / "ccache",
        release="6.1.5-bpfview-0123456789ab", epoch=1794820620, jobs=2,
    )  # fmt: skip


def test_the_first_error_is_shown_not_the_last():
    assert kernel_make.first_error(LOG).startswith("kernel/fork.c:12:1: error: expected ';'")


@pytest.mark.parametrize(
    "line",
    [
        "ld: kernel/bpf/x.o: undefined reference to `bpf_view_cgroup'",
        "FAILED: load BTF from vmlinux: Invalid argument",
        "make[1]: *** No rule to make target 'x', needed by 'y'.  Stop.",
        "scripts/x.c:1:10: fatal error: libelf.h: No such file or directory",
        "cc1: error writing to /tmp/x: No space left on device",
    ],
)
def test_other_ways_to_fail(line):
    assert kernel_make.first_error(f"  CC      a.o\n{line}\n  CC      b.o\n").startswith(line)


def test_an_unknown_end_shows_the_last_lines():
    assert kernel_make.first_error("a\nb\nc\nd\n") == "b | c | d"
    assert kernel_make.first_error("") == "the log is empty"


def test_a_failed_build_names_error_and_log_and_keeps_the_log(tmp_path):
    failing = make(tmp_path, "bzImage modules:\n\t@echo 'x.c:1:1: error: no'; exit 1\n")
    with pytest.raises(BpfviewError, match=r"x\.c:1:1: error: no.*whole log is .*/log"):
        kernel_make.compile_tree(failing, Reporter(None, "kernel"))
    assert "error: no" in failing.log.read_text()


def test_steps_are_counted(tmp_path):
    good = make(tmp_path, "bzImage:\n\t@echo '  CC      a.o'; echo '  LD      b'\nmodules:\n")
    reporter = Reporter(None, "kernel")
    kernel_make.compile_tree(good, reporter)
    assert reporter.count == 1


def test_nothing_of_clock_host_or_user_gets_in(tmp_path):
    environment = make(tmp_path).environment()
    assert environment["KBUILD_BUILD_TIMESTAMP"] == "Mon Nov 16 09:17:00 UTC 2026"
    assert environment["SOURCE_DATE_EPOCH"] == "1794820620"
    assert environment["KDEB_PKGVERSION"] == "6.1.5-1"
    assert environment["KBUILD_BUILD_USER"] == environment["KBUILD_BUILD_HOST"] == "bpfview"


def test_missing_build_packages_are_all_named(monkeypatch):
    monkeypatch.setattr(kernel_make.shutil, "which", lambda tool, path: None)
    monkeypatch.setattr(kernel_make, "_HEADERS", {"no/such.h": "libno-dev"})
    with pytest.raises(BpfviewError, match=r"apt-get install bc bison .*libno-dev.*xz-utils"):
        kernel_make.require_tools()


@pytest.mark.parametrize("minimal", [True, False])
def test_the_request_reaches_the_configuration_program(tmp_path, minimal):
    one = make(
        tmp_path,
        "allnoconfig:\n\t@cp $(KCONFIG_ALLCONFIG) .config\nolddefconfig:\n\t@touch seen\n",
    )
    kernel_make.configure(one, {"CONFIG_A": "y"}, "-bpfview-x", minimal)
    text = Path(one.tree / ".config").read_text()
    assert 'CONFIG_A=y\nCONFIG_LOCALVERSION=""\n' in text
    assert (one.tree / "localversion-bpfview").read_text() == "-bpfview-x\n"
    assert (one.tree / "seen").exists() is not minimal


def test_a_package_does_not_tell_where_it_was_built(tmp_path):
    contents = []
    for name in ("here", "over/there"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        tools = folder / "deb/usr/src/linux-headers-x/tools/objtool"
        tools.mkdir(parents=True)
        (folder / "t.c").write_text("int main(void) { return 0; }\n")
        subprocess.run(["gcc", "-g", "-o", tools / "objtool", "t.c"], cwd=folder, check=True)
        (tools / ".objtool.cmd").write_text(str(folder))
        (tools / "Makefile").write_text("all:\n")
        package = make_deb(folder / "x.deb", folder / "deb", {})
        kernel_make.without_origin(package, epoch=1000)
        contents.append(package.read_bytes())
        names = members(package)
    assert contents[0] == contents[1]
    assert "data/usr/src/linux-headers-x/tools/objtool/Makefile" in names
    assert not [name for name in names if name.endswith(".cmd")]
