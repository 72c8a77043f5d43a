// SPDX-License-Identifier: GPL-2.0-only
/* What nobody can do with a view, or to one. stock.c has what concerns foreign kernels. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "files.h"
#include "harness.h"
#include "load.h"
#include "objects.h"

static void expose(struct test *t, int fd, const char *entry)
{
	const char *where = path("%s/pin", t->pins);

	if (!exists(where))
		EXPECT_OK(pin(fd, where));
	EXPECT_OK(pin(fd, entry));
}

static bool shows(const char *entry, const char *want)
{
	char text[64];

	return read_text(entry, text, sizeof(text)) > 0 && !strcmp(text, want);
}

static bool shows_itself(const char *dir)
{
	return shows(path("%s/view.x", dir), path("id %llu\n", inode_of(dir)));
}

static int pin_it(void *entry)
{
	return pin(obj_fd[VIEW_LINK], entry);
}

static int pin_it_below(void *entry)
{
	return pin_subtree(obj_fd[VIEW_LINK], entry);
}

static int unlink_it(void *entry)
{
	return remove_file(entry);
}

static int write_rm(void *entry)
{
	return write_text(entry, "rm");
}

static int rename_it(void *entry)
{
	return rename(entry, path("%s.new", (char *)entry)) ? -errno : 0;
}

/* He inherits all fds, as if they had been handed to him. */
static void without_permission(struct test *t)
{
	char entry[128], other[128];

	snprintf(entry, sizeof(entry), "%s/view.x", t->cg);
	snprintf(other, sizeof(other), "%s/view.new", t->cg);
	expose(t, obj_fd[VIEW_LINK], entry);

	EXPECT_RET(-EACCES, as_user(SOMEBODY, pin_it, other));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, pin_it_below, other));
	EXPECT_RET(-EEXIST, as_user(SOMEBODY, pin_it, entry));
	EXPECT_RET(-EEXIST, as_user(SOMEBODY, pin_it_below, entry));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, rename_it, entry));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, unlink_it, entry));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, write_rm, entry));
	EXPECT(!exists(other), "there is a file");
	EXPECT(shows_itself(t->cg), "the entry is not what it was");

	/* With nothing pinned either, as the caller has no business to know. */
	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, pin_it, other));
}

struct holder {
	int link;
	char pin[96];
};

static int cannot_get_a_view(void *arg)
{
	struct holder *holder = arg;
	int ret;

	ret = load_tracing(view_attach_type(), "bpf_view_cgroup");
	if (ret != -EPERM)
		return ret < 0 ? ret : -EBADF;
	ret = bpf_obj_get(holder->pin);
	if (ret != -EACCES)
		return ret < 0 ? ret : -EBADF;
	ret = bpf_prog_get_fd_by_id(1);
	return ret == -EPERM ? 0 : ret < 0 ? ret : -EBADF;
}

static int update_with_other_fds(void *arg)
{
	struct holder *holder = arg;
	int ret;

	ret = bpf_link_update(holder->link, holder->link, NULL);
	if (ret == -EINVAL)
		ret = bpf_link_update(holder->link, obj_fd[MAP], NULL);
	if (ret == -EINVAL)
		ret = bpf_link_update(holder->link, no_view_prog_fd, NULL);
	return ret;
}

static int update_with_a_view(void *arg)
{
	struct holder *holder = arg;

	return bpf_link_update(holder->link, maybe_prog_fd, NULL);
}

static int detach(void *arg)
{
	struct holder *holder = arg;

	return bpf_link_detach(holder->link);
}

/* For bpf(2) an fd is the right to use an object; it is others that ask for more. */
static void fd_of_a_link(struct test *t)
{
	struct holder holder = { .link = new_view_link() };
	const char *entry = path("%s/view.x", t->cg);

	EXPECT(holder.link >= 0, "no link: %d", holder.link);
	expose(t, holder.link, entry);
	snprintf(holder.pin, sizeof(holder.pin), "%s/prog", t->pins);
	EXPECT_OK(pin(maybe_prog_fd, holder.pin));

	EXPECT_OK(as_user(SOMEBODY, cannot_get_a_view, &holder));
	EXPECT_RET(-EINVAL, as_user(SOMEBODY, update_with_other_fds, &holder));
	EXPECT_RET(-EOPNOTSUPP, as_user(SOMEBODY, detach, &holder));
	EXPECT(shows_itself(t->cg), "the entry is not what it was");
	EXPECT_OK(as_user(SOMEBODY, update_with_a_view, &holder));
	EXPECT(shows(entry, "something\n"), "the update did nothing");
}

