/* SPDX-License-Identifier: MIT */
/*
 * Names: who asks for one, what is known of it and for how long, and which names it may stand for
 * (search domains). A name's memory is there while it is listed in the table, somebody looks at it,
 * or a job or a question of its own is on the way.
 */
#include "net/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "leat/error.h"
#include "net/resolve_parts.h"

static const int64_t FILE_TTL_NS = 5 * LEAT_NS_PER_S;  /* of what stands in /etc/hosts */
static const int64_t ERROR_TTL_NS = 1 * LEAT_NS_PER_S; /* so that a crowd asks once */
static const int64_t TTL_MAX_NS = 3600 * LEAT_NS_PER_S;

/* ---- A name's text --------------------------------------------------------------------------- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* In lower case, and of a form that DNS has: labels of 1 to 63 bytes (RFC 1035, section 2.3.4). The
 * dot at the end stays. What ends in a number is none: it was meant as an address of a kind that we
 * do not read. Nor is .onion asked for (RFC 7686). Returns its size, or 0. */
static size_t normalize(const char *host, char text[RESOLVE_TEXT_SIZE])
{
    size_t size = strnlen(host, RESOLVE_TEXT_SIZE), label = 0;
    bool is_number = true;
    for (size_t i = 0; i < size; i++) {
        const char c = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] | 0x20) : host[i];
        const bool is_dot = c == '.';
        if (is_dot ? i == label || i - label > 63 : !is_name_char(c))
            return 0;
        if (is_dot && i + 1 < size) {
            label = i + 1;
            is_number = true;
        } else if (!is_dot) {
            is_number = is_number && c >= '0' && c <= '9';
        }
        text[i] = c;
    }
    const size_t bare_size = size > 0 && host[size - 1] == '.' ? size - 1 : size;
    if (bare_size == 0 || bare_size > RESOLVE_NAME_SIZE_MAX || bare_size - label > 63 || is_number)
        return 0;
    if (bare_size - label == 5 && memcmp(text + label, "onion", 5) == 0)
        return 0;
    text[size] = '\0';
    return size;
}

static bool is_localhost(const char *host)
{
    static const char suffix[] = ".localhost";
    const size_t size = strlen(host), suffix_size = sizeof suffix - 1;
    return strcmp(host, suffix + 1) == 0 ||
           (size > suffix_size && strcmp(host + size - suffix_size, suffix) == 0);
}

/* The index-th name to ask for, as resolv.conf(5) has it: with enough dots itself first and then in
 * the search domains, else the other way round. False: there are no more. */
static bool name_to_try(const struct resolve_name *name, unsigned index,
                        char text[RESOLVE_TEXT_SIZE])
{
    const struct ares_options *options = &name->resolver->config.options;
    const bool is_whole = name->text[name->size - 1] == '.';
    const unsigned domains = is_whole ? 0 : (unsigned)options->ndomains;
    int dots = 0;
    for (size_t i = 0; i < name->size; i++)
        dots += name->text[i] == '.';
    if (index > domains)
        return false;
    const unsigned itself = dots >= options->ndots ? 0 : domains;
    if (index == itself || is_whole) {
        memcpy(text, name->text, name->size + 1);
        return true;
    }
    const char *domain = options->domains[index < itself ? index : index - 1];
    const size_t domain_size = strlen(domain);
    if (name->size + 1 + domain_size > RESOLVE_NAME_SIZE_MAX) {
        memcpy(text, name->text, name->size + 1); /* too long: itself, once more */
        return true;
    }
    memcpy(text, name->text, name->size);
    text[name->size] = '.';
    memcpy(text + name->size + 1, domain, domain_size + 1);
    return true;
}

/* ---- The end of a name ----------------------------------------------------------------------- */

static bool is_busy(const struct resolver *resolver)
{
    return resolver->jobs > 0 || !list_is_empty(&resolver->sockets);
}

/* A fiber that waits in resolve_end. */
struct leaver {
    struct list_node node;
    struct fiber *fiber;
};

