/* SPDX-License-Identifier: MIT */
/*
 * embed [ADDR:PORT]: leat inside a program that has an event loop of its own, here an epoll set
 * with a timer and the signals that end the program. leat's loop is one more descriptor in it;
 * behind that runs an echo server.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "leat/leat.h"

static struct leat_scope scope;

static void echo(void *arg)
{
    struct leat_stream *stream = arg;
    char data[4096];
    ssize_t size;
    while ((size = leat_stream_read(stream, data, sizeof data, LEAT_FOREVER)) > 0)
        if (leat_stream_write(stream, data, (size_t)size, leat_after_ms(10 * 1000)))
            break;
    leat_stream_close(stream);
}

static void serve(void *arg)
{
    struct leat_listener *listener;
    const int error = leat_listen(arg, NULL, &listener);
    char text[LEAT_ADDRESS_TEXT_SIZE];
    if (error) {
        fprintf(stderr, "embed: %s\n", leat_error_text(error));
        return;
    }
    printf("listening on %s\n", leat_address_format(leat_listener_address(listener), text));
    fflush(stdout);
    struct leat_stream *stream;
    while (leat_accept(listener, LEAT_FOREVER, &stream) == 0)
        if (leat_spawn(&scope, echo, stream, NULL))
            leat_stream_close(stream);
    leat_listener_close(listener);
}

/* The program's own: a timer and the signals, watched by its epoll set. */
static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int make_timer(void)
{
    const struct itimerspec each_10_ms = {{.tv_nsec = 10 * 1000 * 1000}, {.tv_nsec = 1}};
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    timerfd_settime(fd, 0, &each_10_ms, NULL);
    return fd;
}

static int take_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    const char *where = argc > 1 ? argv[1] : "127.0.0.1:7000", *reason;
    struct leat_address address;
    struct leat_loop *loop;
    if (leat_address_parse(where, &address, &reason)) {
        fprintf(stderr, "embed: %s: %s\n", where, reason);
        return 2;
    }
    if (leat_loop_create(NULL, &loop))
        return 1;
    leat_scope_init(&scope);
    leat_spawn(&scope, serve, &address, NULL);

    const int epoll_fd = epoll_create1(EPOLL_CLOEXEC), loop_fd = leat_loop_fd(loop);
    const int timer_fd = make_timer(), signal_fd = take_signals();
    watch(epoll_fd, loop_fd);
    watch(epoll_fd, timer_fd);
    watch(epoll_fd, signal_fd);
    uint64_t ticks = 0, count;
    leat_loop_run_once(loop, 0); /* what was begun from outside gets going */
    for (struct epoll_event event = {0}; event.data.fd != signal_fd;) {
        if (epoll_wait(epoll_fd, &event, 1, -1) != 1)
            continue;
        if (event.data.fd == loop_fd)
            leat_loop_run_once(loop, 0);
        else if (event.data.fd == timer_fd && read(timer_fd, &count, sizeof count) > 0)
            ticks += count;
    }

    leat_scope_cancel(&scope);
    leat_loop_run(loop); /* until nothing is left */
    leat_scope_fini(&scope);
    leat_loop_destroy(loop);
    printf("the program's own timer: %s\n", ticks > 0 ? "alive" : "never heard of");
    return 0;
}
