# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import pytest

from plugins.module_utils.bpfview import (
    bpftool_build,
    cache,
    debian_packages,
    kernel_build,
    kernel_key,
    kernel_source,
)
from plugins.module_utils.bpfview.deb_contents import members
from plugins.module_utils.bpfview.errors import BpfviewError
from plugins.module_utils.bpfview.process import output
from plugins.module_utils.bpfview.progress import Reporter
from tests.unit.source_fixture import PACKAGE, source_package

PROGRAM = """\
#include <stdio.h>
int main(int argc, char **argv)
{
	if (argc > 3)
		puts("tracing\\nVIEW");
	return 0;
}
"""
TREE = {
    "Makefile": "",
    "tools/bpf/bpftool/Makefile": (
        "bpftool: main.c\n\t@echo '  CC      main.o'\n"
        "\t$(CC) $(EXTRA_CFLAGS) -g $(EXTRA_LDFLAGS) -o $@ $<\n"
    ),
    "tools/bpf/bpftool/main.c": PROGRAM,
    "tools/bpf/bpftool/bash-completion/bpftool": "# completion\n",
}
PATCH = """\
--- a/tools/bpf/bpftool/main.c
+++ b/tools/bpf/bpftool/main.c
@@ -2,6 +2,6 @@
 int main(int argc, char **argv)
 {
 \tif (argc > 3)
-\t\tputs("tracing\\nVIEW");
+\t\tputs("tracing\\nview");
 \treturn 0;
 }
"""


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A planned kernel whose source has a bpftool of a few lines."""
    folder = tmp_path / "kernel"
    (folder / "6.1").mkdir(parents=True)
    (folder / "config").mkdir()
    (folder / "6.1/series").write_text("0001-a.patch\n")
    (folder / "6.1/0001-a.patch").write_text(PATCH)
    for name in ("lab", "bpf_view"):
        (folder / f"config/{name}.config").write_text("CONFIG_V=y\n")
    archive = source_package(tmp_path, {name: text.encode() for name, text in TREE.items()})
    tools = {"gcc": "gcc 12", "ld": "ld 2", "as": "as 2", "pahole": "v1"}
    monkeypatch.setattr(kernel_key, "toolchain", lambda: tools)
    monkeypatch.setattr(kernel_source, "choose", lambda *_: PACKAGE)
    monkeypatch.setattr(kernel_source, "fetch", lambda *_: archive)
    versions = {"dpkg": "1", **dict.fromkeys(bpftool_build.LIBRARIES, "2")}
    monkeypatch.setattr(debian_packages, "installed", lambda *_: versions)
    monkeypatch.setattr(bpftool_build, "_ROOM", 0)
    request = kernel_build.Request("6.1", folder, tmp_path / "cache", config_base="lab")
    return kernel_build.plan(request)


def run(planned):
    return bpftool_build.build(planned, Reporter(None, "bpftool"))


def test_a_build_gives_a_package_and_a_second_does_nothing(kernel, tmp_path):
    planned = bpftool_build.plan(kernel)
    assert run(planned) is True
    assert run(planned) is False
    manifest = kernel_build.load(planned.entry, bpftool_build.MANIFEST)
    package = planned.entry / manifest["package"]
    assert set(manifest["files"]) == {package.name, "bpftool.log"}
    assert {"data/usr/sbin/bpftool", "data/usr/share/doc/bpftool-bpfview/copyright"} <= set(
        members(package)
    )
    assert not (tmp_path / "cache/work/bpftool-6.1").exists()
    assert list((tmp_path / "cache/logs").iterdir()) == []


def test_the_package_takes_the_place_of_debians_and_names_its_libraries(kernel):
    planned = bpftool_build.plan(kernel)
    run(planned)
    (package,) = planned.entry.glob("*.deb")
    fields = output(["dpkg-deb", "--field", str(package)])
    assert f"Version: 6.1.5-1+bpfview.{planned.key[:12]}\n" in fields
    for relation in ("Provides", "Conflicts", "Replaces"):
        assert f"{relation}: bpftool\n" in fields
    assert "Depends: libc6 (>= " in fields


def test_another_folder_gives_the_same_bytes(kernel, tmp_path):
    packages = []
    for name in ("cache", "some/other/cache"):
        request = replace(kernel.request, cache_root=tmp_path / name)
        planned = bpftool_build.plan(replace(kernel, request=request))
        run(planned)
        packages += [path.read_bytes() for path in planned.entry.glob("*.deb")]
    assert packages[0] == packages[1]


def test_a_bpftool_that_knows_no_views_is_refused(kernel):
    path = kernel.request.kernel_dir / "6.1/0001-a.patch"
    path.write_text(PATCH.replace("\\nview", "\\nscene"))
    planned = bpftool_build.plan(kernel_build.plan(kernel.request))
    with pytest.raises(BpfviewError, match="does not know links to views"):
        run(planned)
    assert cache.find(kernel.request.cache_root, "bpftool", planned.key) is None


def test_a_failed_build_names_the_error_and_keeps_its_log(kernel, tmp_path):
    path = kernel.request.kernel_dir / "6.1/0001-a.patch"
    path.write_text(PATCH.replace('+\t\tputs("tracing', "+\t\tputs(tracing"))
    with pytest.raises(BpfviewError, match=r"main\.c:5:\d+: error: .*logs/bpftool-6\.1\.5"):
        run(bpftool_build.plan(kernel_build.plan(kernel.request)))
    assert len(list((tmp_path / "cache/logs").iterdir())) == 1


def test_kernels_of_other_options_share_it(kernel):
    debug = replace(kernel, inputs=replace(kernel.inputs, options={"CONFIG_KASAN": "y"}))
    assert bpftool_build.plan(debug).key == bpftool_build.plan(kernel).key


@pytest.mark.parametrize("name", ["libelf-dev", "dpkg"])
def test_another_version_of_what_it_is_made_with_is_another_build(kernel, monkeypatch, name):
    before = bpftool_build.plan(kernel).key
    versions = {"dpkg": "1", **dict.fromkeys(bpftool_build.LIBRARIES, "2"), name: "3"}
    monkeypatch.setattr(debian_packages, "installed", lambda *_: versions)
    assert bpftool_build.plan(kernel).key != before


def test_without_the_whole_series_there_is_none(kernel):
    stock = kernel_build.plan(replace(kernel.request, patches=0))
    assert bpftool_build.plan(stock) is None
    assert bpftool_build.plan(kernel_build.plan(replace(kernel.request, patches=1)))


def test_missing_libraries_are_all_named(kernel, monkeypatch):
    monkeypatch.setattr(debian_packages, "installed", lambda *_: {"dpkg": "1", "libc6-dev": "2"})
    with pytest.raises(BpfviewError, match="apt-get install libcap-dev libelf-dev zlib1g-dev"):
        bpftool_build.plan(kernel)
