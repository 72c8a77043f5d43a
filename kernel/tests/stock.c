// SPDX-License-Identifier: GPL-2.0-only
/* A kernel without the series answers as it always has, and does nothing. */
#include <errno.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "as_ever.h"
#include "files.h"
#include "harness.h"
#include "load.h"
#include "objects.h"

static void exposing(struct test *t)
{
	const char *entry = path("%s/view.x", t->cg);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "boottest", 4, 8, 1, NULL);

	EXPECT(fd >= 0, "no map: %d", fd);
	EXPECT_RET(-EPERM, pin(fd, entry));
	EXPECT_OK(pin(fd, path("%s/pin", t->pins)));
	EXPECT_RET(-EPERM, pin(fd, entry));
	EXPECT_RET(-EPERM, pin(fd, path("%s/view.x", t->v1)));
	EXPECT(!exists(entry), "there is a file");
}

/* The first number that this kernel has no meaning for is the one of a view. */
static void attach_type(struct test *t)
{
	int fd, unknown = attach_type_named("__MAX_BPF_ATTACH_TYPE");

	(void)t;
	EXPECT(attach_type_named("BPF_TRACE_VIEW") == -ENOENT, "it knows views");
	fd = load_tracing(BPF_TRACE_ITER, "bpf_iter_task");
	EXPECT(fd >= 0, "an iterator does not load: %d", fd);
	EXPECT_RET(-EINVAL, load_tracing(unknown, "bpf_iter_task"));
	EXPECT_RET(-EINVAL, bpf_link_create(fd, 0, unknown, NULL));
}

/* From here on no kernel so far has given a meaning to a bit. */
#define FIRST_FREE_FLAG	15

static void flag(struct test *t)
{
	int bit, fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "boottest", 4, 8, 1, NULL);

	EXPECT(fd >= 0, "no map: %d", fd);
	EXPECT_OK(pin(fd, path("%s/pin", t->pins)));
	for (bit = FIRST_FREE_FLAG; bit < 32; bit++)
		EXPECT(pin_with_flags(fd, path("%s/view.x", t->cg), 1U << bit) == -EINVAL,
		       "bit %d is not EINVAL", bit);
	EXPECT(!exists(path("%s/view.x", t->cg)), "there is a file");
}

const struct test_case without_series[] = {
	{ "security", "a foreign kernel: exposing is EPERM", exposing, 0 },
	{ "security", "a foreign kernel: the attach type is EINVAL", attach_type, 0 },
	{ "security", "a foreign kernel: the flag is EINVAL", flag, 0 },
	{ "security", "a foreign kernel: nothing in cgroupfs can be unlinked", unlink_as_ever, 0 },
	{}
};
