// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define SLICE_NSEC	1000000ULL
#define MAX_OPS		100000

struct sample {
	unsigned long long nsec;
	long ops;
};

unsigned long long now_nsec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

void tell_time(const char *when, const char *name, unsigned long long nsec, long ops)
{
	say("time %s.%s %llu %ld", when, name, nsec, ops);
}

void tell_fact(const char *when, const char *name, long long value)
{
	say("fact %s.%s %lld", when, name, value);
}

static int repeat(const struct subject *subject, long times)
{
	int err = 0;

	while (times-- && !err)
		err = subject->once(subject->arg);
	if (err)
		say("# %s fails: %s", subject->name, strerror(-err));
	return err;
}

/* What was done just before leaves its traces: let those of the subject be there. */
static int take_sample(const struct subject *subject, struct sample *sample)
{
	int err = repeat(subject, 1 + sample->ops / 4);
	unsigned long long begin = now_nsec();

	err = err ?: repeat(subject, sample->ops);
	sample->nsec = now_nsec() - begin;
	return err;
}

/*
 * How often it has to be done to take as long as a slice. Once is not enough to
 * say so: it may have been kept waiting.
 */
static int calibrate(const struct subject *subject, long *ops)
{
	struct sample sample = { .ops = 1 };
	int err = 0, long_enough = 0;

	while (!err && long_enough < 3 && sample.ops < MAX_OPS) {
		err = take_sample(subject, &sample);
		if (sample.nsec >= SLICE_NSEC / 2) {
			long_enough++;
		} else {
			long_enough = 0;
			sample.ops *= 2;
		}
	}
	*ops = sample.ops;
	return err;
}

int time_subjects(const char *when, const struct subject *subjects, int nr, int rounds)
{
	struct sample *samples = calloc((size_t)nr * rounds, sizeof(*samples));
	long *ops = calloc(nr, sizeof(*ops));
	int round, i, err = samples && ops ? 0 : -ENOMEM;

	for (i = 0; i < nr && !err; i++)
		err = calibrate(&subjects[i], &ops[i]);
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < nr && !err; i++) {
			samples[round * nr + i].ops = ops[i];
			err = take_sample(&subjects[i], &samples[round * nr + i]);
		}
	}
	/* Printing disturbs: only now. */
	for (i = 0; i < nr * rounds && !err; i++)
		tell_time(when, subjects[i % nr].name, samples[i].nsec, samples[i].ops);
	free(ops);
	free(samples);
	return err;
}
