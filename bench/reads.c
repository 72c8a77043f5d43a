// SPDX-License-Identifier: GPL-2.0-only
/* What one read of a view costs, beside other ways to the same values. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "bench.h"
#include "files.h"
#include "keys.h"
#include "objects.h"
#include "variants.h"

#define ROUNDS		60
#define TRIES		20
#define MIB		1048576UL
#define RESIDENT	(8 * MIB)
#define PARENT		CGROUP2 "/reads"
#define CGROUP		PARENT "/a"
#define ITERATOR	BPFFS "/iterator"

static char text[8192];
static struct native_files native;
static int floor_fd, plain_fd, sleepable_fd, exact_fd, shipped_fd;

static int read_file(void *fd)
{
	ssize_t len = pread(*(int *)fd, text, sizeof(text) - 1, 0);

	if (len < 0)
		return -errno;
	text[len] = '\0';
	return len ? 0 : -ENODATA;
}

static int read_and_parse(void *fd)
{
	unsigned long long values[NR_KEYS];

	return read_file(fd) ?: parse_view(text, values);
}

static int read_and_parse_native(void *files)
{
	unsigned long long values[NR_KEYS];

	return read_native(files, values);
}

/* What an iterator asks for: it can be read once. */
static int open_and_read(void *name)
{
	int fd = open_file(name, O_RDONLY);
	ssize_t len;

	if (fd < 0)
		return fd;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	return len > 0 ? 0 : -ENODATA;
}

static const struct subject subjects[] = {
	{ "view", read_file, &plain_fd },
	{ "sleepable-view", read_file, &sleepable_fd },
	{ "flushed-view", read_file, &exact_fd },
	{ "shipped-view", read_file, &shipped_fd },
	{ "floor", read_file, &floor_fd },
	{ "parsed-view", read_and_parse, &plain_fd },
	{ "parsed-flushed-view", read_and_parse, &exact_fd },
	{ "native", read_and_parse_native, &native },
	{ "opened-view", open_and_read, CGROUP "/view.plain" },
	{ "iterator", open_and_read, ITERATOR },
};

#define NR_VIEWS	4
#define THE_ITERATOR	(&subjects[ARRAY_SIZE(subjects) - 1])

static int enter(const char *cgroup)
{
	return write_text(path("%s/cgroup.procs", cgroup), "0");
}

/* Memory that is there at once. */
static void *get_memory(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

/* So that the cgroup has something to show. */
static int stay_in(void *cgroup)
{
	int err = enter(cgroup);

	if (err || get_memory(RESIDENT) == MAP_FAILED)
		return err ?: -ENOMEM;
	for (;;)
		pause();
}

static int charge_in(void *cgroup)
{
	int err = enter(cgroup);
	void *memory;

	while (!err) {
		memory = get_memory(MIB);
		err = memory == MAP_FAILED ? -errno : munmap(memory, MIB);
	}
	return err;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int make_cgroup(void)
{
	return make_dir(PARENT) ?: enable(PARENT, "+memory +pids") ?: make_dir(CGROUP) ?:
	       write_text(CGROUP "/memory.high", "536870912") ?:
	       write_text(CGROUP "/memory.max", "1073741824");
}

static int open_files(void)
{
	struct bpf_object *ten, *all;

	if (load_objects())
		return -ENOENT;
	ten = load_views("/ten_keys.bpf.o");
	all = load_views("/all_keys.bpf.o");
	if (!ten || !all)
		return -EINVAL;
	floor_fd = open_file(CGROUP "/pids.current", O_RDONLY);
	plain_fd = open_view(ten, "plain", CGROUP, "plain");
	sleepable_fd = open_view(ten, "sleepable", CGROUP, "sleepable");
	exact_fd = open_view(ten, "memory", CGROUP, "flushed");
	shipped_fd = open_view(all, "memory", CGROUP, "shipped");
	if (floor_fd < 0 || plain_fd < 0 || sleepable_fd < 0 || exact_fd < 0 ||
	    shipped_fd < 0)
		return -EINVAL;
	return pin_iterator(ten, "iterator", CGROUP, ITERATOR) ?: open_native(CGROUP, &native);
}

static int lines_of(const void *fd, const char *fact)
{
	int lines = 0;
	char *at;

	if (read_file((void *)fd))
		return -ENODATA;
	for (at = strchr(text, '\n'); at; at = strchr(at + 1, '\n'))
		lines++;
	tell_fact("keys", fact, lines);
	return lines;
}

/* The two ways are to give the same values, or comparing them says nothing. */
static int check_values(void)
{
	unsigned long long view[NR_KEYS], files[NR_KEYS];
	int tries, i, err;

	if (lines_of(&plain_fd, "view") != NR_KEYS ||
	    lines_of(&shipped_fd, "shipped-view") < NR_KEYS)
		return -EBADMSG;
	for (tries = 0; tries < TRIES; tries++) {
		err = read_file(&exact_fd) ?: parse_view(text, view) ?:
		      read_native(&native, files);
		if (err)
			return err;
		/* Not before the cgroup has what it is to show. */
		if (view[0] >= RESIDENT && !memcmp(view, files, sizeof(view)))
			return 0;
		usleep(100000);
	}
	for (i = 0; i < NR_KEYS; i++)
		say("# key %d: %llu in the view, %llu in the files", i, view[i], files[i]);
	return -EBADMSG;
}

int reads(void)
{
	pid_t resident, busy;
	int err;

	err = make_cgroup() ?: open_files();
	if (err)
		return err;
	resident = start(stay_in, CGROUP);
	err = resident < 0 ? resident : check_values() ?:
	      time_subjects("idle", subjects, ARRAY_SIZE(subjects), ROUNDS) ?:
	      while_mutex_is_held(CGROUP, subjects, NR_VIEWS, THE_ITERATOR);
	if (err)
		return err;
	busy = start(charge_in, CGROUP);
	err = busy < 0 ? busy : time_subjects("busy", subjects, ARRAY_SIZE(subjects), ROUNDS);
	end(busy);
	end(resident);
	return err;
}
