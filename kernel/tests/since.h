/* SPDX-License-Identifier: GPL-2.0-only */
/* From which patch of the series on something is there; both baselines number them alike. */
#ifndef SINCE_H
#define SINCE_H

enum since {
	SINCE_EVER	= 1,	/* as without the series */
	SINCE_ENTRIES	= 3,
	SINCE_RM	= 4,
	SINCE_VIEWS	= 5,	/* to load and link, not yet to read */
	SINCE_READING	= 7,
	SINCE_UNLINK	= 9,
	SINCE_UPDATE	= 10,
	SINCE_SLEEPABLE	= 11,
	SINCE_SUBTREE	= 12,
	SINCE_LIMIT	= 13,
	WHOLE_SERIES	= 13,
};

#endif
