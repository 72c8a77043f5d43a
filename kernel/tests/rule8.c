// SPDX-License-Identifier: GPL-2.0-only
/* Rule 8: what is removed is freed at once and not with the unpin. */
#include <errno.h>

#include "files.h"
#include "harness.h"
#include "memory.h"
#include "objects.h"

#define ROUNDS_BEFORE	500
#define ROUNDS		8000
/* What is least, an entry without its node, takes 64 bytes a round: 500 KiB. */
#define ALLOWED_KIB	300

static void rounds(struct test *t, int nr, int (*expose)(struct test *t),
		   int (*end)(struct test *t))
{
	while (nr--) {
		EXPECT_OK(expose(t));
		EXPECT_OK(end(t));
	}
}

static void stays_flat(struct test *t, int (*expose)(struct test *t),
		       int (*end)(struct test *t))
{
	long before, after;

	if (kernel_keeps_freed())
		skip("KASAN keeps freed memory");
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	rounds(t, ROUNDS_BEFORE, expose, end);
	before = slab();
	rounds(t, ROUNDS, expose, end);
	after = slab();
	EXPECT(before > 0 && after > 0, "no Slab: in /proc/meminfo");
	EXPECT(after - before < ALLOWED_KIB, "%d rounds cost %ld KiB", ROUNDS,
	       after - before);
}

static int expose_in_child(struct test *t)
{
	const char *child = path("%s/child", t->cg);

	return make_dir(child) ?: pin(obj_fd[VIEW_LINK], path("%s/view.x", child));
}

static int remove_child(struct test *t)
{
	return remove_dir(path("%s/child", t->cg));
}

static void with_cgroups(struct test *t)
{
	stays_flat(t, expose_in_child, remove_child);
}

static int expose_here(struct test *t)
{
	return pin(obj_fd[VIEW_LINK], path("%s/view.x", t->cg));
}

static int remove_here(struct test *t)
{
	return write_text(path("%s/view.x", t->cg), "rm");
}

static void with_rm(struct test *t)
{
	stays_flat(t, expose_here, remove_here);
}

static int make_child(struct test *t)
{
	return make_dir(path("%s/child", t->cg));
}

static void with_inheritance(struct test *t)
{
	EXPECT_OK(pin(maybe_fd, path("%s/maybe", t->pins)));
	EXPECT_OK(pin_subtree(maybe_fd, path("%s/view.maybe", t->cg)));
	stays_flat(t, make_child, remove_child);
}

static int expose_tree(struct test *t)
{
	return pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->cg));
}

static void with_trees(struct test *t)
{
	EXPECT_OK(make_child(t));
	stays_flat(t, expose_tree, remove_here);
}

const struct test_case rule_8[] = {
	{ "rule-8", "cgroups that come and go leave no memory behind",
	  with_cgroups, SINCE_ENTRIES },
	{ "rule-8", "entries that come and go leave no memory behind", with_rm, SINCE_RM },
	{ "rule-8", "inherited entries leave no memory behind", with_inheritance, SINCE_SUBTREE },
	{ "rule-8", "subtrees that come and go leave no memory behind",
	  with_trees, SINCE_SUBTREE },
	{}
};
