// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "keys.h"
#include "say.h"

#define NO_LIMIT	(~0ULL)

struct key {
	const char *name;
	size_t len;
};

/* With the blank that ends it. */
#define KEY(text)	{ text " ", sizeof(text) }

static const struct key view_keys[NR_KEYS] = {
	KEY("memory_usage_bytes"),
	KEY("memory_high_bytes"),
	KEY("memory_max_bytes"),
	KEY("memory_swap_bytes"),
	KEY("memory_anon_bytes"),
	KEY("memory_file_bytes"),
	KEY("memory_kernel_bytes"),
	KEY("memory_events_high_total"),
	KEY("memory_events_max_total"),
	KEY("memory_events_oom_kill_total"),
};

/* In the order of the keys: of each file the first few that are not taken yet. */
static const struct {
	const char *name;
	int nr;
	struct key keys[3];
} native[NR_NATIVE] = {
	{ "memory.current", 1, {} },
	{ "memory.high", 1, {} },
	{ "memory.max", 1, {} },
	{ "memory.swap.current", 1, {} },
	{ "memory.stat", 3, { KEY("anon"), KEY("file"), KEY("kernel") } },
	{ "memory.events", 3, { KEY("high"), KEY("max"), KEY("oom_kill") } },
};

static unsigned long long parse_value(const char *text)
{
	unsigned long long value = 0;

	if (*text < '0' || *text > '9')
		return NO_LIMIT;
	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (*text - '0');
	return value;
}

static const char *next_line(const char *text)
{
	while (*text && *text != '\n')
		text++;
	return *text ? text + 1 : text;
}

static bool begins_with(const char *text, const struct key *key)
{
	size_t i = 0;

	while (i < key->len && text[i] == key->name[i])
		i++;
	return i == key->len;
}

/*
 * The keys come in this order. Goes no further than the last of them, and calls
 * nothing, so that reading is what is measured.
 */
static int parse_lines(const char *text, const struct key *keys, int nr,
		       unsigned long long *values)
{
	int found = 0;

	for (; found < nr && *text; text = next_line(text)) {
		if (begins_with(text, &keys[found])) {
			values[found] = parse_value(text + keys[found].len);
			found++;
		}
	}
	return found == nr ? 0 : -ENODATA;
}

int parse_view(const char *text, unsigned long long values[NR_KEYS])
{
	return parse_lines(text, view_keys, NR_KEYS, values);
}

int open_native(const char *cgroup, struct native_files *files)
{
	int i;

	for (i = 0; i < NR_NATIVE; i++) {
		files->fd[i] = open_file(path("%s/%s", cgroup, native[i].name), O_RDONLY);
		if (files->fd[i] < 0) {
			say("# cannot open %s: %s", native[i].name, strerror(-files->fd[i]));
			return files->fd[i];
		}
	}
	return 0;
}

int read_native(const struct native_files *files, unsigned long long values[NR_KEYS])
{
	char text[8192];
	ssize_t len;
	int i, err = 0;

	for (i = 0; i < NR_NATIVE && !err; i++) {
		len = pread(files->fd[i], text, sizeof(text) - 1, 0);
		if (len < 0)
			return -errno;
		text[len] = '\0';
		if (native[i].keys[0].name)
			err = parse_lines(text, native[i].keys, native[i].nr, values);
		else
			*values = parse_value(text);
		values += native[i].nr;
	}
	return err;
}
