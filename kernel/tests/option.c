// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <string.h>

#include "files.h"
#include "option.h"

const char *boot_option(const char *name)
{
	static char line[4096];
	size_t len = strlen(name);
	char *word, *rest = line;

	if (read_text("/proc/cmdline", line, sizeof(line)) < 0)
		return NULL;
	while ((word = strsep(&rest, " \n")))
		if (!strncmp(word, name, len) && word[len] == '=')
			return word + len + 1;
	return NULL;
}
