/* SPDX-License-Identifier: MIT */
/*
 * See routes.h.
 */
#include "http/routes.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "wire/chars.h"

struct route_child {
    uint64_t key;           /* key_of the text */
    struct leat_slice text; /* decoded */
    struct route_node *node;
};

static const char *const known_methods[] = {
    [HTTP1_GET] = "GET",         [HTTP1_HEAD] = "HEAD",     [HTTP1_POST] = "POST",
    [HTTP1_PUT] = "PUT",         [HTTP1_DELETE] = "DELETE", [HTTP1_CONNECT] = "CONNECT",
    [HTTP1_OPTIONS] = "OPTIONS", [HTTP1_TRACE] = "TRACE",   [HTTP1_PATCH] = "PATCH",
};
enum { KNOWN_METHODS = sizeof known_methods / sizeof known_methods[0] };

static_assert(HTTP1_METHOD_OTHER == 0, "the number of a method that nobody has a route for");
static_assert(ROUTES_METHODS_MAX <= 32, "a set of methods is a word");

static inline uint32_t bit_of(unsigned method)
{
    return UINT32_C(1) << method;
}

void routes_init(struct routes *routes)
{
    *routes = (struct routes){0};
    arena_init(&routes->arena, NULL);
}

void routes_fini(struct routes *routes)
{
    arena_fini(&routes->arena);
}

/* ---- Methods --------------------------------------------------------------------------------- */

static const char *method_name(const struct routes *routes, unsigned method)
{
    ASSERT(method > 0 && method < KNOWN_METHODS + routes->other_count);
    return method < KNOWN_METHODS ? known_methods[method] : routes->others[method - KNOWN_METHODS];
}

/* Its number; 0: no route has it. */
static unsigned find_method(const struct routes *routes, struct leat_slice name)
{
    for (unsigned method = 1; method < KNOWN_METHODS + routes->other_count; method++)
        if (slice_equal(slice_from_text(method_name(routes, method)), name))
            return method;
    return 0;
}

/* The same; one that is not known is noted. Or an error. */
static int note_method(struct routes *routes, const char *name)
{
    const struct leat_slice text = slice_from_text(name);
    const char *const end = text.data + text.size;
    if (text.size == 0 || chars_skip(text.data, end, CHARS_TOKEN) != end)
        return -EINVAL;
    const unsigned method = find_method(routes, text);
    if (method > 0)
        return (int)method;
    if (KNOWN_METHODS + routes->other_count == ROUTES_METHODS_MAX)
        return -LEAT_E_LIMIT;
    const char *copy = arena_copy(&routes->arena, text);
    if (!copy)
        return -ENOMEM;
    routes->others[routes->other_count] = copy;
    return (int)(KNOWN_METHODS + routes->other_count++);
}

const char *routes_allow(const struct routes *routes, uint32_t methods, struct arena *arena)
{
    if (methods & bit_of(HTTP1_GET))
        methods |= bit_of(HTTP1_HEAD);
    methods |= bit_of(HTTP1_OPTIONS);
    size_t size = 0;
    for (uint32_t left = methods; left; left &= left - 1)
        size += strlen(method_name(routes, (unsigned)__builtin_ctz(left))) + 2;
    char *const text = arena_alloc(arena, size + 1);
    if (!text)
        return NULL;
    char *end = text;
    for (uint32_t left = methods; left; left &= left - 1) {
        end = stpcpy(end, method_name(routes, (unsigned)__builtin_ctz(left)));
        end = stpcpy(end, ", ");
    }
    ASSERT(end == text + size);
    end[-2] = '\0';
    return text;
}

/* ---- Patterns -------------------------------------------------------------------------------- */

enum segment_kind { SEGMENT_TEXT, SEGMENT_PARAMETER, SEGMENT_REST };

struct pattern_segment {
    enum segment_kind kind;
    struct leat_slice text; /* decoded, or the parameter's name, zero-terminated */
};

struct pattern {
    unsigned count;
    struct pattern_segment segments[ROUTES_SEGMENTS_MAX];
};

