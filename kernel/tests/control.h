/* SPDX-License-Identifier: GPL-2.0-only */
/* What the test program and its BPF programs tell each other through .bss. */
#ifndef CONTROL_H
#define CONTROL_H

/* How often the view "long_loop" goes round. */
#define LONG_LOOP	(1 << 22)

#define LINE_SIZE	64

struct control {
	int hold;	/* the view "held" stays inside while this is set */
	int inside;	/* it is */
	int done;	/* it is about to return */
	int nothing;	/* the view "maybe" has nothing to show */
	int lines;	/* of LINE_SIZE bytes: the text of the view "show_lines" */
};

#endif
