// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"

#define RING	64

const char *path(const char *fmt, ...)
{
	/* Each thread has its own. */
	static __thread char ring[RING][512];
	static __thread int next;
	va_list args;

	next = (next + 1) % RING;
	va_start(args, fmt);
	vsnprintf(ring[next], sizeof(ring[next]), fmt, args);
	va_end(args);
	return ring[next];
}

static int result(int ret)
{
	return ret < 0 ? -errno : ret;
}

int make_dir(const char *name)
{
	return result(mkdir(name, 0755));
}

int remove_dir(const char *name)
{
	return result(rmdir(name));
}

int remove_file(const char *name)
{
	return result(unlink(name));
}

void remove_cgroups(const char *name)
{
	struct dirent *entry;
	char child[512];
	DIR *dir;

	dir = opendir(name);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", name, entry->d_name);
		remove_cgroups(child);
	}
	closedir(dir);
	rmdir(name);
}

void remove_pins(const char *name)
{
	struct dirent *entry;
	char pin[512];
	DIR *dir;

	dir = opendir(name);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		snprintf(pin, sizeof(pin), "%s/%s", name, entry->d_name);
		unlink(pin);
	}
	closedir(dir);
	rmdir(name);
}

bool exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

bool listed(const char *dir, const char *name)
{
	struct dirent *entry;
	bool found = false;
	DIR *stream;

	stream = opendir(dir);
	if (!stream)
		return false;
	while (!found && (entry = readdir(stream)))
		found = !strcmp(entry->d_name, name);
	closedir(stream);
	return found;
}

int open_file(const char *name, int flags)
{
	return result(open(name, flags | O_CLOEXEC, 0600));
}

int read_fd(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t part;

	do {
		part = read(fd, buf + len, size - 1 - len);
		if (part < 0)
			return -errno;
		len += part;
	} while (part > 0 && len < size - 1);
	buf[len] = '\0';
	return len;
}

int read_text(const char *name, char *buf, size_t size)
{
	int fd, ret;

	buf[0] = '\0';
	fd = open_file(name, O_RDONLY);
	if (fd < 0)
		return fd;
	ret = read_fd(fd, buf, size);
	close(fd);
	return ret;
}

int write_bytes(const char *name, const char *bytes, size_t len)
{
	int fd, ret;

	fd = open_file(name, O_WRONLY);
	if (fd < 0)
		return fd;
	ret = write(fd, bytes, len) == (ssize_t)len ? 0 : -errno;
	close(fd);
	return ret;
}

int write_text(const char *name, const char *text)
{
	return write_bytes(name, text, strlen(text));
}

int write_fd(int fd, const char *text)
{
	ssize_t len = strlen(text);

	return write(fd, text, len) == len ? 0 : -errno;
}

unsigned long long inode_of(const char *name)
{
	struct stat st;

	return stat(name, &st) ? 0 : st.st_ino;
}

struct user_call {
	uid_t uid;
	int (*call)(void *arg);
	void *arg;
};

static int become_and_call(void *arg)
{
	struct user_call *user = arg;

	/* Leaving uid 0 drops the capabilities. */
	if (setgroups(0, NULL) || setresgid(user->uid, user->uid, user->uid) ||
	    setresuid(user->uid, user->uid, user->uid))
		return -ECHILD;
	return user->call(user->arg);
}

int as_user(uid_t uid, int (*call)(void *arg), void *arg)
{
	struct user_call user = { .uid = uid, .call = call, .arg = arg };
	pid_t pid = start(become_and_call, &user);

	return pid < 0 ? pid : finish(pid);
}

/* The exit status has room for 0 and for what is negated an errno. */
pid_t start(int (*call)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		int ret = call(arg);

		_exit(ret < 0 ? -ret : 0);
	}
	return pid < 0 ? -errno : pid;
}

bool running(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

int finish(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}
