// SPDX-License-Identifier: GPL-3.0-or-later
#define TEN_KEYS
#include "all_keys.bpf.c"
