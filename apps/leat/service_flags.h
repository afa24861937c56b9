/* SPDX-License-Identifier: MIT */
/*
 * The flags that `leat serve` and `leat proxy` share: addresses, limits of clients, logs, and what
 * the process is allowed.
 */
#ifndef LEAT_SERVICE_FLAGS_H
#define LEAT_SERVICE_FLAGS_H

#include <stddef.h>

#include "options.h"
#include "service.h"

enum { SERVICE_FLAGS_MAX = 32 };

/* Writes the table, which ends with a NULL name, and points into `service`. */
void service_flags(struct service *service, struct option ret_options[SERVICE_FLAGS_MAX]);
/* Once they are parsed: puts what they said where it belongs. */
void service_flags_apply(struct service *service);

/* For a flag that takes the address of a further socket, which is no unix socket. 0, or -1 with one
 * line in ret_error. */
int service_take_host(const char *flag, const char *text, struct leat_address *ret_address,
                      char *ret_error, size_t ret_error_size);

#endif
