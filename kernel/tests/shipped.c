// SPDX-License-Identifier: GPL-2.0-only
/* The views of bpf/: they load, and show what the kernel counts at that moment. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

#define MIB	(1L << 20)
#define CHUNK	(32 * MIB)
#define ROUNDS	3

static int is_view(const struct bpf_program *prog)
{
	return !strncmp(bpf_program__section_name(prog), "view", strlen("view"));
}

/* Load /<name>.bpf.o, attach all of it and return its view link. */
static int load_shipped(const char *name)
{
	struct bpf_program *prog;
	struct bpf_object *obj;
	int view = -ENOENT;

	obj = bpf_object__open_file(path("/%s.bpf.o", name), NULL);
	EXPECT(obj, "%s cannot be opened: %d", name, errno);
	EXPECT_OK(bpf_object__load(obj));
	bpf_object__for_each_program(prog, obj) {
		if (is_view(prog))
			view = bpf_link_create(bpf_program__fd(prog), 0,
					       view_attach_type(), NULL);
		else
			EXPECT(bpf_program__attach(prog), "%s cannot be attached: %d",
			       bpf_program__name(prog), errno);
	}
	EXPECT(view >= 0, "%s has no link: %d", name, view);
	return view;
}

/* A cgroup below the test's own that has the controllers, and the view. */
static const char *expose_shipped(struct test *t, const char *name)
{
	const char *controllers = "+memory +cpu +pids";
	static char cg[sizeof(t->cg) + 2];
	int view = load_shipped(name);

	snprintf(cg, sizeof(cg), "%s/a", t->cg);
	EXPECT_OK(write_text(CGROUP2 "/cgroup.subtree_control", controllers));
	EXPECT_OK(write_text(path("%s/cgroup.subtree_control", t->cg), controllers));
	EXPECT_OK(make_dir(cg));
	EXPECT_OK(pin(view, path("%s/pin", t->pins)));
	EXPECT_OK(pin(view, path("%s/view.%s", cg, name)));
	return cg;
}

/* The value of a key in a file of "key value" lines, -1 if it is not there. */
static long long value_of(const char *cg, const char *file, const char *key)
{
	char text[8192], line[64], *at;

	text[0] = '\n';
	if (read_text(path("%s/%s", cg, file), text + 1, sizeof(text) - 1) < 0)
		return -1;
	snprintf(line, sizeof(line), "\n%s ", key);
	at = strstr(text, line);
	return at ? atoll(at + strlen(line)) : -1;
}

/* A process that takes a chunk of memory each time it is told to. */
struct eater {
	const char *cg;
	int go[2];
	int done[2];
};

static int eat(void *arg)
{
	struct eater *eater = arg;
	char *chunk, byte;
	int ret;

	ret = write_text(path("%s/cgroup.procs", eater->cg), "0");
	if (ret < 0)
		return ret;
	while (read(eater->go[0], &byte, 1) == 1) {
		chunk = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (chunk == MAP_FAILED)
			return -errno;
		memset(chunk, 1, CHUNK);
		if (write(eater->done[1], &byte, 1) != 1)
			return -errno;
	}
	return 0;
}

static void start_eater(struct eater *eater, const char *cg)
{
	eater->cg = cg;
	EXPECT_OK(pipe(eater->go));
	EXPECT_OK(pipe(eater->done));
	EXPECT(start(eat, eater) > 0, "cannot fork");
}

static void eat_once(const struct eater *eater)
{
	char byte = 0;

	EXPECT(write(eater->go[1], &byte, 1) == 1, "write: %d", errno);
	EXPECT(read(eater->done[0], &byte, 1) == 1, "it has ended");
}

struct pair {
	const char *shown, *counted;
	long long step;		/* what a chunk adds to it at least */
	long long moves;	/* what a process at rest may add to it meanwhile */
};

/*
 * The kernel's file is read after the view, and adds up what was counted: that
 * the view shows it already is the doing of its own flush.
 */
static void compare(const char *cg, const char *view, const char *file,
		    const struct pair *pairs, int count)
{
	struct eater eater;
	int round, i, exact[4] = {};

	start_eater(&eater, cg);
	for (round = 1; round <= ROUNDS; round++) {
		eat_once(&eater);
		for (i = 0; i < count; i++) {
			const struct pair *pair = &pairs[i];
			long long shown = value_of(cg, view, pair->shown);
			long long counted = value_of(cg, file, pair->counted);

			EXPECT(shown >= pair->step * round, "%s is %lld after %d chunks",
			       pair->shown, shown, round);
			EXPECT(llabs(counted - shown) <= pair->moves,
			       "%s is %lld, %s %s is %lld", pair->shown, shown, file,
			       pair->counted, counted);
			exact[i] += shown == counted;
		}
	}
	for (i = 0; i < count; i++)
		EXPECT(exact[i], "%s never agreed with the kernel", pairs[i].shown);
}

static void memory_is_exact(struct test *t)
{
	static const struct pair pairs[] = {
		{ "memory_anon_bytes", "anon", CHUNK, 1 * MIB },
		{ "memory_file_bytes", "file", 0, 1 * MIB },
		{ "memory_kernel_bytes", "kernel", CHUNK / 512, 1 * MIB },
	};

	compare(expose_shipped(t, "memory"), "view.memory", "memory.stat", pairs,
		ARRAY_SIZE(pairs));
}

static void cpu_is_exact(struct test *t)
{
	static const struct pair pairs[] = {
		{ "cpu_usage_usec", "usage_usec", 1000, 20000 },
		{ "cpu_user_usec", "user_usec", 0, 20000 },
		{ "cpu_system_usec", "system_usec", 0, 20000 },
	};

	compare(expose_shipped(t, "cpu"), "view.cpu", "cpu.stat", pairs,
		ARRAY_SIZE(pairs));
}

static void tasks_are_counted(struct test *t)
{
	const char *cg = expose_shipped(t, "tasks");
	struct eater eater;

	EXPECT(value_of(cg, "view.tasks", "tasks_count") == 0, "it is not empty");
	start_eater(&eater, cg);
	eat_once(&eater);
	EXPECT(value_of(cg, "view.tasks", "tasks_count") == 1, "it is not one");
	EXPECT(value_of(cg, "view.tasks", "tasks_local_threads_count") == 1,
	       "it is not one");
}

const struct test_case shipped_views[] = {
	{ "shipped-views", "memory statistics are exact at the moment of reading",
	  memory_is_exact, 0 },
	{ "shipped-views", "processor time is exact at the moment of reading",
	  cpu_is_exact, 0 },
	{ "shipped-views", "tasks are counted", tasks_are_counted, 0 },
	{}
};
