# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels that go wrong in every way, on a lab VM, and what becomes of the host."""
