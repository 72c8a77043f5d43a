# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's part of bpfview-fleet: lab, rollout and report."""