/* The byte at *at, decoded, and past it; -1: '%' without two hexadecimal digits, or a zero. */
static int take_byte(const char **at, const char *end)
{
    const char *const from = *at;
    if (*from != '%') {
        *at = from + 1;
        return *from ? (unsigned char)*from : -1;
    }
    const int high = end - from >= 3 ? chars_hex(from[1]) : -1;
    const int low = end - from >= 3 ? chars_hex(from[2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0))
        return -1;
    *at = from + 3;
    return high << 4 | low;
}

/* Text that is spelt out, in place: 0 or -EINVAL. */
static int decode_text(struct leat_slice *text, char *buffer)
{
    const char *at = text->data, *const end = at + text->size;
    size_t size = 0;
    while (at < end) {
        if (*at == '{' || *at == '}' || *at == '?' || *at == '#')
            return -EINVAL; /* of a parameter that is no whole segment; of no path */
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return -EINVAL;
        const int byte = take_byte(&at, end);
        if (byte < 0)
            return -EINVAL;
        buffer[size++] = (char)byte;
    }
    *text = slice_of(buffer, size);
    return 0;
}

static bool is_name(struct leat_slice text)
{
    for (size_t index = 0; index < text.size; index++)
        if (!chars_is(text.data[index], CHARS_UNRESERVED) || text.data[index] == '.')
            return false;
    return text.size > 0;
}

/* What is between two slashes; `text` is a copy of ours. */
static int parse_segment(struct leat_slice text, bool is_last, struct pattern_segment *ret_segment)
{
    *ret_segment = (struct pattern_segment){.kind = SEGMENT_TEXT, .text = text};
    if (text.size == 0) /* "//": patterns have an empty segment at their end alone */
        return is_last ? 0 : -EINVAL;
    char *const copy = (char *)text.data;
    if (text.data[0] != '{')
        return decode_text(&ret_segment->text, copy);
    if (text.data[text.size - 1] != '}')
        return -EINVAL;
    struct leat_slice name = slice_of(text.data + 1, text.size - 2);
    const bool is_rest = slice_ends_with(name, SLICE("..."));
    if (is_rest)
        name.size -= 3;
    if (!is_name(name) || (is_rest && !is_last))
        return -EINVAL;
    copy[1 + name.size] = '\0';
    *ret_segment = (struct pattern_segment){is_rest ? SEGMENT_REST : SEGMENT_PARAMETER, name};
    return 0;
}

static bool has_name(const struct pattern *pattern, struct leat_slice name)
{
    for (unsigned index = 0; index < pattern->count; index++)
        if (pattern->segments[index].kind != SEGMENT_TEXT &&
            slice_equal(pattern->segments[index].text, name))
            return true;
    return false;
}

static int parse_pattern(struct routes *routes, const char *text, struct pattern *ret_pattern)
{
    const size_t size = strlen(text);
    if (text[0] != '/' || size > ROUTES_PATTERN_MAX)
        return -EINVAL;
    const char *at = arena_copy(&routes->arena, slice_of(text, size));
    if (!at)
        return -ENOMEM;
    ret_pattern->count = 0;
    for (const char *slash = at; slash;) {
        at = slash + 1;
        slash = strchr(at, '/');
        struct pattern_segment segment;
        const struct leat_slice part = slice_of(at, slash ? (size_t)(slash - at) : strlen(at));
        const int error = parse_segment(part, !slash, &segment);
        if (error)
            return error;
        if (ret_pattern->count == ROUTES_SEGMENTS_MAX ||
            (segment.kind != SEGMENT_TEXT && has_name(ret_pattern, segment.text)))
            return -EINVAL;
        ret_pattern->segments[ret_pattern->count++] = segment;
    }
    ASSERT(ret_pattern->count > 0);
    return 0;
}

int routes_check_prefix(struct routes *routes, const char *prefix)
{
    struct pattern pattern;
    const int error = parse_pattern(routes, prefix, &pattern);
    if (error)
        return error;
    const struct pattern_segment *last = &pattern.segments[pattern.count - 1];
    return last->kind == SEGMENT_REST || last->text.size == 0 ? -EINVAL : 0;
}

