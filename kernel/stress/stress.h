/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the stress driver share. What returns an int returns 0 or a negative errno. */
#ifndef STRESS_H
#define STRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "../tests/files.h"
#include "../tests/say.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define TREE2		CGROUP2 "/s"
#define TREE1		CGROUP1 "/s"
#define PINS		BPFFS "/s"
/* Or every move to another cgroup waits for an RCU grace period. */
#define CGROUP2_OPTIONS	"favordynmods"

#define MAX_DEPTH	3
#define NR_NAMES	3	/* of cgroups, and of entries that are read */
#define NR_LINKS	5
#define NR_OBJECTS	(NR_LINKS + 3)
#define NR_PROGS	4
#define NR_SLOTS	6
#define MAX_WORKERS	16

/* Who works: a user without privilege gets other answers. */
enum class { ROOT, USER, NR_CLASSES };

enum op {
	READ, READ_PIECES, READ_FROM, HOLD, READ_HELD, RM_HELD, LIST,
	EXPOSE, EXPOSE_SUBTREE, RM, UNLINK, BAD_WRITE, CHMOD, CHOWN,
	UPDATE, REPLACE, NEW_LINK,
	PIN, UNPIN, HARD_LINK, RENAME_PIN, UNPIN_OPEN,
	MOUNT, UNMOUNT, PIN_PRIVATE,
	MKDIR, RMDIR, RENAME_CGROUP, DELEGATE, CONTROLLER,
	MOVE, MOVE_OUT, RUN_INSIDE, STAY_INSIDE,
	SECOND_MOUNT, HIERARCHY, NAMESPACE,
	NR_OPS
};

/* One operation. It follows from the seed, the worker and the operation's number. */
struct choice {
	enum op op;
	bool fail;		/* let allocations fail meanwhile */
	bool v1;		/* which of the hierarchies */
	unsigned int depth;	/* how deep the cgroup is in the tree */
	unsigned int at[MAX_DEPTH];	/* its name at each depth */
	unsigned int name;	/* of the entry */
	unsigned int object;
	unsigned int which;	/* whatever else there is to choose */
};

/* A file that stays open, used by all threads of a process. */
struct slot {
	pthread_rwlock_t lock;
	int fd;
	unsigned long long id;	/* of the cgroup that it must show */
};

struct worker {
	unsigned int number;
	enum class class;
	bool in_namespace;	/* of cgroups, with the tree at its root */
	const char *tree2;	/* where it sees the tree of version 2 */
	struct slot *slots;
	int make_it_fail;	/* file that lets its allocations fail, or -1 */
	bool mounted;		/* its private bpffs */
	pid_t resident;		/* its child that stays in a cgroup */
	char note[96];		/* what was wrong, beyond the errno */

	/* for who looks after it */
	enum op op;
	time_t since;
	bool over;
};

struct shared {
	unsigned long seed;
	unsigned long ops;	/* how many are wanted */
	unsigned long begun;
	bool stop;
	unsigned int problems;
	struct {
		unsigned long done, succeeded;
	} count[NR_CLASSES][NR_OPS];
	struct worker worker[MAX_WORKERS];
};

struct op_kind {
	const char *name;
	int (*run)(struct worker *w, const struct choice *c);
	/* how often, for each class; 0 is never */
	unsigned short weight[NR_CLASSES];
	/* of a user, in a directory that is nobody's but root's, it must fail */
	bool needs_right;
	/* the errors that it may have, besides ENOMEM where allocations fail */
	short errors[8];
};

extern struct shared *shared;
extern const struct op_kind op_kind[NR_OPS];

/* report.c */
void report_problem(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void report_counts(void);

/* choice.c */
void choose(struct choice *c, const struct worker *w, unsigned long index);
/* Of the first choices of all workers: the same for the same seed. */
unsigned long digest_choices(unsigned int workers);

/* places.c */
bool is_private(const struct choice *c);
const char *cgroup_of(const struct worker *w, const struct choice *c);
/* One of the names that no file of the kernel's has. */
const char *view_name(const struct choice *c);
const char *view_of(const struct worker *w, const struct choice *c);
/* As view_of(), but now and then with the name of a controller's file. */
const char *entry_of(const struct worker *w, const struct choice *c);
bool is_a_controllers(const struct choice *c);
const char *private_bpffs(const struct worker *w);
const char *private_cgroup2(const struct worker *w);

/* things.c */
int load_things(void);
void drop_things(void);
int object(const struct choice *c);
int link_of(const struct choice *c);
int prog(unsigned int number);

/* text.c */
int check_text(struct worker *w, const char *text, unsigned long long id, size_t from);

/* fault.c */
bool set_up_faults(void);
void let_fail(struct worker *w, bool on);

/* reading.c */
int read_in(struct worker *w, const struct choice *c, const char *dir);
int op_read(struct worker *w, const struct choice *c);
int op_hold(struct worker *w, const struct choice *c);
int op_read_held(struct worker *w, const struct choice *c);
int op_rm_held(struct worker *w, const struct choice *c);
int op_list(struct worker *w, const struct choice *c);

/* entries.c */
int op_expose(struct worker *w, const struct choice *c);
int op_rm(struct worker *w, const struct choice *c);
int op_unlink(struct worker *w, const struct choice *c);
int op_bad_write(struct worker *w, const struct choice *c);
int op_chmod(struct worker *w, const struct choice *c);
int op_chown(struct worker *w, const struct choice *c);
int op_update(struct worker *w, const struct choice *c);
int op_replace(struct worker *w, const struct choice *c);
int op_new_link(struct worker *w, const struct choice *c);

/* pins.c */
int op_pin(struct worker *w, const struct choice *c);
int op_unpin(struct worker *w, const struct choice *c);
int op_hard_link(struct worker *w, const struct choice *c);
int op_rename_pin(struct worker *w, const struct choice *c);
int op_unpin_open(struct worker *w, const struct choice *c);
int op_mount(struct worker *w, const struct choice *c);
int op_unmount(struct worker *w, const struct choice *c);
int op_pin_private(struct worker *w, const struct choice *c);

/* cgroups.c */
int op_mkdir(struct worker *w, const struct choice *c);
int op_rmdir(struct worker *w, const struct choice *c);
int op_rename_cgroup(struct worker *w, const struct choice *c);
int op_delegate(struct worker *w, const struct choice *c);
int op_controller(struct worker *w, const struct choice *c);
int op_move(struct worker *w, const struct choice *c);
int op_move_out(struct worker *w, const struct choice *c);
int op_run_inside(struct worker *w, const struct choice *c);
int op_stay_inside(struct worker *w, const struct choice *c);
void end_resident(struct worker *w);
int op_second_mount(struct worker *w, const struct choice *c);
int op_hierarchy(struct worker *w, const struct choice *c);
int op_namespace(struct worker *w, const struct choice *c);

/* workers.c */
void run_workers(time_t seconds);
/* How many there are, without starting any. */
unsigned int describe_workers(void);

/* leaks.c */
bool forget_old_leaks(void);
void look_for_leaks(void);
void wait_for_dead_cgroups(void);

/* rounds.c */
void run_rounds(unsigned long rounds);

#endif
