// SPDX-License-Identifier: GPL-2.0-only
/* What is the same with the series and without it, with all of it and a part. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "as_ever.h"
#include "files.h"

static int enter(void *dir)
{
	char text[64];
	int ret;

	ret = write_text(path("%s/cgroup.procs", (const char *)dir), "0");
	if (ret)
		return ret;
	ret = read_text(path("%s/cgroup.procs", (const char *)dir), text, sizeof(text));
	if (ret < 0)
		return ret;
	return atoi(text) == getpid() ? 0 : -EBADMSG;
}

static void use_cgroup(char *dir)
{
	char text[64];

	EXPECT_OK(make_dir(dir));
	EXPECT(listed(dir, "cgroup.procs"), "it has no cgroup.procs");
	EXPECT_OK(finish(start(enter, dir)));
	EXPECT_RET(0, read_text(path("%s/cgroup.procs", dir), text, sizeof(text)));
	EXPECT_OK(remove_dir(dir));
	EXPECT(!exists(dir), "it is still there");
}

void cgroups_as_ever(struct test *t)
{
	char child[96];
	int round;

	for (round = 0; round < 20; round++) {
		snprintf(child, sizeof(child), "%s/child", t->cg);
		use_cgroup(child);
		snprintf(child, sizeof(child), "%s/child", t->v1);
		use_cgroup(child);
	}
}

void unlink_as_ever(struct test *t)
{
	const char *child = path("%s/child", t->cg);

	EXPECT_OK(make_dir(child));
	EXPECT_RET(-EPERM, remove_file(path("%s/cgroup.procs", t->cg)));
	EXPECT_RET(-EPERM, remove_file(path("%s/tasks", t->v1)));
	EXPECT_RET(-EISDIR, remove_file(child));
	EXPECT_RET(-ENOENT, remove_file(path("%s/none", t->cg)));
	EXPECT_RET(-EPERM, remove_file("/sys/kernel/uevent_seqnum"));
	EXPECT(exists(path("%s/cgroup.procs", t->cg)), "cgroup.procs is gone");
}

/* A pin keeps its object, and its end frees it. */
void bpffs_as_ever(struct test *t)
{
	const char *where = path("%s/pin", t->pins);
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int fd;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "as_ever", 4, 8, 1, NULL);
	EXPECT(fd >= 0, "no map: %d", fd);
	EXPECT_OK(bpf_obj_get_info_by_fd(fd, &info, &len));
	EXPECT_OK(pin(fd, where));
	EXPECT_RET(-EEXIST, pin(fd, where));
	close(fd);
	fd = bpf_obj_get(where);
	EXPECT(fd >= 0, "the pin does not keep the map: %d", fd);
	close(fd);
	EXPECT_OK(remove_file(where));
	EXPECT(object_goes(bpf_map_get_fd_by_id, info.id), "it is still there without a pin");
}

const struct test_case as_ever[] = {
	{ "as-ever", "cgroups come and go, and are entered", cgroups_as_ever, SINCE_EVER },
	{ "as-ever", "what the series has not made cannot be unlinked",
	  unlink_as_ever, SINCE_EVER },
	{ "as-ever", "a pin in bpffs keeps an object, and frees it", bpffs_as_ever, SINCE_EVER },
	{}
};