/* ---- Building -------------------------------------------------------------------------------- */

static inline uint64_t load32(const char *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return le32toh(word);
}

/* A segment in a word: its size, up to 255, and its first seven bytes. So nearly all comparisons
 * are of numbers; nothing behind its end is read. */
static inline uint64_t key_of(struct leat_slice text)
{
    const size_t size = text.size;
    const unsigned char *bytes = (const unsigned char *)text.data;
    uint64_t key = 0;
    if (size >= 8) {
        memcpy(&key, text.data, sizeof key);
        key = le64toh(key) & UINT64_MAX >> 8;
    } else if (size >= 4) { /* two words that overlap */
        key = load32(text.data) | load32(text.data + size - 4) << (8 * (size - 4));
    } else if (size > 0) { /* three bytes, of which some may be the same */
        key = bytes[0] | (uint64_t)bytes[size / 2] << (8 * (size / 2)) |
              (uint64_t)bytes[size - 1] << (8 * (size - 1));
    }
    return key | (uint64_t)(size < 255 ? size : 255) << 56;
}

/* By key, and where that does not tell, by size and bytes. */
static inline int compare(uint64_t key, struct leat_slice text, const struct route_child *child)
{
    if (key != child->key)
        return key < child->key ? -1 : 1;
    if (text.size < 8)
        return 0;
    if (text.size != child->text.size)
        return text.size < child->text.size ? -1 : 1;
    return memcmp(text.data, child->text.data, text.size);
}

