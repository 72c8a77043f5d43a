// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stress.h"

#define PIECE		3
#define MAX_OFFSET	16

/*
 * Others remove a cgroup and make one of the same name at any time. An open
 * directory stays the one it is, so that its id is the one to be shown.
 */
static int open_cgroup(const char *dir, unsigned long long *id)
{
	struct stat st;
	int fd = open_file(dir, O_PATH | O_DIRECTORY);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st)) {
		int err = -errno;

		close(fd);
		return err;
	}
	*id = st.st_ino;
	return fd;
}

static int open_view(const char *dir, const struct choice *c, int flags,
		     unsigned long long *id)
{
	int fd, dir_fd = open_cgroup(dir, id);

	if (dir_fd < 0)
		return dir_fd;
	fd = openat(dir_fd, view_name(c), flags | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(dir_fd);
	return fd;
}

static int read_pieces(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t part;

	do {
		part = read(fd, buf + len, PIECE);
		if (part < 0)
			return -errno;
		len += part;
	} while (part > 0 && len + PIECE < size);
	buf[len] = '\0';
	return len;
}

static int read_from(int fd, char *buf, size_t size, off_t from)
{
	ssize_t len = pread(fd, buf, size - 1, from);

	if (len < 0)
		return -errno;
	buf[len] = '\0';
	return len;
}

int read_in(struct worker *w, const struct choice *c, const char *dir)
{
	size_t from = c->op == READ_FROM ? c->which % MAX_OFFSET : 0;
	unsigned long long id;
	char text[128];
	int ret, fd = open_view(dir, c, O_RDONLY, &id);

	if (fd < 0)
		return fd;
	if (c->op == READ_FROM)
		ret = read_from(fd, text, sizeof(text), from);
	else if (c->op == READ_PIECES)
		ret = read_pieces(fd, text, sizeof(text));
	else
		ret = read_fd(fd, text, sizeof(text));
	close(fd);
	return ret < 0 ? ret : check_text(w, text, id, from);
}

int op_read(struct worker *w, const struct choice *c)
{
	return read_in(w, c, cgroup_of(w, c));
}

/* Open an entry and keep it, whatever becomes of it. */
int op_hold(struct worker *w, const struct choice *c)
{
	struct slot *slot = &w->slots[c->which % NR_SLOTS];
	unsigned long long id;
	int old, fd;

	fd = open_view(cgroup_of(w, c), c, c->which & 256 ? O_RDWR : O_RDONLY, &id);
	if (fd < 0)
		return fd;
	pthread_rwlock_wrlock(&slot->lock);
	old = slot->fd;
	slot->fd = fd;
	slot->id = id;
	pthread_rwlock_unlock(&slot->lock);
	if (old >= 0)
		close(old);
	return 0;
}

int op_read_held(struct worker *w, const struct choice *c)
{
	struct slot *slot = &w->slots[c->which % NR_SLOTS];
	size_t from = c->which & 256 ? c->name % MAX_OFFSET : 0;
	char text[128];
	int ret = -ENOENT;

	pthread_rwlock_rdlock(&slot->lock);
	if (slot->fd >= 0)
		ret = read_from(slot->fd, text, sizeof(text), from);
	if (ret >= 0)
		ret = check_text(w, text, slot->id, from);
	pthread_rwlock_unlock(&slot->lock);
	return ret;
}

int op_rm_held(struct worker *w, const struct choice *c)
{
	struct slot *slot = &w->slots[c->which % NR_SLOTS];
	int ret = -ENOENT;

	pthread_rwlock_rdlock(&slot->lock);
	if (slot->fd >= 0)
		ret = write_fd(slot->fd, "rm");
	pthread_rwlock_unlock(&slot->lock);
	return ret;
}

int op_list(struct worker *w, const struct choice *c)
{
	DIR *dir = opendir(cgroup_of(w, c));
	int ret = 0;

	if (!dir)
		return -errno;
	do {
		errno = 0;
	} while (readdir(dir));
	ret = -errno;
	closedir(dir);
	return ret;
}
