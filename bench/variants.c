// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "files.h"
#include "objects.h"
#include "say.h"
#include "variants.h"

struct bpf_object *load_views(const char *name)
{
	struct bpf_object *obj = bpf_object__open_file(name, NULL);
	int err = obj ? bpf_object__load(obj) : -errno;

	if (!err)
		return obj;
	say("# cannot load %s: %s", name, strerror(-err));
	return NULL;
}

static int prog_fd(struct bpf_object *obj, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, name);

	return prog ? bpf_program__fd(prog) : -ENOENT;
}

int open_view(struct bpf_object *obj, const char *prog, const char *cgroup, const char *name)
{
	const char *entry = path("%s/view.%s", cgroup, name);
	int link, ret;

	link = bpf_link_create(prog_fd(obj, prog), 0, view_attach_type(), NULL);
	ret = link < 0 ? link : pin(link, path(BPFFS "/%s", name)) ?: pin(link, entry) ?:
	      open_file(entry, O_RDONLY);
	if (ret < 0)
		say("# cannot expose %s: %s", name, strerror(-ret));
	return ret;
}

int pin_iterator(struct bpf_object *obj, const char *prog, const char *cgroup, const char *pinned)
{
	union bpf_iter_link_info info = {
		.cgroup.order = BPF_CGROUP_ITER_SELF_ONLY,
	};
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .iter_info = &info, .iter_info_len = sizeof(info));
	int dir, link, err;

	dir = open_file(cgroup, O_RDONLY | O_DIRECTORY);
	info.cgroup.cgroup_fd = dir;
	link = bpf_link_create(prog_fd(obj, prog), 0, BPF_TRACE_ITER, &opts);
	err = link < 0 ? link : pin(link, pinned);
	if (err)
		say("# cannot pin the iterator %s: %s", prog, strerror(-err));
	close(dir);
	return err;
}
