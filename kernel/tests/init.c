// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first and only program of the boot test: runs the tests and switches off.
 *
 * On the command line, boottest.patches=N says that the kernel has the first N
 * patches of the series only, boottest.kernel=NAME that it is one of the table
 * below. Without either it is a complete one. boottest.rules=NAME,NAME leaves
 * out what tests other rules.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "files.h"
#include "harness.h"
#include "mounts.h"
#include "objects.h"
#include "option.h"

static const struct kernel {
	const char *name;
	const struct test_case *cases;
	bool cgroups, bpffs, views;
} kernels[] = {
	{ "no-bpf", without_bpf, true, false, false },
	{ "no-cgroups", without_cgroups, false, true, false },
	{ "no-fsnotify", without_fsnotify, true, true, true },
	{ "stock", without_series, true, true, false },
	{ "failslab", no_memory, true, true, true },
};

static const struct test_case * const rules[] = {
	as_ever, rule_1, rule_2, rule_3, rule_4, rule_5, rule_6, rule_7, rule_8,
	rule_9, unlink_cases, link_update, sleepable, subtree, limit, security,
	shipped_views,
};

static void report_end(int failed)
{
	say("1..%d", cases_run());
	say("# end of tests, %d failed", failed);
}

static bool asked_for(const char *rule)
{
	const char *rules = boot_option("boottest.rules");
	size_t len = strlen(rule);

	if (!rules)
		return true;
	while (strncmp(rules, rule, len) || (rules[len] && rules[len] != ',')) {
		rules = strchr(rules, ',');
		if (!rules)
			return false;
		rules++;
	}
	return true;
}

static int run_complete(void)
{
	const char *option = boot_option("boottest.patches");
	enum since patches = option ? atoi(option) : 0;
	unsigned int i;
	int failed = 0;

	if (load_objects_of(patches ?: WHOLE_SERIES))
		return -1;
	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (asked_for(rules[i]->rule))
			failed += run_cases(rules[i], patches);
	return failed;
}

static int run_other(const struct kernel *kernel)
{
	if (kernel->views && load_objects())
		return -1;
	return run_cases(kernel->cases, 0);
}

static const struct kernel *find_kernel(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kernels); i++)
		if (!strcmp(kernels[i].name, name))
			return &kernels[i];
	say("# there are no tests for a kernel %s", name);
	return NULL;
}

static int run_all(void)
{
	const struct kernel *kernel;
	const char *name;

	/* The command line is in /proc. */
	if (mount_basics())
		return -1;
	name = boot_option("boottest.kernel");
	if (!name)
		return mount_cgroups() || mount_bpffs() ? -1 : run_complete();
	kernel = find_kernel(name);
	if (!kernel || (kernel->cgroups && mount_cgroups()) ||
	    (kernel->bpffs && mount_bpffs()))
		return -1;
	return run_other(kernel);
}

int main(void)
{
	int failed;

	/* Without /dev there is no kernel log to report to. */
	make_dir("/dev");
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	say("KTAP version 1");
	failed = run_all();
	if (failed < 0)
		say("Bail out! the tests cannot start");
	else
		report_end(failed);
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
