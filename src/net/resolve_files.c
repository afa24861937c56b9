/* SPDX-License-Identifier: MIT */
/*
 * The part of a look-up that may wait for a disk, as an offload job: the lines of /etc/hosts, and a
 * channel of c-ares, which reads resolv.conf when it is made. A channel is made anew when
 * resolv.conf is another file than it was, so that a server which runs for months follows its host
 * from network to network. In a thread of the pool: it touches its own job alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/slice.h"
#include "leat/dial.h"
#include "net/resolve_parts.h"

/* ---- /etc/hosts ------------------------------------------------------------------------------ */

enum {
    LINES_SIZE = 64 * 1024,    /* read at once; longer lines are passed over */
    HOSTS_SIZE_MAX = 64 << 20, /* of the whole file: then it is no table of hosts */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line, which is taken from it; empty: there is none. */
static struct leat_slice take_word(struct leat_slice *line)
{
    size_t start = 0, end;
    while (start < line->size && is_blank(line->data[start]))
        start++;
    for (end = start; end < line->size && !is_blank(line->data[end]);)
        end++;
    const struct leat_slice word = slice_of(line->data + start, end - start);
    *line = slice_of(line->data + end, line->size - end);
    return word;
}

/* hosts(5): an address and the names it has, up to a '#'. Of several lines with the name all
 * count. */
static void read_line(struct resolve_job *job, struct leat_slice line)
{
    const char *comment = memchr(line.data, '#', line.size);
    if (comment)
        line.size = (size_t)(comment - line.data);
    char address[INET6_ADDRSTRLEN];
    const struct leat_slice word = take_word(&line);
    if (word.size == 0 || word.size >= sizeof address)
        return;
    memcpy(address, word.data, word.size);
    address[word.size] = '\0';
    const size_t size = strlen(job->host);
    struct leat_slice name;
    do {
        name = take_word(&line);
        if (name.size == 0)
            return;
    } while (name.size != size || strncasecmp(name.data, job->host, size) != 0);

    const bool is_v6 = strchr(address, ':') != NULL;
    const enum resolve_family family = is_v6 ? RESOLVE_V6 : RESOLVE_V4;
    if (job->counts[family] == RESOLVE_HOSTS_MAX)
        return;
    union resolve_host *host = &job->hosts[family][job->counts[family]];
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, address, host) == 1)
        job->counts[family]++;
}

/* The whole lines of what has been read; returns how much of it that was. */
static size_t read_lines(struct resolve_job *job, struct leat_slice text)
{
    size_t done = 0;
    const char *end;
    while ((end = memchr(text.data + done, '\n', text.size - done))) {
        read_line(job, slice_of(text.data + done, (size_t)(end - text.data) - done));
        done = (size_t)(end - text.data) + 1;
    }
    return done;
}

/* A file that is not there, or cannot be read, has no lines. */
static void read_hosts(struct resolve_job *job, const struct backend_sys *sys)
{
    const int fd = sys->open(sys, AT_FDCWD, "/etc/hosts", BACKEND_OPEN_FILE);
    if (fd < 0)
        return;
    char *text = malloc(LINES_SIZE + 1);
    uint64_t offset = 0;
    size_t held = 0;
    while (text && offset < HOSTS_SIZE_MAX) {
        const ssize_t count = sys->read(sys, fd, text + held, LINES_SIZE - held, offset);
        if (count <= 0)
            break;
        offset += (uint64_t)count;
        held += (size_t)count;
        const size_t done = read_lines(job, slice_of(text, held));
        ASSERT(done <= held);
        held -= done;
        memmove(text, text + done, held);
        if (held == LINES_SIZE)
            held = 0;
    }
    if (text && held > 0)
        read_line(job, slice_of(text, held)); /* the last one need not end */
    free(text);
    sys->close(sys, fd);
}

/* ---- Name servers ---------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    struct ares_addr_port_node nodes[RESOLVE_SERVERS_MAX]; /* linked as c-ares wants them */
    size_t count;                                          /* 0: as resolv.conf says */
    unsigned generation;
} servers = {.lock = PTHREAD_MUTEX_INITIALIZER};