/* Where the child is, or would be. */
static inline unsigned find_child(const struct route_node *node, struct leat_slice text,
                                  bool *ret_is_there)
{
    const uint64_t key = key_of(text);
    unsigned low = 0, high = node->child_count;
    while (low < high) {
        const unsigned middle = (low + high) / 2;
        const int order = compare(key, text, &node->children[middle]);
        if (order == 0) {
            *ret_is_there = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *ret_is_there = false;
    return low;
}

static struct route_node *make_node(struct routes *routes)
{
    struct route_node *node = arena_alloc(&routes->arena, sizeof *node);
    if (node)
        *node = (struct route_node){0};
    return node;
}

static bool make_room(struct routes *routes, struct route_node *node)
{
    if (node->child_count < node->child_room)
        return true;
    const unsigned room = node->child_room ? node->child_room * 2 : 4;
    struct route_child *children = arena_alloc(&routes->arena, room * sizeof *children);
    if (!children)
        return false;
    if (node->child_count > 0)
        memcpy(children, node->children, node->child_count * sizeof *children);
    node->children = children;
    node->child_room = room;
    return true;
}

static struct route_node *child_for(struct routes *routes, struct route_node *node,
                                    struct leat_slice text)
{
    bool is_there;
    const unsigned place = find_child(node, text, &is_there);
    if (is_there)
        return node->children[place].node;
    struct route_node *child = make_node(routes);
    if (!child || !make_room(routes, node))
        return NULL;
    struct route_child *at = node->children + place;
    memmove(at + 1, at, (node->child_count - place) * sizeof *at);
    *at = (struct route_child){.key = key_of(text), .text = text, .node = child};
    node->child_count++;
    return child;
}

/* Where the pattern ends, made as far as it is not there; NULL: no memory. */
static struct route_end *end_of(struct routes *routes, const struct pattern *pattern)
{
    if (!routes->start && !(routes->start = make_node(routes)))
        return NULL;
    struct route_node *node = routes->start;
    for (unsigned index = 0; index < pattern->count && node; index++) {
        const struct pattern_segment *segment = &pattern->segments[index];
        if (segment->kind == SEGMENT_REST)
            return &node->rest;
        if (segment->kind == SEGMENT_TEXT)
            node = child_for(routes, node, segment->text);
        else if (node->parameter)
            node = node->parameter;
        else
            node = node->parameter = make_node(routes);
    }
    return node ? &node->here : NULL;
}

/* Half of for ever, which an instant can be added to, is as long. */
static int64_t timeout_from_ms(int64_t timeout_ms)
{
    const int64_t longest_ns = LEAT_FOREVER / 2;
    return timeout_ms < longest_ns / LEAT_NS_PER_MS ? timeout_ms * LEAT_NS_PER_MS : longest_ns;
}

static struct route *make_route(struct routes *routes, const struct leat_http_route *spec,
                                const struct pattern *pattern, const struct leat_http_router *group)
{
    unsigned count = 0;
    for (unsigned index = 0; index < pattern->count; index++)
        count += pattern->segments[index].kind != SEGMENT_TEXT;
    struct route *route =
        arena_alloc(&routes->arena, sizeof *route + count * sizeof route->parameters[0]);
    if (!route)
        return NULL;
    *route = (struct route){
        .pattern = spec->pattern,
        .handler = spec->handler,
        .user = spec->user,
        .timeout_ns = timeout_from_ms(spec->deadline_ms),
        .body_size_max = spec->body_size_max,
        .compress = spec->compress,
        .group = group,
        .match.route = route,
        .takes_rest = pattern->segments[pattern->count - 1].kind == SEGMENT_REST,
    };
    for (unsigned index = 0; index < pattern->count; index++)
        if (pattern->segments[index].kind != SEGMENT_TEXT)
            route->parameters[route->parameter_count++] =
                (struct route_parameter){pattern->segments[index].text.data, index};
    ASSERT(route->parameter_count == count);
    return route;
}

static bool has_method(const struct route_end *end, unsigned method)
{
    return method > 0 ? (end->methods & bit_of(method)) != 0 : end->any != NULL;
}

int routes_add(struct routes *routes, const struct leat_http_route *spec,
               const struct leat_http_router *group)
{
    struct pattern pattern;
    const int error = parse_pattern(routes, spec->pattern, &pattern);
    if (error)
        return error;
    const int method = spec->method ? note_method(routes, spec->method) : 0;
    if (method < 0)
        return method;
    struct route_end *end = end_of(routes, &pattern);
    if (!end)
        return -ENOMEM;
    if (has_method(end, (unsigned)method))
        return -EEXIST;
    struct route *route = make_route(routes, spec, &pattern, group);
    if (!route)
        return -ENOMEM;
    route->method = (unsigned)method;
    if (method > 0) {
        route->next = end->routes;
        end->routes = route;
        end->methods |= bit_of((unsigned)method);
        routes->methods |= bit_of((unsigned)method);
    } else {
        end->any = route;
    }
    if (pattern.count > routes->depth)
        routes->depth = pattern.count;
    return 0;
}

/* ---- Finding --------------------------------------------------------------------------------- */

struct search {
    unsigned method;
    uint32_t allowed; /* methods of what leads nowhere for `method` alone */
    unsigned count;   /* of the segments: of the path, or one more than any pattern has */
    const char *end;  /* of the path */
    struct leat_slice segments[ROUTES_SEGMENTS_MAX + 1]; /* decoded */
};

/* The first `limit` segments of a path in which nothing is encoded. */
static void split(struct search *search, struct leat_slice path, unsigned limit)
{
    const char *at = path.data + 1;
    search->end = path.data + path.size;
    search->count = 0;
    for (;;) {
        const char *slash = memchr(at, '/', (size_t)(search->end - at));
        const char *end = slash ? slash : search->end;
        search->segments[search->count++] = slice_of(at, (size_t)(end - at));
        if (!slash || search->count == limit)
            return;
        at = slash + 1;
    }
}

/* The same of any path, by a decoded copy; all of it is looked at. 0 or a status. */
static int split_decoded(struct search *search, struct leat_slice path, unsigned limit,
                         struct arena *arena)
{
    char *const text = arena_alloc(arena, path.size);
    if (!text)
        return 503;
    const char *at = path.data + 1, *const end = path.data + path.size;
    char *out = text, *segment = text;
    search->count = 0;
    while (at < end) {
        const bool is_slash = *at == '/';
        const int byte = take_byte(&at, end);
        if (byte < 0)
            return 400;
        if (is_slash && search->count < limit) {
            search->segments[search->count++] = slice_of(segment, (size_t)(out - segment));
            segment = out + 1;
        }
        *out++ = (char)byte;
    }
    if (search->count < limit)
        search->segments[search->count++] = slice_of(segment, (size_t)(out - segment));
    ASSERT(out <= text + path.size);
    search->end = out;
    return 0;
}

static inline const struct route *route_of(const struct route_end *end, unsigned method)
{
    const struct route *route = end->routes;
    while (route && route->method != method)
        route = route->next;
    return route;
}

static inline const struct route *choose(struct search *search, const struct route_end *end)
{
    const struct route *route = route_of(end, search->method);
    if (!route && search->method == HTTP1_HEAD)
        route = route_of(end, HTTP1_GET);
    if (!route)
        route = end->any;
    if (!route)
        search->allowed |= end->methods;
    return route;
}

/* What answers the path from its segment `depth` on, at this node or below it. */
static const struct route *descend(struct search *search, const struct route_node *node,
                                   unsigned depth)
{
    if (depth == search->count)
        return choose(search, &node->here);
    const struct leat_slice segment = search->segments[depth];
    const struct route *route = NULL;
    bool is_there;
    const unsigned place = find_child(node, segment, &is_there);
    if (is_there)
        route = descend(search, node->children[place].node, depth + 1);
    if (!route && node->parameter && segment.size > 0)
        route = descend(search, node->parameter, depth + 1);
    if (!route)
        route = choose(search, &node->rest);
    return route;
}

/* Copies the values of the parameters, so that they end with a zero. NULL: no memory. */
static const struct route_match *make_match(const struct search *search, const struct route *route,
                                            struct arena *arena)
{
    const unsigned count = route->parameter_count;
    struct leat_slice values[ROUTES_SEGMENTS_MAX];
    size_t size = 0;
    for (unsigned index = 0; index < count; index++) {
        values[index] = search->segments[route->parameters[index].segment];
        if (index == count - 1 && route->takes_rest)
            values[index].size = (size_t)(search->end - values[index].data);
        size += values[index].size + 1;
    }
    struct route_match *match =
        arena_alloc(arena, sizeof *match + count * sizeof match->values[0] + size);
    if (!match)
        return NULL;
    const char **texts = (const char **)(match + 1);
    char *at = (char *)(texts + count);
    *match = (struct route_match){.route = route, .values = texts};
    for (unsigned index = 0; index < count; index++) {
        memcpy(at, values[index].data, values[index].size);
        at[values[index].size] = '\0';
        texts[index] = at;
        at += values[index].size + 1;
    }
    return match;
}

void routes_find(const struct routes *routes, const struct http1_request *head, struct arena *arena,
                 struct routes_answer *ret_answer)
{
    *ret_answer = (struct routes_answer){.status = 404};
    if (head->path.size == 0) {
        ret_answer->status = 204; /* "*", of OPTIONS: the server refuses CONNECT itself */
        ret_answer->methods = routes->methods;
        return;
    }
    ASSERT(head->path.data[0] == '/');
    struct search search;
    search.allowed = 0;
    search.method =
        head->method != HTTP1_METHOD_OTHER ? head->method : find_method(routes, head->method_text);
    if (!memchr(head->path.data, '%', head->path.size)) {
        split(&search, head->path, routes->depth + 1);
    } else {
        const int status = split_decoded(&search, head->path, routes->depth + 1, arena);
        if (status) {
            ret_answer->status = status;
            return;
        }
    }
    const struct route *route = routes->start ? descend(&search, routes->start, 0) : NULL;
    if (route) {
        ret_answer->match =
            route->parameter_count == 0 ? &route->match : make_match(&search, route, arena);
        ret_answer->status = ret_answer->match ? 0 : 503;
    } else if (search.allowed) {
        ret_answer->methods = search.allowed;
        ret_answer->status = head->method == HTTP1_OPTIONS ? 204 : 405;
    }
}
