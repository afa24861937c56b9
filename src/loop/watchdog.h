/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: a thread that looks at the loops of the process and names what holds one for too
 * long. Loops write two words (busy since, running name) without a lock; it reads them.
 */
#ifndef LOOP_WATCHDOG_H
#define LOOP_WATCHDOG_H

struct leat_loop;

void watchdog_attach(struct leat_loop *loop);
void watchdog_detach(struct leat_loop *loop);

#endif
