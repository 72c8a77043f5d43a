# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions and work of bpfview.fleet. Ansible ships only real packages, so this file must be."""
