// SPDX-License-Identifier: GPL-2.0-only
/*
 * view.cpu: processor time of a cgroup and all below it, how often its quota
 * held it back, and how long its tasks waited in a run queue.
 *
 * The first two are the kernel's own counters. The third is counted here, from
 * the moment the object is loaded: a wakeup (or being preempted) starts a wait,
 * being switched to ends it.
 */
#include "view.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_TRACKED_CGROUPS	8192
#define MAX_WAITING_TASKS	32768
#define MAX_LEVELS		16
#define MAX_CPUS		8192

struct wait {
	__u64 nsec;
	__u64 count;
};

/*
 * When each runnable task began to wait. An entry goes when the task runs; LRU
 * sweeps up those of tasks whose switch was missed.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_WAITING_TASKS);
	__type(key, __u32);
	__type(value, __u64);
} queued SEC(".maps");

/*
 * Waits by cgroup id, each level holding what its descendants waited too, so
 * that nothing is lost from a parent when a child dies (as in cpu.stat). No
 * LRU: a counter that is evicted would start again at zero. An entry goes with
 * its cgroup.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_TRACKED_CGROUPS);
	__type(key, __u64);
	__type(value, struct wait);
} waits SEC(".maps");

/* Set for good once a cgroup found no room: from then on no entry may mean that. */
bool waits_overflowed;

static __always_inline void wait_begins(struct task_struct *task)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 pid = task->pid;

	if (pid)
		bpf_map_update_elem(&queued, &pid, &now, BPF_ANY);
}

