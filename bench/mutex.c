// SPDX-License-Identifier: GPL-2.0-only
/* What can be read while somebody else holds cgroup_mutex. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "bench.h"
#include "control.h"
#include "files.h"
#include "variants.h"

#define READS		500
#define TRIES		200
#define HOLDER		BPFFS "/holder"

static int read_holder(void *arg)
{
	char text[16];

	(void)arg;
	return read_text(HOLDER, text, sizeof(text));
}

static int make_below(void *cgroup)
{
	return make_dir(path("%s/meanwhile", (const char *)cgroup));
}

/* Asleep in the kernel where no signal is heard, as who waits for a mutex is. */
static bool waits(pid_t pid)
{
	char text[512], *at;

	if (read_text(path("/proc/%d/stat", pid), text, sizeof(text)) < 0)
		return false;
	at = strrchr(text, ')');
	return at && !strncmp(at, ") D", 3);
}

static volatile struct control *control_of(struct bpf_object *obj)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, ".bss");
	void *shared = MAP_FAILED;

	if (map)
		shared = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED,
			      bpf_map__fd(map), 0);
	return shared == MAP_FAILED ? NULL : shared;
}

static bool soon(bool (*is_so)(pid_t pid), pid_t pid)
{
	int tries;

	for (tries = 0; tries < TRIES && !is_so(pid); tries++)
		usleep(10000);
	return tries < TRIES;
}

static volatile struct control *holder;

static bool is_held(pid_t pid)
{
	(void)pid;
	return holder->inside;
}

static long reads_that_end(const struct subject *subject)
{
	long ended;

	for (ended = 0; ended < READS && !subject->once(subject->arg); ended++)
		;
	return ended;
}

static pid_t start_waiting(int (*call)(void *arg), void *arg)
{
	pid_t pid = start(call, arg);

	if (pid > 0 && soon(waits, pid))
		return pid;
	say("# who needs cgroup_mutex does not wait for it");
	return -ETIMEDOUT;
}

/*
 * An iterator holds cgroup_mutex while its program runs. That a mkdir, begun
 * before the reads, still waits after them shows that it was held all the time.
 */
int while_mutex_is_held(const char *cgroup, const struct subject *views, int nr,
			const struct subject *iterator)
{
	struct bpf_object *obj = load_views("/mutex.bpf.o");
	pid_t reader, maker, iterating;
	long ended = 0;
	int i, err;

	holder = obj ? control_of(obj) : NULL;
	if (!holder)
		return -ENOENT;
	err = pin_iterator(obj, "held_iterator", cgroup, HOLDER);
	if (err)
		return err;
	holder->hold = 1;
	reader = start(read_holder, NULL);
	if (!soon(is_held, reader)) {
		say("# the iterator does not begin");
		return -ETIMEDOUT;
	}
	maker = start_waiting(make_below, (void *)cgroup);
	iterating = maker < 0 ? maker : start_waiting(iterator->once, iterator->arg);
	if (iterating < 0)
		return iterating;

	for (i = 0; i < nr; i++)
		ended += reads_that_end(&views[i]);
	tell_fact("held", "mkdir-waited", waits(maker) && !holder->done);
	tell_fact("held", "iterator-waited", waits(iterating) && !holder->done);
	tell_fact("held", "reads", (long)nr * READS);
	tell_fact("held", "reads-ended", ended);
	holder->hold = 0;
	return finish(reader) ?: finish(maker) ?: finish(iterating);
}
