// SPDX-License-Identifier: GPL-2.0-only
/* Rule 2: in a directory of a cgroup file system and nowhere else. */
#include <errno.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

static void expose_and_read(struct test *t, const char *dir)
{
	const char *entry = path("%s/view.boottest", dir);
	char text[64];

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], entry));
	EXPECT(read_text(entry, text, sizeof(text)) > 0, "no text in %s", entry);
	EXPECT_OK(write_text(entry, "rm"));
	EXPECT(!exists(entry), "%s is still there", entry);
}

static void v2_child(struct test *t)
{
	expose_and_read(t, t->cg);
}

static void v2_root(struct test *t)
{
	expose_and_read(t, CGROUP2);
}

static void v1_child(struct test *t)
{
	expose_and_read(t, t->v1);
}

static void v1_root(struct test *t)
{
	expose_and_read(t, CGROUP1);
}

static void elsewhere(struct test *t)
{
	static const char * const dirs[] = {
		"/sys/kernel", "/sys/fs", "/dev", TMPFS, "/",
	};
	unsigned int i;

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		const char *entry = path("%s/view.x", dirs[i]);

		EXPECT(pin(obj_fd[VIEW_LINK], entry) == -EPERM, "%s: not EPERM", entry);
		EXPECT(!exists(entry), "%s exists", entry);
	}
}

static void bpffs_as_before(struct test *t)
{
	const char *where = path("%s/pin", t->pins);

	EXPECT_OK(pin(obj_fd[MAP], where));
	EXPECT_RET(-EEXIST, pin(obj_fd[PROG], where));
	EXPECT_OK(remove_file(where));
	EXPECT_OK(pin(obj_fd[PROG], where));
	EXPECT_RET(-EPERM, pin(obj_fd[PROG], path("%s/with.dot", t->pins)));
}

const struct test_case rule_2[] = {
	{ "rule-2", "a cgroup of version 2", v2_child, SINCE_READING },
	{ "rule-2", "the root cgroup of version 2", v2_root, SINCE_READING },
	{ "rule-2", "a cgroup of a version 1 hierarchy", v1_child, SINCE_READING },
	{ "rule-2", "the root cgroup of a version 1 hierarchy", v1_root, SINCE_READING },
	{ "rule-2", "sysfs and other file systems give EPERM", elsewhere, SINCE_EVER },
	{ "rule-2", "pinning in bpffs works as before", bpffs_as_before, SINCE_EVER },
	{}
};
