// SPDX-License-Identifier: GPL-2.0-only
/* Attach one program of an object and pin the link, with the libbpf of the kernel's own tree. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static int print_fdinfo(int fd)
{
	char line[256];
	FILE *info;

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", fd);
	info = fopen(line, "r");
	if (!info)
		return -errno;
	while (fgets(line, sizeof(line), info))
		fputs(line, stdout);
	fclose(info);
	return 0;
}

static int attach_and_pin(struct bpf_object *object, const char *name, const char *where)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);
	struct bpf_link *link;
	int ret;

	if (!program)
		return -ENOENT;
	link = bpf_program__attach(program);
	if (!link)
		return -errno;
	ret = bpf_link__pin(link, where);
	if (!ret)
		ret = print_fdinfo(bpf_link__fd(link));
	bpf_link__destroy(link);
	return ret;
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	int ret;

	if (argc != 4) {
		fprintf(stderr, "usage: %s OBJECT PROGRAM PIN\n", argv[0]);
		return 2;
	}
	object = bpf_object__open(argv[1]);
	ret = object ? bpf_object__load(object) : -errno;
	if (!ret)
		ret = attach_and_pin(object, argv[2], argv[3]);
	bpf_object__close(object);
	if (ret)
		fprintf(stderr, "%s: %s: %s\n", argv[1], argv[2], strerror(-ret));
	return ret != 0;
}
