// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "harness.h"
#include "objects.h"

int obj_fd[NR_KINDS];
int maybe_fd, long_fd, held_fd, flushed_fd;
int maybe_prog_fd, held_prog_fd, no_view_prog_fd, flushed_prog_fd;
volatile struct control *control;

const char * const kind_name[NR_KINDS] = {
	[PROG] = "a program",
	[MAP] = "a map",
	[VIEW_LINK] = "a view link",
	[OTHER_LINK] = "another link",
};

static int attach_type, link_type, target_id;
static unsigned int subtree_flag;
static int show_id_fd;
static struct bpf_object *views;

int enum_value(const struct btf *btf, const char *type, const char *name)
{
	const struct btf_enum *value;
	const struct btf_type *t;
	int id, i;

	id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	if (id < 0)
		return id;
	t = btf__type_by_id(btf, id);
	value = btf_enum(t);
	for (i = 0; i < btf_vlen(t); i++, value++)
		if (!strcmp(btf__name_by_offset(btf, value->name_off), name))
			return value->val;
	return -ENOENT;
}

/* The value of a constant that is its enum's only one, the enum having no name. */
static int lone_constant(const struct btf *btf, const char *name)
{
	const struct btf_type *t;
	int id, n = btf__type_cnt(btf);

	for (id = 1; id < n; id++) {
		t = btf__type_by_id(btf, id);
		if (btf_is_enum(t) && btf_vlen(t) == 1 &&
		    !strcmp(btf__name_by_offset(btf, btf_enum(t)->name_off), name))
			return btf_enum(t)->val;
	}
	return -ENOENT;
}

static int found(const char *what, int value)
{
	if (value < 0)
		say("# the kernel's BTF lacks %s", what);
	return value;
}

static int read_kernel_btf(enum since patches)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int flag = 0;

	if (!btf) {
		say("# the kernel has no BTF: %s", strerror(errno));
		return -errno;
	}
	attach_type = found("BPF_TRACE_VIEW",
			    enum_value(btf, "bpf_attach_type", "BPF_TRACE_VIEW"));
	link_type = found("BPF_LINK_TYPE_VIEW",
			  enum_value(btf, "bpf_link_type", "BPF_LINK_TYPE_VIEW"));
	target_id = found("bpf_view_cgroup",
			  btf__find_by_name_kind(btf, "bpf_view_cgroup", BTF_KIND_FUNC));
	if (patches >= SINCE_SUBTREE)
		flag = found("BPF_F_VIEW_SUBTREE",
			     lone_constant(btf, "BPF_F_VIEW_SUBTREE"));
	btf__free(btf);
	if (attach_type < 0 || link_type < 0 || target_id < 0 || flag < 0)
		return -ENOENT;
	subtree_flag = flag;
	return 0;
}

static int prepare_view(struct bpf_program *prog, struct bpf_prog_load_opts *opts,
			long cookie)
{
	(void)prog;
	opts->attach_btf_id = target_id;
	opts->prog_flags |= cookie;
	return 0;
}

static int register_views(void)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts,
		    .prog_prepare_load_fn = prepare_view);
	int ret;

	ret = libbpf_register_prog_handler("view+", BPF_PROG_TYPE_TRACING,
					   attach_type, &opts);
	if (ret < 0)
		return ret;
	opts.cookie = BPF_F_SLEEPABLE;
	ret = libbpf_register_prog_handler("view.s+", BPF_PROG_TYPE_TRACING,
					   attach_type, &opts);
	return ret < 0 ? ret : 0;
}

static int program(struct bpf_object *obj, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, name);

	return prog ? bpf_program__fd(prog) : -ENOENT;
}

static int link_to(struct bpf_object *obj, const char *name, int type)
{
	int prog_fd = program(obj, name);
	int fd;

	fd = prog_fd < 0 ? prog_fd : bpf_link_create(prog_fd, 0, type, NULL);
	if (fd < 0)
		say("# cannot link to %s: %s", name, strerror(-fd));
	return fd;
}

static int map_control(struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj) {
		if (!strstr(bpf_map__name(map), ".bss"))
			continue;
		control = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
			       MAP_SHARED, bpf_map__fd(map), 0);
		if (control != MAP_FAILED)
			return 0;
		say("# cannot map .bss: %s", strerror(errno));
		return -errno;
	}
	return -ENOENT;
}

static struct bpf_object *load_views(enum since patches)
{
	struct bpf_object *obj = bpf_object__open_file("/views.bpf.o", NULL);
	struct bpf_program *prog;
	int err;

