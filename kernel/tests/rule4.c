// SPDX-License-Identifier: GPL-2.0-only
/* Rule 4: what can be exposed, and what can be done with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

static void expose(struct test *t, int fd, const char *entry)
{
	const char *where = path("%s/pin", t->pins);

	if (!exists(where))
		EXPECT_OK(pin(fd, where));
	EXPECT_OK(pin(fd, entry));
}

static void unreadable(struct test *t, enum kind kind)
{
	const char *entry = path("%s/view.x", t->cg);
	char text[64];

	expose(t, obj_fd[kind], entry);
	EXPECT_RET(-EINVAL, read_text(entry, text, sizeof(text)));
}

static void program_unreadable(struct test *t)
{
	unreadable(t, PROG);
}

static void map_unreadable(struct test *t)
{
	unreadable(t, MAP);
}

static void other_link_unreadable(struct test *t)
{
	unreadable(t, OTHER_LINK);
}

static void own_cgroup(struct test *t)
{
	const char *dirs[] = { path("%s/one", t->cg), path("%s/two", t->cg), t->v1 };
	char want[64], text[64];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		make_dir(dirs[i]);
		expose(t, obj_fd[VIEW_LINK], path("%s/view.id", dirs[i]));
	}
	for (i = 0; i < 3; i++) {
		snprintf(want, sizeof(want), "id %llu\n", inode_of(dirs[i]));
		EXPECT(read_text(path("%s/view.id", dirs[i]), text, sizeof(text)) > 0,
		       "no text in %s", dirs[i]);
		EXPECT(!strcmp(text, want), "%s shows %s, not %s", dirs[i], text, want);
	}
}

static void nothing_to_show(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	char text[64];

	expose(t, maybe_fd, entry);
	EXPECT_RET(10, read_text(entry, text, sizeof(text)));
	control->nothing = 1;
	EXPECT_RET(0, read_text(entry, text, sizeof(text)));
	control->nothing = 0;
	EXPECT_RET(10, read_text(entry, text, sizeof(text)));
}

static void long_text(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	char want[64];
	char text[32768], part[64];
	int fd, line, len, total = 0;
	char *at = text;

	expose(t, long_fd, entry);
	len = read_text(entry, text, sizeof(text));
	for (line = 0; line < 400; line++) {
		snprintf(want, sizeof(want), "line_%06d 0123456789abcdef\n", line);
		EXPECT(!strncmp(at, want, strlen(want)), "line %d is wrong", line);
		at += strlen(want);
	}
	EXPECT(*at == '\0', "there is more than 400 lines");

	fd = open_file(entry, O_RDONLY);
	EXPECT(fd >= 0, "open: %d", fd);
	for (;;) {
		int got = read(fd, part, 37);

		EXPECT(got >= 0, "read: %d", errno);
		if (!got)
			break;
		EXPECT(!memcmp(text + total, part, got), "differs at %d", total);
		total += got;
	}
	EXPECT(total == len, "in pieces it is %d bytes, not %d", total, len);
}

static void stray_write(struct test *t, enum kind kind)
{
	static const struct {
		const char *bytes;
		size_t len;
	} stray[] = {
		{ "garbage", 7 }, { "", 0 }, { "r", 1 }, { "m", 1 }, { "\n", 1 },
		{ "rmx", 3 }, { "rm \n", 4 }, { "rm\n\n", 4 }, { " rm", 3 },
		{ "RM", 2 }, { "rm\0", 3 }, { "rm\0\n", 4 }, { "unlink", 6 },
	};
	const char *entry = path("%s/view.%d", t->cg, kind);
	static char page[8192] = "rm";
	unsigned int i;

	EXPECT_OK(pin(obj_fd[kind], path("%s/%d", t->pins, kind)));
	EXPECT_OK(pin(obj_fd[kind], entry));
	for (i = 0; i < ARRAY_SIZE(stray); i++) {
		int fd = open_file(entry, O_WRONLY);
		ssize_t ret;

		EXPECT(fd >= 0, "open: %d", fd);
		errno = 0;
		ret = write(fd, stray[i].bytes, stray[i].len);
		/* The kernel need not be asked about no bytes at all. */
		EXPECT((ret < 0 && errno == EINVAL) || (!ret && !stray[i].len),
		       "%s: stray write %u gives %zd, errno %d", kind_name[kind],
		       i, ret, errno);
		close(fd);
	}
	EXPECT_RET(-EINVAL, write_bytes(entry, page, sizeof(page)));
	EXPECT(exists(entry), "%s: a stray write removed it", kind_name[kind]);
}

