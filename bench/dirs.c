// SPDX-License-Identifier: GPL-2.0-only
/* What it costs to make and remove a cgroup. */
#include "bench.h"
#include "files.h"
#include "objects.h"

#define ROUNDS		500
#define MANY_VIEWS	10

#define BARE		CGROUP2 "/bare"
#define ONE		CGROUP2 "/one"
#define TEN		CGROUP2 "/ten"
/* io brings the memory controller along, without its files. */
#define HIDDEN		CGROUP2 "/hidden"
#define VISIBLE		CGROUP2 "/visible"

static int make_and_remove(void *parent)
{
	const char *dir = path("%s/child", (const char *)parent);

	return make_dir(dir) ?: remove_dir(dir);
}

static const struct subject plain[] = {
	{ "tmpfs", make_and_remove, TMPFS },
	{ "bare", make_and_remove, BARE },
	/* only where there are views */
	{ "one-view", make_and_remove, ONE },
	{ "ten-views", make_and_remove, TEN },
};

#define NR_WITHOUT_VIEWS	2

static const struct subject controlled[] = {
	{ "hidden", make_and_remove, HIDDEN },
	{ "visible", make_and_remove, VISIBLE },
};

/* Controllers take their time to go: what has none is not to be among them. */
static int time_all(int nr_plain)
{
	return time_subjects("dirs", plain, nr_plain, ROUNDS) ?:
	       time_subjects("dirs", controlled, ARRAY_SIZE(controlled), ROUNDS);
}

/* How many files a new cgroup has. */
static int tell_files(const char *parent, const char *fact)
{
	const char *child = path("%s/child", parent);
	int files, err = make_dir(child);

	if (err)
		return err;
	files = count_files(child);
	tell_fact("files", fact, files);
	return files < 0 ? files : remove_dir(child);
}

static int make_parents(void)
{
	return make_dir(BARE) ?: make_dir(HIDDEN) ?: make_dir(VISIBLE) ?:
	       enable(HIDDEN, "+io") ?: enable(VISIBLE, "+io +memory") ?:
	       tell_files(BARE, "bare") ?:
	       tell_files(HIDDEN, "hidden") ?:
	       tell_files(VISIBLE, "visible");
}

/* As different views would be: each with a link and a pin of its own. */
static int expose_views(const char *cgroup, const char *pins, int nr)
{
	int i, fd, err = make_dir(cgroup) ?: make_dir(pins);

	for (i = 0; i < nr && !err; i++) {
		fd = new_view_link();
		err = fd < 0 ? fd : pin(fd, path("%s/%d", pins, i)) ?:
		      pin_subtree(fd, path("%s/view.bench%d", cgroup, i));
	}
	return err;
}

int dirs_without_views(void)
{
	return make_parents() ?: time_all(NR_WITHOUT_VIEWS);
}

int dirs(void)
{
	return load_objects() ?: make_parents() ?:
	       expose_views(ONE, BPFFS "/one", 1) ?:
	       expose_views(TEN, BPFFS "/ten", MANY_VIEWS) ?:
	       tell_files(ONE, "one-view") ?:
	       tell_files(TEN, "ten-views") ?:
	       time_all(ARRAY_SIZE(plain));
}
