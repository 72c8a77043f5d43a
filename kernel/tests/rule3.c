// SPDX-License-Identifier: GPL-2.0-only
/* Rule 3: creating an entry asks for what creating a file asks for. */
#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

static int expose_here(void *entry)
{
	return pin(obj_fd[VIEW_LINK], entry);
}

static void delegated(struct test *t)
{
	char entry[128], text[64];
	struct stat st;

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT(chown(t->cg, SOMEBODY, SOMEBODY) == 0, "chown");
	snprintf(entry, sizeof(entry), "%s/view.x", t->cg);
	EXPECT_OK(as_user(SOMEBODY, expose_here, entry));

	EXPECT(stat(entry, &st) == 0, "no file");
	EXPECT(st.st_uid == SOMEBODY && st.st_gid == SOMEBODY, "it belongs to %d:%d",
	       st.st_uid, st.st_gid);
	EXPECT((st.st_mode & 07777) == 0644, "mode %o", st.st_mode);
	EXPECT(read_text(entry, text, sizeof(text)) > 0, "it cannot be read");
}

static void delegated_to_another(struct test *t)
{
	char entry[128];

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT(chown(t->cg, SOMEBODY, SOMEBODY) == 0, "chown");
	snprintf(entry, sizeof(entry), "%s/view.x", t->cg);
	EXPECT_RET(-EACCES, as_user(SOMEBODY_ELSE, expose_here, entry));
	EXPECT(!exists(entry), "there is a file");
}

static void security_module(struct test *t)
{
	int err = deny_by_lsm();

	if (err)
		skip("no BPF LSM in this kernel: %d", err);
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_RET(-ECANCELED, pin(obj_fd[VIEW_LINK], path("%s/view.denied", t->cg)));
	EXPECT(!exists(path("%s/view.denied", t->cg)), "there is a file");
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/view.allowed", t->cg)));
}

static void read_only_mount(struct test *t)
{
	const char *mnt = TMPFS "/ro";
	int ret;

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	make_dir(mnt);
	EXPECT(mount(t->cg, mnt, NULL, MS_BIND, NULL) == 0, "bind mount");
	EXPECT(mount(NULL, mnt, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0,
	       "remount");
	ret = pin(obj_fd[VIEW_LINK], path("%s/view.x", mnt));
	umount2(mnt, MNT_DETACH);
	EXPECT_RET(-EROFS, ret);
	EXPECT(!exists(path("%s/view.x", t->cg)), "there is a file");
}

const struct test_case rule_3[] = {
	{ "rule-3", "who owns a delegated cgroup may, and owns the file",
	  delegated, SINCE_READING },
	{ "rule-3", "who owns another cgroup may not", delegated_to_another, SINCE_ENTRIES },
	{ "rule-3", "a security module is asked, and obeyed", security_module, SINCE_ENTRIES },
	{ "rule-3", "a read-only mount gives EROFS", read_only_mount, SINCE_ENTRIES },
	{}
};
