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

#define VIEW_LINE(seq, key, value)					\
	BPF_SEQ_PRINTF(seq, key " %llu\n", (__u64)(value))

#define VIEW_NO_LIMIT(seq, key)						\
	BPF_SEQ_PRINTF(seq, key " +Inf\n")

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
	struct cgroup_subsys_state *css = NULL;

	if (id >= bpf_core_field_size(cgrp->subsys) / sizeof(void *))
		return NULL;
	bpf_core_read(&css, sizeof(css), &cgrp->subsys[id]);
	return css;
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
	return css && (BPF_CORE_READ(css, flags) & CSS_VISIBLE);
}

static __always_inline bool view_is_root(struct cgroup *cgrp)
{
	return !BPF_CORE_READ(cgrp, self.parent);
}

/* The root cgroup of the hierarchy that cgrp is in. */
static __always_inline struct cgroup *view_root(struct cgroup *cgrp)
{
	struct cgroup_root *root = BPF_CORE_READ(cgrp, root);

	return (void *)root + bpf_core_field_offset(struct cgroup_root, cgrp);
}

#endif /* BPFVIEW_VIEW_H */
