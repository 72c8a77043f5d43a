// SPDX-License-Identifier: GPL-2.0-only
/*
 * view.tasks: how many tasks a cgroup and all below it have, and what the
 * tasks of the cgroup itself are doing.
 *
 * The lists of tasks are walked without their lock, which no BPF program can
 * take. Each task is therefore checked to belong to the list it was found in:
 * a walk that was led astray begins again, and after a few failures its keys
 * are left out rather than guessed.
 */
#include "view.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_STEPS	(1 << 16)
#define MAX_ATTEMPTS	4

#define STATE_INTERRUPTIBLE	0x0001
#define STATE_UNINTERRUPTIBLE	0x0002
#define STATE_STOPPED		0x0004
#define STATE_TRACED		0x0008
#define STATE_NOLOAD		0x0400
#define STATE_RTLOCK_WAIT	0x1000
#define STATE_FROZEN		0x8000

enum { LIST_TASKS, LIST_MIGRATING, LIST_DYING, LIST_END };

struct walk {
	struct list_head *links;	/* the cgroup's list of links to task sets */
	struct list_head *link;		/* the link being walked */
	struct css_set *set;		/* its task set, NULL between two */
	struct list_head *head;		/* the list of the set being walked */
	struct list_head *pos;
	__u32 list;
	bool astray;
	bool complete;
	__u64 processes;
	__u64 threads;
	__u64 running;
	__u64 sleeping;
	__u64 uninterruptible;
	__u64 idle;
	__u64 stopped;
	__u64 other;
};

static const struct walk nothing_walked;

/*
 * Older verifiers go through a callback once, take what they know of the first
 * round for every round, and remove the rest as dead. What comes from a helper
 * they do not know.
 */
static __always_inline void begin_walk(struct walk *walk, struct cgroup *cgrp)
{
	struct cgroup *self = NULL;

	bpf_probe_read_kernel(walk, sizeof(*walk), &nothing_walked);
	bpf_core_read(&self, sizeof(self), &cgrp->self.cgroup);
	walk->links = (void *)self + bpf_core_field_offset(struct cgroup, cset_links);
	walk->link = walk->links;
}

static __always_inline struct list_head *next_of(struct list_head *node)
{
	return BPF_CORE_READ(node, next);
}

static __always_inline struct list_head *list_of(struct css_set *set, __u32 list)
{
	__u64 offset;

	if (list == LIST_TASKS)
		offset = bpf_core_field_offset(struct css_set, tasks);
	else if (list == LIST_MIGRATING)
		offset = bpf_core_field_offset(struct css_set, mg_tasks);
	else
		offset = bpf_core_field_offset(struct css_set, dying_tasks);
	return (void *)set + offset;
}

static __always_inline void begin_list(struct walk *walk, __u32 list)
{
	walk->list = list;
	walk->head = list_of(walk->set, list);
	walk->pos = next_of(walk->head);
}

static __always_inline void count_state(struct walk *walk, struct task_struct *task)
{
	__u32 state = BPF_CORE_READ(task, __state);

	if (!state)
		walk->running++;
	else if (state & STATE_INTERRUPTIBLE)
		walk->sleeping++;
	else if (state & (STATE_STOPPED | STATE_TRACED))
		walk->stopped++;
	else if ((state & STATE_UNINTERRUPTIBLE) && (state & STATE_NOLOAD))
		walk->idle++;
	else if (state & (STATE_UNINTERRUPTIBLE | STATE_RTLOCK_WAIT | STATE_FROZEN))
		walk->uninterruptible++;
	else
		walk->other++;
}

static long step(__u32 nr, void *data)
{
	struct walk *walk = data;
	struct cgrp_cset_link *link;
	struct list_head *next;
	struct task_struct *task;
	bool leader;

	if (!walk->set) {
		walk->link = next_of(walk->link);
		if (walk->link == walk->links) {
			walk->complete = true;
			return 1;
		}
		link = (void *)walk->link -
		       bpf_core_field_offset(struct cgrp_cset_link, cset_link);
		walk->set = BPF_CORE_READ(link, cset);
		if (!walk->set) {
			walk->astray = true;
			return 1;
		}
		begin_list(walk, LIST_TASKS);
		return 0;
	}
	if (walk->pos == walk->head) {
		if (walk->list + 1 == LIST_END)
			walk->set = NULL;
		else
			begin_list(walk, walk->list + 1);
		return 0;
	}

	task = (void *)walk->pos - bpf_core_field_offset(struct task_struct, cg_list);
	next = next_of(walk->pos);
	/* Moved to another set, or taken off its list, while it was looked at. */
	if (BPF_CORE_READ(task, cgroups) != walk->set || next == walk->pos) {
		walk->astray = true;
		return 1;
	}
	walk->pos = next;

	leader = BPF_CORE_READ(task, exit_signal) >= 0;
	if (walk->list == LIST_DYING) {
		/* A leader that ended before its threads still stands for the process. */
		if (leader && BPF_CORE_READ(task, signal, live.counter) > 0)
			walk->processes++;
		return 0;
	}
	walk->threads++;
	if (leader)
		walk->processes++;
	count_state(walk, task);
	return 0;
}

static __always_inline struct pids_cgroup *to_pids(struct cgroup_subsys_state *css)
{
	return (void *)css - bpf_core_field_offset(struct pids_cgroup, css);
}

VIEW_CGROUP(tasks, seq, cgrp)
{
	struct cgroup_subsys_state *css = VIEW_CSS(cgrp, pids);
	struct cgroup_subsys_state *root_css;
	__u64 limit, no_limit;
	struct walk walk;
	int attempt;

	/* The root is not counted by the controller. */
	if (view_css_visible(css) && !view_is_root(cgrp)) {
		VIEW_LINE(seq, "tasks_count", BPF_CORE_READ(to_pids(css), counter.counter));
		root_css = VIEW_CSS(view_root(cgrp), pids);
		limit = BPF_CORE_READ(to_pids(css), limit.counter);
		no_limit = root_css ? BPF_CORE_READ(to_pids(root_css), limit.counter) : ~0ULL;
		if (limit >= no_limit)
			VIEW_NO_LIMIT(seq, "tasks_max_count");
		else
			VIEW_LINE(seq, "tasks_max_count", limit);
	}

	for (attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
		begin_walk(&walk, cgrp);
		bpf_loop(MAX_STEPS, step, &walk, 0);
		if (!walk.astray)
			break;
	}
	if (walk.complete) {
		VIEW_LINE(seq, "tasks_local_processes_count", walk.processes);
		VIEW_LINE(seq, "tasks_local_threads_count", walk.threads);
		VIEW_LINE(seq, "tasks_local_running_count", walk.running);
		VIEW_LINE(seq, "tasks_local_sleeping_count", walk.sleeping);
		VIEW_LINE(seq, "tasks_local_uninterruptible_count", walk.uninterruptible);
		VIEW_LINE(seq, "tasks_local_idle_count", walk.idle);
		VIEW_LINE(seq, "tasks_local_stopped_count", walk.stopped);
		VIEW_LINE(seq, "tasks_local_other_count", walk.other);
	}
	return VIEW_SHOWN;
}
