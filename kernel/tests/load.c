// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>

#include "harness.h"
#include "load.h"
#include "objects.h"

static struct btf *kernel_btf(void)
{
	struct btf *btf = btf__load_vmlinux_btf();

	EXPECT(btf, "the kernel has no BTF: %d", errno);
	return btf;
}

int load_tracing(int attach_type, const char *function)
{
	/* r0 = 0; exit */
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type);
	struct btf *btf = kernel_btf();
	int id;

	id = btf__find_by_name_kind(btf, function, BTF_KIND_FUNC);
	btf__free(btf);
	EXPECT(id > 0, "the kernel has no %s: %d", function, id);
	opts.attach_btf_id = id;
	return bpf_prog_load(BPF_PROG_TYPE_TRACING, "boottest", "GPL", insns,
			     ARRAY_SIZE(insns), &opts);
}

int attach_type_named(const char *name)
{
	struct btf *btf = kernel_btf();
	int value;

	value = enum_value(btf, "bpf_attach_type", name);
	btf__free(btf);
	return value;
}
