/* SPDX-License-Identifier: MIT */
/*
 * See supervise.h.
 */
#include "supervise.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "notify.h"

/* At SIGTERM: who asks for nothing gets as long as a request that is on its way may take, so that
 * it is answered and not cut. */
enum { END_IDLE_MS = 500 };

enum reign_state { SERVING, REPLACED, ENDING };

struct reign {
    const struct supervision *supervision;
    enum reign_state state;
    struct replacement replacement;
    unsigned running; /* workers that have not ended */
    int64_t cut_ns;   /* ENDING that was REPLACED: when to end whatever is left */
};

static void wanted_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGUSR2);
}

int supervise_prepare(void)
{
    sigset_t signals;
    wanted_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return signal_fd >= 0 ? signal_fd : -errno;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static void stop_workers(const struct reign *reign, int64_t idle_ms, int64_t grace_ms)
{
    const struct supervision *supervision = reign->supervision;
    sockets_close(supervision->sockets);
    for (unsigned index = 0; index < supervision->settings->thread_count; index++)
        worker_stop(&supervision->workers[index], leat_after_ms(idle_ms), leat_after_ms(grace_ms));
}

static void tell_end(const struct reign *reign, bool is_replaced)
{
    const struct supervision *supervision = reign->supervision;
    if (supervision->on_end)
        supervision->on_end(is_replaced, supervision->user);
}

static void end_gently(struct reign *reign)
{
    ASSERT(reign->state != ENDING);
    const bool was_serving = reign->state == SERVING;
    reign->state = ENDING;
    if (was_serving) {
        notify_manager("STOPPING=1");
        tell_end(reign, false);
        replace_abandon(&reign->replacement);
        stop_workers(reign, END_IDLE_MS, reign->supervision->grace_ms);
    } else { /* the workers know already, and of a longer grace */
        reign->cut_ns = leat_after_ms(reign->supervision->grace_ms);
    }
}

/* As the signal would without us. */
static _Noreturn void end_at_once(int signal_number)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, signal_number);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    _exit(EXIT_FAILURE); /* not reached: it is pending, and now let through */
}

/* ---- Being replaced -------------------------------------------------------------------------- */

static void start_successor(struct reign *reign)
{
    const struct supervision *supervision = reign->supervision;
    const char *reason = NULL;
    if (reign->state != SERVING)
        reason = "this process is ending";
    else if (reign->replacement.ready_fd >= 0)
        reason = "a new process is being started already";
    else if (getpid() == 1)
        reason = "this is process 1, with which its container would end: start a new container";
    if (!reason) {
        const int error = replace_start(&reign->replacement, supervision->program,
                                        supervision->sockets, supervision->sandbox);
        reason = error ? leat_error_text(error) : NULL;
    }
    if (reason)
        fprintf(stderr, "%s: not replaced: %s\n", supervision->command, reason);
}

static void look_at_successor(struct reign *reign)
{
    struct replacement *replacement = &reign->replacement;
    const struct supervision *supervision = reign->supervision;
    switch (replace_check(replacement)) {
    case REPLACE_PENDING: break;
    case REPLACE_FAILED:
        fprintf(stderr, "%s: not replaced by %s: %s; process %d goes on\n", supervision->command,
                supervision->program->path, replacement->reason, (int)getpid());
        break;
    case REPLACE_READY:
        notify_manager("MAINPID=%d", (int)replacement->pid);
        fprintf(stderr, "%s: process %d has taken over; %d ends with its connections\n",
                supervision->command, (int)replacement->pid, (int)getpid());
        reign->state = REPLACED;
        tell_end(reign, true);
        stop_workers(reign, supervision->settings->http.idle_timeout_ms,
                     supervision->replace_grace_ms);
        break;
    }
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void reload(const struct reign *reign)
{
    const struct supervision *supervision = reign->supervision;
    if (reign->state == SERVING)
        notify_manager("RELOADING=1\nMONOTONIC_USEC=%lld",
                       (long long)(leat_now_ns() / LEAT_NS_PER_US));
    if (supervision->on_hup)
        supervision->on_hup(supervision->user);
    if (reign->state == SERVING)
        notify_manager("READY=1");
}

static void take_signal(struct reign *reign)
{
    struct signalfd_siginfo info;
    if (read(reign->supervision->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    const int number = (int)info.ssi_signo;
    if (number == SIGHUP)
        reload(reign);
    else if (number == SIGUSR2)
        start_successor(reign);
    else if (reign->state == ENDING)
        end_at_once(number);
    else
        end_gently(reign);
}

static void count_ended(struct reign *reign)
{
    uint64_t count;
    if (read(reign->supervision->settings->ended_fd, &count, sizeof count) != sizeof count)
        return;
    ASSERT(count <= reign->running);
    reign->running -= (unsigned)count;
    if (reign->state == SERVING) /* nobody told it to: its loop has failed */
        end_gently(reign);
}

/* Until something happens or is due. -1: for ever, as poll(2) has it. */
static int wait_ms(const struct reign *reign)
{
    int64_t due_ns = LEAT_FOREVER;
    if (reign->replacement.ready_fd >= 0)
        due_ns = reign->replacement.deadline_ns;
    if (reign->cut_ns > 0)
        due_ns = reign->cut_ns;
    if (due_ns == LEAT_FOREVER)
        return -1;
    const int64_t left_ns = due_ns - leat_now_ns();
    return left_ns > 0 ? (int)(left_ns / LEAT_NS_PER_MS + 1) : 0;
}

static void wait_for_news(struct reign *reign)
{
    enum { SIGNAL, ENDED, SUCCESSOR };
    struct pollfd news[] = {
        [SIGNAL] = {.fd = reign->supervision->signal_fd, .events = POLLIN},
        [ENDED] = {.fd = reign->supervision->settings->ended_fd, .events = POLLIN},
        [SUCCESSOR] = {.fd = reign->replacement.ready_fd, .events = POLLIN},
    };
    if (poll(news, sizeof news / sizeof *news, wait_ms(reign)) < 0)
        return;
    if (reign->replacement.ready_fd >= 0)
        look_at_successor(reign);
    if (news[SIGNAL].revents)
        take_signal(reign);
    if (news[ENDED].revents)
        count_ended(reign);
    if (reign->cut_ns > 0 && reign->running > 0 && leat_now_ns() >= reign->cut_ns)
        _exit(EXIT_SUCCESS); /* what a grace that is over always does to what is left */
}

static int join_workers(const struct supervision *supervision)
{
    int status = EXIT_SUCCESS;
    for (unsigned index = 0; index < supervision->settings->thread_count; index++) {
        struct worker *worker = &supervision->workers[index];
        worker_join(worker);
        if (worker->error) {
            fprintf(stderr, "%s: %s: %s\n", supervision->command, worker->what,
                    leat_error_text(worker->error));
            status = EXIT_FAILURE;
        }
    }
    return status;
}

int supervise(const struct supervision *supervision)
{
    struct reign reign = {.supervision = supervision,
                          .replacement = {.ready_fd = -1},
                          .running = supervision->settings->thread_count};
    ASSERT(supervision->signal_fd >= 0);
    while (reign.running > 0)
        wait_for_news(&reign);
    close(supervision->signal_fd);
    if (reign.state != REPLACED && reign.cut_ns == 0)
        sockets_remove_paths(supervision->sockets);
    return join_workers(supervision);
}
