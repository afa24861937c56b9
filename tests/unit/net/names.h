/* SPDX-License-Identifier: MIT */
/*
 * What the tests of names share: a name server (dnsmasq) that knows the names below, one that says
 * what the test wants said, one that says nothing; and ports of this host that answer, refuse, or
 * let who connects wait.
 */
#ifndef TESTS_UNIT_NET_NAMES_H
#define TESTS_UNIT_NET_NAMES_H

#include "pair.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include "fiber/fiber.h"
#include "net/dial.h"
#include "net/resolve.h"

static inline struct leat_address address_of(const char *text)
{
    struct leat_address address;
    assert_int_equal(leat_address_parse(text, &address, NULL), 0);
    return address;
}

static inline uint16_t port_of(int fd)
{
    struct leat_address address = {.size = sizeof address.storage};
    assert_int_equal(getsockname(fd, &address.base, &address.size), 0);
    return leat_address_port(&address);
}

/* A bound socket; port 0 chooses one. -1: there is no such address here, or the port is taken. */
static inline int bind_at(const char *text, uint16_t port, int type)
{
    struct leat_address address = address_of(text);
    leat_address_set_port(&address, port);
    const int fd = socket(leat_address_family(&address), type | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, &address.base, address.size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline void use_server(uint16_t port)
{
    struct leat_address server = address_of("127.0.0.1:0");
    leat_address_set_port(&server, port);
    assert_int_equal(leat_dial_use_servers(&server, 1), 0);
}

/* ---- dnsmasq --------------------------------------------------------------------------------- */

struct name_server {
    pid_t process;
    uint16_t port;
};

/* Is somebody bound to this port of UDP? */
static inline bool is_taken(uint16_t port)
{
    const int fd = bind_at("127.0.0.1:0", port, SOCK_DGRAM);
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

/* False, and why, where there is none on this host. From now on it is the one that is asked. */
static inline bool name_server_start(struct name_server *server)
{
    static const char *const records[] = {
        "--host-record=both.test,127.0.0.1,::1",
        "--host-record=four.test,127.0.0.1",
        "--host-record=six.test,::1",
        "--host-record=brief.test,127.0.0.1,1",
        "--host-record=fleeting.test,127.0.0.1,0",
        "--cname=alias.test,both.test",
        "--host-record=host.sub.test,127.0.0.1",
        "--host-record=several.test,127.0.0.1,::1",
        "--host-record=several.test,127.0.0.2",
        "--host-record=several.test,127.0.0.3",
        "--host-record=several.test,127.0.0.4",
    };
    const int fd = bind_at("127.0.0.1:0", 0, SOCK_DGRAM);
    assert_true(fd >= 0);
    server->port = port_of(fd);
    close(fd);
    char port[32];
    snprintf(port, sizeof port, "--port=%u", server->port);
    fflush(NULL);
    server->process = fork();
    assert_true(server->process >= 0);
    if (server->process == 0) {
        const char *words[64] = {"dnsmasq",
                                 "--keep-in-foreground",
                                 "--conf-file=/dev/null",
                                 "--no-resolv",
                                 "--no-hosts",
                                 "--listen-address=127.0.0.1",
                                 "--bind-interfaces",
                                 "--pid-file=",
                                 "--user=root",
                                 "--local=/test/",
                                 "--local-ttl=60",
                                 "--log-facility=/dev/null",
                                 port};
        size_t count = 13;
        for (size_t i = 0; i < sizeof records / sizeof *records; i++)
            words[count++] = records[i];
        static char many[60][64];
        for (unsigned i = 0; i < 30; i++) { /* more than a datagram of 512 bytes holds */
            snprintf(many[i], sizeof many[i], "--host-record=many.test,127.0.0.%u,::1", i + 1);
            words[count++] = many[i];
        }
        words[count] = NULL;
        setenv("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", 1);
        execvp(words[0], (char *const *)words);
        _exit(127);
    }
    for (int waits = 0; waits < 500 && !is_taken(server->port); waits++) {
        int status;
        if (waitpid(server->process, &status, WNOHANG) == server->process) {
            print_message("# no dnsmasq on this host: status %x\n", (unsigned)status);
            return false;
        }
        usleep(10 * 1000);
    }
    use_server(server->port);
    return true;
}

static inline void name_server_stop(struct name_server *server)
{
    int status;
    kill(server->process, SIGKILL);
    assert_int_equal(waitpid(server->process, &status, 0), server->process);
    assert_int_equal(leat_dial_use_servers(NULL, 0), 0);
}

/* ---- A name server that does as it is told --------------------------------------------------- */

enum { QUESTION_MAX = 512, TYPE_A = 1, TYPE_AAAA = 28 };

/* Writes an answer to the question, of `type`, over it; returns its size, 0: none. */
typedef size_t (*answer_fn)(unsigned char *data, size_t size, int type, void *user);

struct scripted_server {
    int fd;
    pthread_t thread;
    answer_fn answer;
    void *user;
    _Atomic unsigned questions;
    _Atomic bool is_over;
};

/* Of the one question in the datagram: where it ends, and its type (RFC 1035, section 4.1.2). */
static inline size_t read_question(const unsigned char *data, size_t size, int *ret_type)
{
    size_t at = 12;
    while (at < size && data[at] != 0)
        at += 1u + data[at];
    if (at + 5 > size)
        return 0;
    *ret_type = data[at + 1] << 8 | data[at + 2];
    return at + 5;
}

/* A head and the question, then an address where `host` is not NULL: section 4.1.3. */
static inline size_t write_answer(unsigned char *data, size_t size, int type, const char *host,
                                  unsigned ttl)
{
    const size_t host_size = type == TYPE_A ? 4 : 16;
    int asked_type;
    size_t at = read_question(data, size, &asked_type);
    data[2] = 0x81; /* an answer, recursion desired */
    data[3] = 0x80; /* available, no error */
    data[6] = 0;
    data[7] = host ? 1 : 0;
    memset(data + 8, 0, 4);
    if (!host)
        return at;
    const unsigned char record[] = {0xc0,
                                    12,
                                    0,
                                    (unsigned char)type,
                                    0,
                                    1,
                                    0,
                                    0,
                                    (unsigned char)(ttl >> 8),
                                    (unsigned char)ttl,
                                    0,
                                    (unsigned char)host_size};
    memcpy(data + at, record, sizeof record);
    at += sizeof record;
    assert_int_equal(inet_pton(type == TYPE_A ? AF_INET : AF_INET6, host, data + at), 1);
    return at + host_size;
}

static inline void *serve_answers(void *arg)
{
    struct scripted_server *server = arg;
    while (!server->is_over) {
        struct pollfd wait = {.fd = server->fd, .events = POLLIN};
        unsigned char data[2 * QUESTION_MAX];
        struct sockaddr_storage from;
        socklen_t from_size = sizeof from;
        int type;
        if (poll(&wait, 1, 20) != 1)
            continue;
        const ssize_t size =
            recvfrom(server->fd, data, QUESTION_MAX, 0, (struct sockaddr *)&from, &from_size);
        const size_t end = size > 0 ? read_question(data, (size_t)size, &type) : 0;
        if (end == 0)
            continue;
        server->questions++;
        const size_t answer_size =
            server->answer ? server->answer(data, (size_t)size, type, server->user) : 0;
        if (answer_size > 0)
            (void)sendto(server->fd, data, answer_size, 0, (struct sockaddr *)&from, from_size);
    }
    return NULL;
}

/* `answer` NULL: it says nothing. */
static inline void scripted_server_start(struct scripted_server *server, answer_fn answer,
                                         void *user)
{
    *server = (struct scripted_server){.answer = answer, .user = user};
    server->fd = bind_at("127.0.0.1:0", 0, SOCK_DGRAM);
    assert_true(server->fd >= 0);
    use_server(port_of(server->fd));
    assert_int_equal(pthread_create(&server->thread, NULL, serve_answers, server), 0);
}

static inline void scripted_server_stop(struct scripted_server *server)
{
    server->is_over = true;
    pthread_join(server->thread, NULL);
    close(server->fd);
    assert_int_equal(leat_dial_use_servers(NULL, 0), 0);
}

/* ---- Ports ----------------------------------------------------------------------------------- */

/* A port at which IPv6 and IPv4 of this host may do different things. */
struct door {
    int v6, v4; /* listening, or bound only: those refuse */
    int fill[8];
    unsigned fill_count;
    uint16_t port;
};

/* False: there is no IPv6 here. */
static inline bool door_make(struct door *door)
{
    *door = (struct door){.v6 = -1, .v4 = -1};
    for (int tries = 0; tries < 100 && door->v4 < 0; tries++) {
        door->v6 = bind_at("[::1]:0", 0, SOCK_STREAM);
        if (door->v6 < 0) {
            print_message("# no IPv6 on this host\n");
            return false;
        }
        door->port = port_of(door->v6);
        door->v4 = bind_at("127.0.0.1:0", door->port, SOCK_STREAM);
        if (door->v4 < 0)
            close(door->v6);
    }
    assert_true(door->v4 >= 0);
    return true;
}

static inline void door_close(struct door *door)
{
    for (unsigned i = 0; i < door->fill_count; i++)
        close(door->fill[i]);
    close(door->v6);
    close(door->v4);
}

/* Its queue is full: who comes gets no answer, as behind a filter that drops (tcp(7)). */
static inline void door_jam(struct door *door, int fd)
{
    struct leat_address address = {.size = sizeof address.storage};
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, &address.base, &address.size), 0);
    for (;;) {
        assert_true(door->fill_count < 8);
        const int client =
            socket(leat_address_family(&address), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        door->fill[door->fill_count++] = client;
        (void)connect(client, &address.base, address.size);
        struct pollfd wait = {.fd = client, .events = POLLOUT};
        if (poll(&wait, 1, 50) == 0) {
            close(door->fill[--door->fill_count]); /* it would try again */
            return;
        }
    }
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static inline struct resolve_counters counters(void)
{
    struct resolve_counters counters;
    resolve_counters_read(loop_current, &counters);
    return counters;
}

static inline void wake_up(void *user)
{
    fiber_wake(user);
}

/* Everything of a name: 0 and the counts of its addresses, or an error. */
static inline int look_up(const char *host, int64_t deadline_ns,
                          unsigned ret_counts[RESOLVE_FAMILIES])
{
    struct resolve_wait wait;
    struct leat_address address;
    int error = resolve_begin(&wait, host);
    if (error)
        return error;
    while (!error && (!resolve_is_over(&wait, RESOLVE_V6) || !resolve_is_over(&wait, RESOLVE_V4)))
        error = fiber_park(deadline_ns, wake_up, fiber_current()) == 0
                    ? 0
                    : fiber_interruption(deadline_ns);
    for (unsigned family = 0; family < RESOLVE_FAMILIES; family++) {
        ret_counts[family] = 0;
        while (resolve_address(&wait, family, ret_counts[family], 80, &address))
            ret_counts[family]++;
    }
    if (!error && ret_counts[RESOLVE_V6] + ret_counts[RESOLVE_V4] == 0)
        error = resolve_error(&wait);
    resolve_end(&wait);
    return error;
}

#endif
