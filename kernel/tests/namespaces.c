// SPDX-License-Identifier: GPL-2.0-only
/* Security: what a container sees that has a user and a cgroup namespace of its own. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

#define MNT	TMPFS "/container"

struct container {
	char cg[96];
	char want[64];		/* what its own cgroup's file shows */
};

static int become_root_inside(void)
{
	/* Who has changed users does not own his files in /proc. */
	prctl(PR_SET_DUMPABLE, 1);
	return write_text("/proc/self/setgroups", "deny") ?:
	       write_text("/proc/self/uid_map", path("0 %d 1", SOMEBODY)) ?:
	       write_text("/proc/self/gid_map", path("0 %d 1", SOMEBODY));
}

static bool shows(const char *entry, const char *want)
{
	char text[64];

	return read_text(entry, text, sizeof(text)) > 0 && !strcmp(text, want);
}

/* Nothing of the path that leads to its cgroup outside. */
static bool no_host_path(const char *outside)
{
	char text[8192];

	if (read_text("/proc/self/cgroup", text, sizeof(text)) <= 0 ||
	    !strstr(text, "0::/\n") || strstr(text, outside))
		return false;
	return read_text("/proc/self/mountinfo", text, sizeof(text)) > 0 &&
	       strstr(text, " / " MNT " ");
}

static int expose_child(void)
{
	int ret;

	ret = make_dir("/child") ?: pin(obj_fd[VIEW_LINK], "/child/view.own");
	if (ret)
		return ret;
	return shows("/child/view.own", path("id %llu\n", inode_of("/child"))) ?
	       0 : -EBADMSG;
}

/* Each step that goes wrong has an errno of its own. */
static int look_around(void *arg)
{
	struct container *container = arg;
	int ret;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP))
		return -errno;
	ret = become_root_inside();
	if (ret)
		return ret;
	if (mount("none", MNT, "cgroup2", 0, NULL))
		return -errno;
	if (!no_host_path(strrchr(container->cg, '/')))
		return -EXDEV;
	if (chroot(MNT) || chdir("/"))
		return -errno;
	/* /.. is / */
	if (!shows("/view.x", container->want) || !shows("/../../view.x", container->want))
		return -EBADMSG;
	if (exists("/view.above") || exists("/../view.above") || exists("/beside"))
		return -ENOTUNIQ;
	/* The file is root's, and that one is not mapped. */
	ret = write_text("/view.x", "rm");
	if (ret != -EACCES)
		return ret ?: -EKEYREVOKED;
	return expose_child();
}

static int enter_and_look(void *arg)
{
	struct container *container = arg;

	return write_text(path("%s/cgroup.procs", container->cg), "0") ?:
	       as_user(SOMEBODY, look_around, container);
}

void inside_namespaces(struct test *t)
{
	struct container container;

	snprintf(container.cg, sizeof(container.cg), "%s/inside", t->cg);
	EXPECT_OK(make_dir(container.cg));
	EXPECT_OK(make_dir(path("%s/beside", t->cg)));
	EXPECT(chown(container.cg, SOMEBODY, SOMEBODY) == 0, "chown");
	make_dir(MNT);
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/view.above", t->cg)));
	snprintf(container.want, sizeof(container.want), "id %llu\n",
		 inode_of(container.cg));
	EXPECT_OK(finish(start(enter_and_look, &container)));
	EXPECT(exists(path("%s/child/view.own", container.cg)), "its file is not there");
}
