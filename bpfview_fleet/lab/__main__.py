# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m bpfview_fleet.lab``."""

from .cli import main

raise SystemExit(main())
