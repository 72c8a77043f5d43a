// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shipped memory view: as it is (program "memory"), without its flush, and as an
 * iterator. With TEN_KEYS it writes ten of its keys and leaves out the rest.
 */
#include "view.h"

#ifdef TEN_KEYS
/* Of a literal: the compiler decides, and drops what is not wanted. */
static __always_inline bool is_wanted(const char *key)
{
	return !__builtin_strcmp(key, "memory_usage_bytes") ||
	       !__builtin_strcmp(key, "memory_high_bytes") ||
	       !__builtin_strcmp(key, "memory_max_bytes") ||
	       !__builtin_strcmp(key, "memory_swap_bytes") ||
	       !__builtin_strcmp(key, "memory_anon_bytes") ||
	       !__builtin_strcmp(key, "memory_file_bytes") ||
	       !__builtin_strcmp(key, "memory_kernel_bytes") ||
	       !__builtin_strcmp(key, "memory_events_high_total") ||
	       !__builtin_strcmp(key, "memory_events_max_total") ||
	       !__builtin_strcmp(key, "memory_events_oom_kill_total");
}

#undef VIEW_LINE
#define VIEW_LINE(seq, key, value)					\
	do {								\
		if (is_wanted(key))					\
			view_line(seq, key " ", sizeof(key), value); \
	} while (0)

#undef VIEW_NO_LIMIT
#define VIEW_NO_LIMIT(seq, key)						\
	do {								\
		if (is_wanted(key))					\
			VIEW_TEXT(seq, key " +Inf\n");		\
	} while (0)
#endif

#include "memory.bpf.c"

SEC("view/cgroup")
int BPF_PROG(plain, struct seq_file *seq, struct cgroup *cgrp)
{
	return memory_show(seq, cgrp);
}

SEC("view.s/cgroup")
int BPF_PROG(sleepable, struct seq_file *seq, struct cgroup *cgrp)
{
	return memory_show(seq, cgrp);
}

SEC("iter/cgroup")
int iterator(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgrp = ctx->cgroup;

	/* Keep this very pointer: the verifier trusts no other once it was checked. */
	barrier_var(cgrp);
	/* The last call has none. */
	return cgrp ? memory_show(ctx->meta->seq, cgrp) : 0;
}
