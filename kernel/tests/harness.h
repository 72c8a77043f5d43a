/* SPDX-License-Identifier: GPL-2.0-only */
/* Running the tests, each in a process and a cgroup of its own. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stddef.h>

#include "say.h"
#include "since.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/*
 * What a running test has at hand. Its folders are empty when it starts, and
 * there are none of a kind that the kernel does not know.
 */
struct test {
	char cg[64];	/* a cgroup, version 2 */
	char v1[64];	/* a cgroup of a version 1 hierarchy */
	char pins[64];	/* a folder in bpffs */
};

struct test_case {
	const char *rule;	/* "rule-1" and so on, or the extension's name */
	const char *what;
	void (*run)(struct test *t);
	/* The patch it holds from; 0 if it takes more than the series. */
	enum since since;
};

/* One list for each rule, ended by an empty case. */
extern const struct test_case as_ever[], rule_1[], rule_2[], rule_3[], rule_4[], rule_5[],
			      rule_6[], rule_7[], rule_8[], rule_9[],
			      unlink_cases[], link_update[], sleepable[],
			      subtree[], limit[], security[], shipped_views[];

/* For kernels that are no complete ones. */
extern const struct test_case without_bpf[], without_cgroups[],
			      without_fsnotify[], without_series[], no_memory[];

/* A case of security[] with a file of its own. */
void inside_namespaces(struct test *t);

/*
 * Report the cases of a list, those that hold with so many patches, or all if
 * the number is 0. Returns how many failed.
 */
int run_cases(const struct test_case *cases, enum since patches);
int cases_run(void);

/* End the running test as failed, or as not applicable on this kernel. */
void fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void skip(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

#define EXPECT(ok, fmt, ...)						\
do {									\
	if (!(ok))							\
		fail(__FILE__, __LINE__, fmt, ##__VA_ARGS__);		\
} while (0)

/* For functions that return 0 or a positive number, or a negative errno. */
#define EXPECT_RET(want, call)						\
do {									\
	int _ret = (call), _want = (want);				\
									\
	if (_ret != _want)						\
		fail(__FILE__, __LINE__, "%s is %d, not %d", #call, _ret, _want); \
} while (0)

#define EXPECT_OK(call)		EXPECT_RET(0, call)

#endif
