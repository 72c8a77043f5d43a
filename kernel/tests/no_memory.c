// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of a call fails once: the call fails and leaves things as
 * they were, or does without. For a kernel with failslab.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "files.h"
#include "harness.h"
#include "memory.h"
#include "objects.h"

#define DEBUGFS		"/sys/kernel/debug"
#define FAIL_NTH	"/proc/thread-self/fail-nth"
/* No call that is tried here makes as many allocations. */
#define NTH_AT_MOST	1000

/* Until caches are as large as they get. */
#define WARM_UP		200
/* A record lost in each round is more than SLACK_KIB then. */
#define ROUNDS		2000
/* Of a call in which many allocations can fail, and lose something each. */
#define FEW_ROUNDS	300
#define SLACK_KIB	64

/* A call to the kernel, whether it has had an effect, and how to undo that. */
struct attempt {
	int (*call)(struct test *t);
	bool (*done)(struct test *t);
	int (*undo)(struct test *t);
	int rounds;
};

/* Opened beforehand, as that takes memory. */
static int nth_fd;

static void set_up_failslab(void)
{
	mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	EXPECT_OK(write_text(DEBUGFS "/failslab/verbose", "0"));
	/* Those that may wait for memory, too. */
	EXPECT_OK(write_text(DEBUGFS "/failslab/ignore-gfp-wait", "N"));
	nth_fd = open_file(FAIL_NTH, O_RDWR);
	EXPECT(nth_fd >= 0, "cannot open " FAIL_NTH ": %d", nth_fd);
}

static void fail_nth(int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	EXPECT(pwrite(nth_fd, text, len, 0) == len, "cannot write " FAIL_NTH);
}

/* Whether the allocation that was to fail has come; none fails any more. */
static bool has_failed(void)
{
	char text[16] = "";

	EXPECT(pread(nth_fd, text, sizeof(text) - 1, 0) > 0, "cannot read " FAIL_NTH);
	fail_nth(0);
	return !atoi(text);
}

/* bpffs has always said so if there is no memory for an inode. */
static bool is_lack(int ret)
{
	return ret == -ENOMEM || ret == -ENOSPC;
}

static void undo(const struct attempt *attempt, struct test *t, int nth)
{
	EXPECT(attempt->done(t), "it says to have succeeded, without allocation %d", nth);
	EXPECT_OK(attempt->undo(t));
	EXPECT(!attempt->done(t), "something is left once it is undone");
}

/* Returns how often the call has failed. */
static int let_each_fail(const struct attempt *attempt, struct test *t)
{
	int nth, ret, refused = 0;
	bool failed = true;

	for (nth = 1; failed && nth < NTH_AT_MOST; nth++) {
		fail_nth(nth);
		ret = attempt->call(t);
		failed = has_failed();
		if (!ret) {
			undo(attempt, t, nth);
			continue;
		}
		EXPECT(failed && is_lack(ret), "%d, with allocation %d failing", ret, nth);
		EXPECT(!attempt->done(t), "it has failed at allocation %d, and is done", nth);
		refused++;
	}
	EXPECT(!failed, "more than %d allocations", NTH_AT_MOST);
	/* And now that there is memory again. */
	EXPECT_OK(attempt->call(t));
	undo(attempt, t, 0);
	return refused;
}

static void try_it(const struct attempt *attempt, struct test *t)
{
	long before = 0, after;
	int i;

	EXPECT(let_each_fail(attempt, t) > 0, "it takes no memory");
	for (i = -WARM_UP; i < attempt->rounds; i++) {
		if (i == 0)
			before = slab();
		let_each_fail(attempt, t);
	}
	after = slab();
	EXPECT(after - before <= SLACK_KIB, "slab memory grows from %ld to %ld KiB",
	       before, after);
}

static int make_pin(struct test *t)
{
	return pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins));
}

static int remove_pin(struct test *t)
{
	return remove_file(path("%s/pin", t->pins));
}

/* What has no pin cannot be exposed. */
static bool is_pinned(struct test *t)
{
	int ret = pin(obj_fd[VIEW_LINK], path("%s/view.pinned", t->cg));

	EXPECT(!ret || ret == -ENXIO, "exposing is %d", ret);
	EXPECT(!ret == exists(path("%s/pin", t->pins)), "a pin is there by halves");
	if (!ret)
		EXPECT_OK(remove_file(path("%s/view.pinned", t->cg)));
	return !ret;
}

static void pinning(struct test *t)
{
	const struct attempt attempt = { make_pin, is_pinned, remove_pin, ROUNDS };

	set_up_failslab();
	try_it(&attempt, t);
}

