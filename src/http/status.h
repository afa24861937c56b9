/* SPDX-License-Identifier: MIT */
/*
 * Status codes and their reason phrases (RFC 9110, section 15, and RFC 6585).
 */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

/* A static text; "Unknown" for codes we have no phrase for. */
const char *status_reason(int status);

#endif
