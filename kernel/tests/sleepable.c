// SPDX-License-Identifier: GPL-2.0-only
/* Extension: sleepable views, which can bring statistics up to date. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

static long long usage_from_kernel(const char *cg)
{
	char text[1024], *at;

	if (read_text(path("%s/cpu.stat", cg), text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, "usage_usec ");
	return at ? atoll(at + strlen("usage_usec ")) : -1;
}

static int work_in(void *cg)
{
	clock_t end = clock() + CLOCKS_PER_SEC / 10;
	int ret;

	ret = write_text(path("%s/cgroup.procs", (const char *)cg), "0");
	while (clock() < end)
		;
	return ret;
}

/* Nothing but the view's own flush can have gathered it at this moment. */
static void expect_exact(const char *view, const char *child)
{
	long long shown, kernel;
	int round, exact = 0;
	char text[64];

	for (round = 0; round < 3; round++) {
		EXPECT_OK(finish(start(work_in, (void *)child)));
		EXPECT(read_text(view, text, sizeof(text)) > 0, "no text");
		shown = atoll(text);
		kernel = usage_from_kernel(child);
		EXPECT(kernel >= 50000 * (round + 1), "the kernel counts %lld us", kernel);
		/* The last moments of a process are counted after its parent knows. */
		EXPECT(shown <= kernel && kernel - shown < 20000,
		       "%lld us shown, %lld us counted", shown, kernel);
		exact += shown == kernel;
	}
	EXPECT(exact, "it never agreed with the kernel");
}

static void exact(struct test *t)
{
	const char *child = path("%s/child", t->cg);

	EXPECT_OK(pin(flushed_fd, path("%s/pin", t->pins)));
	EXPECT_OK(make_dir(child));
	EXPECT_OK(pin(flushed_fd, path("%s/view.x", child)));
	expect_exact(path("%s/view.x", child), child);
}

static bool kernel_finds_cgroups(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool found;

	EXPECT(btf, "the kernel has no BTF");
	found = btf__find_by_name_kind(btf, "bpf_cgroup_from_id", BTF_KIND_FUNC) > 0;
	btf__free(btf);
	return found;
}

/* A link to by_id.bpf.c's view, of the cgroup with that id. */
static int new_link_by_id(unsigned long long id)
{
	struct bpf_object *obj = bpf_object__open_file("/by_id.bpf.o", NULL);
	struct bpf_map *constants;
	size_t size;

	EXPECT(obj, "cannot open the object: %d", errno);
	constants = bpf_object__find_map_by_name(obj, ".rodata");
	EXPECT(constants, "it has no constants");
	memcpy(bpf_map__initial_value(constants, &size), &id, sizeof(id));
	EXPECT_OK(bpf_object__load(obj));
	return bpf_link_create(bpf_program__fd(bpf_object__next_program(obj, NULL)), 0,
			       view_attach_type(), NULL);
}

/* The view is in one cgroup and shows another. */
static void exact_by_id(struct test *t)
{
	const char *child = path("%s/child", t->cg);
	int fd;

	if (!kernel_finds_cgroups())
		skip("this kernel has no bpf_cgroup_from_id");
	EXPECT_OK(make_dir(child));
	fd = new_link_by_id(inode_of(child));
	EXPECT(fd >= 0, "no link: %d", fd);
	EXPECT_OK(pin(fd, path("%s/pin", t->pins)));
	EXPECT_OK(pin(fd, path("%s/view.x", t->cg)));
	expect_exact(path("%s/view.x", t->cg), child);
}

static void refused(struct test *t)
{
	int ret;

	(void)t;
	EXPECT_RET(-EINVAL, load_refused("sleeps_and_returns_2"));
	/* Who cannot sleep cannot flush; baselines say so in two ways. */
	ret = load_refused("flushes_but_cannot_sleep");
	EXPECT(ret == -EACCES || ret == -EINVAL, "it is %d", ret);
}

/* rmdir waits for a view with cgroup_mutex held: it must not wait for a user. */
static void cannot_wait_for_user(struct test *t)
{
	(void)t;
	EXPECT_RET(-EINVAL, load_refused("waits_for_user"));
}

static void not_what_it_found(struct test *t)
{
	(void)t;
	EXPECT_RET(-EINVAL, load_refused("flushes_another"));
}

static void replaces_another(struct test *t)
{
	int fd = new_view_link();
	char text[64];

	EXPECT(fd >= 0, "no link: %d", fd);
	EXPECT_OK(pin(fd, path("%s/pin", t->pins)));
	EXPECT_OK(pin(fd, path("%s/view.x", t->cg)));
	EXPECT_OK(bpf_link_update(fd, flushed_prog_fd, NULL));
	EXPECT(read_text(path("%s/view.x", t->cg), text, sizeof(text)) > 0, "no text");
	EXPECT(text[0] >= '0' && text[0] <= '9', "it shows %s", text);
	EXPECT_OK(bpf_link_update(fd, obj_fd[PROG], NULL));
	EXPECT(read_text(path("%s/view.x", t->cg), text, sizeof(text)) > 0, "no text");
	EXPECT(!strncmp(text, "id ", 3), "it shows %s", text);
}

#define RACE_SECONDS	6

static int read_all_the_time(void *entry)
{
	time_t end = time(NULL) + RACE_SECONDS;
	char text[64];
	int ret;

	while (time(NULL) < end) {
		ret = read_text(entry, text, sizeof(text));
		if (ret < 0 && ret != -ENOENT && ret != -ENODEV)
			return ret;
	}
	return 0;
}

/* Flushing in a reader, rmdir and mkdir all the time: nobody waits for ever. */
static void while_cgroups_go(struct test *t)
{
	const char *child = path("%s/child", t->cg);
	char entry[128];
	pid_t readers[2];
	int rounds = 0;

	snprintf(entry, sizeof(entry), "%s/view.x", child);
	EXPECT_OK(pin(flushed_fd, path("%s/pin", t->pins)));
	readers[0] = start(read_all_the_time, entry);
	readers[1] = start(read_all_the_time, entry);
	while (running(readers[0]) && running(readers[1])) {
		EXPECT_OK(make_dir(child));
		EXPECT_OK(pin(flushed_fd, entry));
		EXPECT_OK(remove_dir(child));
		rounds++;
	}
	EXPECT_OK(finish(readers[0]));
	EXPECT_OK(finish(readers[1]));
	EXPECT(rounds > 10, "only %d rounds", rounds);
}

const struct test_case sleepable[] = {
	{ "sleepable", "a view that flushes shows what the kernel counts",
	  exact, SINCE_SLEEPABLE },
	{ "sleepable", "what no view may do, or not without sleeping, is refused",
	  refused, SINCE_SLEEPABLE },
	{ "sleepable", "a view cannot wait for user space",
	  cannot_wait_for_user, SINCE_SLEEPABLE },
	{ "sleepable", "a view can flush no cgroup that it merely found",
	  not_what_it_found, SINCE_SLEEPABLE },
	{ "sleepable", "a view flushes a cgroup that it holds a reference on",
	  exact_by_id, SINCE_SLEEPABLE },
	{ "sleepable", "replaces a view that cannot sleep, and the other way round",
	  replaces_another, SINCE_SLEEPABLE },
	{ "sleepable", "readers that flush and rmdir do not wait for each other",
	  while_cgroups_go, SINCE_SLEEPABLE },
	{}
};
