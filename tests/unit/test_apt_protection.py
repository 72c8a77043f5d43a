# SPDX-License-Identifier: GPL-3.0-or-later
import shutil
import subprocess

import pytest

from plugins.module_utils.bpfview import apt_protection
from plugins.module_utils.bpfview.host_layout import Host

RELEASES = ("6.1.0-50-cloud-amd64", "6.1.192-bpfview-0123456789ab", "")


def test_protects_once_and_releases(tmp_path):
    host = Host(tmp_path)
    assert apt_protection.protect(host, RELEASES)
    assert not apt_protection.protect(host, RELEASES[::-1])
    assert apt_protection.protect(host, RELEASES[:1])
    assert apt_protection.release_all(host)
    assert not apt_protection.release_all(host)


@pytest.mark.skipif(shutil.which("apt-config") is None, reason="needs apt")
def test_apt_reads_the_patterns_as_meant(tmp_path):
    file = tmp_path / "apt.conf"
    file.write_text(apt_protection.text(RELEASES))
    command = ["apt-config", "-c", str(file), "dump", "APT::NeverAutoRemove"]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert r'"^linux-(image|modules)(-.*)?-6\.1\.0-50-cloud-amd64$"' in dump
