// SPDX-License-Identifier: GPL-2.0-only
/* Rule 9: any interleaving. The kernel's own checks see what these tests do not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

#define RACE_SECONDS	3
/* A slow machine gets longer, until everything has succeeded once. */
#define RACE_SECONDS_AT_MOST	30

enum op { PIN, EXPOSE, REMOVE, READ, UPDATE, RMDIR, REMOVE_BELOW, READ_BELOW, NR_OPS };

static const char * const op_name[NR_OPS] = {
	"pin", "expose", "remove", "read", "update", "rmdir", "remove below", "read below",
};

/* Processes that do one thing each over and over, until it is time to end. */
struct race {
	struct test *t;
	int (*expose)(int fd, const char *where);
	int link;
	time_t start;
	enum op last;
	/* how often each has succeeded, shared by all processes */
	unsigned long *done;
};

/* The first operation that has not succeeded yet, or NR_OPS. */
static enum op missing(const struct race *race)
{
	int op;

	for (op = 0; op <= (int)race->last; op++)
		if (!__atomic_load_n(&race->done[op], __ATOMIC_RELAXED))
			return op;
	return NR_OPS;
}

/* Processes that wait for one lock can take it in the same order for ever. */
static void fall_out_of_step(void)
{
	if (random() % 16 == 0)
		usleep(random() % 1000);
}

static bool racing(const struct race *race)
{
	time_t since = time(NULL) - race->start;

	fall_out_of_step();
	return since < RACE_SECONDS ||
	       (since < RACE_SECONDS_AT_MOST && missing(race) != NR_OPS);
}

static void count(struct race *race, enum op op)
{
	__atomic_add_fetch(&race->done[op], 1, __ATOMIC_RELAXED);
}

static int race_pin(struct race *race)
{
	while (racing(race)) {
		if (!pin(race->link, path("%s/pin", race->t->pins)))
			count(race, PIN);
		remove_file(path("%s/pin", race->t->pins));
	}
	return 0;
}

static int race_expose(struct race *race)
{
	int ret;

	while (racing(race)) {
		ret = race->expose(race->link, path("%s/view.x", race->t->cg));
		if (!ret)
			count(race, EXPOSE);
		else if (ret != -ENXIO && ret != -EEXIST)
			return ret;
	}
	return 0;
}

static int race_remove(struct race *race)
{
	int ret, round = 0;

	while (racing(race)) {
		const char *entry = path("%s/view.x", race->t->cg);

		ret = round++ % 2 ? write_text(entry, "rm") : remove_file(entry);
		if (!ret)
			count(race, REMOVE);
		else if (ret != -ENOENT && ret != -ENODEV)
			return ret;
	}
	return 0;
}

static int race_remove_below(struct race *race)
{
	int ret;

	while (racing(race)) {
		ret = remove_file(path("%s/child/view.x", race->t->cg));
		if (!ret)
			count(race, REMOVE_BELOW);
		else if (ret != -ENOENT)
			return ret;
	}
	return 0;
}

static int read_over_and_over(struct race *race, const char *dir, enum op op)
{
	char text[64], want[64], entry[128];
	int ret;

	snprintf(want, sizeof(want), "id %llu\n", inode_of(dir));
	snprintf(entry, sizeof(entry), "%s/view.x", dir);
	while (racing(race)) {
		ret = read_text(entry, text, sizeof(text));
		if (ret < 0 && ret != -ENOENT && ret != -ENODEV)
			return ret;
		if (ret < 0)
			continue;
		if (strcmp(text, want) && strcmp(text, "something\n"))
			return -EBADMSG;
		count(race, op);
	}
	return 0;
}

static int race_read(struct race *race)
{
	return read_over_and_over(race, race->t->cg, READ);
}

static int race_read_below(struct race *race)
{
	return read_over_and_over(race, path("%s/child", race->t->cg), READ_BELOW);
}

static int race_update(struct race *race)
{
	int ret = 0;

	while (!ret && racing(race)) {
		ret = bpf_link_update(race->link, maybe_prog_fd, NULL);
		if (!ret)
			ret = bpf_link_update(race->link, obj_fd[PROG], NULL);
		count(race, UPDATE);
	}
	return ret;
}

