/* SPDX-License-Identifier: GPL-2.0-only */
/* Files and processes. What returns an int returns a negative errno on error. */
#ifndef FILES_H
#define FILES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CGROUP2		"/sys/fs/cgroup"
#define CGROUP1		"/cgroup1"
#define BPFFS		"/sys/fs/bpf"
#define TMPFS		"/tmpfs"

#define SOMEBODY	1000
#define SOMEBODY_ELSE	1001

/* A path in a ring of buffers, so that a call can name several. */
const char *path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

int make_dir(const char *name);
int remove_dir(const char *name);
int remove_file(const char *name);
/* Remove a folder with the cgroups below it, or with the pins in it. */
void remove_cgroups(const char *name);
void remove_pins(const char *name);
bool exists(const char *name);
/* Is the name among those that the folder lists? */
bool listed(const char *dir, const char *name);

int open_file(const char *name, int flags);
/* The text of a file, ended by a NUL. Returns its length. */
int read_text(const char *name, char *buf, size_t size);
int write_bytes(const char *name, const char *bytes, size_t len);
int write_text(const char *name, const char *text);
int write_fd(int fd, const char *text);
int read_fd(int fd, char *buf, size_t size);
/* The inode number of a cgroup's folder is the id of the cgroup. */
unsigned long long inode_of(const char *name);

/* Call a function as that user, without capabilities. Returns what it does. */
int as_user(uid_t uid, int (*call)(void *arg), void *arg);

/* Start a function in a process of its own, and get what it returned. */
pid_t start(int (*call)(void *arg), void *arg);
bool running(pid_t pid);
int finish(pid_t pid);

#endif
