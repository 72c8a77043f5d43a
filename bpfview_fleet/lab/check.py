# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel trouble in the console logs of a lab."""

from __future__ import annotations

from collections.abc import Sequence

from plugins.module_utils.bpfview.kernel_log import find_splats

from . import consolelog
from .layout import Layout


def check_consoles(layout: Layout, names: Sequence[str] = ()) -> list[str]:
    """One line for each finding; empty when every log was read and none holds a kernel's complaint.

    A log that is missing, unreadable or empty is a finding: nothing read proves nothing.
    """
    logs = [layout.console(name) for name in names] or consolelog.current(layout.consoles)
    if not logs:
        return [f"{layout.consoles}: no console log at all"]
    findings = []
    for log in logs:
        try:
            text = log.read_bytes().decode(errors="replace")
        except OSError as error:
            findings.append(f"{log.stem}: its console log cannot be read: {error}")
            continue
        if not text.strip():
            findings.append(f"{log.stem}: its console log {log} is empty")
        findings += [f"{log.stem}: {splat}" for splat in find_splats(text)]
    return findings
