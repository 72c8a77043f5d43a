// SPDX-License-Identifier: GPL-2.0-only
/* A directory holds so many entries, whoever makes them and however. */
#include <errno.h>
#include <stdio.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

#define MAX_ENTRIES	256

/* Expose the view under numbered names. */
static int fill(const char *dir, const char *prefix, int nr,
		int (*expose)(int fd, const char *where))
{
	int i, ret = 0;

	for (i = 0; !ret && i < nr; i++)
		ret = expose(obj_fd[VIEW_LINK], path("%s/%s.%d", dir, prefix, i));
	return ret;
}

static void one_too_many(struct test *t)
{
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(fill(t->cg, "view", MAX_ENTRIES, pin));
	EXPECT_RET(-ENOSPC, pin(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	EXPECT_RET(-ENOSPC, pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	EXPECT(!listed(t->cg, "view.x"), "it is there all the same");
	EXPECT_OK(remove_file(path("%s/view.0", t->cg)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	EXPECT_RET(-ENOSPC, pin(obj_fd[VIEW_LINK], path("%s/view.y", t->cg)));
}

static void room_again(struct test *t)
{
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(fill(t->cg, "view", MAX_ENTRIES, pin_subtree));
	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(fill(t->cg, "view", MAX_ENTRIES, pin));
}

static int count_views(const char *dir)
{
	int i, nr = 0;

	for (i = 0; i < MAX_ENTRIES; i++)
		nr += exists(path("%s/view.%d", dir, i));
	return nr;
}

/* A child of a's is offered a's own subtree and all of those above. */
static void nearest_inherited(struct test *t)
{
	char a[128], b[160];
	int i;

	/* The names have to outlive hundreds of others. */
	snprintf(a, sizeof(a), "%s/a", t->cg);
	snprintf(b, sizeof(b), "%s/b", a);
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(make_dir(a));
	EXPECT_OK(fill(t->cg, "view", MAX_ENTRIES, pin_subtree));
	EXPECT(count_views(a) == MAX_ENTRIES, "it has %d", count_views(a));
	for (i = 0; i < 10; i++)
		EXPECT_OK(remove_file(path("%s/view.%d", a, i)));
	EXPECT_OK(fill(a, "own", 10, pin_subtree));
	EXPECT_OK(make_dir(b));
	for (i = 0; i < 10; i++)
		EXPECT(exists(path("%s/own.%d", b, i)), "it lacks one of the nearest");
	EXPECT(count_views(b) == MAX_ENTRIES - 10, "it has %d besides", count_views(b));
	EXPECT_RET(-ENOSPC, pin(obj_fd[VIEW_LINK], path("%s/view.x", b)));
}

/* Who owns a cgroup cannot keep others from making one in it. */
static void nobody_fails(struct test *t)
{
	char full[128];

	snprintf(full, sizeof(full), "%s/full", t->cg);
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(make_dir(full));
	EXPECT_OK(fill(full, "own", MAX_ENTRIES, pin_subtree));
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/view.0", t->cg)));
	EXPECT_OK(make_dir(path("%s/full/child", t->cg)));
	EXPECT(!exists(path("%s/full/child/view.0", t->cg)), "it has one too many");
}

static void full_below(struct test *t)
{
	char full[128];

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	snprintf(full, sizeof(full), "%s/a", t->cg);
	EXPECT_OK(make_dir(full));
	EXPECT_OK(make_dir(path("%s/c", t->cg)));
	EXPECT_OK(fill(full, "view", MAX_ENTRIES, pin));
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	EXPECT(!exists(path("%s/a/view.x", t->cg)), "a full one has it");
	EXPECT(exists(path("%s/c/view.x", t->cg)), "another one has it not");
}

const struct test_case limit[] = {
	{ "limit", "a directory holds 256 entries, and no more", one_too_many, SINCE_LIMIT },
	{ "limit", "the unpin makes room", room_again, SINCE_LIMIT },
	{ "limit", "a new cgroup inherits as many, the nearest first",
	  nearest_inherited, SINCE_LIMIT },
	{ "limit", "a mkdir in a full one succeeds", nobody_fails, SINCE_LIMIT },
	{ "limit", "a full directory does not keep others from a subtree's file",
	  full_below, SINCE_LIMIT },
	{}
};
