// SPDX-License-Identifier: GPL-2.0-only
/* Views that the verifier must refuse, loaded one at a time. */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

struct seq_file;
struct cgroup;

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
