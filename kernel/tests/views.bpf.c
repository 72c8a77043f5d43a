// SPDX-License-Identifier: GPL-2.0-only
/* The objects that the boot test exposes in cgroup directories. */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "control.h"

#define LONG_LINES	400

char _license[] SEC("license") = "GPL";

struct seq_file;

struct robust_list_head {
	long futex_offset;
} __attribute__((preserve_access_index));

struct task_struct {
	struct robust_list_head *robust_list;
} __attribute__((preserve_access_index));

struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));

struct task_cputime {
	__u64 sum_exec_runtime;
} __attribute__((preserve_access_index));

struct cgroup_base_stat {
	struct task_cputime cputime;
} __attribute__((preserve_access_index));

struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_base_stat bstat;
} __attribute__((preserve_access_index));

extern void cgroup_rstat_flush(struct cgroup *cgroup) __ksym;

struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} some_map SEC(".maps");

volatile struct control control;

SEC("view/cgroup")
int BPF_PROG(show_id, struct seq_file *seq, struct cgroup *cgroup)
{
	BPF_SEQ_PRINTF(seq, "id %llu\n", cgroup->kn->id);
	return 0;
}

SEC("view/cgroup")
int BPF_PROG(maybe, struct seq_file *seq, struct cgroup *cgroup)
{
	BPF_SEQ_PRINTF(seq, "something\n");
	return control.nothing ? 1 : 0;
}

/* More than a page, so that the reader's buffer has to grow meanwhile. */
SEC("view/cgroup")
int BPF_PROG(show_long, struct seq_file *seq, struct cgroup *cgroup)
{
	int line;

	for (line = 0; line < LONG_LINES; line++)
		BPF_SEQ_PRINTF(seq, "line_%06d 0123456789abcdef\n", line);
	return 0;
}

static const char full_line[LINE_SIZE] =
	"0123456789 0123456789 0123456789 0123456789 0123456789 12345678\n";

static long write_line(__u64 line, struct seq_file **seq)
{
	bpf_seq_write(*seq, full_line, sizeof(full_line));
	return 0;
}

SEC("view/cgroup")
int BPF_PROG(show_lines, struct seq_file *seq, struct cgroup *cgroup)
{
	bpf_loop(control.lines, write_line, &seq, 0);
	return 0;
}

static long count_odd(__u64 round, __u64 *odd)
{
	*odd += round & 1;
	return 0;
}

SEC("view/cgroup")
int BPF_PROG(long_loop, struct seq_file *seq, struct cgroup *cgroup)
{
	__u64 odd = 0;

	bpf_loop(LONG_LOOP, count_odd, &odd, 0);
	BPF_SEQ_PRINTF(seq, "%llu\n", odd);
	return 0;
}

/* The reader says where this pointer points, with set_robust_list(2). */
SEC("view/cgroup")
int BPF_PROG(wild_pointer, struct seq_file *seq, struct cgroup *cgroup)
{
	struct task_struct *task = bpf_get_current_task_btf();

	BPF_SEQ_PRINTF(seq, "%ld\n", task->robust_list->futex_offset);
	return 0;
}

/* Less than what makes the kernel complain of a stalled processor. */
#define HOLD_NSEC	10000000000ULL

static long stay(__u64 round, __u64 *deadline)
{
	return !control.hold || bpf_ktime_get_ns() > *deadline;
}

static long stay_on(__u64 round, __u64 *deadline)
{
	bpf_loop(1 << 20, stay, deadline, 0);
	return stay(round, deadline);
}

SEC("view/cgroup")
int BPF_PROG(held, struct seq_file *seq, struct cgroup *cgroup)
{
	__u64 deadline = bpf_ktime_get_ns() + HOLD_NSEC;

	control.inside = 1;
	bpf_loop(1 << 20, stay_on, &deadline, 0);
	control.done = 1;
	BPF_SEQ_PRINTF(seq, "held\n");
	return 0;
}

/* Without the flush it shows what was last gathered, which may be nothing. */
SEC("view.s/cgroup")
int BPF_PROG(flushed, struct seq_file *seq, struct cgroup *cgroup)
{
	cgroup_rstat_flush(cgroup);
	BPF_SEQ_PRINTF(seq, "%llu\n", cgroup->bstat.cputime.sum_exec_runtime / 1000);
	return 0;
}

/* A link to it can be exposed, but there is no cgroup it could show. */
SEC("iter/task")
int no_view(struct bpf_iter__task *ctx)
{
	__u32 key = 0;

	bpf_map_lookup_elem(&some_map, &key);
	return 0;
}
