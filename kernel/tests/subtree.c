// SPDX-License-Identifier: GPL-2.0-only
/* Extension: BPF_F_VIEW_SUBTREE exposes a link in a cgroup and all below it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "harness.h"
#include "objects.h"

/* A tree of cgroups: t->cg/a/b and t->cg/c, with the view pinned in bpffs. */
static void make_tree(struct test *t)
{
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(make_dir(path("%s/a", t->cg)));
	EXPECT_OK(make_dir(path("%s/a/b", t->cg)));
	EXPECT_OK(make_dir(path("%s/c", t->cg)));
}

static void expose_tree(struct test *t)
{
	make_tree(t);
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
}

static bool shows_itself(const char *dir)
{
	char text[64], want[64];

	snprintf(want, sizeof(want), "id %llu\n", inode_of(dir));
	return read_text(path("%s/view.x", dir), text, sizeof(text)) > 0 &&
	       !strcmp(text, want);
}

static bool has_none(struct test *t)
{
	return !exists(path("%s/view.x", t->cg)) &&
	       !exists(path("%s/a/view.x", t->cg)) &&
	       !exists(path("%s/a/b/view.x", t->cg)) &&
	       !exists(path("%s/c/view.x", t->cg));
}

static void all_below(struct test *t)
{
	expose_tree(t);
	EXPECT(shows_itself(t->cg), "the root does not");
	EXPECT(shows_itself(path("%s/a", t->cg)), "a child does not");
	EXPECT(shows_itself(path("%s/a/b", t->cg)), "a grandchild does not");
	EXPECT(shows_itself(path("%s/c", t->cg)), "the other child does not");
}

static void new_below(struct test *t)
{
	expose_tree(t);
	EXPECT_OK(make_dir(path("%s/d", t->cg)));
	EXPECT(shows_itself(path("%s/d", t->cg)), "a new child does not");
	EXPECT_OK(make_dir(path("%s/a/b/e", t->cg)));
	EXPECT(shows_itself(path("%s/a/b/e", t->cg)), "a new grandchild does not");
	EXPECT_OK(remove_dir(path("%s/d", t->cg)));
	EXPECT_OK(make_dir(path("%s/d", t->cg)));
	EXPECT(shows_itself(path("%s/d", t->cg)), "a child made again does not");
}

static void not_beside(struct test *t)
{
	make_tree(t);
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/a/view.x", t->cg)));
	EXPECT(!exists(path("%s/view.x", t->cg)), "the parent has it");
	EXPECT(!exists(path("%s/c/view.x", t->cg)), "a sibling has it");
	EXPECT_OK(make_dir(path("%s/d", t->cg)));
	EXPECT(!exists(path("%s/d/view.x", t->cg)), "a new sibling has it");
	EXPECT(shows_itself(path("%s/a/b", t->cg)), "the child does not have it");
}

static void version_1(struct test *t)
{
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(make_dir(path("%s/a", t->v1)));
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->v1)));
	EXPECT_OK(make_dir(path("%s/a/b", t->v1)));
	EXPECT(shows_itself(path("%s/a", t->v1)), "a child does not");
	EXPECT(shows_itself(path("%s/a/b", t->v1)), "a new grandchild does not");
}

static void removed_with_root(struct test *t)
{
	expose_tree(t);
	EXPECT_OK(make_dir(path("%s/d", t->cg)));
	EXPECT_OK(write_text(path("%s/view.x", t->cg), "rm"));
	EXPECT(has_none(t) && !exists(path("%s/d/view.x", t->cg)), "one is left");
	EXPECT_OK(make_dir(path("%s/e", t->cg)));
	EXPECT(!exists(path("%s/e/view.x", t->cg)), "a new cgroup still gets it");
	/* Every name is free again. */
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	EXPECT(shows_itself(path("%s/a/b", t->cg)), "it does not come again");
	EXPECT_OK(remove_file(path("%s/view.x", t->cg)));
	EXPECT(has_none(t), "one is left after unlink");
}

static void removed_with_pin(struct test *t)
{
	expose_tree(t);
	EXPECT_OK(remove_file(path("%s/pin", t->pins)));
	EXPECT(has_none(t), "one is left");
	EXPECT_OK(pin(obj_fd[VIEW_LINK], path("%s/pin", t->pins)));
	EXPECT_OK(make_dir(path("%s/d", t->cg)));
	EXPECT(!exists(path("%s/d/view.x", t->cg)), "a new cgroup still gets it");
}

