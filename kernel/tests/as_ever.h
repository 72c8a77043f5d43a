/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests that hold on every kernel, or every one that has what they are about. */
#ifndef AS_EVER_H
#define AS_EVER_H

#include "harness.h"
#include "objects.h"

void cgroups_as_ever(struct test *t);
void unlink_as_ever(struct test *t);
void bpffs_as_ever(struct test *t);

#endif
