// SPDX-License-Identifier: GPL-2.0-only
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "memory.h"

static long meminfo_kib(const char *key)
{
	char text[4096], *at;

	if (read_text("/proc/meminfo", text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, key);
	return at ? atol(at + strlen(key)) : -1;
}

/* Each processor keeps slabs that nothing is in any more, more or fewer of them. */
static void give_back_empty_slabs(void)
{
	glob_t caches;
	size_t i;

	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &caches))
		return;
	for (i = 0; i < caches.gl_pathc; i++)
		write_text(caches.gl_pathv[i], "1");
	globfree(&caches);
}

long slab(void)
{
	char text[256];
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		if (read_text(CGROUP2 "/cgroup.stat", text, sizeof(text)) > 0 &&
		    strstr(text, "nr_dying_descendants 0\n"))
			break;
		usleep(10000);
	}
	/* Two grace periods and the work that follows them. */
	usleep(300000);
	give_back_empty_slabs();
	return meminfo_kib("Slab:");
}

bool kernel_keeps_freed(void)
{
	char line[256];
	bool found = false;
	FILE *symbols = fopen("/proc/kallsyms", "r");

	while (symbols && !found && fgets(line, sizeof(line), symbols))
		found = strstr(line, " kasan_report\n");
	if (symbols)
		fclose(symbols);
	return found;
}
