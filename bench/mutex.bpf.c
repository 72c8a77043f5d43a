// SPDX-License-Identifier: GPL-2.0-only
/* An iterator that stays inside, and the kernel holds cgroup_mutex meanwhile. */
#include "views.bpf.c"

struct bpf_iter__cgroup {
	struct bpf_iter_meta *meta;
	struct cgroup *cgroup;
} __attribute__((preserve_access_index));

SEC("iter/cgroup")
int held_iterator(struct bpf_iter__cgroup *ctx)
{
	__u64 deadline = bpf_ktime_get_ns() + HOLD_NSEC;

	control.inside = 1;
	bpf_loop(1 << 20, stay_on, &deadline, 0);
	control.done = 1;
	return 0;
}
