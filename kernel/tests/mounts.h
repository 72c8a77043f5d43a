/* SPDX-License-Identifier: GPL-2.0-only */
/* What returns an int returns 0, or a negative errno after saying what is wrong. */
#ifndef MOUNTS_H
#define MOUNTS_H

#include <stdbool.h>

/* Mount what all tests need. */
int mount_all(void);
/* The same in parts, for a kernel that does not have them all. */
int mount_basics(void);
int mount_cgroups(void);
int mount_bpffs(void);

bool mounted(const char *dir);

#endif
