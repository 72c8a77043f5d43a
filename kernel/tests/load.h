/* SPDX-License-Identifier: GPL-2.0-only */
/* Loading a tracing program without libbpf's help, to see what the kernel says. */
#ifndef LOAD_H
#define LOAD_H

/*
 * A program that returns 0, attached to a function by its name in the kernel's
 * BTF. Returns its fd, or a negative errno.
 */
int load_tracing(int attach_type, const char *function);
/* The value of a bpf_attach_type, or a negative errno. */
int attach_type_named(const char *name);

#endif
