// SPDX-License-Identifier: GPL-2.0-only
/* failslab: slab allocations of a task that asks for it fail now and then. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "stress.h"

#define FAILSLAB	"/sys/kernel/debug/failslab"

static const struct {
	const char *file, *value;
} settings[] = {
	{ FAILSLAB "/probability", "7" },
	{ FAILSLAB "/interval", "1" },
	{ FAILSLAB "/times", "-1" },
	{ FAILSLAB "/space", "0" },
	{ FAILSLAB "/verbose", "0" },
	{ FAILSLAB "/task-filter", "Y" },
	{ FAILSLAB "/ignore-gfp-wait", "N" },
};

/* Returns whether this kernel can. */
bool set_up_faults(void)
{
	unsigned int i;
	int err;

	if (!exists(FAILSLAB))
		return false;
	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		err = write_text(settings[i].file, settings[i].value);
		if (err)
			report_problem("%s: %s", settings[i].file, strerror(-err));
	}
	return true;
}

void let_fail(struct worker *w, bool on)
{
	if (w->make_it_fail >= 0 && pwrite(w->make_it_fail, on ? "1" : "0", 1, 0) != 1)
		report_problem("make-it-fail: %s", strerror(errno));
}
