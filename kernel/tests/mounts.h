/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MOUNTS_H
#define MOUNTS_H

/* Mount what all tests need. Returns 0, or a negative errno after saying what is wrong. */
int mount_all(void);

#endif