static void wake_leavers(struct resolver *resolver)
{
    LIST_FOR_EACH (node, &resolver->leavers)
        fiber_wake(CONTAINER_OF(node, struct leaver, node)->fiber);
}

void resolve_released(struct resolver *resolver)
{
    if (!is_busy(resolver))
        wake_leavers(resolver);
}

static void unlist(struct resolve_name *name)
{
    ASSERT(name->is_listed);
    hash_remove(&name->resolver->names, &name->node);
    list_remove(&name->resting);
    name->is_listed = false;
}

static void free_if_unused(struct resolve_name *name)
{
    if (!name->is_listed && list_is_empty(&name->waits) && name->state == RESOLVE_KNOWN)
        free(name);
}

static void wake_waits(struct resolve_name *name)
{
    LIST_FOR_EACH (node, &name->waits)
        fiber_wake(CONTAINER_OF(node, struct resolve_wait, node)->fiber);
}

static bool has_address(const struct resolve_name *name)
{
    return name->halves[RESOLVE_V6].count + name->halves[RESOLVE_V4].count > 0;
}

static bool is_answered(const struct resolve_name *name)
{
    return name->halves[RESOLVE_V6].is_over && name->halves[RESOLVE_V4].is_over;
}

/* Of a name without an address: what is not just "no such host", if there is such a thing. */
static int error_of(const struct resolve_name *name)
{
    const int error = name->halves[RESOLVE_V6].error;
    return error == -LEAT_E_NO_HOST ? name->halves[RESOLVE_V4].error : error;
}

/* Nothing more will come. It may be gone when this returns. */
static void know(struct resolve_name *name)
{
    const struct leat_loop *loop = name->resolver->loop;
    int64_t ttl_ns = TTL_MAX_NS;
    ASSERT(is_answered(name) && name->state != RESOLVE_KNOWN);
    for (unsigned family = 0; family < RESOLVE_FAMILIES; family++) {
        const struct resolve_half *half = &name->halves[family];
        if (half->count > 0 && half->ttl_ns < ttl_ns)
            ttl_ns = half->ttl_ns;
    }
    name->state = RESOLVE_KNOWN;
    if (!has_address(name)) {
        const int error = error_of(name);
        ttl_ns = error == -LEAT_E_NO_HOST || error == -LEAT_E_RESOLVER ? ERROR_TTL_NS : 0;
        name->resolver->counters.failures += error == -LEAT_E_RESOLVER;
    }
    name->expires_ns = loop->now_ns + ttl_ns;
    list_remove(&name->flying);
    if (ttl_ns == 0 && name->is_listed)
        unlist(name);
    else if (name->is_listed && list_is_empty(&name->waits))
        list_push_back(&name->resolver->resting, &name->resting);
    wake_waits(name);
    free_if_unused(name);
}

static void know_nothing(struct resolve_name *name, int error)
{
    ASSERT(error < 0);
    for (unsigned family = 0; family < RESOLVE_FAMILIES; family++) {
        struct resolve_half *half = &name->halves[family];
        half->is_over = true;
        half->count = 0;
        half->error = error;
    }
    know(name);
}

/* ---- DNS ------------------------------------------------------------------------------------- */

/* No server knows this name, and that is certain. */
static bool is_unknown(const struct resolve_name *name)
{
    return !has_address(name) && error_of(name) == -LEAT_E_NO_HOST;
}

/* Asks for the next name to try, and on while the answers are there at once. */
static void ask(struct resolve_name *name)
{
    char text[RESOLVE_TEXT_SIZE];
    ASSERT(!name->is_sending);
    while (name_to_try(name, name->domain, text)) {
        name->domain++;
        for (unsigned family = 0; family < RESOLVE_FAMILIES; family++)
            name->halves[family] = (struct resolve_half){.name = name};
        name->is_sending = true;
        resolve_query(&name->halves[RESOLVE_V6], text);
        resolve_query(&name->halves[RESOLVE_V4], text);
        name->is_sending = false;
        if (!is_answered(name))
            return;
        if (!is_unknown(name))
            break;
    }
    know(name);
}