static int race_rmdir(struct race *race)
{
	char child[96];
	int ret;

	snprintf(child, sizeof(child), "%s/%d", race->t->cg, (int)getpid());
	while (racing(race)) {
		ret = make_dir(child);
		if (ret)
			return ret;
		pin(race->link, path("%s/view.y", child));
		ret = remove_dir(child);
		if (ret)
			return ret;
		count(race, RMDIR);
	}
	return 0;
}

struct racer {
	struct race *race;
	int (*call)(struct race *race);
};

static int run_racer(void *arg)
{
	struct racer *racer = arg;

	srandom(getpid());
	return racer->call(racer->race);
}

#define MAX_RACERS	16

static void run_race(struct race *race, int (*const calls[])(struct race *race),
		     unsigned int nr)
{
	pid_t pids[MAX_RACERS];
	unsigned int i;

	EXPECT(race->link >= 0, "no link: %d", race->link);
	EXPECT(nr <= MAX_RACERS, "too many to race");
	race->done = mmap(NULL, NR_OPS * sizeof(*race->done), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(race->done != MAP_FAILED, "mmap: %d", errno);
	race->start = time(NULL);
	for (i = 0; i < nr; i++) {
		struct racer racer = { .race = race, .call = calls[i] };

		pids[i] = start(run_racer, &racer);
	}
	for (i = 0; i < nr; i++) {
		int ret = finish(pids[i]);

		EXPECT(!ret, "process %u ends with %d", i, ret);
	}
}

static void all_at_once(struct test *t, int (*expose)(int fd, const char *where),
			enum op last)
{
	int (*const calls[])(struct race *race) = {
		race_pin, race_pin, race_expose, race_remove, race_remove, race_read,
		race_update, race_rmdir, race_rmdir, race_remove_below, race_read_below,
	};
	struct race race = {
		.t = t, .expose = expose, .link = new_view_link(), .last = last,
	};
	const char *child = path("%s/child", t->cg), *after = path("%s/after", t->cg);

	EXPECT_OK(make_dir(child));
	run_race(&race, calls, ARRAY_SIZE(calls));
	EXPECT(missing(&race) == NR_OPS, "no %s ever succeeded", op_name[missing(&race)]);
	remove_file(path("%s/pin", t->pins));
	EXPECT(!listed(t->cg, "view.x"), "an entry is left without a pin");
	EXPECT(!listed(child, "view.x"), "one below is left without a pin");
	EXPECT_OK(make_dir(after));
	EXPECT(!exists(path("%s/view.x", after)), "a new cgroup inherits it");
	EXPECT_OK(pin(race.link, path("%s/pin", t->pins)));
	EXPECT_OK(expose(race.link, path("%s/view.x", t->cg)));
}

/* Nothing is below but with subtrees. */
static void with_entries(struct test *t)
{
	all_at_once(t, pin, RMDIR);
}

static void with_subtrees(struct test *t)
{
	all_at_once(t, pin_subtree, READ_BELOW);
}

static int race_fleeting(struct race *race)
{
	int ret = 0, fd;

	while (!ret && racing(race)) {
		fd = new_view_link();
		if (fd < 0)
			return fd;
		ret = pin(fd, path("%s/pin", race->t->pins)) ?:
		      pin_subtree(fd, path("%s/view.x", race->t->cg));
		close(fd);
		ret = ret ?: remove_file(path("%s/pin", race->t->pins));
		count(race, PIN);
	}
	return ret;
}

/* mkdir may have found a subtree whose link is freed at that moment. */
static void link_goes(struct test *t)
{
	int (*const calls[])(struct race *race) = { race_fleeting, race_rmdir, race_rmdir };

	struct race race = { .t = t, .link = new_view_link(), .last = PIN };

	run_race(&race, calls, ARRAY_SIZE(calls));
	EXPECT(race.done[RMDIR] > 0, "no rmdir ever succeeded");
	EXPECT(!listed(t->cg, "view.x"), "an entry is left without a pin");
}

const struct test_case rule_9[] = {
	{ "rule-9", "all of it at once leaves nothing behind", with_entries, SINCE_UPDATE },
	{ "rule-9", "all of it at once with subtrees leaves nothing behind",
	  with_subtrees, SINCE_SUBTREE },
	{ "rule-9", "the link of a subtree goes while cgroups come", link_goes, SINCE_SUBTREE },
	{}
};
