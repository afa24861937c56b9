/* SPDX-License-Identifier: MIT */
/*
 * The version, of the header and of the library: a program can compare the two.
 */
#ifndef LEAT_VERSION_H
#define LEAT_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

/* Also in meson.build; a test compares them. */
#define LEAT_VERSION "0.1.0"

const char *leat_version(void);

#ifdef __cplusplus
}
#endif
#endif
