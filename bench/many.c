// SPDX-License-Identifier: GPL-2.0-only
/* What it costs to expose a view in very many cgroups, in time and in memory. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bench.h"
#include "files.h"
#include "memory.h"
#include "objects.h"

#define ROUNDS		3
#define CGROUPS		10000
#define DROPS		4
#define NATIVE_CGROUPS	1000
#define PARENT		CGROUP2 "/many"
#define NATIVE_PARENT	CGROUP2 "/native"
#define PIN		BPFFS "/many"
#define ENTRY		"view.bench"

static int link_fd;

static int for_each(const char *fmt, int nr, int (*call)(const char *name))
{
	int i, err = 0;

	for (i = 0; i < nr && !err; i++)
		err = call(path(fmt, i));
	return err;
}

static int expose(const char *name)
{
	return pin(link_fd, name);
}

static int make_all(void)
{
	return for_each(PARENT "/%d", CGROUPS, make_dir);
}

static int remove_all(void)
{
	return for_each(PARENT "/%d", CGROUPS, remove_dir);
}

static int expose_each(void)
{
	return for_each(PARENT "/%d/" ENTRY, CGROUPS, expose);
}

static int remove_each(void)
{
	return for_each(PARENT "/%d/" ENTRY, CGROUPS, remove_file);
}

static int expose_subtree(void)
{
	return pin_subtree(link_fd, PARENT "/" ENTRY);
}

static int remove_subtree(void)
{
	return remove_file(PARENT "/" ENTRY);
}

/* The cgroups have the controller because of io: only its files are to be made. */
static int show_native(void)
{
	return enable(NATIVE_PARENT, "+memory");
}

static int hide_native(void)
{
	return enable(NATIVE_PARENT, "-memory");
}

static int take_time(const char *what, const char *how, int (*call)(void), long ops)
{
	unsigned long long begin = now_nsec();
	int err = call();

	tell_time(what, how, now_nsec() - begin, ops);
	return err;
}

/* Slab memory without what walking through the folders has left. */
static long slab_in_use(void)
{
	int i, err = 0;

	/* What was used lately is spared at first. */
	for (i = 0; i < DROPS && !err; i++)
		err = write_text("/proc/sys/vm/drop_caches", "2");
	return err ?: slab();
}

/* Make some files and remove them, and tell what both takes, and the memory of it. */
static int make_files(const char *what, long nr, int (*make)(void), int (*remove)(void))
{
	long before, after;
	int err;

	before = slab_in_use();
	err = take_time(what, "make", make, nr);
	if (err)
		return err;
	after = slab_in_use();
	if (before < 0 || after < 0)
		return -EIO;
	tell_fact(what, "bytes", (after - before) * 1024 / nr);
	return take_time(what, "remove", remove, nr);
}

/* Returns how many files each cgroup has of the controller. */
static int native_files(void)
{
	int hidden, visible, err;

	err = make_dir(NATIVE_PARENT) ?: enable(NATIVE_PARENT, "+io") ?:
	      for_each(NATIVE_PARENT "/%d", NATIVE_CGROUPS, make_dir);
	if (err)
		return err;
	hidden = count_files(NATIVE_PARENT "/0");
	err = show_native();
	visible = count_files(NATIVE_PARENT "/0");
	if (hidden < 0 || visible <= hidden)
		return -ENOENT;
	return err ?: hide_native() ?: visible - hidden;
}

int many(void)
{
	int files, round, err;

	err = load_objects() ?: make_dir(PARENT);
	if (err)
		return err;
	files = native_files();
	if (files < 0)
		return files;
	tell_fact("native", "files", files);
	link_fd = obj_fd[VIEW_LINK];
	err = pin(link_fd, PIN);
	for (round = 0; round < ROUNDS && !err; round++)
		err = take_time("cgroups", "make", make_all, CGROUPS) ?:
		      make_files("each", CGROUPS, expose_each, remove_each) ?:
		      /* one for the parent itself */
		      make_files("subtree", CGROUPS + 1, expose_subtree, remove_subtree) ?:
		      make_files("native", NATIVE_CGROUPS * files, show_native,
				 hide_native) ?:
		      take_time("cgroups", "remove", remove_all, CGROUPS);
	return err;
}