/* Called by c-ares, from within ask() too. */
void resolve_half_over(struct resolve_half *half)
{
    struct resolve_name *name = half->name;
    ASSERT(name->state == RESOLVE_ASKING);
    if (half->count > 0 && name->since_ns == LEAT_FOREVER)
        name->since_ns = name->resolver->loop->now_ns;
    if (name->is_sending)
        return;
    if (!is_answered(name))
        wake_waits(name);
    else if (is_unknown(name))
        ask(name);
    else
        know(name);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void take_hosts(struct resolve_name *name, const struct resolve_job *job)
{
    for (unsigned family = 0; family < RESOLVE_FAMILIES; family++) {
        struct resolve_half *half = &name->halves[family];
        half->is_over = true;
        half->error = -LEAT_E_NO_HOST;
        half->count = job->counts[family];
        half->ttl_ns = FILE_TTL_NS;
        memcpy(half->hosts, job->hosts[family], sizeof half->hosts);
    }
    name->since_ns = name->resolver->loop->now_ns;
    know(name);
}

/* RFC 6761, section 6.3: no server is asked for it. */
static void take_localhost(struct resolve_name *name)
{
    struct resolve_job *job = &name->job;
    job->counts[RESOLVE_V6] = job->counts[RESOLVE_V4] = 1;
    job->hosts[RESOLVE_V6][0].v6 = in6addr_loopback;
    job->hosts[RESOLVE_V4][0].v4.s_addr = htonl(INADDR_LOOPBACK);
    take_hosts(name, job);
}

/* A new channel takes the place of the old one, unless that has questions on the way: then the next
 * job sees that it is out of date. */
static void take_config(struct resolver *resolver, struct resolve_config *config)
{
    if (!config->channel)
        return;
    if (resolver->pending == 0) {
        resolve_config_fini(&resolver->config);
        resolver->config = *config;
        config->channel = NULL;
    }
    resolve_config_fini(config);
}

static void submit(struct resolve_name *name);

static void on_files_read(struct offload_job *base)
{
    struct resolve_job *job = CONTAINER_OF(base, struct resolve_job, job);
    struct resolve_name *name = CONTAINER_OF(job, struct resolve_name, job);
    struct resolver *resolver = name->resolver;
    ASSERT(name->state == RESOLVE_READING && resolver->jobs > 0);
    resolver->jobs--;
    const bool is_found = job->counts[RESOLVE_V6] + job->counts[RESOLVE_V4] > 0;
    take_config(resolver, &job->config);
    if (is_found)
        take_hosts(name, job);
    else if (list_is_empty(&name->waits))
        know_nothing(name, -ECANCELED);
    else if (base->cancelled)
        submit(name); /* somebody came after all */
    else if (is_localhost(job->host))
        take_localhost(name);
    else if (!resolver->config.channel)
        know_nothing(name, -LEAT_E_RESOLVER);
    else {
        name->state = RESOLVE_ASKING;
        ask(name);
        resolve_settle(resolver);
    }
    resolve_released(resolver);
}

static void submit(struct resolve_name *name)
{
    struct resolver *resolver = name->resolver;
    struct resolve_job *job = &name->job;
    job->job.run = resolve_job_run;
    job->job.done = on_files_read;
    job->origin = resolver->config.origin;
    job->has_channel = resolver->config.channel != NULL;
    memset(job->counts, 0, sizeof job->counts);
    const int error = offload_submit(resolver->loop, &job->job);
    if (error)
        know_nothing(name, error);
    else
        resolver->jobs++;
}

/* ---- The resolver ---------------------------------------------------------------------------- */

static void resolver_fini(struct loop_extension *extension)
{
    struct resolver *resolver = CONTAINER_OF(extension, struct resolver, extension);
    ASSERT(resolver->waits == 0 && !is_busy(resolver) && list_is_empty(&resolver->flying));
    struct list_node *node;
    while ((node = list_take_front(&resolver->resting))) {
        struct resolve_name *name = CONTAINER_OF(node, struct resolve_name, resting);
        unlist(name);
        free_if_unused(name);
    }
    ASSERT(resolver->names.count == 0);
    hash_fini(&resolver->names);
    resolve_config_fini(&resolver->config);
    free(resolver);
}

/* NULL: no memory. */
static struct resolver *resolver_of(struct leat_loop *loop)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_NAMES];
    if (extension)
        return CONTAINER_OF(extension, struct resolver, extension);
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (!resolver || hash_init(&resolver->names, RESOLVE_NAMES_MAX) != 0) {
        free(resolver);
        return NULL;
    }
    resolver->extension.fini = resolver_fini;
    resolver->loop = loop;
    /* Names may come from outside (redirects), a few hundred at most: as net/file.c. */
    resolver->seed.words[0] = loop->ops->is_simulated ? 1 : (uint64_t)(uintptr_t)resolver;
    resolver->seed.words[1] = (uint64_t)loop->sys->wall_ns(loop->sys);
    list_init(&resolver->resting);
    list_init(&resolver->flying);
    list_init(&resolver->leavers);
    list_init(&resolver->sockets);
    resolve_timer_init(resolver);
    loop->extensions[LOOP_SLOT_NAMES] = &resolver->extension;
    return resolver;
}

