/* SPDX-License-Identifier: GPL-2.0-only */
/* Ten keys of the memory view, and the native files that say the same. */
#ifndef KEYS_H
#define KEYS_H

#define NR_KEYS		10
#define NR_NATIVE	6

/* Open for reading over and over again. */
struct native_files {
	int fd[NR_NATIVE];
};

int open_native(const char *cgroup, struct native_files *files);
/* Read all files from their beginning and take the values of the keys. */
int read_native(const struct native_files *files, unsigned long long values[NR_KEYS]);
/* Take the values out of a view's text, which may show more than these keys. */
int parse_view(const char *text, unsigned long long values[NR_KEYS]);

#endif
