/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OPTION_H
#define OPTION_H

/* The value of a word "name=value" of the kernel's command line, or NULL. */
const char *boot_option(const char *name);

#endif
