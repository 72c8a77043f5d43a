// SPDX-License-Identifier: GPL-2.0-only
/* Extension: unlink(2) of an entry. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

static void each_kind(struct test *t)
{
	int kind;

	for (kind = 0; kind < NR_KINDS; kind++) {
		const char *where = path("%s/%d", t->pins, kind);
		const char *entry = path("%s/view.%d", t->cg, kind);

		EXPECT_OK(pin(obj_fd[kind], where));
		EXPECT_OK(pin(obj_fd[kind], entry));
		EXPECT_OK(remove_file(entry));
		EXPECT(!exists(entry), "%s is still there", kind_name[kind]);
		EXPECT(!listed(t->cg, path("view.%d", kind)), "it is still listed");
		EXPECT(exists(where), "%s was unpinned", kind_name[kind]);
		EXPECT_RET(-ENOENT, remove_file(entry));
		EXPECT_OK(pin(obj_fd[kind], entry));
	}
}

static void version_1(struct test *t)
{
	const char *entry = path("%s/view.x", t->v1);

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], entry));
	EXPECT_OK(remove_file(entry));
	EXPECT(!exists(entry), "it is still there");
}

static int unlink_it(void *entry)
{
	return remove_file(entry);
}

static void by_the_owner_of_the_directory(struct test *t)
{
	char entry[128];

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	snprintf(entry, sizeof(entry), "%s/view.x", t->cg);
	EXPECT_OK(pin(obj_fd[VIEW_LINK], entry));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, unlink_it, entry));
	EXPECT(exists(entry), "it is gone");
	EXPECT(chown(t->cg, SOMEBODY, SOMEBODY) == 0, "chown");
	EXPECT_RET(-EACCES, as_user(SOMEBODY_ELSE, unlink_it, entry));
	EXPECT_OK(as_user(SOMEBODY, unlink_it, entry));
	EXPECT(!exists(entry), "it is still there");
}

static void open_over_unlink(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	char text[64];
	int fd;

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], entry));
	fd = open_file(entry, O_RDWR);
	EXPECT(fd >= 0, "open: %d", fd);
	EXPECT_OK(remove_file(entry));
	EXPECT_RET(-ENODEV, read_fd(fd, text, sizeof(text)));
	EXPECT_RET(-ENODEV, write_fd(fd, "rm"));
	close(fd);
}

const struct test_case unlink_cases[] = {
	{ "unlink", "removes the entry, whatever the object", each_kind, SINCE_UNLINK },
	{ "unlink", "works in a version 1 hierarchy", version_1, SINCE_UNLINK },
	{ "unlink", "is the right of who may write the directory",
	  by_the_owner_of_the_directory, SINCE_UNLINK },
	{ "unlink", "a file open over it reads ENODEV", open_over_unlink, SINCE_UNLINK },
	{}
};
