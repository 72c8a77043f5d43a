// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "stress.h"

/* Of the programs in things.c. A link may have any of them at any time. */
static const char * const right[] = {
	"id %llu\n", "something\n", "flushed id %llu\n", "slow id %llu\n",
};

/* Is this, from an offset on, a text that the cgroup with that id may show? */
int check_text(struct worker *w, const char *text, unsigned long long id, size_t from)
{
	char want[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(right); i++) {
		size_t len = snprintf(want, sizeof(want), right[i], id);

		if (!strcmp(text, want + (from < len ? from : len)))
			return 0;
	}
	/* Without its newline, which would cut the report in two. */
	snprintf(w->note, sizeof(w->note), "cgroup %llu shows '%.*s' from %zu on", id,
		 (int)strcspn(text, "\n"), text, from);
	return -EBADMSG;
}
