/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>

/* Slab memory in KiB once dead cgroups are freed, which takes them a moment. */
long slab(void);
/* KASAN keeps what was freed, to see who still uses it. */
bool kernel_keeps_freed(void);

#endif
