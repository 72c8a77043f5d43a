// SPDX-License-Identifier: GPL-2.0-only
/* Rule 5: the file, its owner, its mode and its name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

static void expose(struct test *t, const char *entry)
{
	const char *where = path("%s/pin", t->pins);

	if (!exists(where))
		EXPECT_OK(pin(obj_fd[VIEW_LINK], where));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], entry));
}

static void owner_and_mode(struct test *t)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	struct stat st;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		const char *entry = path("%s/view.%u", t->cg, i);

		umask(masks[i]);
		expose(t, entry);
		EXPECT(stat(entry, &st) == 0, "no file");
		EXPECT(st.st_mode == (S_IFREG | 0644), "umask %o makes mode %o",
		       masks[i], st.st_mode);
		EXPECT(st.st_uid == 0 && st.st_gid == 0, "owned by %d:%d", st.st_uid,
		       st.st_gid);
	}
}

static int change_mode(void *entry)
{
	return chmod(entry, 0600) ? -errno : 0;
}

static int read_it(void *entry)
{
	char text[64];
	int ret = read_text(entry, text, sizeof(text));

	return ret < 0 ? ret : 0;
}

static void change_mode_and_owner(struct test *t)
{
	char entry[128];
	struct stat st;

	snprintf(entry, sizeof(entry), "%s/view.x", t->cg);
	expose(t, entry);
	EXPECT_OK(as_user(SOMEBODY, read_it, entry));
	EXPECT_RET(-EPERM, as_user(SOMEBODY, change_mode, entry));

	EXPECT_OK(change_mode(entry));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, read_it, entry));
	EXPECT(chown(entry, SOMEBODY, SOMEBODY) == 0, "chown: %d", errno);
	EXPECT_OK(as_user(SOMEBODY, read_it, entry));
	EXPECT_OK(as_user(SOMEBODY, change_mode, entry));
	EXPECT(stat(entry, &st) == 0 && st.st_uid == SOMEBODY &&
	       (st.st_mode & 07777) == 0600, "owner %d, mode %o", st.st_uid, st.st_mode);
}

static void taken_by_an_entry(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	char before[64], after[64];

	expose(t, entry);
	read_text(entry, before, sizeof(before));
	EXPECT_RET(-EEXIST, pin(obj_fd[VIEW_LINK], entry));
	EXPECT_OK(pin(obj_fd[MAP], path("%s/map", t->pins)));
	EXPECT_RET(-EEXIST, pin(obj_fd[MAP], entry));
	EXPECT(read_text(entry, after, sizeof(after)) > 0, "it cannot be read any more");
	EXPECT(!strcmp(before, after), "it shows %s", after);
}

/* A controller finds the name of one of its files taken. */
static void taken_before_the_controller(struct test *t)
{
	const char *child = path("%s/child", t->cg);
	const char *entry = path("%s/pids.max", child);
	const char *control_file = path("%s/cgroup.subtree_control", t->cg);
	char text[256];

	if (write_text(CGROUP2 "/cgroup.subtree_control", "+pids"))
		skip("no pids controller");
	EXPECT_OK(make_dir(child));
	expose(t, entry);
	EXPECT_RET(-EEXIST, write_text(control_file, "+pids"));
	EXPECT(read_text(entry, text, sizeof(text)) > 0 && !strncmp(text, "id ", 3),
	       "the entry shows %s", text);
	EXPECT(!exists(path("%s/pids.current", child)), "half of the controller is there");

	EXPECT_OK(write_text(entry, "rm"));
	EXPECT_OK(write_text(control_file, "+pids"));
	EXPECT(read_text(entry, text, sizeof(text)) > 0, "no pids.max");
	EXPECT(!strcmp(text, "max\n"), "pids.max is %s", text);
	EXPECT_RET(-EEXIST, pin(obj_fd[VIEW_LINK], entry));
}

const struct test_case rule_5[] = {
	{ "rule-5", "root's file has mode 0644, whatever the umask",
	  owner_and_mode, SINCE_ENTRIES },
	{ "rule-5", "chmod and chown are the owner's", change_mode_and_owner, SINCE_READING },
	{ "rule-5", "the name of an entry is taken", taken_by_an_entry, SINCE_READING },
	{ "rule-5", "a controller cannot take an entry's name",
	  taken_before_the_controller, SINCE_READING },
	{}
};
