/* SPDX-License-Identifier: MIT */
/*
 * See run.h.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "commands.h"
#include "fiber/fiber.h"
#include "leat/error.h"

struct first {
    const struct feed_flags *flags;
    int (*run)(void *arg);
    void *arg;
};

static struct process_signals signals; /* the process's, as they are */

/* A descriptor that got the number of a closed standard stream would be read, or written to. What
 * stands in for it can be neither: that it is closed is told as before. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        const int access = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", access) != fd)
            abort();
    }
}

/* Once the loop is there: the threads of its pool are to stay where they may be. */
static int run_first(void *arg)
{
    const struct first *first = arg;
    cpu_set_t core;
    CPU_ZERO(&core);
    if (first->flags->cpu >= 0) {
        CPU_SET((size_t)first->flags->cpu, &core);
        (void)sched_setaffinity(0, sizeof core, &core); /* feed_flags_parse has asked */
    }
    prctl(PR_SET_TIMERSLACK, 1); /* the default lets a flush be 50 us late */
    return first->run(first->arg);
}

int feed_run(enum options_result parsed, const char *command, const struct feed_flags *flags,
             int (*main_fiber)(void *arg), void *arg)
{
    if (parsed != OPTIONS_GO)
        return parsed == OPTIONS_HELPED ? EXIT_SUCCESS : EXIT_WRONG_USE;
    struct first first = {flags, main_fiber, arg};
    const struct leat_loop_options options = {.engine = flags->engine};
    hold_standard_streams();
    int result = process_catch_signals(&signals);
    if (!result) {
        result = leat_run(run_first, &first, &options);
        process_release_signals(&signals);
    }
    if (result >= 0)
        return result;
    fprintf(stderr, "%s: there is no loop to run on: %s\n", command, leat_error_text(result));
    return EXIT_FAILURE;
}

bool feed_can_poll(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || isatty(fd) == 1);
}

void feed_tell_listening(const char *command, const struct feed_flags *flags)
{
    char line[FEED_ERROR_SIZE];
    snprintf(line, sizeof line, "listening to %s%s%s", flags->group, flags->group_b ? ", " : "",
             flags->group_b ? flags->group_b : "");
    options_complain(command, line);
}

static void await_signals(void *arg)
{
    struct feed_watch *watch = arg;
    struct op op;
    for (;;) {
        op_init(&op, OP_POLL, signals.fd, fiber_op_done);
        op.poll.events = POLLIN;
        if (fiber_await(&op, LEAT_FOREVER) < 0)
            return;
        while (process_take_signal(&signals))
            watch->on_signal(++watch->count, watch->user);
    }
}

int feed_watch(struct feed_watch *watch, struct leat_scope *scope)
{
    static const struct leat_fiber_options options = {.name = "signals"};
    ASSERT(watch->on_signal && watch->count == 0);
    return leat_spawn(scope, await_signals, watch, &options);
}