static struct resolve_name *find_name(struct resolver *resolver, uint64_t hash, const char *text)
{
    for (struct hash_node *node = hash_find(&resolver->names, hash); node;
         node = hash_find_next(node)) {
        struct resolve_name *name = CONTAINER_OF(node, struct resolve_name, node);
        if (strcmp(name->text, text) == 0)
            return name;
    }
    return NULL;
}

/* A name that is listed and that nobody has asked for yet. */
static int add_name(struct resolver *resolver, uint64_t hash, const char *text, size_t size,
                    struct resolve_name **ret_name)
{
    if (resolver->names.count >= RESOLVE_NAMES_MAX) {
        struct list_node *oldest = list_take_front(&resolver->resting);
        if (!oldest)
            return -LEAT_E_LIMIT;
        struct resolve_name *name = CONTAINER_OF(oldest, struct resolve_name, resting);
        unlist(name);
        free_if_unused(name);
    }
    struct resolve_name *name = calloc(1, sizeof *name);
    if (!name)
        return -ENOMEM;
    name->resolver = resolver;
    name->size = size;
    name->since_ns = LEAT_FOREVER;
    memcpy(name->text, text, size + 1);
    list_init(&name->resting);
    list_init(&name->waits);
    name->state = RESOLVE_READING;
    list_push_back(&resolver->flying, &name->flying);
    memcpy(name->job.host, text, size + 1);
    if (text[size - 1] == '.')
        name->job.host[size - 1] = '\0';
    name->job.resolver = resolver;
    name->job.is_simulated = resolver->loop->ops->is_simulated;
    const int error = hash_insert(&resolver->names, &name->node, hash);
    ASSERT(!error);
    name->is_listed = true;
    *ret_name = name;
    return 0;
}

/* ---- Those who ask --------------------------------------------------------------------------- */

int resolve_begin(struct resolve_wait *wait, const char *host)
{
    char text[RESOLVE_TEXT_SIZE];
    const size_t size = normalize(host, text);
    if (size == 0)
        return -LEAT_E_NO_HOST;
    ASSERT(fiber_current());
    struct resolver *resolver = resolver_of(loop_current);
    if (!resolver)
        return -ENOMEM;
    const uint64_t hash = hash_bytes(&resolver->seed, slice_of(text, size));
    struct resolve_name *name = find_name(resolver, hash, text);
    enum resolve_family preferred = RESOLVE_V6;
    unsigned turn = 0;
    if (name && name->state == RESOLVE_KNOWN && name->expires_ns <= resolver->loop->now_ns) {
        preferred = name->preferred; /* experience outlives addresses */
        turn = name->turn;
        unlist(name);
        free_if_unused(name);
        name = NULL;
    }
    resolver->counters.asked++;
    const bool is_new = !name;
    if (!name) {
        const int error = add_name(resolver, hash, text, size, &name);
        if (error)
            return error;
        name->preferred = preferred;
        name->turn = turn;
    } else if (name->state == RESOLVE_KNOWN) {
        resolver->counters.kept++;
    } else {
        resolver->counters.shared++;
    }
    list_remove(&name->resting);
    wait->fiber = fiber_current();
    wait->name = name;
    wait->turn = name->turn++;
    list_push_back(&name->waits, &wait->node);
    resolver->waits++;
    wake_leavers(resolver); /* it is ours to leave last */
    if (is_new)
        submit(name);
    return 0;
}

