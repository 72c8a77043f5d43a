// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>

#include "stress.h"

/* One mistake made everywhere must not bury what the kernel says of it. */
#define MAX_PRINTED	40

struct shared *shared;

static const char * const class_name[NR_CLASSES] = {
	[ROOT] = "root",
	[USER] = "user",
};

void report_problem(const char *fmt, ...)
{
	char text[600];
	va_list args;

	if (__atomic_add_fetch(&shared->problems, 1, __ATOMIC_RELAXED) > MAX_PRINTED)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	say("stress: problem: %s", text);
}

void report_counts(void)
{
	int class, op;

	for (class = 0; class < NR_CLASSES; class++)
		for (op = 0; op < NR_OPS; op++)
			if (op_kind[op].weight[class])
				say("stress: kind %s/%s: %lu done, %lu succeeded",
				    class_name[class], op_kind[op].name,
				    shared->count[class][op].done,
				    shared->count[class][op].succeeded);
}
