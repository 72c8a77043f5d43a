# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian virtual machines under QEMU, made from packages only, to try everything on."""
