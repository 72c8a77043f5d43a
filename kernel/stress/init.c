// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only program of a stress run. What to do is on the kernel's command line:
 * stress.ops, stress.seed and stress.seconds, or stress.rounds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stress.h"
#include "../tests/memory.h"
#include "../tests/mounts.h"
#include "../tests/option.h"

#define KCSAN	"/sys/kernel/debug/kcsan"

static unsigned long option(const char *name)
{
	const char *value = boot_option(name);

	return value ? strtoul(value, NULL, 10) : 0;
}

static int set_up(void)
{
	int err = mount_all();

	if (err)
		return err;
	if (mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL) ||
	    mount("cgroup2", CGROUP2, NULL, MS_REMOUNT, CGROUP2_OPTIONS))
		return -errno;
	umask(022);
	err = make_dir(TREE2) ?: make_dir(TREE1) ?: make_dir(PINS);
	/* Everybody may pin, and take away his own pins only. */
	if (!err && chmod(PINS, 01777))
		err = -errno;
	return err ?: load_things();
}

static void expect_no_entry(const char *tree)
{
	static const char names[] = "abc";
	unsigned int i;

	for (i = 0; i < NR_NAMES; i++) {
		const char *child = path("%s/%c", tree, names[i]);

		if (listed(tree, path("view.%c", names[i])))
			report_problem("an entry is left in %s without a pin", tree);
		if (exists(child))
			expect_no_entry(child);
	}
}

static void tear_down(void)
{
	remove_pins(PINS);
	expect_no_entry(TREE2);
	expect_no_entry(TREE1);
	remove_cgroups(TREE2);
	remove_cgroups(TREE1);
	if (exists(TREE2) || exists(TREE1))
		report_problem("the cgroups cannot be removed");
	drop_things();
	wait_for_dead_cgroups();
}

/* The checks that the kernel makes by itself, so that nobody takes their silence for an answer. */
static void report_lacks(void)
{
	if (!kernel_keeps_freed())
		say("stress: lacks kasan");
	if (!exists("/proc/lockdep_stats"))
		say("stress: lacks lockdep");
	if (!exists("/sys/kernel/debug/debug_objects/stats"))
		say("stress: lacks odebug");
	if (!exists("/proc/sys/kernel/hung_task_timeout_secs"))
		say("stress: lacks hung_task");
}

/* lockdep switches itself off when it has reported something, or is full. */
static void expect_lockdep_is_on(void)
{
	char text[8192], *at;

	if (read_text("/proc/lockdep_stats", text, sizeof(text)) < 0)
		return;
	at = strstr(text, "debug_locks:");
	if (!at || atoi(at + strlen("debug_locks:")) != 1)
		report_problem("lockdep is off");
}

static void run_random(void)
{
	say("stress: seed %lu, %lu operations, first choices %016lx", shared->seed,
	    shared->ops, digest_choices(describe_workers()));
	write_text(CGROUP2 "/cgroup.subtree_control", "+pids +cpu +memory");
	write_text(TREE2 "/cgroup.subtree_control", "+pids");
	report_lacks();
	if (!set_up_faults())
		say("stress: lacks failslab");
	if (!forget_old_leaks())
		say("stress: lacks kmemleak");
	if (write_text(KCSAN, "on"))
		say("stress: lacks kcsan");
	run_workers(option("stress.seconds"));
	write_text(KCSAN, "off");
	report_counts();
	tear_down();
	look_for_leaks();
	expect_lockdep_is_on();
}

static void run(void)
{
	int err = set_up();
	unsigned long rounds;

	if (err) {
		say("stress: problem: cannot start: %s", strerror(-err));
		return;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	shared->seed = option("stress.seed");
	shared->ops = option("stress.ops");
	rounds = option("stress.rounds");
	if (rounds)
		run_rounds(rounds);
	else
		run_random();
	say("stress: ended, %u problems", shared->problems);
}

int main(void)
{
	/* Without /dev there is no kernel log to report to. */
	make_dir("/dev");
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	run();
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
