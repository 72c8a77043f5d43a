// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "stress.h"

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
/* kmemleak looks only at what is older than 5 s. */
#define MIN_AGE_SECONDS	6
#define MAX_LINES	200
#define WAIT_SECONDS	60

static void tell_kmemleak(const char *what)
{
	int err = write_text(KMEMLEAK, what);

	if (err)
		report_problem("kmemleak does not %s: %s", what, strerror(-err));
}

/* What is lost already is no fault of the operations. False without kmemleak. */
bool forget_old_leaks(void)
{
	if (!exists(KMEMLEAK))
		return false;
	sleep(MIN_AGE_SECONDS);
	tell_kmemleak("scan");
	tell_kmemleak("clear");
	return true;
}

void look_for_leaks(void)
{
	unsigned int lines = 0;
	char line[256];
	FILE *report;

	if (!exists(KMEMLEAK))
		return;
	/* Twice, as a pointer that was on its way may have been missed. */
	sleep(MIN_AGE_SECONDS);
	tell_kmemleak("scan");
	sleep(MIN_AGE_SECONDS);
	tell_kmemleak("scan");
	report = fopen(KMEMLEAK, "r");
	if (!report) {
		report_problem("cannot read " KMEMLEAK ": %s", strerror(errno));
		return;
	}
	while (fgets(line, sizeof(line), report)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "unreferenced object", 19))
			report_problem("leak: %s", line);
		else if (lines++ < MAX_LINES)
			say("stress: leak: %s", line);
	}
	fclose(report);
}

void wait_for_dead_cgroups(void)
{
	char text[256] = "";
	int waited;

	for (waited = 0; waited < WAIT_SECONDS * 10; waited++) {
		if (read_text(CGROUP2 "/cgroup.stat", text, sizeof(text)) > 0 &&
		    strstr(text, "nr_dying_descendants 0\n"))
			return;
		usleep(100000);
	}
	report_problem("removed cgroups are not freed: %s", text);
}
