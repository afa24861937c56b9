/* SPDX-License-Identifier: MIT */
/*
 * A loop inside somebody else's: one descriptor that is readable whenever the loop has something to
 * do. It is an epoll set of the backend's descriptor and a timerfd that stands in for our timers
 * and for work that is left over at the end of a turn. Owned by its loop, used on its thread.
 */
#ifndef LOOP_EMBED_H
#define LOOP_EMBED_H

struct leat_loop;
struct embedding;

int embed_create(struct leat_loop *loop, struct embedding **ret_embedding);
void embed_destroy(struct embedding *embedding);
int embed_fd(const struct embedding *embedding);

/* After a turn: sets the timerfd. 0 or -errno. */
int embed_settle(struct embedding *embedding, struct leat_loop *loop);

#endif
