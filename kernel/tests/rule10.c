// SPDX-License-Identifier: GPL-2.0-only
/* Rule 10: kernels without bpf(2), without cgroups, without fsnotify. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "as_ever.h"
#include "files.h"
#include "harness.h"
#include "load.h"
#include "objects.h"

static int try_mount(const char *type, const char *options)
{
	const char *dir = TMPFS "/other";

	make_dir(dir);
	if (mount(type, dir, type, 0, options))
		return -errno;
	umount(dir);
	return 0;
}

static int call_bpf(int command)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	return syscall(__NR_bpf, command, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static void no_system_call(struct test *t)
{
	(void)t;
	EXPECT_RET(-ENOSYS, call_bpf(BPF_PROG_LOAD));
	EXPECT_RET(-ENOSYS, call_bpf(BPF_OBJ_PIN));
	EXPECT_RET(-ENOSYS, call_bpf(BPF_LINK_CREATE));
	EXPECT_RET(-ENODEV, try_mount("bpf", NULL));
}

const struct test_case without_bpf[] = {
	{ "rule-10", "without bpf(2) it is ENOSYS, and there is no bpffs", no_system_call, 0 },
	{ "rule-10", "without bpf(2) cgroups come and go as ever", cgroups_as_ever, 0 },
	{ "rule-10", "without bpf(2) nothing in cgroupfs can be unlinked", unlink_as_ever, 0 },
	{}
};

static int new_map(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "boottest", 4, 8, 1, NULL);

	EXPECT(fd >= 0, "no map: %d", fd);
	return fd;
}

static void no_directory(struct test *t)
{
	int fd = new_map();

	EXPECT_RET(-ENODEV, try_mount("cgroup2", NULL));
	EXPECT_RET(-ENODEV, try_mount("cgroup", "none,name=boottest"));
	EXPECT_OK(pin(fd, path("%s/pin", t->pins)));
	EXPECT_RET(-EPERM, pin(fd, "/sys/kernel/view_x"));
	EXPECT_RET(-EPERM, pin(fd, TMPFS "/view_x"));
	EXPECT(!exists("/sys/kernel/view_x") && !exists(TMPFS "/view_x"), "there is a file");
}

/* There is a function to attach it to, only none that a view could show. */
static void no_views(struct test *t)
{
	int type = attach_type_named("BPF_TRACE_VIEW"), fd;

	(void)t;
	EXPECT(type >= 0, "the kernel does not know BPF_TRACE_VIEW");
	fd = load_tracing(BPF_TRACE_ITER, "bpf_iter_task");
	EXPECT(fd >= 0, "an iterator does not load: %d", fd);
	EXPECT_RET(-EOPNOTSUPP, load_tracing(type, "bpf_iter_task"));
	EXPECT_RET(-EINVAL, bpf_link_create(fd, 0, type, NULL));
}

const struct test_case without_cgroups[] = {
	{ "rule-10", "without cgroups a view is not supported", no_views, 0 },
	{ "rule-10", "without cgroups no directory takes an entry", no_directory, 0 },
	{ "rule-10", "without cgroups a pin in bpffs keeps an object, and frees it",
	  bpffs_as_ever, 0 },
	{}
};

static void expect_none(struct test *t)
{
	EXPECT(!exists(path("%s/view.x", t->cg)), "there is a file");
	EXPECT(!exists(path("%s/child/view.x", t->cg)), "there is one below");
}

static void no_watch(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	int kind;

	EXPECT_OK(make_dir(path("%s/child", t->cg)));
	for (kind = 0; kind < NR_KINDS; kind++) {
		EXPECT_RET(-EOPNOTSUPP, pin(obj_fd[kind], entry));
		EXPECT_OK(pin(obj_fd[kind], path("%s/%d", t->pins, kind)));
		EXPECT_RET(-EOPNOTSUPP, pin(obj_fd[kind], entry));
		EXPECT_RET(-EOPNOTSUPP, pin(obj_fd[kind], path("%s/view.x", t->v1)));
		expect_none(t);
	}
	EXPECT_RET(-EOPNOTSUPP, pin_subtree(obj_fd[VIEW_LINK], entry));
	expect_none(t);
	EXPECT_OK(make_dir(path("%s/child/below", t->cg)));
}

static int expose_here(void *entry)
{
	return pin(obj_fd[VIEW_LINK], entry);
}

/* Who may not make a file learns no more than that. */
static void no_watch_for_others(struct test *t)
{
	char *entry = strdup(path("%s/view.x", t->cg));

	EXPECT_RET(-EACCES, as_user(SOMEBODY, expose_here, entry));
	free(entry);
}

const struct test_case without_fsnotify[] = {
	{ "rule-10", "without fsnotify exposing is not supported, and leaves nothing",
	  no_watch, 0 },
	{ "rule-10", "without fsnotify who may not write is told so first",
	  no_watch_for_others, 0 },
	{ "rule-10", "without fsnotify a pin in bpffs keeps an object, and frees it",
	  bpffs_as_ever, 0 },
	{ "rule-10", "without fsnotify cgroups come and go as ever", cgroups_as_ever, 0 },
	{}
};
