/* SPDX-License-Identifier: MIT */
/*
 * See plan.h. URLs are taken apart by RFC 3986, but only as far as a client that goes to one origin
 * needs: http://HOST[:PORT][/path][?query]; a fragment is the reader's business and is dropped.
 */
#include "plan.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/chars.h"

enum { HEAD_SIZE_MAX = 64 * 1024, AUTHORITY_SIZE_MAX = 300 };

struct complaint {
    char *text;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct complaint *complaint,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint->text, complaint->size, format, arguments);
    va_end(arguments);
    return -1;
}

/* ---- URLs ------------------------------------------------------------------------------------ */

/* The parts of a URL; they point into it. */
struct url {
    struct leat_slice authority; /* empty when it is a path alone */
    struct leat_slice target;    /* path and query; may be empty */
};

static int split_url(const char *text, struct url *ret_url, const struct complaint *complaint)
{
    *ret_url = (struct url){.authority = slice_of(text, 0)};
    const char *rest = text;
    if (text[0] != '/') {
        if (strncasecmp(text, "https://", 8) == 0)
            return refuse(complaint, "'%s': leat has no TLS yet, so only http:// works", text);
        if (strncasecmp(text, "http://", 7) != 0)
            return refuse(complaint, "'%s' is no URL: write http://HOST[:PORT]/path", text);
        rest = text + 7;
        const size_t size = strcspn(rest, "/?#");
        ret_url->authority = slice_of(rest, size);
        if (size == 0 || size > AUTHORITY_SIZE_MAX)
            return refuse(complaint, "'%s' names no host: write http://HOST[:PORT]/path", text);
        for (size_t index = 0; index < size; index++)
            if (!chars_is(rest[index], CHARS_REG_NAME) && !strchr("[]:@", rest[index]))
                return refuse(complaint, "'%s': there is no such HOST", text);
        if (memchr(rest, '@', size))
            return refuse(complaint, "'%s' holds a user: write --header 'Authorization: Basic …'",
                          text);
        rest += size;
    }
    const size_t size = strcspn(rest, "#");
    ret_url->target = slice_of(rest, size);
    for (size_t index = 0; index < size; index++)
        if (!chars_is(rest[index], CHARS_TARGET))
            return refuse(complaint,
                          "'%s': a blank, a control character or what is not ASCII "
                          "must be percent-encoded in a URL",
                          text);
    return 0;
}

