// SPDX-License-Identifier: GPL-2.0-only
/* The first and only program of the boot test: runs the tests and switches off. */
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "files.h"
#include "harness.h"
#include "mounts.h"
#include "objects.h"

static void run_all(void)
{
	const struct test_case *rules[] = {
		rule_1, rule_2, rule_3, rule_4, rule_5, rule_6, rule_7, rule_8,
		rule_9, unlink_cases, link_update, sleepable, subtree,
		shipped_views,
	};
	unsigned int i;
	int failed = 0;

	say("KTAP version 1");
	if (mount_all() || load_objects()) {
		say("Bail out! the tests cannot start");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(rules); i++)
		failed += run_cases(rules[i]);
	say("1..%d", cases_run());
	say("# end of tests, %d failed", failed);
}

int main(void)
{
	/* Without /dev there is no kernel log to report to. */
	make_dir("/dev");
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	run_all();
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
