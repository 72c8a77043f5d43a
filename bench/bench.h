/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Taking times in a machine that does nothing else. All numbers go to the
 * console, one a line; what they mean is for whoever reads it.
 * What returns an int returns a negative errno on error.
 */
#ifndef BENCH_H
#define BENCH_H

#include "harness.h"

/* Something that is done again and again. */
struct subject {
	const char *name;
	int (*once)(void *arg);
	void *arg;
};

unsigned long long now_nsec(void);
/* Print "time <when>.<name> <nsec> <how often>". */
void tell_time(const char *when, const char *name, unsigned long long nsec, long ops);
/* Print "fact <when>.<name> <value>". */
void tell_fact(const char *when, const char *name, long long value);

/*
 * Take the time of each subject in turn, in so many rounds, each for about
 * a millisecond. So whatever disturbs the machine disturbs all of them alike.
 */
int time_subjects(const char *when, const struct subject *subjects, int nr, int rounds);
/* Which of them come back while somebody else holds cgroup_mutex? */
int while_mutex_is_held(const char *cgroup, const struct subject *views, int nr,
			const struct subject *iterator);

/* Enable controllers, such as "+memory +pids", for what is below a cgroup. */
int enable(const char *cgroup, const char *controllers);
int count_files(const char *cgroup);

/* The parts. Each runs in a machine of its own. */
int reads(void);
int dirs_without_views(void);
int dirs(void);
int many(void);

#endif
