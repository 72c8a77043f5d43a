// SPDX-License-Identifier: GPL-2.0-only
/* A security module that forbids to create a file of one name, anywhere. */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define ECANCELED	125

char _license[] SEC("license") = "GPL";

struct inode;

struct qstr {
	const unsigned char *name;
} __attribute__((preserve_access_index));

struct dentry {
	struct qstr d_name;
} __attribute__((preserve_access_index));

SEC("lsm/inode_create")
int BPF_PROG(deny_create, struct inode *dir, struct dentry *dentry)
{
	static const char denied[] = "view.denied";
	char name[sizeof(denied)] = {};
	int i;

	bpf_probe_read_kernel_str(name, sizeof(name), dentry->d_name.name);
	for (i = 0; i < (int)sizeof(denied); i++)
		if (name[i] != denied[i])
			return 0;
	return -ECANCELED;
}