int leat_dial_use_servers(const struct leat_address *addresses, size_t count)
{
    struct ares_addr_port_node nodes[RESOLVE_SERVERS_MAX] = {0};
    if (count > RESOLVE_SERVERS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        const int family = leat_address_family(&addresses[i]);
        if (family == AF_UNIX)
            return -EINVAL;
        nodes[i].family = family;
        nodes[i].udp_port = nodes[i].tcp_port = leat_address_port(&addresses[i]);
        nodes[i].next = i + 1 < count ? &servers.nodes[i + 1] : NULL;
        if (family == AF_INET)
            nodes[i].addr.addr4 = addresses[i].v4.sin_addr;
        else
            memcpy(&nodes[i].addr.addr6, &addresses[i].v6.sin6_addr, sizeof(struct in6_addr));
    }
    pthread_mutex_lock(&servers.lock);
    memcpy(servers.nodes, nodes, sizeof nodes);
    servers.count = count;
    servers.generation++;
    pthread_mutex_unlock(&servers.lock);
    return 0;
}

/* What a channel made now would be made by. A resolv.conf that cannot be read any more (a sandbox
 * lets us have the file that it was) is none that has changed. */
static struct resolve_origin find_origin(const struct backend_sys *sys,
                                         const struct resolve_origin *known)
{
    struct resolve_origin origin = *known;
    struct backend_stat stat;
    const int fd = sys->open(sys, AT_FDCWD, "/etc/resolv.conf", BACKEND_OPEN_FILE);
    if (fd >= 0) {
        if (sys->stat(sys, fd, &stat) == 0)
            origin = (struct resolve_origin){.device = stat.device,
                                             .inode = stat.inode,
                                             .size = stat.size,
                                             .mtime_ns = stat.mtime_ns};
        sys->close(sys, fd);
    }
    pthread_mutex_lock(&servers.lock);
    origin.generation = servers.generation;
    pthread_mutex_unlock(&servers.lock);
    return origin;
}

static bool is_same_origin(const struct resolve_origin *a, const struct resolve_origin *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->generation == b->generation;
}

/* ---- The channel ----------------------------------------------------------------------------- */

void resolve_config_fini(struct resolve_config *config)
{
    if (!config->channel)
        return;
    ares_destroy_options(&config->options);
    ares_destroy(config->channel);
    config->channel = NULL;
}

/* c-ares opens its files by itself: it is a library below us, and this is a thread that may
 * wait. */
static void make_channel(struct resolve_job *job)
{
    struct resolve_config *config = &job->config;
    struct ares_options options;
    const int mask = resolve_channel_options(&options, job->resolver);
    ares_channel channel;
    if (ares_init_options(&channel, &options, mask) != ARES_SUCCESS)
        return;
    resolve_channel_attach(channel, job->resolver);
    int status = ARES_SUCCESS, saved_mask;
    pthread_mutex_lock(&servers.lock);
    if (servers.count > 0)
        status = ares_set_servers_ports(channel, servers.nodes);
    config->origin.generation = servers.generation;
    pthread_mutex_unlock(&servers.lock);
    memset(&config->options, 0, sizeof config->options);
    if (status == ARES_SUCCESS)
        status = ares_save_options(channel, &config->options, &saved_mask);
    if (status != ARES_SUCCESS) {
        ares_destroy_options(&config->options);
        ares_destroy(channel);
        return;
    }
    config->channel = channel;
}

void resolve_job_run(struct offload_job *base, const struct backend_sys *sys)
{
    struct resolve_job *job = CONTAINER_OF(base, struct resolve_job, job);
    ASSERT(!job->config.channel);
    memset(job->counts, 0, sizeof job->counts);
    read_hosts(job, sys);
    if (job->counts[RESOLVE_V6] + job->counts[RESOLVE_V4] > 0 || job->is_simulated)
        return;
    job->config.origin = find_origin(sys, &job->origin);
    if (!job->has_channel || !is_same_origin(&job->config.origin, &job->origin))
        make_channel(job);
}
