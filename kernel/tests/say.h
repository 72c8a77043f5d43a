/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SAY_H
#define SAY_H

/* Print one line to the kernel log, where nothing can cut it in two. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
