// SPDX-License-Identifier: GPL-2.0-only
/* The processes and threads that work, and who looks after them. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define NAMESPACED	TMPFS "/namespaced"
#define PROGRESS_SECONDS	10
/* No operation takes that long, not even on a slow machine. */
#define HANG_SECONDS	150

struct role {
	enum class class;
	uid_t uid;
	unsigned int threads;
	bool in_namespace;
};

static const struct role roles[] = {
	{ ROOT, 0, 1, false },
	{ ROOT, 0, 1, false },
	{ ROOT, 0, 3, false },
	{ ROOT, 0, 1, true },
	{ USER, SOMEBODY, 1, false },
	{ USER, SOMEBODY_ELSE, 1, false },
};

struct process {
	const struct role *role;
	unsigned int first;	/* number of its first worker */
};

static bool may_have(const struct op_kind *kind, const struct worker *w,
		     const struct choice *c, int err)
{
	unsigned int i;

	/* bpffs says ENOSPC where it gets no inode. */
	if (err == ENOMEM || err == ENOSPC)
		return c->fail;
	if (w->class == USER && (err == EACCES || err == EPERM))
		return true;
	for (i = 0; i < ARRAY_SIZE(kind->errors) && kind->errors[i]; i++)
		if (kind->errors[i] == err)
			return true;
	return false;
}

static void judge(struct worker *w, unsigned long index, const struct choice *c, int ret)
{
	const struct op_kind *kind = &op_kind[c->op];
	const char *wrong = NULL;

	__atomic_add_fetch(&shared->count[w->class][c->op].done, 1, __ATOMIC_RELAXED);
	if (ret >= 0) {
		__atomic_add_fetch(&shared->count[w->class][c->op].succeeded, 1,
				   __ATOMIC_RELAXED);
		if (w->class == USER && kind->needs_right && is_private(c))
			wrong = "a user without the right to succeeded";
	} else if (!may_have(kind, w, c, -ret)) {
		wrong = strerror(-ret);
	}
	if (wrong)
		report_problem("worker %u, operation %lu: %s%s in %s, %u, %u, %u: %s %s",
			       w->number, index, kind->name,
			       c->fail ? " with failing allocations" : "", cgroup_of(w, c),
			       c->name, c->object, c->which, wrong, w->note);
	w->note[0] = '\0';
}

static void work(struct worker *w)
{
	unsigned long index;
	struct choice c;
	int ret;

	for (index = 0; !__atomic_load_n(&shared->stop, __ATOMIC_RELAXED); index++) {
		if (__atomic_add_fetch(&shared->begun, 1, __ATOMIC_RELAXED) > shared->ops)
			break;
		choose(&c, w, index);
		c.fail = c.fail && w->make_it_fail >= 0;
		w->op = c.op;
		w->since = time(NULL);
		if (c.fail)
			let_fail(w, true);
		ret = op_kind[c.op].run(w, &c);
		if (c.fail)
			let_fail(w, false);
		judge(w, index, &c, ret);
	}
}

/* As a thread or as a process. */
static void *be_worker(void *arg)
{
	struct worker *w = arg;

	if (w->class == ROOT)
		w->make_it_fail = open_file("/proc/thread-self/make-it-fail", O_WRONLY);
	work(w);
	end_resident(w);
	w->over = true;
	return NULL;
}

/* The tree becomes the root of its namespace. It does not stay in it. */
static int enter_namespace(struct worker *w)
{
	int err = write_text(TREE2 "/cgroup.procs", "0");

	if (!err && unshare(CLONE_NEWCGROUP))
		err = -errno;
	if (!err && mount("cgroup2", NAMESPACED, "cgroup2", 0, CGROUP2_OPTIONS))
		err = -errno;
	if (!err)
		err = write_text(CGROUP2 "/cgroup.procs", "0");
	w->in_namespace = true;
	w->tree2 = NAMESPACED;
	return err;
}