	if (!obj) {
		say("# cannot open the views: %s", strerror(errno));
		return NULL;
	}
	bpf_object__for_each_program(prog, obj) {
		const char *section = bpf_program__section_name(prog);

		bpf_program__set_autoload(prog, strncmp(section, "view", 4) ||
					  (patches >= SINCE_VIEWS &&
					   strncmp(section, "view.s", 6)) ||
					  patches >= SINCE_SLEEPABLE);
	}
	err = bpf_object__load(obj);
	if (err) {
		say("# cannot load the views: %s", strerror(-err));
		return NULL;
	}
	return obj;
}

/* All that is loaded whatever the kernel. */
static int take_basics(struct bpf_object *obj, const char *view)
{
	int i;

	show_id_fd = program(obj, view);
	no_view_prog_fd = program(obj, "no_view");
	obj_fd[PROG] = show_id_fd;
	obj_fd[MAP] = bpf_object__find_map_fd_by_name(obj, "some_map");
	obj_fd[VIEW_LINK] = link_to(obj, view, attach_type);
	obj_fd[OTHER_LINK] = link_to(obj, "no_view", BPF_TRACE_ITER);
	for (i = 0; i < NR_KINDS; i++)
		if (obj_fd[i] < 0)
			return obj_fd[i];
	return map_control(obj);
}

static int take_views(struct bpf_object *obj)
{
	maybe_prog_fd = program(obj, "maybe");
	held_prog_fd = program(obj, "held");
	maybe_fd = link_to(obj, "maybe", attach_type);
	long_fd = link_to(obj, "show_long", attach_type);
	held_fd = link_to(obj, "held", attach_type);
	return maybe_fd < 0 || long_fd < 0 || held_fd < 0 ? -EINVAL : 0;
}

static int take_sleepable_views(struct bpf_object *obj)
{
	flushed_prog_fd = program(obj, "flushed");
	flushed_fd = link_to(obj, "flushed", attach_type);
	return flushed_fd < 0 ? flushed_fd : 0;
}

int load_objects_of(enum since patches)
{
	const bool has_views = patches >= SINCE_VIEWS;
	int err = 0;

	attach_type = BPF_TRACE_ITER;
	if (has_views)
		err = read_kernel_btf(patches) ?: register_views();
	if (err)
		return err;
	views = load_views(patches);
	if (!views)
		return -EINVAL;
	err = take_basics(views, has_views ? "show_id" : "no_view");
	if (!err && has_views)
		err = take_views(views);
	if (!err && patches >= SINCE_SLEEPABLE)
		err = take_sleepable_views(views);
	return err;
}

int load_objects(void)
{
	return load_objects_of(WHOLE_SERIES);
}

void reset_control(void)
{
	if (control)
		memset((void *)control, 0, sizeof(*control));
}

void let_readers_go(void)
{
	if (control)
		control->hold = 0;
}

int new_view_link(void)
{
	return bpf_link_create(show_id_fd, 0, attach_type, NULL);
}

int new_link_to(const char *view)
{
	return link_to(views, view, attach_type);
}

/* The verifier's log is of no interest where a refusal is expected. */
static int no_print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

int load_refused(const char *name)
{
	struct bpf_program *prog;
	struct bpf_object *obj;
	int err;

	libbpf_set_print(no_print);
	obj = bpf_object__open_file("/refused.bpf.o", NULL);
	if (!obj)
		return -errno;
	bpf_object__for_each_program(prog, obj)
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name));
	err = bpf_object__load(obj);
	bpf_object__close(obj);
	return err;
}

int deny_by_lsm(void)
{
	struct bpf_program *prog;
	struct bpf_object *obj;
	int err;

	libbpf_set_print(no_print);
	obj = bpf_object__open_file("/deny.bpf.o", NULL);
	if (!obj)
		return -errno;
	err = bpf_object__load(obj);
	if (err)
		return err;
	prog = bpf_object__find_program_by_name(obj, "deny_create");
	return bpf_program__attach(prog) ? 0 : -errno;
}

int view_attach_type(void)
{
	return attach_type;
}

int view_link_type(void)
{
	return link_type;
}

int pin(int fd, const char *where)
{
	return bpf_obj_pin(fd, where);
}

/* libbpf's own call takes no flags, or not these. */
int pin_with_flags(int fd, const char *where, unsigned int flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (unsigned long)where;
	attr.bpf_fd = fd;
	attr.file_flags = flags;
	return syscall(__NR_bpf, BPF_OBJ_PIN, &attr, sizeof(attr)) ? -errno : 0;
}

int pin_subtree(int fd, const char *where)
{
	return pin_with_flags(fd, where, subtree_flag);
}

bool object_goes(int (*fd_by_id)(__u32 id), __u32 id)
{
	int tries, fd;

	for (tries = 0; tries < 500; tries++) {
		fd = fd_by_id(id);
		if (fd == -ENOENT)
			return true;
		if (fd >= 0)
			close(fd);
		usleep(10000);
	}
	return false;
}
