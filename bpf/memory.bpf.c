// SPDX-License-Identifier: GPL-2.0-only
/*
 * view.memory: what a cgroup and all below it hold, may hold, and what
 * happened when it could not have more.
 */
#include "view.h"

char LICENSE[] SEC("license") = "GPL";

/* Values come from the running kernel; those written here are never used. */
enum node_stat_item___view {
	NR_ANON_MAPPED___view = 1,
	NR_FILE_PAGES___view = 2,
};

enum memcg_stat_item___view {
	MEMCG_KMEM___view = 1,
	MEMCG_NR_STAT___view = 2,
};

enum memcg_memory_event___view {
	MEMCG_LOW___view = 1,
	MEMCG_HIGH___view = 2,
	MEMCG_MAX___view = 3,
	MEMCG_OOM___view = 4,
	MEMCG_OOM_KILL___view = 5,
};

static __always_inline struct mem_cgroup *to_memcg(struct cgroup_subsys_state *css)
{
	return (void *)css - bpf_core_field_offset(struct mem_cgroup, css);
}

/*
 * The root's limits cannot be set, so they hold the kernel's "no limit", which
 * is the number of pages in LONG_MAX bytes. That gives the page size as well.
 */
static __always_inline __u64 no_limit_pages(struct cgroup *cgrp)
{
	struct cgroup_subsys_state *css = VIEW_CSS(view_root(cgrp), memory);

	return css ? BPF_CORE_READ(to_memcg(css), memory.max) : 0;
}

#define LIMIT_LINE(seq, key, pages, no_limit, page_size)		\
	do {								\
		__u64 _pages = (pages);					\
									\
		if (_pages >= (no_limit))				\
			VIEW_NO_LIMIT(seq, key);			\
		else							\
			VIEW_LINE(seq, key, _pages * (page_size));	\
	} while (0)

/*
 * A newer kernel keeps fewer statistics for a memory cgroup than it numbers, and
 * a table says which number is kept where. The table is static: its address is
 * only in /proc/kallsyms, and missing from there for whoever may not see it.
 */
extern const void mem_cgroup_stats_index __ksym __weak;

static __always_inline __u32 stats_kept(void)
{
	struct memcg_vmstats *stats = NULL;

	if (!bpf_core_type_exists(struct memcg_vmstats))
		return 0;
	return bpf_core_field_size(stats->state) / sizeof(long);
}

static __always_inline bool stats_are_indexed_directly(void)
{
	return bpf_core_enum_value_exists(enum memcg_stat_item___view, MEMCG_NR_STAT___view) &&
	       stats_kept() == bpf_core_enum_value(enum memcg_stat_item___view,
						   MEMCG_NR_STAT___view);
}

/* Write a statistic, or nothing rather than something wrong. */
static __always_inline bool read_stat(struct memcg_vmstats *stats, __u64 number, __u64 *out)
{
	__u64 index = number;
	__u8 entry = 0;
	long value = 0;

	if (!stats_are_indexed_directly()) {
		if (!&mem_cgroup_stats_index ||
		    bpf_probe_read_kernel(&entry, sizeof(entry),
					  (const __u8 *)&mem_cgroup_stats_index + number))
			return false;
		index = entry;
	}
	if (index >= stats_kept() ||
	    bpf_core_read(&value, sizeof(value), &stats->state[index]))
		return false;
	*out = value < 0 ? 0 : value;
	return true;
}

/* What stands together is read at once: each read of foreign memory is a call. */
#define MAX_LIMITS	8
#define MAX_EVENTS	16

static __always_inline void read_limits(__u64 *limits, struct page_counter *counter)
{
	bpf_core_read(limits, MAX_LIMITS * sizeof(*limits), &counter->min);
}

/* Which of the limits it is, counted from "min". */
#define LIMIT_INDEX(field)						\
	((bpf_core_field_offset(struct page_counter, field) -		\
	  bpf_core_field_offset(struct page_counter, min)) / sizeof(__u64))

