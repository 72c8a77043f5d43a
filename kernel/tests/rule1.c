// SPDX-License-Identifier: GPL-2.0-only
/* Rule 1: an object must be pinned in bpffs before it can be exposed. */
#include <errno.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

static void never_pinned(struct test *t)
{
	int kind;

	for (kind = 0; kind < NR_KINDS; kind++) {
		const char *entry = path("%s/view.%d", t->cg, kind);

		EXPECT_RET(-ENXIO, pin(obj_fd[kind], entry));
		EXPECT(!exists(entry), "%s left a file", kind_name[kind]);
	}
}

static void pinned_then_exposed(struct test *t)
{
	int kind;

	for (kind = 0; kind < NR_KINDS; kind++) {
		EXPECT_OK(pin(obj_fd[kind], path("%s/%d", t->pins, kind)));
		EXPECT_OK(pin(obj_fd[kind], path("%s/view.%d", t->cg, kind)));
	}
}

static void not_pinned_any_more(struct test *t)
{
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
	EXPECT_RET(-ENXIO, pin(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
}

/* Exposing is no pinning: an entry is not what the next one can stand on. */
static void only_exposed(struct test *t)
{
	int fd = new_view_link();

	EXPECT(fd >= 0, "no link: %d", fd);
	EXPECT_OK(pin(fd, path("%s/pin", t->pins)));
	EXPECT_OK(pin(fd, path("%s/view.x", t->cg)));
	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
	EXPECT_RET(-ENXIO, pin(fd, path("%s/view.x", t->cg)));
}

const struct test_case rule_1[] = {
	{ "rule-1", "what was never pinned in bpffs gives ENXIO", never_pinned, SINCE_ENTRIES },
	{ "rule-1", "what is pinned in bpffs can be exposed", pinned_then_exposed, SINCE_ENTRIES },
	{ "rule-1", "after the unpin it is ENXIO again", not_pinned_any_more, SINCE_ENTRIES },
	{ "rule-1", "an entry does not count as a pin", only_exposed, SINCE_ENTRIES },
	{}
};