static int be_process(void *arg)
{
	static struct slot slots[NR_SLOTS];
	struct process *process = arg;
	pthread_t thread[MAX_WORKERS];
	struct worker *w = &shared->worker[process->first];
	unsigned int i, n = process->role->threads;

	for (i = 0; i < NR_SLOTS; i++) {
		pthread_rwlock_init(&slots[i].lock, NULL);
		slots[i].fd = -1;
	}
	for (i = 0; i < n; i++)
		w[i].slots = slots;
	if (process->role->in_namespace) {
		int err = enter_namespace(w);

		if (err)
			return err;
	}
	for (i = 1; i < n; i++)
		if (pthread_create(&thread[i], NULL, be_worker, &w[i]))
			return -EAGAIN;
	be_worker(w);
	for (i = 1; i < n; i++)
		pthread_join(thread[i], NULL);
	return 0;
}

static int be_user(void *arg)
{
	struct process *process = arg;

	return as_user(process->role->uid, be_process, process);
}

static void add_worker(unsigned int number, const struct role *role)
{
	struct worker *w = &shared->worker[number];

	w->number = number;
	w->class = role->class;
	w->tree2 = TREE2;
	w->make_it_fail = -1;
	w->since = time(NULL);
}

unsigned int describe_workers(void)
{
	unsigned int i, thread, nr = 0;

	for (i = 0; i < ARRAY_SIZE(roles); i++)
		for (thread = 0; thread < roles[i].threads; thread++)
			add_worker(nr++, &roles[i]);
	return nr;
}

static void start_all(void)
{
	unsigned int i, first = 0;

	for (i = 0; i < ARRAY_SIZE(roles); i++) {
		struct process process = { .role = &roles[i], .first = first };

		if (start(roles[i].uid ? be_user : be_process, &process) < 0)
			report_problem("cannot start worker %u", first);
		first += roles[i].threads;
	}
}

/* Returns false when all have ended. */
static bool reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!status)
			continue;
		shared->stop = true;
		report_problem("a worker's process ended with status %#x", status);
	}
	return pid == 0;
}

/* What hangs cannot be cleaned up either: say where it is, and be gone. */
static void end_if_hanging(unsigned int workers)
{
	time_t now = time(NULL);
	unsigned int i;

	for (i = 0; i < workers; i++) {
		struct worker *w = &shared->worker[i];

		if (w->over || now - w->since < HANG_SECONDS)
			continue;
		report_problem("worker %u hangs in %s", i, op_kind[w->op].name);
		write_text("/proc/sysrq-trigger", "w");
		sleep(5);
		reboot(RB_AUTOBOOT);
	}
}

static unsigned long done_so_far(void)
{
	return shared->begun < shared->ops ? shared->begun : shared->ops;
}

void run_workers(time_t seconds)
{
	unsigned int i, workers = describe_workers();
	time_t begin = time(NULL), told = begin, now;

	make_dir(NAMESPACED);
	for (i = 0; i < workers; i++) {
		make_dir(private_bpffs(&shared->worker[i]));
		make_dir(private_cgroup2(&shared->worker[i]));
	}
	start_all();
	while (reap()) {
		usleep(100000);
		now = time(NULL);
		if (now - begin >= seconds)
			shared->stop = true;
		if (now - told >= PROGRESS_SECONDS) {
			told = now;
			say("stress: %lu of %lu operations in %ld s", done_so_far(),
			    shared->ops, now - begin);
		}
		end_if_hanging(workers);
	}
	say("stress: %lu of %lu operations in %ld s", done_so_far(), shared->ops,
	    time(NULL) - begin);
	for (i = 0; i < workers; i++)
		while (!umount2(private_bpffs(&shared->worker[i]), MNT_DETACH) ||
		       !umount2(private_cgroup2(&shared->worker[i]), MNT_DETACH))
			;
	umount2(NAMESPACED, MNT_DETACH);
}
