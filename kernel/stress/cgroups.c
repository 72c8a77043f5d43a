// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"
#include "../tests/objects.h"

/* The tree's own cgroup stays. */
static struct choice not_the_tree(const struct choice *c)
{
	struct choice below = *c;

	if (!below.depth)
		below.depth = 1;
	return below;
}

int op_mkdir(struct worker *w, const struct choice *c)
{
	struct choice child = not_the_tree(c);

	return make_dir(cgroup_of(w, &child));
}

int op_rmdir(struct worker *w, const struct choice *c)
{
	struct choice child = not_the_tree(c);

	return remove_dir(cgroup_of(w, &child));
}

/* Version 1 only, and within a folder. */
int op_rename_cgroup(struct worker *w, const struct choice *c)
{
	struct choice from = not_the_tree(c), to;
	unsigned int last = from.depth - 1;

	from.v1 = true;
	to = from;
	to.at[last] = (to.at[last] + 1) % NR_NAMES;
	/* What is private stays so. */
	if (is_private(&from) != is_private(&to))
		return -EEXIST;
	return rename(cgroup_of(w, &from), cgroup_of(w, &to)) ? -errno : 0;
}

int op_controller(struct worker *w, const struct choice *c)
{
	static const char * const controllers[] = { "pids", "pids", "cpu", "memory" };
	const char *name = controllers[c->which % ARRAY_SIZE(controllers)];
	struct choice dir = *c;

	dir.v1 = false;
	return write_text(path("%s/cgroup.subtree_control", cgroup_of(w, &dir)),
			  path("%c%s", c->which & 256 ? '+' : '-', name));
}

static int move_to(const char *dir)
{
	return write_text(path("%s/cgroup.procs", dir), "0");
}

int op_move(struct worker *w, const struct choice *c)
{
	return move_to(cgroup_of(w, c));
}

int op_move_out(struct worker *w, const struct choice *c)
{
	(void)w;
	return move_to(c->v1 ? CGROUP1 : CGROUP2);
}

struct call {
	struct worker *w;
	const struct choice *c;
};

static int in_child(int (*run)(void *call), struct worker *w, const struct choice *c)
{
	struct call call = { .w = w, .c = c };
	pid_t pid = start(run, &call);

	return pid < 0 ? pid : finish(pid);
}

static int read_inside(void *arg)
{
	struct call *call = arg;
	const char *dir = cgroup_of(call->w, call->c);

	return move_to(dir) ?: read_in(call->w, call->c, dir);
}

int op_run_inside(struct worker *w, const struct choice *c)
{
	return in_child(read_inside, w, c);
}

void end_resident(struct worker *w)
{
	if (!w->resident)
		return;
	kill(w->resident, SIGKILL);
	waitpid(w->resident, NULL, 0);
	w->resident = 0;
}

static int stay(void *nothing)
{
	(void)nothing;
	pause();
	return 0;
}

/* A child that is in a cgroup until the worker's next one. */
int op_stay_inside(struct worker *w, const struct choice *c)
{
	char pid[16];

	end_resident(w);
	w->resident = start(stay, NULL);
	if (w->resident < 0) {
		int err = w->resident;

		w->resident = 0;
		return err;
	}
	snprintf(pid, sizeof(pid), "%d", w->resident);
	return write_text(path("%s/cgroup.procs", cgroup_of(w, c)), pid);
}

/* Expose, read or remove through a directory of another mount. */
static int work_in(struct worker *w, const struct choice *c, const char *dir)
{
	const char *view = path("%s/%s", dir, view_name(c));

	switch (c->which % 4) {
	case 0:
		return pin(object(c), view);
	case 1:
		return pin_subtree(object(c), view);
	case 2:
		return remove_file(view);
	default:
		return read_in(w, c, dir);
	}
}

static int mount_cgroup2(const char *where)
{
	return mount("cgroup2", where, "cgroup2", 0, CGROUP2_OPTIONS) ? -errno : 0;
}

int op_second_mount(struct worker *w, const struct choice *c)
{
	const char *where = private_cgroup2(w);
	struct worker there = *w;
	struct choice dir = *c;
	int ret = mount_cgroup2(where);

	if (ret)
		return ret;
	there.tree2 = w->in_namespace ? where : path("%s/s", where);
	dir.v1 = false;
	ret = work_in(w, c, cgroup_of(&there, &dir));
	if (c->fail)
		let_fail(w, false);
	if (umount2(where, MNT_DETACH))
		return -errno;
	return ret;
}

/* A version 1 hierarchy that ends with its mount, and what is in its root with it. */
int op_hierarchy(struct worker *w, const struct choice *c)
{
	const char *where = private_cgroup2(w);
	const char *options = path("none,name=worker%u", w->number);
	const char *view = path("%s/%s", where, view_name(c));
	int ret;

	if (mount("cgroup", where, "cgroup", 0, options))
		return -errno;
	ret = c->which & 1 ? pin(object(c), view) : pin_subtree(object(c), view);
	ret = ret ?: read_in(w, c, where);
	if (c->fail)
		let_fail(w, false);
	if (umount2(where, MNT_DETACH))
		return -errno;
	return ret;
}

/* In a cgroup namespace the super block is another one, and so are the inodes. */
static int work_in_namespace(void *arg)
{
	struct call *call = arg;
	const char *where = private_cgroup2(call->w);
	struct choice dir = *call->c;
	int ret;

	dir.v1 = false;
	ret = move_to(cgroup_of(call->w, &dir));
	if (ret)
		return ret;
	if (unshare(CLONE_NEWCGROUP | CLONE_NEWNS))
		return -errno;
	return mount_cgroup2(where) ?: work_in(call->w, call->c, where);
}

int op_namespace(struct worker *w, const struct choice *c)
{
	return in_child(work_in_namespace, w, c);
}