/* Whatever is still asked for is asked for by nobody. */
static void give_up(struct resolver *resolver)
{
    LIST_FOR_EACH (node, &resolver->flying) {
        struct resolve_name *name = CONTAINER_OF(node, struct resolve_name, flying);
        if (name->state == RESOLVE_READING)
            offload_cancel(&name->job.job);
    }
    if (resolver->pending > 0)
        ares_cancel(resolver->config.channel);
    if (resolver->config.channel)
        resolve_settle(resolver);
    ASSERT(resolver->pending == 0);
}

void resolve_end(struct resolve_wait *wait)
{
    struct resolve_name *name = wait->name;
    struct resolver *resolver = name->resolver;
    ASSERT(wait->fiber == fiber_current() && resolver->waits > 0);
    list_remove(&wait->node);
    resolver->waits--;
    if (list_is_empty(&name->waits) && name->is_listed && name->state == RESOLVE_KNOWN)
        list_push_back(&resolver->resting, &name->resting);
    free_if_unused(name);
    if (resolver->waits > 0 || (list_is_empty(&resolver->flying) && !is_busy(resolver)))
        return;
    give_up(resolver);
    struct leaver leaver = {.fiber = fiber_current()};
    list_push_back(&resolver->leavers, &leaver.node);
    while (resolver->waits == 0 && is_busy(resolver))
        fiber_park_sealed();
    list_remove(&leaver.node);
}

bool resolve_is_over(const struct resolve_wait *wait, enum resolve_family family)
{
    const struct resolve_name *name = wait->name;
    return name->state == RESOLVE_KNOWN ||
           (name->halves[family].is_over && name->halves[family].count > 0);
}

int64_t resolve_since_ns(const struct resolve_wait *wait)
{
    return wait->name->since_ns;
}

bool resolve_address(const struct resolve_wait *wait, enum resolve_family family, unsigned index,
                     uint16_t port, struct leat_address *ret_address)
{
    const struct resolve_half *half = &wait->name->halves[family];
    if (index >= half->count)
        return false;
    const union resolve_host *host = &half->hosts[(wait->turn + index) % half->count];
    struct leat_address address;
    memset(&address, 0, sizeof address); /* padding too: it is handed to the kernel */
    if (family == RESOLVE_V6) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_addr = host->v6;
        address.size = sizeof address.v6;
    } else {
        address.v4.sin_family = AF_INET;
        address.v4.sin_addr = host->v4;
        address.size = sizeof address.v4;
    }
    leat_address_set_port(&address, port);
    *ret_address = address;
    return true;
}

int resolve_error(const struct resolve_wait *wait)
{
    const struct resolve_name *name = wait->name;
    ASSERT(name->state == RESOLVE_KNOWN && !has_address(name));
    return error_of(name);
}

enum resolve_family resolve_preferred(const struct resolve_wait *wait)
{
    return wait->name->preferred;
}

void resolve_prefer(struct resolve_wait *wait, enum resolve_family family)
{
    wait->name->preferred = family;
}

void resolve_counters_read(const struct leat_loop *loop, struct resolve_counters *ret_counters)
{
    const struct loop_extension *extension = loop->extensions[LOOP_SLOT_NAMES];
    *ret_counters = (struct resolve_counters){0};
    if (!extension)
        return;
    const struct resolver *resolver = CONTAINER_OF(extension, struct resolver, extension);
    *ret_counters = resolver->counters;
    ret_counters->names = resolver->names.count;
}
