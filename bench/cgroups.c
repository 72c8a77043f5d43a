// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "bench.h"
#include "files.h"

int enable(const char *cgroup, const char *controllers)
{
	int err = write_text(path("%s/cgroup.subtree_control", cgroup), controllers);

	if (err)
		say("# cannot write %s to %s: %s", controllers, cgroup, strerror(-err));
	return err;
}

int count_files(const char *cgroup)
{
	DIR *stream = opendir(cgroup);
	struct dirent *entry;
	int files = 0;

	if (!stream)
		return -errno;
	while ((entry = readdir(stream)))
		files += entry->d_type == DT_REG;
	closedir(stream);
	return files;
}
