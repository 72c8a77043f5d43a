// SPDX-License-Identifier: GPL-2.0-only
/* Rule 7: how long an entry lives, and what ends it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

static void expose_in_two(struct test *t, int fd)
{
	EXPECT_OK(pin(fd, path("%s/pin", t->pins)));
	EXPECT_OK(make_dir(path("%s/child", t->cg)));
	EXPECT_OK(pin(fd, path("%s/view.x", t->cg)));
	EXPECT_OK(pin(fd, path("%s/child/view.x", t->cg)));
}

static bool both_there(struct test *t)
{
	return exists(path("%s/view.x", t->cg)) &&
	       exists(path("%s/child/view.x", t->cg));
}

static bool none_there(struct test *t)
{
	return !exists(path("%s/view.x", t->cg)) &&
	       !exists(path("%s/child/view.x", t->cg)) &&
	       !listed(t->cg, "view.x");
}

static void unpin(struct test *t)
{
	int kind;

	for (kind = 0; kind < NR_KINDS; kind++) {
		const char *where = path("%s/%d", t->pins, kind);
		const char *entry = path("%s/view.%d", t->cg, kind);
		const char *entry1 = path("%s/view.%d", t->v1, kind);

		EXPECT_OK(pin(obj_fd[kind], where));
		EXPECT_OK(pin(obj_fd[kind], entry));
		EXPECT_OK(pin(obj_fd[kind], entry1));
		EXPECT_OK(remove_file(where));
		EXPECT(!exists(entry) && !exists(entry1), "%s is still there",
		       kind_name[kind]);
	}
}

static void two_pins(struct test *t)
{
	expose_in_two(t, obj_fd[VIEW_LINK]);
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/second", t->pins)));
	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
	EXPECT(both_there(t), "gone with the first of two pins");
	EXPECT_OK(remove_file(path("%s/second", t->pins)));
	EXPECT(none_there(t), "still there without a pin");
}

static void hard_link(struct test *t)
{
	const char *where = path("%s/pin", t->pins), *name = path("%s/name", t->pins);

	expose_in_two(t, obj_fd[VIEW_LINK]);
	EXPECT(link(where, name) == 0, "link: %d", errno);
	EXPECT_OK(remove_file(where));
	EXPECT(both_there(t), "gone, though the pin has another name");
	EXPECT_OK(remove_file(name));
	EXPECT(none_there(t), "still there without a name");
}

static void open_pin(struct test *t)
{
	int fd;

	expose_in_two(t, obj_fd[VIEW_LINK]);
	fd = open_file(path("%s/pin", t->pins), O_PATH);
	EXPECT(fd >= 0, "open: %d", fd);
	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
	EXPECT(both_there(t), "gone, though the pin is open");
	close(fd);
	EXPECT(none_there(t), "still there after the close");
}

static void renamed_pin(struct test *t)
{
	expose_in_two(t, obj_fd[VIEW_LINK]);
	EXPECT(rename(path("%s/pin", t->pins), path("%s/new", t->pins)) == 0, "rename");
	EXPECT(both_there(t), "gone with the old name");
	EXPECT_OK(remove_file(path("%s/new", t->pins)));
	EXPECT(none_there(t), "still there");
}

static void replaced_pin(struct test *t)
{
	expose_in_two(t, obj_fd[VIEW_LINK]);
	EXPECT_OK(pin(obj_fd[MAP], path("%s/map", t->pins)));
	EXPECT(rename(path("%s/map", t->pins), path("%s/pin", t->pins)) == 0, "rename");
	EXPECT(none_there(t), "still there, though another object took the pin's place");
}

static void unmount(struct test *t)
{
	const char *mnt = TMPFS "/bpf";

	make_dir(mnt);
	EXPECT(mount("bpf", mnt, "bpf", 0, NULL) == 0, "mount: %d", errno);
	EXPECT_OK(make_dir(path("%s/child", t->cg)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", mnt)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/child/view.x", t->cg)));
	EXPECT(umount(mnt) == 0, "umount: %d", errno);
	EXPECT(none_there(t), "still there");
}

static void unmount_one_of_two(struct test *t)
{
	const char *mnt = TMPFS "/bpf";

	make_dir(mnt);
	EXPECT(mount("bpf", mnt, "bpf", 0, NULL) == 0, "mount: %d", errno);
	expose_in_two(t, obj_fd[VIEW_LINK]);
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", mnt)));
	EXPECT(umount(mnt) == 0, "umount: %d", errno);
	EXPECT(both_there(t), "gone, though the other bpffs has a pin");
}

static void cgroup_removed(struct test *t)
{
	const char *child = path("%s/child", t->cg);
	int round;

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	for (round = 0; round < 50; round++) {
		EXPECT_OK(make_dir(child));
		EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/view.x", child)));
		EXPECT_OK(remove_dir(child));
	}
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
	EXPECT(none_there(t), "still there");
}

static bool hierarchy_exists(const char *name)
{
	char text[4096];

	EXPECT(read_text("/proc/self/cgroup", text, sizeof(text)) > 0, "no /proc/self/cgroup");
	return strstr(text, name);
}

/* Expose in the root of a version 1 hierarchy, and unmount that. */
static void leave_hierarchy(int (*expose)(int fd, const char *where))
{
	const char *mnt = TMPFS "/hierarchy";
	int tries;

	make_dir(mnt);
	EXPECT(mount("cgroup", mnt, "cgroup", 0, "none,name=rule7") == 0, "mount: %d", errno);
	for (tries = 0; tries < 3; tries++)
		EXPECT_OK(expose(obj_fd[VIEW_LINK], path("%s/view.%d", mnt, tries)));
	EXPECT(umount(mnt) == 0, "umount: %d", errno);
}