static int expose(struct test *t)
{
	return pin(obj_fd[VIEW_LINK], path("%s/view.x", t->cg));
}

static bool is_exposed(struct test *t)
{
	return listed(t->cg, "view.x");
}

static int remove_entry(struct test *t)
{
	return remove_file(path("%s/view.x", t->cg));
}

static void exposing(struct test *t)
{
	const struct attempt attempt = { expose, is_exposed, remove_entry, ROUNDS };

	set_up_failslab();
	EXPECT_OK(make_pin(t));
	try_it(&attempt, t);
}

static int expose_subtree(struct test *t)
{
	return pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->cg));
}

/* In every cgroup, and in those to come, or in none. */
static bool is_exposed_below(struct test *t)
{
	bool there = listed(t->cg, "view.x");

	EXPECT(listed(path("%s/a", t->cg), "view.x") == there, "a child is different");
	EXPECT(listed(path("%s/a/b", t->cg), "view.x") == there, "a grandchild is different");
	EXPECT_OK(make_dir(path("%s/new", t->cg)));
	EXPECT(listed(path("%s/new", t->cg), "view.x") == there, "a new child is different");
	EXPECT_OK(remove_dir(path("%s/new", t->cg)));
	return there;
}

static void exposing_subtree(struct test *t)
{
	const struct attempt attempt = {
		expose_subtree, is_exposed_below, remove_entry, FEW_ROUNDS,
	};

	set_up_failslab();
	EXPECT_OK(make_pin(t));
	EXPECT_OK(make_dir(path("%s/a", t->cg)));
	EXPECT_OK(make_dir(path("%s/a/b", t->cg)));
	try_it(&attempt, t);
}

static int make_child(struct test *t)
{
	return make_dir(path("%s/child", t->cg));
}

static bool is_child(struct test *t)
{
	const char *child = path("%s/child", t->cg);

	if (!exists(child))
		return false;
	EXPECT(listed(child, "view.x") && listed(child, "view.y"), "it does not inherit both");
	return true;
}

static int remove_child(struct test *t)
{
	return remove_dir(path("%s/child", t->cg));
}

static void inheriting(struct test *t)
{
	const struct attempt attempt = { make_child, is_child, remove_child, FEW_ROUNDS };

	set_up_failslab();
	EXPECT_OK(make_pin(t));
	EXPECT_OK(expose_subtree(t));
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/view.y", t->cg)));
	try_it(&attempt, t);
}

static int write_rm(struct test *t)
{
	return write_text(path("%s/view.x", t->cg), "rm");
}

static bool is_gone_below(struct test *t)
{
	return !is_exposed_below(t);
}

static void removing(struct test *t)
{
	const struct attempt by_rm = {
		write_rm, is_gone_below, expose_subtree, FEW_ROUNDS,
	};
	const struct attempt by_unlink = {
		remove_entry, is_gone_below, expose_subtree, FEW_ROUNDS,
	};

	set_up_failslab();
	EXPECT_OK(make_pin(t));
	EXPECT_OK(make_dir(path("%s/a", t->cg)));
	EXPECT_OK(make_dir(path("%s/a/b", t->cg)));
	EXPECT_OK(expose_subtree(t));
	try_it(&by_rm, t);
	try_it(&by_unlink, t);
}

static char wanted[64];
static bool was_read;

static int read_entry(struct test *t)
{
	char text[64];
	int ret;

	ret = read_text(path("%s/view.x", t->cg), text, sizeof(text));
	if (ret < 0)
		return ret;
	was_read = !strcmp(text, wanted);
	return was_read ? 0 : -EBADMSG;
}

static bool is_read(struct test *t)
{
	(void)t;
	return was_read;
}

static int forget_read(struct test *t)
{
	(void)t;
	was_read = false;
	return 0;
}

static void reading(struct test *t)
{
	const struct attempt attempt = { read_entry, is_read, forget_read, ROUNDS };

	set_up_failslab();
	EXPECT_OK(make_pin(t));
	EXPECT_OK(expose(t));
	snprintf(wanted, sizeof(wanted), "id %llu\n", inode_of(t->cg));
	try_it(&attempt, t);
}

const struct test_case no_memory[] = {
	{ "no-memory", "a pin that fails leaves nothing", pinning, 0 },
	{ "no-memory", "an entry that fails leaves nothing", exposing, 0 },
	{ "no-memory", "a subtree that fails leaves nothing, below neither", exposing_subtree, 0 },
	{ "no-memory", "a mkdir that fails to inherit leaves nothing", inheriting, 0 },
	{ "no-memory", "a removal that fails leaves all of it", removing, 0 },
	{ "no-memory", "a read that fails shows nothing", reading, 0 },
	{}
};
