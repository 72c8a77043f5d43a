// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "stress.h"
#include "../tests/objects.h"

int op_expose(struct worker *w, const struct choice *c)
{
	const char *entry = entry_of(w, c);

	return c->op == EXPOSE_SUBTREE ? pin_subtree(object(c), entry) :
					 pin(object(c), entry);
}

/* A controller's own file of that name is none of ours. */
static int if_ours(const struct choice *c, int ret, int refusal)
{
	return ret == refusal && is_a_controllers(c) ? -ENOENT : ret;
}

int op_rm(struct worker *w, const struct choice *c)
{
	return if_ours(c, write_text(entry_of(w, c), "rm"), -EINVAL);
}

int op_unlink(struct worker *w, const struct choice *c)
{
	return if_ours(c, remove_file(entry_of(w, c)), -EPERM);
}

/* Succeeds by being refused. */
int op_bad_write(struct worker *w, const struct choice *c)
{
	int ret = write_text(view_of(w, c), c->which & 1 ? "remove" : "r");

	return ret == -EINVAL ? 0 : ret ?: -EBADMSG;
}

int op_chmod(struct worker *w, const struct choice *c)
{
	static const mode_t modes[] = { 0644, 0600, 0444, 0666 };
	/* Nobody else may get to write what is private. */
	mode_t mode = modes[c->which % (is_private(c) ? 3 : 4)];

	return chmod(view_of(w, c), mode) ? -errno : 0;
}

static uid_t some_user(const struct choice *c)
{
	static const uid_t users[] = { 0, SOMEBODY, SOMEBODY_ELSE };

	return is_private(c) ? 0 : users[c->which % ARRAY_SIZE(users)];
}

int op_chown(struct worker *w, const struct choice *c)
{
	uid_t user = some_user(c);

	return chown(view_of(w, c), user, user) ? -errno : 0;
}

int op_delegate(struct worker *w, const struct choice *c)
{
	uid_t user = some_user(c);

	return chown(cgroup_of(w, c), user, user) ? -errno : 0;
}

int op_update(struct worker *w, const struct choice *c)
{
	(void)w;
	return bpf_link_update(link_of(c), prog(c->which), NULL);
}

int op_replace(struct worker *w, const struct choice *c)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts, .flags = BPF_F_REPLACE,
		    .old_prog_fd = prog(c->which >> 4));

	(void)w;
	return bpf_link_update(link_of(c), prog(c->which), &opts);
}

/* A link that nobody else has, from its creation to its end with its last pin. */
int op_new_link(struct worker *w, const struct choice *c)
{
	const char *where = path(PINS "/new%u", w->number);
	int fd, ret;

	/* It is there if allocations failed the last time. */
	remove_file(where);
	fd = new_view_link();
	if (fd < 0)
		return fd;
	ret = pin(fd, where);
	if (!ret && c->which & 1)
		ret = pin_subtree(fd, entry_of(w, c));
	else if (!ret)
		ret = pin(fd, entry_of(w, c));
	close(fd);
	if (!ret && !is_a_controllers(c))
		ret = op_read(w, c);
	/* Gone as well: someone else has removed the entry, or the cgroup. */
	remove_file(where);
	return ret;
}