static __always_inline void read_events(__u64 *events, struct mem_cgroup *memcg)
{
	__u32 size = bpf_core_field_size(memcg->memory_events);

	if (size <= MAX_EVENTS * sizeof(*events))
		bpf_core_read(events, size, &memcg->memory_events);
}

#define STAT_LINE(seq, key, stats, page_size, type, item)		\
	do {								\
		__u64 _pages;						\
									\
		if (read_stat(stats, bpf_core_enum_value(enum type##___view, \
							 item##___view), &_pages)) \
			VIEW_LINE(seq, key, _pages * (page_size));	\
	} while (0)

#define EVENT_LINE(seq, key, events, item)				\
	do {								\
		__u64 _index = bpf_core_enum_value(enum memcg_memory_event___view, \
						   item##___view);	\
									\
		if (_index < MAX_EVENTS)				\
			VIEW_LINE(seq, key, (events)[_index]);		\
	} while (0)

#define COUNTER_LIMIT_LINE(seq, key, limits, field, no_limit, page_size) \
	do {								\
		__u64 _index = LIMIT_INDEX(field);			\
									\
		if (_index < MAX_LIMITS)				\
			LIMIT_LINE(seq, key, (limits)[_index], no_limit, page_size); \
	} while (0)

VIEW_CGROUP_FLUSHED(memory, seq, cgrp)
{
	struct cgroup_subsys_state *css = VIEW_CSS(cgrp, memory);
	__u64 no_limit, page_size;
	struct memcg_vmstats *stats;
	__u64 limits[MAX_LIMITS] = {};
	__u64 events[MAX_EVENTS] = {};
	struct mem_cgroup *memcg;
	bool root;

	if (!view_css_visible(css))
		return VIEW_EMPTY;
	no_limit = no_limit_pages(cgrp);
	if (!no_limit)
		return VIEW_EMPTY;
	page_size = (__u64)((~0ULL >> 1) / no_limit);
	memcg = to_memcg(css);
	root = view_is_root(cgrp);

	/* Nothing is charged to the root itself: it has statistics only. */
	if (!root) {
		read_limits(limits, &memcg->memory);
		VIEW_LINE(seq, "memory_usage_bytes",
			  BPF_CORE_READ(memcg, memory.usage.counter) * page_size);
		COUNTER_LIMIT_LINE(seq, "memory_min_bytes", limits, min, no_limit, page_size);
		COUNTER_LIMIT_LINE(seq, "memory_low_bytes", limits, low, no_limit, page_size);
		COUNTER_LIMIT_LINE(seq, "memory_high_bytes", limits, high, no_limit, page_size);
		COUNTER_LIMIT_LINE(seq, "memory_max_bytes", limits, max, no_limit, page_size);
		VIEW_LINE(seq, "memory_swap_bytes",
			  BPF_CORE_READ(memcg, swap.usage.counter) * page_size);
		LIMIT_LINE(seq, "memory_swap_max_bytes", BPF_CORE_READ(memcg, swap.max),
			   no_limit, page_size);
	}

	stats = BPF_CORE_READ(memcg, vmstats);
	STAT_LINE(seq, "memory_anon_bytes", stats, page_size, node_stat_item, NR_ANON_MAPPED);
	STAT_LINE(seq, "memory_file_bytes", stats, page_size, node_stat_item, NR_FILE_PAGES);
	STAT_LINE(seq, "memory_kernel_bytes", stats, page_size, memcg_stat_item, MEMCG_KMEM);

	if (!root) {
		read_events(events, memcg);
		EVENT_LINE(seq, "memory_events_low_total", events, MEMCG_LOW);
		EVENT_LINE(seq, "memory_events_high_total", events, MEMCG_HIGH);
		EVENT_LINE(seq, "memory_events_max_total", events, MEMCG_MAX);
		EVENT_LINE(seq, "memory_events_oom_total", events, MEMCG_OOM);
		EVENT_LINE(seq, "memory_events_oom_kill_total", events, MEMCG_OOM_KILL);
	}
	return VIEW_SHOWN;
}
