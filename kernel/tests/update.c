// SPDX-License-Identifier: GPL-2.0-only
/* Extension: BPF_LINK_UPDATE exchanges the program behind all files at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

static int replace(int link, int with, int instead_of)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts, .flags = BPF_F_REPLACE,
		    .old_prog_fd = instead_of);

	return bpf_link_update(link, with, &opts);
}

/* A link of the test's own, exposed in a cgroup and its child. */
static int expose_link(struct test *t)
{
	int fd = new_view_link();

	EXPECT(fd >= 0, "no link: %d", fd);
	EXPECT_OK(pin(fd, path("%s/pin", t->pins)));
	EXPECT_OK(make_dir(path("%s/child", t->cg)));
	EXPECT_OK(pin(fd, path("%s/view.x", t->cg)));
	EXPECT_OK(pin(fd, path("%s/child/view.x", t->cg)));
	return fd;
}

static void expect_text(struct test *t, bool new)
{
	const char *dirs[] = { t->cg, path("%s/child", t->cg) };
	char text[64], old[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(old, sizeof(old), "id %llu\n", inode_of(dirs[i]));
		EXPECT(read_text(path("%s/view.x", dirs[i]), text, sizeof(text)) > 0,
		       "no text in %s", dirs[i]);
		EXPECT(!strcmp(text, new ? "something\n" : old), "%s shows %s",
		       dirs[i], text);
	}
}

static void all_files(struct test *t)
{
	int fd = expose_link(t);

	expect_text(t, false);
	EXPECT_OK(bpf_link_update(fd, maybe_prog_fd, NULL));
	expect_text(t, true);
	EXPECT_OK(bpf_link_update(fd, obj_fd[PROG], NULL));
	expect_text(t, false);
}

static void only_if_unchanged(struct test *t)
{
	int fd = expose_link(t);

	EXPECT_RET(-EPERM, replace(fd, maybe_prog_fd, maybe_prog_fd));
	expect_text(t, false);
	EXPECT_OK(replace(fd, maybe_prog_fd, obj_fd[PROG]));
	expect_text(t, true);
	EXPECT_RET(-EPERM, replace(fd, obj_fd[PROG], obj_fd[PROG]));
	expect_text(t, true);
}

static void no_view(struct test *t)
{
	int fd = expose_link(t);

	EXPECT_RET(-EINVAL, bpf_link_update(fd, no_view_prog_fd, NULL));
	EXPECT_RET(-EINVAL, replace(fd, no_view_prog_fd, obj_fd[PROG]));
	expect_text(t, false);
}

static void open_file_goes_on(struct test *t)
{
	int fd = expose_link(t), entry;
	char text[64] = {};

	entry = open_file(path("%s/view.x", t->cg), O_RDONLY);
	EXPECT(entry >= 0, "open: %d", entry);
	EXPECT_OK(bpf_link_update(fd, maybe_prog_fd, NULL));
	EXPECT(pread(entry, text, sizeof(text) - 1, 0) > 0, "read: %d", errno);
	EXPECT(!strcmp(text, "something\n"), "it shows %s", text);
}

static int read_slowly(void *entry)
{
	char text[64];
	int ret = read_text(entry, text, sizeof(text));

	return ret < 0 ? ret : strcmp(text, "held\n") ? -EBADMSG : 0;
}

/* Who updates does not wait, and who reads keeps the program that it runs. */
static void over_a_reader(struct test *t)
{
	int fd = expose_link(t), tries;
	char entry[128];
	pid_t reader;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("takes two processors");
	snprintf(entry, sizeof(entry), "%s/view.x", t->cg);
	EXPECT_OK(bpf_link_update(fd, held_prog_fd, NULL));
	control->hold = 1;
	reader = start(read_slowly, entry);
	for (tries = 0; tries < 1000 && !control->inside; tries++)
		usleep(10000);
	EXPECT(control->inside, "the view does not start");
	EXPECT_OK(bpf_link_update(fd, maybe_prog_fd, NULL));
	EXPECT(running(reader), "the reader has ended");
	control->hold = 0;
	EXPECT_OK(finish(reader));
	expect_text(t, true);
}

#define RACE_SECONDS	2

static int read_either(void *entry)
{
	time_t end = time(NULL) + RACE_SECONDS;
	char text[64];
	int ret;

	while (time(NULL) < end) {
		ret = read_text(entry, text, sizeof(text));
		if (ret < 0)
			return ret;
		if (strcmp(text, "something\n") && strncmp(text, "id ", 3))
			return -EBADMSG;
	}
	return 0;
}

static void no_gap(struct test *t)
{
	int fd = expose_link(t), rounds = 0;
	char entry[128], child[128];
	pid_t readers[2];

	snprintf(entry, sizeof(entry), "%s/view.x", t->cg);
	snprintf(child, sizeof(child), "%s/child/view.x", t->cg);
	readers[0] = start(read_either, entry);
	readers[1] = start(read_either, child);
	while (running(readers[0]) && running(readers[1])) {
		EXPECT_OK(bpf_link_update(fd, maybe_prog_fd, NULL));
		EXPECT_OK(bpf_link_update(fd, obj_fd[PROG], NULL));
		rounds++;
	}
	EXPECT_OK(finish(readers[0]));
	EXPECT_OK(finish(readers[1]));
	EXPECT(rounds > 10, "only %d updates", rounds);
}

const struct test_case link_update[] = {
	{ "link-update", "all files show the new program at once", all_files, SINCE_UPDATE },
	{ "link-update", "with BPF_F_REPLACE only if the program is as expected",
	  only_if_unchanged, SINCE_UPDATE },
	{ "link-update", "only a view can replace a view", no_view, SINCE_UPDATE },
	{ "link-update", "a file that is open shows the new program",
	  open_file_goes_on, SINCE_UPDATE },
	{ "link-update", "a reader inside the view keeps its program",
	  over_a_reader, SINCE_UPDATE },
	{ "link-update", "readers see the old text or the new, and never an error",
	  no_gap, SINCE_UPDATE },
	{}
};
