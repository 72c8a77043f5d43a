// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "files.h"
#include "harness.h"
#include "mounts.h"

enum part { BASICS, CGROUPS, BPF };

static struct {
	enum part part;
	const char *dir, *type, *options;
	bool done;
} mounts[] = {
	{ BASICS, "/proc", "proc", NULL, false },
	{ BASICS, "/sys", "sysfs", NULL, false },
	{ BASICS, TMPFS, "tmpfs", NULL, false },
	{ CGROUPS, CGROUP2, "cgroup2", NULL, false },
	{ CGROUPS, CGROUP1, "cgroup", "none,name=boottest", false },
	{ BPF, BPFFS, "bpf", NULL, false },
};

static int mount_part(enum part part)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		if (mounts[i].part != part)
			continue;
		make_dir(mounts[i].dir);
		if (mount(mounts[i].type, mounts[i].dir, mounts[i].type, 0,
			  mounts[i].options)) {
			say("# cannot mount %s: %s", mounts[i].dir, strerror(errno));
			return -errno;
		}
		mounts[i].done = true;
	}
	return 0;
}

int mount_basics(void)
{
	return mount_part(BASICS);
}

int mount_cgroups(void)
{
	return mount_part(CGROUPS);
}

int mount_bpffs(void)
{
	return mount_part(BPF);
}

int mount_all(void)
{
	return mount_basics() ?: mount_cgroups() ?: mount_bpffs();
}

bool mounted(const char *dir)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++)
		if (!strcmp(mounts[i].dir, dir))
			return mounts[i].done;
	return false;
}