static void hierarchy_unmounted(struct test *t, int (*expose)(int fd, const char *where))
{
	int round, tries;

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	leave_hierarchy(expose);
	for (tries = 0; tries < 1000 && hierarchy_exists("name=rule7"); tries++)
		usleep(10000);
	EXPECT(!hierarchy_exists("name=rule7"), "an entry keeps the hierarchy");
	/* And with the unpin while it is on its way. */
	for (round = 0; round < 20; round++) {
		leave_hierarchy(expose);
		usleep(1000 * round);
		EXPECT_OK(remove_file(path("%s/pin", t->pins)));
		EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	}
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
}

static void version_1_unmounted(struct test *t)
{
	hierarchy_unmounted(t, pin);
}

static void version_1_subtree_unmounted(struct test *t)
{
	hierarchy_unmounted(t, pin_subtree);
}

static int open_entry(struct test *t, const char *entry)
{
	int fd;

	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(pin(obj_fd[VIEW_LINK], entry));
	fd = open_file(entry, O_RDWR);
	EXPECT(fd >= 0, "open: %d", fd);
	return fd;
}

static void expect_dead(int fd)
{
	char text[64];

	EXPECT_RET(-ENODEV, read_fd(fd, text, sizeof(text)));
	EXPECT_RET(-ENODEV, write_fd(fd, "rm"));
	close(fd);
}

static void open_over_removal(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	int fd = open_entry(t, entry);

	EXPECT_OK(write_text(entry, "rm"));
	expect_dead(fd);
}

static void open_over_unpin(struct test *t)
{
	int fd = open_entry(t, path("%s/view.x", t->cg));

	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
	expect_dead(fd);
}

static void open_over_rmdir(struct test *t)
{
	int fd;

	EXPECT_OK(make_dir(path("%s/child", t->cg)));
	fd = open_entry(t, path("%s/child/view.x", t->cg));
	EXPECT_OK(remove_dir(path("%s/child", t->cg)));
	expect_dead(fd);
}

static void no_reference(struct test *t)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	int fd = new_view_link();
	int entry_fd;

	EXPECT(fd >= 0, "no link: %d", fd);
	EXPECT_OK(bpf_obj_get_info_by_fd(fd, &info, &len));
	EXPECT_OK(pin(fd, path("%s/pin", t->pins)));
	EXPECT_OK(pin(fd, path("%s/view.x", t->cg)));
	entry_fd = open_file(path("%s/view.x", t->cg), O_RDONLY);
	EXPECT(entry_fd >= 0, "open: %d", entry_fd);
	close(fd);
	EXPECT(bpf_link_get_fd_by_id(info.id) >= 0, "the pin does not keep the link");
	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
}

/* The fd by id of the function above would keep the link in the same process. */
static void object_is_freed(struct test *t)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	int fd = new_view_link();
	int entry_fd;

	EXPECT(fd >= 0, "no link: %d", fd);
	EXPECT_OK(bpf_obj_get_info_by_fd(fd, &info, &len));
	EXPECT_OK(pin(fd, path("%s/pin", t->pins)));
	EXPECT_OK(pin(fd, path("%s/view.x", t->cg)));
	entry_fd = open_file(path("%s/view.x", t->cg), O_RDWR);
	EXPECT(entry_fd >= 0, "open: %d", entry_fd);
	close(fd);
	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
	EXPECT(object_goes(bpf_link_get_fd_by_id, info.id), "an open entry keeps the link");
	expect_dead(entry_fd);
}

