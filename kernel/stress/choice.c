// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which operation comes next. Nothing but the seed, the worker and the number of
 * the operation goes into it, so that a seed gives the same operations again.
 */
#include "stress.h"

#define DIGESTED	1000
/* one operation in so many has its allocations fail */
#define FAIL_EVERY	8

/* splitmix64 */
static unsigned long draw(unsigned long *state)
{
	unsigned long z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static unsigned int below(unsigned long *state, unsigned int limit)
{
	return draw(state) % limit;
}

/* Deep down there are many cgroups, and each seldom there. */
static const unsigned int depths[] = { 0, 1, 1, 1, 2, 2, 2, 3 };

static enum op draw_op(unsigned long *state, enum class class)
{
	unsigned int op, sum = 0, drawn;

	for (op = 0; op < NR_OPS; op++)
		sum += op_kind[op].weight[class];
	drawn = below(state, sum);
	for (op = 0; drawn >= op_kind[op].weight[class]; op++)
		drawn -= op_kind[op].weight[class];
	return op;
}

void choose(struct choice *c, const struct worker *w, unsigned long index)
{
	unsigned long state = shared->seed;
	unsigned int i;

	state = draw(&state) + w->number;
	state = draw(&state) + index;

	c->op = draw_op(&state, w->class);
	c->fail = !below(&state, FAIL_EVERY) && w->class == ROOT;
	c->v1 = !below(&state, 5);
	c->depth = depths[below(&state, ARRAY_SIZE(depths))];
	for (i = 0; i < MAX_DEPTH; i++)
		c->at[i] = below(&state, NR_NAMES);
	c->name = below(&state, 16);
	c->object = below(&state, 16);
	c->which = below(&state, 1 << 16);
}

unsigned long digest_choices(unsigned int workers)
{
	unsigned long digest = 0;
	unsigned int w, i, at;
	struct choice c;

	for (w = 0; w < workers; w++) {
		for (i = 0; i < DIGESTED; i++) {
			choose(&c, &shared->worker[w], i);
			digest = draw(&digest) + c.op + 64 * c.fail + 128 * c.v1;
			digest = draw(&digest) + c.depth + 4 * c.name + 64 * c.object;
			digest = draw(&digest) + c.which;
			for (at = 0; at < MAX_DEPTH; at++)
				digest = draw(&digest) + c.at[at];
		}
	}
	return digest;
}
