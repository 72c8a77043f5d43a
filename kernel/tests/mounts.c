// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "files.h"
#include "harness.h"
#include "mounts.h"

static const struct {
	const char *dir, *type, *options;
} mounts[] = {
	{ "/proc", "proc", NULL },
	{ "/sys", "sysfs", NULL },
	{ TMPFS, "tmpfs", NULL },
	{ CGROUP2, "cgroup2", NULL },
	{ CGROUP1, "cgroup", "none,name=boottest" },
	{ BPFFS, "bpf", NULL },
};

int mount_all(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		make_dir(mounts[i].dir);
		if (mount(mounts[i].type, mounts[i].dir, mounts[i].type, 0,
			  mounts[i].options)) {
			say("# cannot mount %s: %s", mounts[i].dir, strerror(errno));
			return -errno;
		}
	}
	return 0;
}