/* Nobody, and least of all the owner of the directory. */
static void own_files(struct test *t)
{
	static const char * const own[] = {
		"cgroup.procs", "cgroup.events", "cgroup.controllers", "cgroup.max.depth",
	};
	char before[256], after[256], name[128];
	unsigned int i;

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(make_dir(path("%s/child", t->cg)));
	EXPECT(chown(t->cg, SOMEBODY, SOMEBODY) == 0, "chown");
	EXPECT_RET(-EEXIST, pin(obj_fd[VIEW_LINK], path("%s/child", t->cg)));
	EXPECT_RET(-EEXIST, pin(obj_fd[VIEW_LINK], path("%s/tasks", t->v1)));
	for (i = 0; i < ARRAY_SIZE(own); i++) {
		snprintf(name, sizeof(name), "%s/%s", t->cg, own[i]);
		read_text(name, before, sizeof(before));
		EXPECT_RET(-EEXIST, pin(obj_fd[VIEW_LINK], name));
		EXPECT_RET(-EEXIST, pin_subtree(obj_fd[VIEW_LINK], name));
		EXPECT_RET(-EEXIST, as_user(SOMEBODY, pin_it, name));
		EXPECT(write_text(name, "rm") != 0, "%s takes rm", name);
		EXPECT_RET(-EPERM, remove_file(name));
		EXPECT_RET(-EPERM, as_user(SOMEBODY, unlink_it, name));
		read_text(name, after, sizeof(after));
		EXPECT(!strcmp(before, after), "%s has changed", name);
	}
}

static void inherited_file(struct test *t)
{
	char root[128], own[128], other[128];

	EXPECT_OK(make_dir(path("%s/a", t->cg)));
	EXPECT_OK(make_dir(path("%s/c", t->cg)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	snprintf(root, sizeof(root), "%s/view.x", t->cg);
	snprintf(own, sizeof(own), "%s/a/view.x", t->cg);
	snprintf(other, sizeof(other), "%s/c/view.x", t->cg);
	EXPECT(chown(path("%s/a", t->cg), SOMEBODY, SOMEBODY) == 0, "chown");
	EXPECT_RET(-EACCES, as_user(SOMEBODY, unlink_it, root));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, unlink_it, other));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, write_rm, root));
	EXPECT_RET(-EACCES, as_user(SOMEBODY, write_rm, own));
	EXPECT_OK(as_user(SOMEBODY, unlink_it, own));
	EXPECT(!exists(own) && exists(root) && exists(other), "not the one alone");
}

