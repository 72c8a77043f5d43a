/* SPDX-License-Identifier: GPL-2.0-only */
/* The BPF objects that all tests share. They are loaded once and pinned nowhere. */
#ifndef OBJECTS_H
#define OBJECTS_H

#include <stdbool.h>
#include <linux/types.h>

#include "control.h"
#include "since.h"

struct btf;

enum kind { PROG, MAP, VIEW_LINK, OTHER_LINK, NR_KINDS };

extern int obj_fd[NR_KINDS];		/* one object of each kind */
extern const char * const kind_name[NR_KINDS];
extern int maybe_fd, long_fd, held_fd, flushed_fd;	/* links to other views */
extern int maybe_prog_fd, held_prog_fd, no_view_prog_fd, flushed_prog_fd;
extern volatile struct control *control;

/* Returns 0, or a negative errno after saying what is wrong. */
int load_objects(void);
/*
 * On a kernel with so many patches of the series. Before there are views an
 * iterator stands in for one: all but the text of its entries is the same.
 */
int load_objects_of(enum since patches);
void reset_control(void);
/* Is the object with this id freed? It may go a moment after its last user. */
bool object_goes(int (*fd_by_id)(__u32 id), __u32 id);
/* End what waits in the view "held". */
void let_readers_go(void);

/* A new link to the view show_id, or another of views.bpf.c, or a negative errno. */
int new_view_link(void);
int new_link_to(const char *view);
/* Load and drop one program of refused.bpf.o. Returns 0 or a negative errno. */
int load_refused(const char *name);
/* Load and attach deny.bpf.o until the process ends. */
int deny_by_lsm(void);
/* A constant of the running kernel's BTF, or a negative errno. */
int enum_value(const struct btf *btf, const char *type, const char *name);
/* The value of BPF_TRACE_VIEW or BPF_LINK_TYPE_VIEW in the running kernel. */
int view_attach_type(void);
int view_link_type(void);

/* BPF_OBJ_PIN, in bpffs or in a cgroup. Returns 0 or a negative errno. */
int pin(int fd, const char *where);
int pin_with_flags(int fd, const char *where, unsigned int flags);
/* With BPF_F_VIEW_SUBTREE: in a cgroup and all below it. */
int pin_subtree(int fd, const char *where);

#endif