static void removed_with_cgroup(struct test *t)
{
	make_tree(t);
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/a/view.x", t->cg)));
	EXPECT_OK(remove_dir(path("%s/a/b", t->cg)));
	EXPECT_OK(remove_dir(path("%s/a", t->cg)));
	EXPECT_OK(make_dir(path("%s/a", t->cg)));
	EXPECT_OK(make_dir(path("%s/a/b", t->cg)));
	EXPECT(has_none(t), "the new cgroup of that name has it");
}

static void removed_alone(struct test *t)
{
	expose_tree(t);
	EXPECT_OK(remove_file(path("%s/a/view.x", t->cg)));
	EXPECT(!exists(path("%s/a/view.x", t->cg)), "it is still there");
	EXPECT(shows_itself(t->cg) && shows_itself(path("%s/a/b", t->cg)) &&
	       shows_itself(path("%s/c", t->cg)), "it took another one with it");
	/* What comes below it is below the root all the same. */
	EXPECT_OK(make_dir(path("%s/a/d", t->cg)));
	EXPECT(shows_itself(path("%s/a/d", t->cg)), "a new cgroup below does not have it");
}

static void own_entry_stays(struct test *t)
{
	char text[64];

	make_tree(t);
	EXPECT_OK(pin(maybe_fd, path("%s/maybe", t->pins)));
	EXPECT_OK(pin(maybe_fd, path("%s/a/view.x", t->cg)));
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	EXPECT(read_text(path("%s/a/view.x", t->cg), text, sizeof(text)) > 0, "no text");
	EXPECT(!strcmp(text, "something\n"), "it now shows %s", text);
	EXPECT(shows_itself(path("%s/a/b", t->cg)), "what is below it has none");
	EXPECT_OK(write_text(path("%s/view.x", t->cg), "rm"));
	EXPECT(exists(path("%s/a/view.x", t->cg)), "it went with the root");
	EXPECT(!exists(path("%s/a/b/view.x", t->cg)), "what came of the root stays");
}

static void nearest_root(struct test *t)
{
	char text[64];

	make_tree(t);
	EXPECT_OK(pin(maybe_fd, path("%s/maybe", t->pins)));
	EXPECT_OK(pin_subtree(maybe_fd, path("%s/a/view.x", t->cg)));
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/view.x", t->cg)));
	EXPECT_OK(make_dir(path("%s/a/d", t->cg)));
	EXPECT(read_text(path("%s/a/d/view.x", t->cg), text, sizeof(text)) > 0, "no text");
	EXPECT(!strcmp(text, "something\n"), "it shows %s", text);
	EXPECT_OK(make_dir(path("%s/d", t->cg)));
	EXPECT(shows_itself(path("%s/d", t->cg)), "the outer root does not serve it");
}

static void owner_and_mode(struct test *t)
{
	struct stat st;

	expose_tree(t);
	EXPECT(stat(path("%s/a/b/view.x", t->cg), &st) == 0, "no file");
	EXPECT(st.st_uid == 0 && (st.st_mode & 07777) == 0644, "uid %d, mode %o",
	       st.st_uid, st.st_mode);
	EXPECT(chown(path("%s/a/view.x", t->cg), SOMEBODY, SOMEBODY_ELSE) == 0, "chown");
	EXPECT(chmod(path("%s/a/view.x", t->cg), 0640) == 0, "chmod");
	EXPECT_OK(make_dir(path("%s/a/d", t->cg)));
	EXPECT(stat(path("%s/a/d/view.x", t->cg), &st) == 0, "no file");
	EXPECT(st.st_uid == SOMEBODY && st.st_gid == SOMEBODY_ELSE &&
	       (st.st_mode & 07777) == 0640, "%d:%d, mode %o", st.st_uid, st.st_gid,
	       st.st_mode);
	EXPECT_OK(make_dir(path("%s/d", t->cg)));
	EXPECT(stat(path("%s/d/view.x", t->cg), &st) == 0, "no file");
	EXPECT(st.st_uid == 0, "it is not as the parent's: uid %d", st.st_uid);
}

static int expose_subtree(void *entry)
{
	return pin_subtree(obj_fd[VIEW_LINK], entry);
}