/* "host", "host:port", "[::1]:port" */
static int split_authority(struct leat_slice authority, char *ret_host, char *ret_port)
{
    char text[AUTHORITY_SIZE_MAX + 1];
    memcpy(text, authority.data, authority.size);
    text[authority.size] = '\0';
    char *host = text;
    const char *port;
    if (text[0] == '[') {
        char *end = strchr(text, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return -1;
        port = end[1] == ':' ? end + 2 : NULL;
        *end = '\0';
        host = text + 1;
    } else {
        char *colon = strchr(text, ':');
        port = colon ? colon + 1 : NULL;
        if (colon)
            *colon = '\0';
    }
    if (!port || *port == '\0')
        port = "80";
    char *end;
    const long number = strtol(port, &end, 10);
    if (*host == '\0' || *end != '\0' || !chars_is(*port, CHARS_DIGIT) || number < 1 ||
        number > 65535)
        return -1;
    strcpy(ret_host, host);
    snprintf(ret_port, 6, "%ld", number);
    return 0;
}

static int resolve(struct load_plan *plan, struct leat_slice authority,
                   const struct complaint *complaint)
{
    if (plan->connect) {
        const char *reason = "";
        if (leat_address_parse(plan->connect, &plan->addresses[0], &reason) != 0)
            return refuse(complaint, "--connect '%s': %s", plan->connect, reason);
        plan->address_count = 1;
        return 0;
    }
    char host[AUTHORITY_SIZE_MAX + 1], port[6];
    if (split_authority(authority, host, port) != 0)
        return refuse(complaint, "'%.*s' is no HOST[:PORT]; a port is 1 to 65535",
                      (int)authority.size, authority.data);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    const int error = getaddrinfo(host, port, &hints, &found);
    if (error)
        return refuse(complaint, "cannot find '%s': %s", host, gai_strerror(error));
    for (const struct addrinfo *entry = found; entry; entry = entry->ai_next)
        if (plan->address_count < LOAD_ADDRESSES_MAX &&
            leat_address_from_sockaddr(entry->ai_addr, entry->ai_addrlen,
                                       &plan->addresses[plan->address_count]) == 0)
            plan->address_count++;
    freeaddrinfo(found);
    return plan->address_count > 0 ? 0 : refuse(complaint, "'%s' has no address for us", host);
}

/* Connects and closes. 0 or -errno. */
static int try_address(const struct leat_address *address, int64_t timeout_ns)
{
    const int fd =
        socket(leat_address_family(address), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int error = connect(fd, &address->base, address->size) < 0 ? errno : 0;
    if (error == EINPROGRESS) {
        struct pollfd waiting = {.fd = fd, .events = POLLOUT};
        const int64_t timeout_ms = timeout_ns / 1000000;
        const int count = poll(&waiting, 1, timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX);
        error = count < 0 ? errno : ETIMEDOUT;
        socklen_t size = sizeof error;
        if (count > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            error = errno;
    }
    close(fd);
    return -error;
}

int load_plan_choose_address(struct load_plan *plan, char *ret_error, size_t ret_error_size)
{
    ASSERT(plan->address_count > 0);
    char text[LEAT_ADDRESS_TEXT_SIZE];
    int error = 0;
    for (unsigned index = 0; index < plan->address_count; index++) {
        plan->address = plan->addresses[index];
        error = try_address(&plan->address, plan->timeout_ns);
        if (error == 0)
            return 0;
    }
    return refuse(&(struct complaint){ret_error, ret_error_size}, "cannot connect to %s: %s",
                  leat_address_format(&plan->address, text), leat_error_text(error));
}

/* ---- Requests -------------------------------------------------------------------------------- */

static bool has_header(const struct load_plan *plan, const char *name)
{
    const size_t size = strlen(name);
    for (size_t index = 0; index < plan->header_count; index++)
        if (strncasecmp(plan->headers[index], name, size) == 0 && plan->headers[index][size] == ':')
            return true;
    return false;
}

/* What every client sends, and no more, unless a header of that name is given. */
static void write_head(FILE *out, const struct load_plan *plan, const char *method,
                       struct leat_slice target)
{
    const bool has_path = target.size > 0 && target.data[0] == '/';
    fprintf(out, "%s %s%.*s HTTP/1.1\r\n", method, has_path ? "" : "/", (int)target.size,
            target.data);
    if (!has_header(plan, "Host"))
        fprintf(out, "Host: %s\r\n", plan->origin);
    if (plan->body && !has_header(plan, "Content-Length") && !has_header(plan, "Transfer-Encoding"))
        fprintf(out, "Content-Length: %zu\r\n", plan->body_size);
    if (!plan->keep_alive && !has_header(plan, "Connection"))
        fprintf(out, "Connection: close\r\n");
    for (size_t index = 0; index < plan->header_count; index++)
        fprintf(out, "%s\r\n", plan->headers[index]);
    fprintf(out, "\r\n");
}

static int add_target(struct load_plan *plan, const char *method, struct leat_slice target,
                      const struct complaint *complaint)
{
    if (plan->target_count == LOAD_TARGETS_MAX)
        return refuse(complaint, "more than %d URLs", LOAD_TARGETS_MAX);
    if ((plan->target_count & (plan->target_count - 1)) == 0) { /* full at each power of two */
        const size_t capacity = plan->target_count ? 2 * plan->target_count : 1;
        struct load_target *grown = realloc(plan->targets, capacity * sizeof *grown);
        if (!grown)
            return refuse(complaint, "out of memory");
        plan->targets = grown;
    }
    struct load_target *added = &plan->targets[plan->target_count];
    *added = (struct load_target){.is_head = strcmp(method, "HEAD") == 0, .vector_count = 1};
    size_t size = 0;
    FILE *out = open_memstream(&added->head, &size);
    if (!out)
        return refuse(complaint, "out of memory");
    write_head(out, plan, method, target);
    if (fclose(out) != 0 || size > HEAD_SIZE_MAX) {
        free(added->head);
        return refuse(complaint, "the head of a request would have %zu bytes; at most %d are sent",
                      size, HEAD_SIZE_MAX);
    }
    added->vectors[0] = (struct leat_vector){.data = added->head, .size = size};
    if (plan->body_size > 0) {
        added->vectors[1] = (struct leat_vector){.data = plan->body, .size = plan->body_size};
        added->vector_count = 2;
    }
    plan->target_count++;
    return 0;
}

/* The first URL decides where all go. */
static int settle_origin(struct load_plan *plan, const char *text, struct leat_slice authority,
                         const struct complaint *complaint)
{
    if (plan->origin) {
        if (authority.size == 0 || slice_equal(authority, slice_from_text(plan->origin)))
            return 0;
        return refuse(complaint, "'%s' is on another host than %s: a load has one", text,
                      plan->url);
    }
    if (authority.size == 0)
        return refuse(complaint, "'%s': the first URL has to name the host: http://HOST%s", text,
                      text);
    if (resolve(plan, authority, complaint) != 0)
        return -1;
    plan->origin = strndup(authority.data, authority.size);
    plan->url = strdup(text);
    return plan->origin && plan->url ? 0 : refuse(complaint, "out of memory");
}

static int add_url(struct load_plan *plan, const char *method, const char *text,
                   const struct complaint *complaint)
{
    struct url url;
    if (split_url(text, &url, complaint) != 0 ||
        settle_origin(plan, text, url.authority, complaint) != 0)
        return -1;
    return add_target(plan, method, url.target, complaint);
}

int load_plan_add_url(struct load_plan *plan, const char *url, char *ret_error,
                      size_t ret_error_size)
{
    ASSERT(plan->method != NULL);
    return add_url(plan, plan->method, url, &(struct complaint){ret_error, ret_error_size});
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int add_line(struct load_plan *plan, char *line, const struct complaint *complaint)
{
    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#')
        return 0;
    for (char *end = line + strlen(line); end[-1] == ' ' || end[-1] == '\t'; *--end = '\0')
        ;
    char *blank = strpbrk(line, " \t");
    if (!blank)
        return add_url(plan, plan->method, line, complaint);
    *blank = '\0';
    if (chars_skip(line, blank, CHARS_TOKEN) != blank)
        return refuse(complaint, "'%s' is no method: a line is [METHOD ]URL", line);
    return add_url(plan, line, blank + 1 + strspn(blank + 1, " \t"), complaint);
}

int load_plan_add_list(struct load_plan *plan, const char *path, char *ret_error,
                       size_t ret_error_size)
{
    ASSERT(plan->method != NULL);
    const struct complaint complaint = {ret_error, ret_error_size};
    FILE *file = fopen(path, "re");
    if (!file)
        return refuse(&complaint, "--urls '%s': %s", path, strerror(errno));
    char *line = NULL;
    size_t capacity = 0, number = 0;
    int error = 0;
    const size_t before = plan->target_count;
    while (!error && getline(&line, &capacity, file) >= 0) {
        char reason[512];
        number++;
        error = add_line(plan, line, &(struct complaint){reason, sizeof reason});
        if (error)
            refuse(&complaint, "%s:%zu: %s", path, number, reason);
    }
    if (!error && ferror(file))
        error = refuse(&complaint, "--urls '%s': %s", path, strerror(errno));
    else if (!error && plan->target_count == before)
        error = refuse(&complaint, "--urls '%s': there is no URL in it", path);
    free(line);
    fclose(file);
    return error;
}

static int read_body(struct load_plan *plan, const char *path, const struct complaint *complaint)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return refuse(complaint, "--body '@%s': %s", path, strerror(errno));
    size_t capacity = 0, size = 0;
    char *data = NULL;
    while (!feof(file) && !ferror(file) && size <= LOAD_BODY_MAX) {
        if (size == capacity) {
            capacity = capacity ? 2 * capacity : 64 * 1024;
            char *grown = realloc(data, capacity);
            if (!grown)
                break;
            data = grown;
        }
        size += fread(data + size, 1, capacity - size, file);
    }
    const bool is_whole = feof(file) && !ferror(file);
    const int error = errno;
    fclose(file);
    if (!is_whole) {
        free(data);
        return refuse(complaint, "--body '@%s': %s", path,
                      size > LOAD_BODY_MAX ? "more than 1 GiB" : strerror(error));
    }
    plan->body = data;
    plan->body_size = size;
    return 0;
}

int load_plan_take_body(struct load_plan *plan, const char *text, char *ret_error,
                        size_t ret_error_size)
{
    const struct complaint complaint = {ret_error, ret_error_size};
    ASSERT(plan->target_count == 0);
    free(plan->body);
    plan->body = NULL;
    if (text[0] == '@')
        return read_body(plan, text + 1, &complaint);
    plan->body = strdup(text);
    plan->body_size = strlen(text);
    return plan->body ? 0 : refuse(&complaint, "out of memory");
}

void load_plan_fini(struct load_plan *plan)
{
    for (size_t index = 0; index < plan->target_count; index++)
        free(plan->targets[index].head);
    free(plan->targets);
    free(plan->body);
    free(plan->url);
    free(plan->origin);
}
