/* SPDX-License-Identifier: GPL-2.0-only */
/* The variants of the memory view whose reads are compared. */
#ifndef VARIANTS_H
#define VARIANTS_H

struct bpf_object;

/* Load an object of this folder. Returns NULL after saying what is wrong. */
struct bpf_object *load_views(const char *name);
/* A link to a view of it, pinned and exposed: a file to read, or a negative errno. */
int open_view(struct bpf_object *obj, const char *prog, const char *cgroup, const char *name);
/* A link that iterates over the one cgroup, pinned. */
int pin_iterator(struct bpf_object *obj, const char *prog, const char *cgroup, const char *pinned);

#endif
