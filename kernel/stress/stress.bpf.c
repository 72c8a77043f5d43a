// SPDX-License-Identifier: GPL-2.0-only
/* Views beside those of the boot test, that name the cgroup as well. */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define SLOW_ROUNDS	2000

char _license[] SEC("license") = "GPL";

struct seq_file;

struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));

struct cgroup {
	struct kernfs_node *kn;
} __attribute__((preserve_access_index));

extern void cgroup_rstat_flush(struct cgroup *cgroup) __ksym;

SEC("view.s/cgroup")
int BPF_PROG(flushed_id, struct seq_file *seq, struct cgroup *cgroup)
{
	cgroup_rstat_flush(cgroup);
	BPF_SEQ_PRINTF(seq, "flushed id %llu\n", cgroup->kn->id);
	return 0;
}

static long count(__u64 round, __u64 *sum)
{
	*sum += round;
	return 0;
}

/* Long enough for others to meet a reader in it. */
SEC("view/cgroup")
int BPF_PROG(slow_id, struct seq_file *seq, struct cgroup *cgroup)
{
	__u64 sum = 0;

	bpf_loop(SLOW_ROUNDS, count, &sum, 0);
	if (sum)
		BPF_SEQ_PRINTF(seq, "slow id %llu\n", cgroup->kn->id);
	return 0;
}