static void no_more_power(struct test *t)
{
	char entry[128];

	make_tree(t);
	snprintf(entry, sizeof(entry), "%s/view.x", t->cg);
	EXPECT_RET(-EACCES, as_user(SOMEBODY, expose_subtree, entry));
	/* The cgroup is his, one below it is not. */
	EXPECT(chown(t->cg, SOMEBODY, SOMEBODY) == 0, "chown");
	EXPECT(chown(path("%s/a", t->cg), SOMEBODY, SOMEBODY) == 0, "chown");
	EXPECT(chown(path("%s/c", t->cg), SOMEBODY, SOMEBODY) == 0, "chown");
	EXPECT_RET(-EACCES, as_user(SOMEBODY, expose_subtree, entry));
	EXPECT(has_none(t), "there is one");
	EXPECT(chown(path("%s/a/b", t->cg), SOMEBODY, SOMEBODY) == 0, "chown");
	EXPECT_OK(as_user(SOMEBODY, expose_subtree, entry));
	EXPECT(shows_itself(path("%s/a/b", t->cg)), "there is none");
}

static void bad_calls(struct test *t)
{
	int kind;

	make_tree(t);
	EXPECT_RET(-EINVAL, pin_subtree(obj_fd[VIEW_LINK], path("%s/other", t->pins)));
	EXPECT_RET(-EINVAL, pin_with_flags(obj_fd[VIEW_LINK], path("%s/view.x", t->cg),
					   1U << 30));
	EXPECT_RET(-ENXIO, pin_subtree(maybe_fd, path("%s/view.x", t->cg)));
	for (kind = 0; kind < NR_KINDS; kind++) {
		if (kind == VIEW_LINK)
			continue;
		EXPECT_OK(pin(obj_fd[kind], path("%s/%d", t->pins, kind)));
		EXPECT(pin_subtree(obj_fd[kind], path("%s/view.x", t->cg)) == -EINVAL,
		       "%s is not EINVAL", kind_name[kind]);
	}
	EXPECT(has_none(t), "there is one");
	EXPECT_RET(-EEXIST, pin_subtree(obj_fd[VIEW_LINK], path("%s/cgroup.procs", t->cg)));
	EXPECT(!exists(path("%s/a/view.x", t->cg)), "there is one");
}

static void long_name(struct test *t)
{
	char name[NAME_MAX + 1];

	memset(name, 'n', sizeof(name));
	name[NAME_MAX] = '\0';
	make_tree(t);
	EXPECT_OK(pin_subtree(obj_fd[VIEW_LINK], path("%s/%s", t->cg, name)));
	EXPECT_OK(make_dir(path("%s/d", t->cg)));
	EXPECT(listed(path("%s/d", t->cg), name), "the name is cut");
}

const struct test_case subtree[] = {
	{ "subtree", "every cgroup below has it and shows itself", all_below, SINCE_SUBTREE },
	{ "subtree", "a new cgroup has it when mkdir returns", new_below, SINCE_SUBTREE },
	{ "subtree", "no cgroup above or beside has it", not_beside, SINCE_SUBTREE },
	{ "subtree", "works in a version 1 hierarchy", version_1, SINCE_SUBTREE },
	{ "subtree", "removing the root removes all that came of it",
	  removed_with_root, SINCE_SUBTREE },
	{ "subtree", "the unpin removes all", removed_with_pin, SINCE_SUBTREE },
	{ "subtree", "it ends with its cgroup", removed_with_cgroup, SINCE_SUBTREE },
	{ "subtree", "one below can be removed alone", removed_alone, SINCE_SUBTREE },
	{ "subtree", "what has an entry of that name keeps it", own_entry_stays, SINCE_SUBTREE },
	{ "subtree", "the nearest root serves a new cgroup", nearest_root, SINCE_SUBTREE },
	{ "subtree", "owner and mode are those of the parent's file",
	  owner_and_mode, SINCE_SUBTREE },
	{ "subtree", "nobody exposes where he owns not all of the cgroups",
	  no_more_power, SINCE_SUBTREE },
	{ "subtree", "views in cgroups only, and no flag that is unknown",
	  bad_calls, SINCE_SUBTREE },
	{ "subtree", "a name of NAME_MAX bytes", long_name, SINCE_SUBTREE },
	{}
};