static void names(struct test *t)
{
	char name[NAME_MAX + 2];

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(make_dir(path("%s/child", t->cg)));

	/* A slash leads into a directory, and is never part of a name. */
	EXPECT_RET(-ENOENT, pin(obj_fd[VIEW_LINK], path("%s/none/view.x", t->cg)));
	EXPECT_RET(-ENOENT, pin(obj_fd[VIEW_LINK], path("%s/view.x/", t->cg)));
	EXPECT_RET(-ENOTDIR,
		   pin(obj_fd[VIEW_LINK], path("%s/cgroup.procs/view.x", t->cg)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/child/view.x", t->cg)));
	EXPECT(!exists(path("%s/view.x", t->cg)), "it is in the wrong directory");
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/child/../view.x", t->cg)));
	EXPECT(shows_itself(t->cg), "it is not in the parent");

	EXPECT_RET(-EEXIST, pin(obj_fd[VIEW_LINK], path("%s/.", t->cg)));
	EXPECT_RET(-EEXIST, pin(obj_fd[VIEW_LINK], path("%s/child/..", t->cg)));
	EXPECT_RET(-ENOENT, pin(obj_fd[VIEW_LINK], ""));

	memset(name, 'n', sizeof(name));
	name[NAME_MAX] = '\0';
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/%s", t->cg, name)));
	EXPECT(listed(t->cg, name), "a name of %d bytes is not listed whole", NAME_MAX);
	name[NAME_MAX] = 'n';
	name[NAME_MAX + 1] = '\0';
	EXPECT_RET(-ENAMETOOLONG, pin(obj_fd[VIEW_LINK], path("%s/%s", t->cg, name)));

	/* Only directories' names stand in /proc/<pid>/cgroup, so a file's may have one. */
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/new\nline", t->cg)));
	EXPECT(listed(t->cg, "new\nline"), "it is not listed");
	EXPECT_OK(remove_file(path("%s/new\nline", t->cg)));
}

static void loops(struct test *t)
{
	int fd = new_link_to("long_loop");

	EXPECT_RET(-EINVAL, load_refused("never_returns"));
	EXPECT(fd >= 0, "no link: %d", fd);
	expose(t, fd, path("%s/view.x", t->cg));
	EXPECT(shows(path("%s/view.x", t->cg), path("%d\n", LONG_LOOP / 2)),
	       "a long loop shows nothing, or something else");
}

static void sleeps(struct test *t)
{
	int ret;

	(void)t;
	EXPECT_RET(-EINVAL, load_refused("waits_but_cannot_sleep"));
	/* Baselines refuse the flush in two ways. */
	ret = load_refused("flushes_but_cannot_sleep");
	EXPECT(ret == -EACCES || ret == -EINVAL, "it is %d", ret);
}

#define MEGABYTE	(1 << 20)

static void writes_a_megabyte(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	int fd = new_link_to("show_lines"), len, at;
	char *text = malloc(2 * MEGABYTE), part[64];

	EXPECT(fd >= 0 && text, "no link, or no memory");
	control->lines = MEGABYTE / LINE_SIZE;
	expose(t, fd, entry);
	len = read_text(entry, text, 2 * MEGABYTE);
	EXPECT(len == MEGABYTE, "the reader gets %d", len);
	for (at = 64; at < len; at += 64)
		EXPECT(!memcmp(text, text + at, 64), "it differs at %d", at);

	fd = open_file(entry, O_RDONLY);
	EXPECT(pread(fd, part, sizeof(part), MEGABYTE - 64) == 64 &&
	       !memcmp(text, part, 64), "the last line reads otherwise");
	EXPECT(pread(fd, part, sizeof(part), MEGABYTE) == 0, "there is more");
}

static void writes_more_than_may_be(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	int fd = new_link_to("show_lines"), file;
	char part[LINE_SIZE];

	EXPECT(fd >= 0, "no link: %d", fd);
	expose(t, fd, entry);
	control->lines = 8 * MEGABYTE / LINE_SIZE;
	file = open_file(entry, O_RDONLY);
	EXPECT_RET(-EFBIG, read_fd(file, part, sizeof(part)));
	/* The file is none the worse for it. */
	control->lines--;
	EXPECT(pread(file, part, sizeof(part), 0) == LINE_SIZE, "a line less does not fit");
	EXPECT(pread(file, part, sizeof(part), 8 * MEGABYTE - 2 * LINE_SIZE) == LINE_SIZE,
	       "it is not read to its end");
}

static int read_with(const char *entry, unsigned long pointer)
{
	/* The kernel keeps it unseen until the process ends. */
	if (syscall(SYS_set_robust_list, pointer, 3 * sizeof(long)))
		return -errno;
	return shows(entry, "0\n") ? 0 : -EBADMSG;
}

static void faults(struct test *t)
{
	static const unsigned long nowhere[] = {
		0,			/* null */
		0x1000,			/* of user space, and not mapped */
		0x00007ffffffff000,	/* where user space ends */
		0x1234567890abcdef,	/* no address at all */
		0xfffffffffff00000,	/* of the kernel, and never mapped */
	};
	const char *entry = path("%s/view.x", t->cg);
	int fd = new_link_to("wild_pointer");
	unsigned int i;

	EXPECT(fd >= 0, "no link: %d", fd);
	expose(t, fd, entry);
	for (i = 0; i < ARRAY_SIZE(nowhere); i++)
		EXPECT_OK(read_with(entry, nowhere[i]));
}

const struct test_case security[] = {
	{ "security", "who may not write can neither create, replace nor remove, with any fd",
	  without_permission, SINCE_SUBTREE },
	{ "security", "the fd of a link updates it with a view's fd only, and gets him none",
	  fd_of_a_link, SINCE_SUBTREE },
	{ "security", "a cgroup's own file is neither shadowed, replaced nor removed",
	  own_files, SINCE_SUBTREE },
	{ "security", "a delegate can remove an inherited file in its own directory alone",
	  inherited_file, SINCE_SUBTREE },
	{ "security", "names with /, .. and ., empty, of 255 and 256 bytes, with a newline",
	  names, SINCE_SUBTREE },
	{ "security", "a view that loops for ever is refused, one that loops long ends",
	  loops, SINCE_SUBTREE },
	{ "security", "a view that would sleep and may not is refused", sleeps, SINCE_SUBTREE },
	{ "security", "a view that writes a megabyte is read whole",
	  writes_a_megabyte, SINCE_SUBTREE },
	{ "security", "a view that writes eight megabytes cannot be read",
	  writes_more_than_may_be, SINCE_SUBTREE },
	{ "security", "a view that follows a bad pointer reads 0", faults, SINCE_SUBTREE },
	{ "security", "in a user and cgroup namespace there is nothing above its own cgroup",
	  inside_namespaces, SINCE_SUBTREE },
	{}
};
