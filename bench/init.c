// SPDX-License-Identifier: GPL-2.0-only
/* The only program of the machine: takes the times that the command line asks for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "bench.h"
#include "files.h"
#include "mounts.h"

static const struct {
	const char *name;
	int (*run)(void);
} parts[] = {
	{ "reads", reads },
	{ "dirs-without-views", dirs_without_views },
	{ "dirs", dirs },
	{ "many", many },
};

static int run_part(void)
{
	/* What a kernel does not know itself it hands to init. */
	const char *wanted = getenv("bench");
	unsigned int i;
	int err;

	err = mount_all() ?: enable(CGROUP2, "+io +memory +pids");
	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		if (wanted && !strcmp(wanted, parts[i].name))
			return parts[i].run();
	say("# there is no part %s", wanted ?: "without a name");
	return -EINVAL;
}

int main(void)
{
	int err;

	/* Without /dev there is no kernel log to report to. */
	make_dir("/dev");
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	err = run_part();
	if (err)
		say("Bail out! %s", strerror(-err));
	else
		say("# end of bench");
	reboot(RB_AUTOBOOT);
	return 1;
}
