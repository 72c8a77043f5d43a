// SPDX-License-Identifier: GPL-2.0-only
/* A view of another cgroup than its own, for kernels that let a program find one. */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

struct seq_file;

struct task_cputime {
	__u64 sum_exec_runtime;
} __attribute__((preserve_access_index));

struct cgroup_base_stat {
	struct task_cputime cputime;
} __attribute__((preserve_access_index));

struct cgroup {
	struct cgroup_base_stat bstat;
} __attribute__((preserve_access_index));

extern struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *cgroup) __ksym;
extern void cgroup_rstat_flush(struct cgroup *cgroup) __ksym;

const volatile __u64 shown_id = 1;

SEC("view.s/cgroup")
int BPF_PROG(flushed_by_id, struct seq_file *seq, struct cgroup *cgroup)
{
	struct cgroup *other = bpf_cgroup_from_id(shown_id);

	if (!other)
		return 1;
	cgroup_rstat_flush(other);
	BPF_SEQ_PRINTF(seq, "%llu\n", other->bstat.cputime.sum_exec_runtime / 1000);
	bpf_cgroup_release(other);
	return 0;
}
