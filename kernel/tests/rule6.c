// SPDX-License-Identifier: GPL-2.0-only
/* Rule 6: removing an entry. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

static void remove_each_kind(struct test *t, const char *command)
{
	int kind;

	for (kind = 0; kind < NR_KINDS; kind++) {
		const char *where = path("%s/%d", t->pins, kind);
		const char *entry = path("%s/view.%d", t->cg, kind);

		EXPECT_OK(pin(obj_fd[kind], where));
		EXPECT_OK(pin(obj_fd[kind], entry));
		EXPECT(listed(t->cg, path("view.%d", kind)), "it is not listed");
		EXPECT_OK(write_text(entry, command));
		EXPECT(!exists(entry), "%s is still there", kind_name[kind]);
		EXPECT(!listed(t->cg, path("view.%d", kind)), "it is still listed");
		EXPECT(exists(where), "%s was unpinned", kind_name[kind]);
		/* The name is free, and the object still pinned. */
		EXPECT_OK(pin(obj_fd[kind], entry));
	}
}

static void without_newline(struct test *t)
{
	remove_each_kind(t, "rm");
}

static void with_newline(struct test *t)
{
	remove_each_kind(t, "rm\n");
}

static void one_of_two(struct test *t)
{
	char text[64];

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/view.a", t->cg)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/view.b", t->cg)));
	EXPECT_OK(write_text(path("%s/view.a", t->cg), "rm"));
	EXPECT(read_text(path("%s/view.b", t->cg), text, sizeof(text)) > 0,
	       "the other is gone as well");
}

static int remove_it(void *entry)
{
	return write_text(entry, "rm");
}

static void by_somebody(struct test *t)
{
	char entry[128];

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	snprintf(entry, sizeof(entry), "%s/view.x", t->cg);
	EXPECT_OK(pin(obj_fd[VIEW_LINK], entry));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, remove_it, entry));
	EXPECT(exists(entry), "it is gone");
	EXPECT(chown(entry, SOMEBODY, SOMEBODY) == 0, "chown");
	EXPECT_RET(-EACCES, as_user(SOMEBODY_ELSE, remove_it, entry));
	EXPECT_OK(as_user(SOMEBODY, remove_it, entry));
	EXPECT(!exists(entry), "it is still there");
}

static void twice(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	int first, second;

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], entry));
	first = open_file(entry, O_WRONLY);
	second = open_file(entry, O_WRONLY);
	EXPECT(first >= 0 && second >= 0, "open");
	EXPECT_OK(write_fd(first, "rm"));
	EXPECT_RET(-ENODEV, write_fd(second, "rm"));
	/* A file that was removed has no hold on one that came after it. */
	EXPECT_OK(pin(obj_fd[VIEW_LINK], entry));
	EXPECT_RET(-ENODEV, write_fd(second, "rm"));
	EXPECT(exists(entry), "the new one is gone");
}

const struct test_case rule_6[] = {
	{ "rule-6", "rm without a newline removes, whatever the object",
	  without_newline, SINCE_RM },
	{ "rule-6", "rm with a newline removes, whatever the object", with_newline, SINCE_RM },
	{ "rule-6", "rm removes the one entry and not its sibling", one_of_two, SINCE_READING },
	{ "rule-6", "only the owner may remove", by_somebody, SINCE_RM },
	{ "rule-6", "a removed entry cannot be removed again: ENODEV", twice, SINCE_RM },
	{}
};