static int dying_descendants(const char *cg)
{
	char text[256], *at;

	if (read_text(path("%s/cgroup.stat", cg), text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, "nr_dying_descendants ");
	return at ? atoi(at + strlen("nr_dying_descendants ")) : -1;
}

static void no_dead_cgroup(struct test *t)
{
	const char *child = path("%s/child", t->cg);
	int fd, tries;

	EXPECT_OK(make_dir(child));
	fd = open_entry(t, path("%s/view.x", child));
	EXPECT_OK(remove_dir(child));
	for (tries = 0; tries < 1000 && dying_descendants(t->cg); tries++)
		usleep(10000);
	EXPECT(dying_descendants(t->cg) == 0, "an open entry keeps the dead cgroup");
	expect_dead(fd);
}

struct removal {
	const char *entry;
	int (*call)(void *what);
	const char *what;
};

static int read_entry(void *arg)
{
	struct removal *r = arg;
	char text[64] = {};
	int fd = open_file(r->entry, O_RDONLY);

	if (fd < 0)
		return fd;
	/* Once only: the next read finds the file removed. */
	if (read(fd, text, sizeof(text) - 1) < 0)
		return -errno;
	return strcmp(text, "held\n") ? -EBADMSG : 0;
}

static int do_removal(void *arg)
{
	struct removal *r = arg;
	int ret = r->call((void *)r->what);

	if (ret)
		return ret;
	return control->done ? 0 : -ETIME;
}

static void waits_for_reader(struct removal *r)
{
	pid_t reader, remover;
	int tries;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("takes two processors");
	control->hold = 1;
	reader = start(read_entry, r);
	EXPECT(reader > 0, "fork");
	for (tries = 0; tries < 1000 && !control->inside; tries++)
		usleep(10000);
	EXPECT(control->inside, "the view does not start");

	remover = start(do_removal, r);
	EXPECT(remover > 0, "fork");
	usleep(300000);
	EXPECT(running(reader), "the view does not stay");
	EXPECT(running(remover), "the removal did not wait for the view");
	control->hold = 0;

	EXPECT_OK(finish(remover));
	EXPECT_OK(finish(reader));
	EXPECT(!exists(r->entry), "still there");
}

static int call_remove_file(void *name)
{
	return remove_file(name);
}

static int call_remove_dir(void *name)
{
	return remove_dir(name);
}

static int call_write_rm(void *name)
{
	return write_text(name, "rm");
}

static void removal_waits(struct test *t)
{
	struct removal r = {
		.entry = path("%s/view.x", t->cg),
		.call = call_write_rm,
	};

	r.what = r.entry;
	EXPECT_OK(pin(held_fd, path("%s/pin", t->pins)));
	EXPECT_OK(pin(held_fd, r.entry));
	waits_for_reader(&r);
}

static void unpin_waits(struct test *t)
{
	struct removal r = {
		.entry = path("%s/view.x", t->cg),
		.call = call_remove_file,
		.what = path("%s/pin", t->pins),
	};

	EXPECT_OK(pin(held_fd, r.what));
	EXPECT_OK(pin(held_fd, r.entry));
	waits_for_reader(&r);
}

static void rmdir_waits(struct test *t)
{
	struct removal r = {
		.entry = path("%s/child/view.x", t->cg),
		.call = call_remove_dir,
		.what = path("%s/child", t->cg),
	};

	EXPECT_OK(make_dir(r.what));
	EXPECT_OK(pin(held_fd, path("%s/pin", t->pins)));
	EXPECT_OK(pin(held_fd, r.entry));
	waits_for_reader(&r);
}

const struct test_case rule_7[] = {
	{ "rule-7", "the unpin removes the entries in all cgroups", unpin, SINCE_ENTRIES },
	{ "rule-7", "the first of two pins takes nothing with it", two_pins, SINCE_ENTRIES },
	{ "rule-7", "a hard link in bpffs is a name of the same pin", hard_link, SINCE_ENTRIES },
	{ "rule-7", "a pin that is held open counts until it is closed", open_pin, SINCE_ENTRIES },
	{ "rule-7", "renaming a pin changes nothing", renamed_pin, SINCE_ENTRIES },
	{ "rule-7", "a pin that is replaced takes the entries with it",
	  replaced_pin, SINCE_ENTRIES },
	{ "rule-7", "unmounting bpffs removes the entries", unmount, SINCE_ENTRIES },
	{ "rule-7", "unmounting one bpffs of two changes nothing",
	  unmount_one_of_two, SINCE_ENTRIES },
	{ "rule-7", "rmdir takes the entries with it", cgroup_removed, SINCE_ENTRIES },
	{ "rule-7", "so does unmounting a version 1 hierarchy",
	  version_1_unmounted, SINCE_ENTRIES },
	{ "rule-7", "so does unmounting one with subtrees",
	  version_1_subtree_unmounted, SINCE_SUBTREE },
	{ "rule-7", "a file open over rm reads ENODEV", open_over_removal, SINCE_READING },
	{ "rule-7", "a file open over the unpin reads ENODEV", open_over_unpin, SINCE_READING },
	{ "rule-7", "a file open over rmdir reads ENODEV", open_over_rmdir, SINCE_READING },
	{ "rule-7", "the pin keeps the object", no_reference, SINCE_READING },
	{ "rule-7", "an entry, though open, does not keep the object",
	  object_is_freed, SINCE_READING },
	{ "rule-7", "an open entry does not keep a dead cgroup", no_dead_cgroup, SINCE_READING },
	{ "rule-7", "rm waits for a reader inside the view", removal_waits, SINCE_READING },
	{ "rule-7", "the unpin waits for a reader inside the view", unpin_waits, SINCE_READING },
	{ "rule-7", "rmdir waits for a reader inside the view", rmdir_waits, SINCE_READING },
	{}
};
