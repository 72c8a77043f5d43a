// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "stress.h"
#include "../tests/objects.h"

/* Each object has two pins, and each of these can have other names. bpffs takes no dots. */
static const char *pin_name(const struct choice *c, char kind)
{
	return path(PINS "/%c%u-%u", kind, c->object, c->which & 1);
}

/* Any of the names that pins have. */
static const char *some_pin(const struct choice *c)
{
	return pin_name(c, "phr"[c->which / 2 % 3]);
}

int op_pin(struct worker *w, const struct choice *c)
{
	(void)w;
	return pin(object(c), pin_name(c, 'p'));
}

int op_unpin(struct worker *w, const struct choice *c)
{
	(void)w;
	return remove_file(some_pin(c));
}

int op_hard_link(struct worker *w, const struct choice *c)
{
	(void)w;
	return link(pin_name(c, 'p'), pin_name(c, 'h')) ? -errno : 0;
}

int op_rename_pin(struct worker *w, const struct choice *c)
{
	(void)w;
	return rename(pin_name(c, 'p'), pin_name(c, 'r')) ? -errno : 0;
}

/* The pin stays until the descriptor is closed. */
int op_unpin_open(struct worker *w, const struct choice *c)
{
	const char *where = some_pin(c);
	int ret, fd = open_file(where, O_PATH);

	(void)w;
	if (fd < 0)
		return fd;
	ret = remove_file(where);
	close(fd);
	return ret;
}

int op_mount(struct worker *w, const struct choice *c)
{
	(void)c;
	if (w->mounted)
		return -EBUSY;
	if (mount("bpf", private_bpffs(w), "bpf", 0, NULL))
		return -errno;
	w->mounted = true;
	return 0;
}

int op_unmount(struct worker *w, const struct choice *c)
{
	if (!w->mounted)
		return -EINVAL;
	if (umount2(private_bpffs(w), c->which & 1 ? MNT_DETACH : 0))
		return -errno;
	w->mounted = false;
	return 0;
}

int op_pin_private(struct worker *w, const struct choice *c)
{
	/* Without a mount there is nothing but tmpfs. */
	return w->mounted ? pin(object(c), path("%s/%u", private_bpffs(w), c->object)) :
			    -EPERM;
}