static void stray_writes(struct test *t)
{
	int kind;

	for (kind = 0; kind < NR_KINDS; kind++)
		stray_write(t, kind);
}

static void not_an_object(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	int fd;

	expose(t, obj_fd[MAP], entry);
	fd = bpf_obj_get(entry);
	EXPECT(fd == -EACCES || fd == -EPERM, "BPF_OBJ_GET gives %d", fd);
}

static void verifier_refuses(struct test *t)
{
	(void)t;
	EXPECT(load_refused("returns_1") == 0, "a view may not return 1");
	EXPECT(load_refused("returns_2") == -EINVAL, "a view may return 2");
	EXPECT(load_refused("returns_negative") == -EINVAL, "a view may return -1");
	EXPECT(load_refused("third_argument") == -EACCES, "a view may have 3 arguments");
}

static void link_says_what_it_is(struct test *t)
{
	struct bpf_link_info info = {};
	char name[16] = {}, text[512];
	__u32 len = sizeof(info);
	/*
	 * The distribution's header knows nothing of views; a target's name is
	 * at the same place for iterators.
	 */
	(void)t;
	info.iter.target_name = (unsigned long)name;
	info.iter.target_name_len = sizeof(name);
	EXPECT_OK(bpf_obj_get_info_by_fd(obj_fd[VIEW_LINK], &info, &len));
	EXPECT((int)info.type == view_link_type(), "link type %d", info.type);
	EXPECT(!strcmp(name, "cgroup"), "target %s", name);

	EXPECT(read_text(path("/proc/self/fdinfo/%d", obj_fd[VIEW_LINK]), text,
			 sizeof(text)) > 0, "no fdinfo");
	EXPECT(strstr(text, "link_type:\tview\n"), "fdinfo has no type: %s", text);
	EXPECT(strstr(text, "target_name:\tcgroup\n"), "fdinfo has no target: %s", text);
}

static void short_buffer_for_name(struct test *t)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	char name[4] = "xxx";

	(void)t;
	info.iter.target_name = (unsigned long)name;
	info.iter.target_name_len = 3;
	EXPECT_RET(-ENOSPC, bpf_obj_get_info_by_fd(obj_fd[VIEW_LINK], &info, &len));
	EXPECT(!strcmp(name, "cg"), "the name is cut to %s", name);
}

static void link_takes_no_options(struct test *t)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = 1);
	int fd;

	(void)t;
	fd = bpf_link_create(obj_fd[PROG], 0, view_attach_type(), &opts);
	EXPECT(fd == -EINVAL, "with a flag it is %d", fd);
	fd = bpf_link_create(obj_fd[PROG], obj_fd[MAP], view_attach_type(), NULL);
	EXPECT(fd == -EINVAL, "with a target it is %d", fd);
	fd = bpf_link_create(obj_fd[PROG], 0, BPF_TRACE_ITER, NULL);
	EXPECT(fd == -EINVAL, "as an iterator it is %d", fd);
}

const struct test_case rule_4[] = {
	{ "rule-4", "the entry of a program cannot be read", program_unreadable, SINCE_ENTRIES },
	{ "rule-4", "the entry of a map cannot be read", map_unreadable, SINCE_ENTRIES },
	{ "rule-4", "the entry of a link to no view cannot be read",
	  other_link_unreadable, SINCE_ENTRIES },
	{ "rule-4", "a view shows the cgroup its file stands in", own_cgroup, SINCE_READING },
	{ "rule-4", "a view that returns 1 reads empty", nothing_to_show, SINCE_READING },
	{ "rule-4", "a text longer than a page reads whole, at once and in pieces",
	  long_text, SINCE_READING },
	{ "rule-4", "a stray write gives EINVAL, whatever the object", stray_writes, SINCE_RM },
	{ "rule-4", "an entry cannot be opened as a BPF object", not_an_object, SINCE_ENTRIES },
	{ "rule-4", "the verifier refuses what returns neither 0 nor 1",
	  verifier_refuses, SINCE_VIEWS },
	{ "rule-4", "link info and fdinfo name the type and the target",
	  link_says_what_it_is, SINCE_VIEWS },
	{ "rule-4", "a short buffer gets the target's name cut",
	  short_buffer_for_name, SINCE_VIEWS },
	{ "rule-4", "a view link takes no flags and no target",
	  link_takes_no_options, SINCE_VIEWS },
	{}
};
