// SPDX-License-Identifier: GPL-2.0-only
#define TEN_KEYS
#include "all_keys.bpf.c"