static __always_inline void add_wait(__u64 cgroup_id, __u64 nsec)
{
	struct wait *wait = bpf_map_lookup_elem(&waits, &cgroup_id);

	if (!wait) {
		struct wait none = {};

		bpf_map_update_elem(&waits, &cgroup_id, &none, BPF_NOEXIST);
		wait = bpf_map_lookup_elem(&waits, &cgroup_id);
		if (!wait) {
			waits_overflowed = true;
			return;
		}
	}
	/* One's own processor's copy, and switching is not preempted. */
	wait->nsec += nsec;
	wait->count++;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
	wait_begins(task);
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(on_wakeup_new, struct task_struct *task)
{
	wait_begins(task);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev,
	     struct task_struct *next, unsigned int prev_state)
{
	struct cgroup_subsys_state *parent;
	__u64 *since, begun, now, nsec;
	struct cgroup *cgrp;
	__u32 pid;
	int level;

	/* Still runnable, so it waits from now on. */
	if (preempt || !prev_state)
		wait_begins(prev);

	pid = next->pid;
	if (!pid)
		return 0;
	since = bpf_map_lookup_elem(&queued, &pid);
	if (!since)
		return 0;
	begun = *since;
	bpf_map_delete_elem(&queued, &pid);
	now = bpf_ktime_get_ns();
	nsec = now > begun ? now - begun : 0;

	cgrp = next->cgroups->dfl_cgrp;
	for (level = 0; level < MAX_LEVELS; level++) {
		add_wait(cgrp->kn->id, nsec);
		parent = cgrp->self.parent;
		if (!parent)
			break;
		cgrp = parent->cgroup;
	}
	return 0;
}

SEC("tp_btf/cgroup_release")
int BPF_PROG(on_release, struct cgroup *cgrp)
{
	__u64 id = cgrp->kn->id;

	/* Other hierarchies number their cgroups independently. */
	if (!cgrp->root->hierarchy_id)
		bpf_map_delete_elem(&waits, &id);
	return 0;
}

struct wait_sum {
	__u64 cgroup_id;
	struct wait total;
};

static long add_cpu_waits(__u32 cpu, void *data)
{
	struct wait_sum *sum = data;
	struct wait *wait;

	wait = bpf_map_lookup_percpu_elem(&waits, &sum->cgroup_id, cpu);
	if (!wait)
		return 1;
	sum->total.nsec += wait->nsec;
	sum->total.count += wait->count;
	return 0;
}

extern struct kernel_cpustat kernel_cpustat __ksym __weak;

struct times {
	__u64 user;
	__u64 system;
	__u64 usage;
};

static long add_cpu_times(__u32 cpu, void *data)
{
	struct kernel_cpustat *stat;
	struct times *sum = data;
	__u64 user, system;

	stat = bpf_per_cpu_ptr(&kernel_cpustat, cpu);
	if (!stat)
		return 1;
	user = stat->cpustat[CPUTIME_USER] + stat->cpustat[CPUTIME_NICE];
	system = stat->cpustat[CPUTIME_SYSTEM] + stat->cpustat[CPUTIME_IRQ] +
		 stat->cpustat[CPUTIME_SOFTIRQ];
	sum->user += user;
	sum->system += system;
	sum->usage += user + system;
	return 0;
}

/*
 * a * b / c for a <= c, where b is close to c: what is lost by making the
 * factors fit 64 bits is only lost on the difference.
 */
static __always_inline __u64 scale(__u64 a, __u64 b, __u64 c)
{
	bool more = b >= c;
	__u64 diff = more ? b - c : c - b;
	__u64 small_a = a, small_c = c, part;
	int i;

	for (i = 0; i < 32 && small_c >> 32; i++) {
		small_a >>= 1;
		small_c >>= 1;
	}
	if (!small_c)
		return a;
	part = diff / small_c * small_a + diff % small_c * small_a / small_c;
	/* Both factors were shifted alike, so part is diff * a / c. */
	if (more)
		return a + part;
	return a > part ? a - part : 0;
}

/*
 * Running time is exact, its division into user and system is sampled by
 * ticks; cpu.stat divides the former by the ratio of the latter and never lets
 * either go back. The same is done here from what its last reader left behind,
 * without leaving anything behind.
 */
static __always_inline void cgroup_times(struct cgroup *cgrp, struct times *out)
{
	__u64 runtime = BPF_CORE_READ(cgrp, bstat.cputime.sum_exec_runtime);
	__u64 system = BPF_CORE_READ(cgrp, bstat.cputime.stime);
	__u64 user = BPF_CORE_READ(cgrp, bstat.cputime.utime);
	__u64 last_system = BPF_CORE_READ(cgrp, prev_cputime.stime);
	__u64 last_user = BPF_CORE_READ(cgrp, prev_cputime.utime);

	out->usage = runtime;
	if (last_system + last_user >= runtime) {
		out->system = last_system;
		out->user = last_user;
		return;
	}
	if (!system)
		system = 0;
	else if (!user)
		system = runtime;
	else
		system = scale(system, runtime, system + user);
	if (system > runtime)
		system = runtime;
	if (system < last_system)
		system = last_system;
	user = runtime - system;
	if (user < last_user) {
		user = last_user;
		system = runtime - user;
	}
	out->system = system;
	out->user = user;
}

static __always_inline struct task_group *to_task_group(struct cgroup_subsys_state *css)
{
	return (void *)css - bpf_core_field_offset(struct task_group, css);
}

VIEW_CGROUP_FLUSHED(cpu, seq, cgrp)
{
	struct cgroup_subsys_state *css = VIEW_CSS(cgrp, cpu);
	struct times times = {};
	struct wait_sum sum = {};
	bool root = view_is_root(cgrp);
	struct task_group *group;
	__u64 quota, period;

	if (root)
		bpf_loop(MAX_CPUS, add_cpu_times, &times, 0);
	else
		cgroup_times(cgrp, &times);
	VIEW_LINE(seq, "cpu_usage_usec", times.usage / NSEC_PER_USEC);
	VIEW_LINE(seq, "cpu_user_usec", times.user / NSEC_PER_USEC);
	VIEW_LINE(seq, "cpu_system_usec", times.system / NSEC_PER_USEC);

	if (css && bpf_core_field_exists(struct task_group, cfs_bandwidth)) {
		group = to_task_group(css);
		if (!root && view_css_visible(css)) {
			quota = BPF_CORE_READ(group, cfs_bandwidth.quota);
			if (quota == ~0ULL)
				VIEW_NO_LIMIT(seq, "cpu_quota_usec");
			else
				VIEW_LINE(seq, "cpu_quota_usec", quota / NSEC_PER_USEC);
			period = BPF_CORE_READ(group, cfs_bandwidth.period);
			VIEW_LINE(seq, "cpu_period_usec", period / NSEC_PER_USEC);
		}
		VIEW_LINE(seq, "cpu_periods_total",
			  BPF_CORE_READ(group, cfs_bandwidth.nr_periods));
		VIEW_LINE(seq, "cpu_throttled_periods_total",
			  BPF_CORE_READ(group, cfs_bandwidth.nr_throttled));
		VIEW_LINE(seq, "cpu_throttled_usec",
			  BPF_CORE_READ(group, cfs_bandwidth.throttled_time) / NSEC_PER_USEC);
	}

	sum.cgroup_id = BPF_CORE_READ(cgrp, kn, id);
	bpf_loop(MAX_CPUS, add_cpu_waits, &sum, 0);
	/* No entry is no wait, unless there was no room for one. */
	if (sum.total.count || !waits_overflowed) {
		VIEW_LINE(seq, "cpu_runqueue_wait_usec", sum.total.nsec / NSEC_PER_USEC);
		VIEW_LINE(seq, "cpu_runqueue_waits_total", sum.total.count);
	}
	return VIEW_SHOWN;
}
