/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every view shares: how a view is declared, how a line is written, and
 * how a controller's state is found. A view writes one "key value" line per
 * fact; value is an integer, or +Inf where there is no limit.
 */
#ifndef BPFVIEW_VIEW_H
#define BPFVIEW_VIEW_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#define VIEW_SHOWN	0
#define VIEW_EMPTY	1

#define NSEC_PER_USEC	1000ULL

#define VIEW_PROGRAM(section, prepare, name, seq, cgrp)			\
static __always_inline int name##_show(struct seq_file *, struct cgroup *); \
SEC(section)								\
int BPF_PROG(name, struct seq_file *_seq, struct cgroup *_cgrp)		\
{									\
	prepare(_cgrp);							\
	return name##_show(_seq, _cgrp);				\
}									\
static __always_inline int name##_show(struct seq_file *seq, struct cgroup *cgrp)

#define VIEW_NOTHING_TO_PREPARE(cgrp)

/*
 * Declare a view on cgroups:
 *
 *	VIEW_CGROUP(name, seq, cgrp)
 *	{
 *		VIEW_LINE(seq, "some_key_bytes", 1);
 *		return VIEW_SHOWN;
 *	}
 */
#define VIEW_CGROUP(name, seq, cgrp)					\
	VIEW_PROGRAM("view/cgroup", VIEW_NOTHING_TO_PREPARE, name, seq, cgrp)

extern void cgroup_rstat_flush(struct cgroup *cgrp) __ksym;

/*
 * The same for a view of what each processor counts for itself (memory
 * statistics, processor time): what was counted in the cgroup and all below it
 * is added up first. Flushing may sleep, and is the only thing for which a view
 * may.
 */
#define VIEW_CGROUP_FLUSHED(name, seq, cgrp)				\
	VIEW_PROGRAM("view.s/cgroup", cgroup_rstat_flush, name, seq, cgrp)

/*
 * Room for a line: a key, a blank, a number and the line's end. The verifier thinks
 * that a number may have 28 digits.
 */
#define VIEW_LINE_MAX	80
#define VIEW_KEY_MAX	(VIEW_LINE_MAX - 28 - sizeof(" \n") + 1)

/*
 * Write the decimal digits of a number before line[end]. Returns where they
 * begin. Dividing by ten is a multiplication here, which costs a fraction.
 */
static __always_inline __u32 view_digits(char *line, __u32 end, __u32 number, __u32 at_least)
{
	__u32 tenth, i;

	for (i = 0; i < 10 && (i < at_least || number); i++) {
		tenth = (number * 0xcccccccdULL) >> 35;
		line[--end] = '0' + (number - tenth * 10);
		number = tenth;
	}
	return end;
}

/*
 * bpf_seq_printf() would do the same, but interprets its format for each line and
 * takes several times as long. The value is split into parts of nine digits.
 */
static __always_inline void view_line(struct seq_file *seq, const char *key, __u32 len,
				      __u64 value)
{
	__u32 begin = VIEW_LINE_MAX - 1;
	char line[VIEW_LINE_MAX];
	__u64 high;
	int part;

	line[begin] = '\n';
	for (part = 0; part < 2 && value >> 32; part++) {
		high = value / 1000000000;
		begin = view_digits(line, begin, value - high * 1000000000, 9);
		value = high;
	}
	begin = view_digits(line, begin, value, 1) - len;
	__builtin_memcpy(line + begin, key, len);
	bpf_seq_write(seq, line + begin, VIEW_LINE_MAX - begin);
}

#define VIEW_LINE(seq, key, value)					\
	do {								\
		_Static_assert(sizeof(key) <= VIEW_KEY_MAX + 1,		\
			       "a view's key has at most 50 characters"); \
		view_line(seq, key " ", sizeof(key), value);		\
	} while (0)

#define VIEW_TEXT(seq, text)						\
	do {								\
		static const char _text[] = text;			\
									\
		bpf_seq_write(seq, _text, sizeof(_text) - 1);		\
	} while (0)

#define VIEW_NO_LIMIT(seq, key)	VIEW_TEXT(seq, key " +Inf\n")

/*
 * Which controllers a kernel has, and under which number, is its
 * configuration's business: only CO-RE knows.
 */
enum cgroup_subsys_id___view {
	cpu_cgrp_id___view = 1,
	memory_cgrp_id___view = 2,
	pids_cgrp_id___view = 3,
};

static __always_inline struct cgroup_subsys_state *
view_css_at(struct cgroup *cgrp, __u64 id)
{
	if (id >= bpf_core_field_size(cgrp->subsys) / sizeof(void *))
		return NULL;
	return cgrp->subsys[id];
}

/* The controller's state that belongs to this very cgroup, or NULL. */
#define VIEW_CSS(cgrp, controller)					\
	(bpf_core_enum_value_exists(enum cgroup_subsys_id___view,	\
				    controller##_cgrp_id___view) ?	\
	 view_css_at(cgrp, bpf_core_enum_value(enum cgroup_subsys_id___view, \
					       controller##_cgrp_id___view)) : \
	 NULL)

/*
 * A controller that only serves another one keeps its files hidden; its view
 * stays away with them.
 */
static __always_inline bool view_css_visible(struct cgroup_subsys_state *css)
{
	return css && (css->flags & CSS_VISIBLE);
}

static __always_inline bool view_is_root(struct cgroup *cgrp)
{
	return !cgrp->self.parent;
}

/* The root cgroup of the hierarchy that cgrp is in. */
static __always_inline struct cgroup *view_root(struct cgroup *cgrp)
{
	return &cgrp->root->cgrp;
}

#endif /* BPFVIEW_VIEW_H */
