// SPDX-License-Identifier: GPL-2.0-only
/* Where things are. There are few places, so that workers meet. */
#include <stdio.h>

#include "stress.h"

/*
 * The tree's own cgroup, and the first child with all below it, are nobody's but
 * root's: none of these directories, and no entry in them, is given away.
 */
bool is_private(const struct choice *c)
{
	return !c->depth || !c->at[0];
}

const char *cgroup_of(const struct worker *w, const struct choice *c)
{
	char below[MAX_DEPTH * 2 + 1] = "";
	unsigned int i;

	for (i = 0; i < c->depth; i++) {
		below[2 * i] = '/';
		below[2 * i + 1] = 'a' + c->at[i];
		below[2 * i + 2] = '\0';
	}
	return path("%s%s", c->v1 ? TREE1 : w->tree2, below);
}

const char *view_name(const struct choice *c)
{
	return path("view.%c", 'a' + c->name % NR_NAMES);
}

bool is_a_controllers(const struct choice *c)
{
	return !c->name;
}

const char *view_of(const struct worker *w, const struct choice *c)
{
	return path("%s/%s", cgroup_of(w, c), view_name(c));
}

const char *entry_of(const struct worker *w, const struct choice *c)
{
	return path("%s/%s", cgroup_of(w, c),
		    is_a_controllers(c) ? "pids.max" : view_name(c));
}

const char *private_bpffs(const struct worker *w)
{
	return path(TMPFS "/bpf%u", w->number);
}

const char *private_cgroup2(const struct worker *w)
{
	return path(TMPFS "/cgroup%u", w->number);
}
