/* SPDX-License-Identifier: MIT */
/*
 * See flags.h.
 */
#include "flags.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "commands.h"
#include "leat/address.h"
#include "wire/chars.h"
#include "quantity.h"

enum { TTL_MAX = 255, BUSY_POLL_MAX_US = 1000000, SHARED_OPTIONS_MAX = 16 };

static const uint64_t BUFFER_MAX = INT_MAX / 2; /* the kernel doubles it */

int feed_take_sequence(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long number = chars_is(*text, CHARS_DIGIT) ? strtoull(text, &end, 10) : 0;
    const bool is_now = strcmp(text, "now") == 0;
    if (!is_now && (number == 0 || errno || *end)) {
        snprintf(ret_error, ret_error_size,
                 "'%s' is no sequence number: write 1 for the first message, or now", text);
        return -1;
    }
    *(uint64_t *)target = is_now ? 0 : number;
    return 0;
}

int feed_status_of(int error)
{
    switch (error) {
    case -EINVAL:
    case -ENOENT:
    case -ENOTDIR:
    case -EISDIR:
    case -EACCES:
    case -EADDRINUSE:
    case -EADDRNOTAVAIL: return EXIT_WRONG_USE;
    default: return EXIT_FAILURE;
    }
}

/* ---- The shared ones ------------------------------------------------------------------------- */

/* As they are taken; what the library wants is made of them in the end. */
struct shared {
    const char *interface;
    long ttl, cpu, busy_poll_us;
    uint64_t buffer_bytes;
    int engine;
};

static int complain(const struct feed_command *command, const char *error)
{
    options_complain(command->name, error);
    return -1;
}

/* Where there is nothing to hear: the kernel would choose a port, and nobody would know it. */
static bool has_no_port(const char *line)
{
    struct leat_address address;
    return line && leat_address_parse(line, &address, NULL) == 0 &&
           leat_address_family(&address) != AF_UNIX && leat_address_port(&address) == 0;
}

static int settle(const struct feed_command *command, const struct shared *shared,
                  struct feed_flags *flags)
{
    char error[FEED_ERROR_SIZE];
    cpu_set_t cores;
    flags->engine = (enum leat_engine)shared->engine;
    flags->cpu = (int)shared->cpu;
    flags->socket.ttl = (int)shared->ttl;
    flags->socket.busy_poll_us = (int)shared->busy_poll_us;
    flags->socket.buffer_bytes = (int)shared->buffer_bytes;
    if (shared->buffer_bytes > BUFFER_MAX)
        return complain(command, "--buffer takes a size below 1g");
    if (flags->group && flags->group_b && strcmp(flags->group, flags->group_b) == 0)
        return complain(command, "--group-b is line A once more: give it an address of its own");
    if (command->roles & FEED_FLAGS_RECEIVE &&
        (has_no_port(flags->group) || has_no_port(flags->group_b)))
        return complain(command, "nothing can be heard on port 0: a line has the port that its "
                                 "publisher sends to");
    if (shared->interface) {
        flags->socket.interface_index = if_nametoindex(shared->interface);
        if (flags->socket.interface_index == 0) {
            snprintf(error, sizeof error,
                     "--interface: there is no interface '%s' (`ip link` tells which there are)",
                     shared->interface);
            return complain(command, error);
        }
    }
    if (flags->cpu >= 0 && sched_getaffinity(0, sizeof cores, &cores) == 0 &&
        !CPU_ISSET((size_t)flags->cpu, &cores)) {
        snprintf(error, sizeof error, "--cpu: this process may not run on core %d", flags->cpu);
        return complain(command, error);
    }
    return 0;
}

enum options_result feed_flags_parse(const struct feed_command *command, struct feed_flags *flags,
                                     int argc, char **argv)
{
    static const char *const engines[] = {"auto", "uring", "epoll", NULL};
    struct shared shared = {.cpu = -1};
    *flags = (struct feed_flags){.cpu = -1};
    /* clang-format off */
    const struct option all[] = {
        {.name = "group", .value = "ADDR:PORT", .kind = OPTION_TEXT, .target = &flags->group,
         .help = "line A: a group, one address, or shm:PATH for this host"},
        {.name = "group-b", .value = "ADDR:PORT", .kind = OPTION_TEXT, .target = &flags->group_b,
         .help = "line B, with the same packets"},
        {.name = "interface", .value = "NAME", .kind = OPTION_TEXT, .target = &shared.interface,
         .help = "of groups (default: the routing table's choice)"},
        {.name = "buffer", .value = "SIZE", .kind = OPTION_CALL, .take = quantity_take_size,
         .target = &shared.buffer_bytes, .help = "of the kernel, a socket (default: 8m)"},
        {.name = "cpu", .value = "N", .kind = OPTION_COUNT, .target = &shared.cpu,
         .min = 0, .max = CPU_SETSIZE - 1, .help = "the core to run on (default: any)"},
        {.name = "spin", .value = "on|off", .kind = OPTION_SWITCH, .target = &flags->is_spinning,
         .help = "never sleep, on a core to itself (default: off)"},
        {.name = "engine", .value = "auto|uring|epoll", .kind = OPTION_CHOICE,
         .target = &shared.engine, .choices = engines,
         .help = "auto takes io_uring where it works (default: auto)"},
    };
    const struct option sending[] = {
        {.name = "ttl", .value = "N", .kind = OPTION_COUNT, .target = &shared.ttl, .min = 1,
         .max = TTL_MAX, .help = "networks that packets to a group may pass (default: 1)"},
    };
    const struct option receiving[] = {
        {.name = "source", .value = "IP", .kind = OPTION_TEXT, .target = &flags->source,
         .help = "take packets of this host alone (default: the first heard)"},
        {.name = "busy-poll-us", .value = "N", .kind = OPTION_COUNT,
         .target = &shared.busy_poll_us, .min = 1, .max = BUSY_POLL_MAX_US,
         .help = "poll the device for so long (default: the host's)"},
    };
    const struct option naming[] = {
        {.name = "session", .value = "NAME", .kind = OPTION_TEXT, .target = &flags->session,
         .help = "1 to 10 characters"},
    };
    /* clang-format on */
    struct option options[FEED_OWN_OPTIONS_MAX + SHARED_OPTIONS_MAX] = {0};
    const struct {
        const struct option *options;
        size_t count;
        unsigned roles; /* any of them; 0: always */
    } parts[] = {{naming, sizeof naming / sizeof *naming, FEED_FLAGS_NAME},
                 {all, sizeof all / sizeof *all, 0},
                 {sending, sizeof sending / sizeof *sending, FEED_FLAGS_SEND},
                 {receiving, sizeof receiving / sizeof *receiving, FEED_FLAGS_RECEIVE}};
    size_t count = 0;
    for (const struct option *own = command->own; own->name; own++) {
        ASSERT(count < FEED_OWN_OPTIONS_MAX);
        options[count++] = *own;
    }
    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++)
        for (size_t index = 0; index < parts[part].count; index++)
            if (parts[part].roles == 0 || parts[part].roles & command->roles)
                options[count++] = parts[part].options[index];
    ASSERT(count < sizeof options / sizeof *options); /* the last one is the end's */
    const struct option_set set = {.command = command->name,
                                   .arguments = command->arguments,
                                   .summary = command->summary,
                                   .options = options,
                                   .positional = command->positional,
                                   .positional_max = command->positional_max};
    const enum options_result result = options_parse(&set, argc, argv);
    if (result != OPTIONS_GO)
        return result;
    return settle(command, &shared, flags) == 0 ? OPTIONS_GO : OPTIONS_WRONG;
}
