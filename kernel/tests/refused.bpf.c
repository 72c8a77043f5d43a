// SPDX-License-Identifier: GPL-2.0-only
/* Views that the verifier must refuse, but for the first, loaded one at a time. */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

struct seq_file;

struct cgroup {
	struct cgroup *dom_cgrp;
} __attribute__((preserve_access_index));

extern void cgroup_rstat_flush(struct cgroup *cgroup) __ksym;

SEC("view/cgroup")
int BPF_PROG(returns_1, struct seq_file *seq, struct cgroup *cgroup)
{
	return 1;
}

SEC("view/cgroup")
int BPF_PROG(returns_2, struct seq_file *seq, struct cgroup *cgroup)
{
	return 2;
}

SEC("view/cgroup")
int BPF_PROG(returns_negative, struct seq_file *seq, struct cgroup *cgroup)
{
	return -1;
}

SEC("view/cgroup")
int BPF_PROG(third_argument, struct seq_file *seq, struct cgroup *cgroup, __u64 more)
{
	return more ? 1 : 0;
}

SEC("view/cgroup")
int BPF_PROG(never_returns, struct seq_file *seq, struct cgroup *cgroup)
{
	for (;;)
		bpf_ktime_get_ns();
}

SEC("view/cgroup")
int BPF_PROG(waits_but_cannot_sleep, struct seq_file *seq, struct cgroup *cgroup)
{
	char byte;

	bpf_copy_from_user(&byte, sizeof(byte), (void *)0x1000);
	return 0;
}

SEC("view/cgroup")
int BPF_PROG(flushes_but_cannot_sleep, struct seq_file *seq, struct cgroup *cgroup)
{
	cgroup_rstat_flush(cgroup);
	return 0;
}

SEC("view.s/cgroup")
int BPF_PROG(flushes_another, struct seq_file *seq, struct cgroup *cgroup)
{
	cgroup_rstat_flush(cgroup->dom_cgrp);
	return 0;
}

SEC("view.s/cgroup")
int BPF_PROG(waits_for_user, struct seq_file *seq, struct cgroup *cgroup)
{
	char byte;

	bpf_copy_from_user(&byte, sizeof(byte), (void *)0x1000);
	return 0;
}

SEC("view.s/cgroup")
int BPF_PROG(sleeps_and_returns_2, struct seq_file *seq, struct cgroup *cgroup)
{
	return 2;
}
