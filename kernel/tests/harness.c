// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "harness.h"
#include "mounts.h"
#include "objects.h"

#define TEST_SECONDS	60

enum outcome { PASSED, FAILED, SKIPPED };

/* Shared with the process that runs a test, and with its children. */
static struct {
	enum outcome outcome;
	char reason[512];
} *report;

static int nr_run;

static void end_test(enum outcome outcome, const char *where, const char *fmt,
		     va_list args)
{
	char why[400];

	vsnprintf(why, sizeof(why), fmt, args);
	report->outcome = outcome;
	snprintf(report->reason, sizeof(report->reason), "%s%s", where, why);
	_exit(outcome);
}

void fail(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	char where[64];
	va_list args;

	snprintf(where, sizeof(where), "%s:%d: ", base ? base + 1 : file, line);
	va_start(args, fmt);
	end_test(FAILED, where, fmt, args);
	abort();
}

void skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	end_test(SKIPPED, "", fmt, args);
	abort();
}

static void in_child(const struct test_case *test, struct test *t)
{
	/* The parent ends the whole group if the test does not end. */
	setpgid(0, 0);
	umask(022);
	if (mounted(CGROUP2))
		EXPECT_OK(make_dir(t->cg));
	if (mounted(CGROUP1))
		EXPECT_OK(make_dir(t->v1));
	if (mounted(BPFFS))
		EXPECT_OK(make_dir(t->pins));
	test->run(t);
	_exit(PASSED);
}

static void wait_for_child(pid_t pid)
{
	int status, waited;

	for (waited = 0; waited < TEST_SECONDS * 100; waited++) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFSIGNALED(status)) {
				report->outcome = FAILED;
				snprintf(report->reason, sizeof(report->reason),
					 "killed by signal %d", WTERMSIG(status));
			} else if (WEXITSTATUS(status) != PASSED &&
				   report->outcome != SKIPPED) {
				report->outcome = FAILED;
			}
			return;
		}
		usleep(10000);
	}
	report->outcome = FAILED;
	snprintf(report->reason, sizeof(report->reason),
		 "does not end within %d s", TEST_SECONDS);
	let_readers_go();
	kill(-pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static const char *what_is_left(const struct test *t)
{
	remove_pins(t->pins);
	remove_cgroups(t->cg);
	remove_cgroups(t->v1);
	if (exists(t->pins))
		return t->pins;
	if (exists(t->cg))
		return t->cg;
	return exists(t->v1) ? t->v1 : NULL;
}

/* What a test leaves and nobody can remove is held by the kernel. */
static void clean_up(const struct test *t)
{
	const char *left;
	int tries = 0;

	/* Processes that were killed take a moment to leave their cgroups. */
	while ((left = what_is_left(t)) && tries++ < 200)
		usleep(10000);
	if (left && report->outcome != FAILED) {
		report->outcome = FAILED;
		snprintf(report->reason, sizeof(report->reason),
			 "%s cannot be removed afterwards", left);
	}
}

static int run_case(const struct test_case *test)
{
	struct test t;
	pid_t pid;

	nr_run++;
	snprintf(t.cg, sizeof(t.cg), CGROUP2 "/t%d", nr_run);
	snprintf(t.v1, sizeof(t.v1), CGROUP1 "/t%d", nr_run);
	snprintf(t.pins, sizeof(t.pins), BPFFS "/t%d", nr_run);
	memset(report, 0, sizeof(*report));
	reset_control();

	pid = fork();
	if (pid == 0)
		in_child(test, &t);
	if (pid > 0) {
		wait_for_child(pid);
	} else {
		report->outcome = FAILED;
		snprintf(report->reason, sizeof(report->reason), "cannot fork");
	}
	/* What is left of the test's group would keep its folders. */
	if (pid > 0)
		kill(-pid, SIGKILL);
	clean_up(&t);

	if (report->outcome == SKIPPED) {
		say("ok %d %s: %s # SKIP %s", nr_run, test->rule, test->what,
		    report->reason);
	} else if (report->outcome == FAILED) {
		say("not ok %d %s: %s", nr_run, test->rule, test->what);
		say("# %s", report->reason[0] ? report->reason : "no reason given");
	} else {
		say("ok %d %s: %s", nr_run, test->rule, test->what);
	}
	return report->outcome == FAILED;
}

static bool holds(const struct test_case *test, enum since patches)
{
	return !patches || (test->since && test->since <= patches);
}

int run_cases(const struct test_case *cases, enum since patches)
{
	int failed = 0;

	if (!report) {
		report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (report == MAP_FAILED)
			abort();
	}
	for (; cases->run; cases++)
		if (holds(cases, patches))
			failed += run_case(cases);
	return failed;
}

int cases_run(void)
{
	return nr_run;
}
