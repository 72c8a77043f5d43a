// SPDX-License-Identifier: GPL-2.0-only
/* Create, expose and remove over and over: memory must stay where it is. */
#include <string.h>
#include <unistd.h>

#include "stress.h"
#include "../tests/memory.h"
#include "../tests/objects.h"

#define ROUNDS_BEFORE	1000
#define TOLD_EVERY	10000
#define NR_READINGS	10

static int round_in(const char *child, unsigned long nr)
{
	const char *entry = path("%s/view.a", child);
	int err = make_dir(child);

	if (!err)
		err = nr & 1 ? pin_subtree(obj_fd[VIEW_LINK], entry) :
			       pin(obj_fd[VIEW_LINK], entry);
	/* The other rounds leave that to rmdir. */
	if (!err && nr % 4 == 1)
		err = remove_file(entry);
	if (!err && nr % 4 == 2)
		err = write_text(entry, "rm");
	return err ?: remove_dir(child);
}

/* Caches come and go for reasons of their own, so the lowest of some readings counts. */
static void say_slab(unsigned long rounds)
{
	long now, lowest = 0;
	int i;

	wait_for_dead_cgroups();
	for (i = 0; i < NR_READINGS; i++) {
		write_text("/proc/sys/vm/drop_caches", "3");
		now = slab();
		if (!i || now < lowest)
			lowest = now;
	}
	say("stress: slab after %lu rounds: %ld KiB", rounds, lowest);
}

void run_rounds(unsigned long rounds)
{
	unsigned long done;
	int err;

	err = pin(obj_fd[VIEW_LINK], PINS "/pin") ?: pin(maybe_fd, PINS "/maybe");
	/* Every new cgroup inherits this one besides. */
	if (!err)
		err = pin_subtree(maybe_fd, TREE2 "/view.b");
	for (done = 0; !err && done < rounds; done++) {
		if (done == ROUNDS_BEFORE)
			say_slab(done);
		if (done % TOLD_EVERY == 0)
			say("stress: %lu of %lu rounds", done, rounds);
		err = round_in(TREE2 "/child", done);
	}
	if (err)
		report_problem("round %lu: %s", done, strerror(-err));
	say_slab(done);
}
