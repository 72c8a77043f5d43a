// SPDX-License-Identifier: GPL-2.0-only
/* The programs and links that all workers share. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "stress.h"
#include "../tests/objects.h"

static int links[NR_LINKS];
static int progs[NR_PROGS];

static int program(struct bpf_object *obj, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(obj, name));
}

int load_things(void)
{
	struct bpf_object *obj;
	unsigned int i;
	int err;

	err = load_objects();
	if (err)
		return err;
	obj = bpf_object__open_file("/stress.bpf.o", NULL);
	err = obj ? bpf_object__load(obj) : -errno;
	if (err) {
		say("# cannot load the views of the stress driver: %s", strerror(-err));
		return err;
	}
	progs[0] = obj_fd[PROG];
	progs[1] = maybe_prog_fd;
	progs[2] = program(obj, "flushed_id");
	progs[3] = program(obj, "slow_id");
	for (i = 0; i < NR_LINKS; i++) {
		links[i] = new_view_link();
		if (links[i] < 0)
			return links[i];
	}
	return 0;
}

/* What the workers have made of them can then be freed. */
void drop_things(void)
{
	unsigned int i;

	for (i = 0; i < NR_LINKS; i++)
		close(links[i]);
}

int prog(unsigned int number)
{
	return progs[number % NR_PROGS];
}

int link_of(const struct choice *c)
{
	return links[c->object % NR_LINKS];
}

/* Mostly links to views. */
int object(const struct choice *c)
{
	switch (c->object) {
	case 0:
		return obj_fd[PROG];
	case 1:
		return obj_fd[MAP];
	case 2:
		return obj_fd[OTHER_LINK];
	default:
		return link_of(c);
	}
}
