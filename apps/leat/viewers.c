/* SPDX-License-Identifier: MIT */
/*
 * See viewers.h. A viewer is found by its key, and stands in a line by when it was last seen: who
 * is silent too long comes to its front. A title lives as long as it has viewers.
 */
#include "viewers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/list.h"
#include "leat/clock.h"

enum { LEAVES_A_NOTE = 2 }; /* more than can come with one: the line gets shorter */

static const int64_t silence_ns = VIEWERS_SILENCE_S * LEAT_NS_PER_S;
static const int64_t window_ns = VIEWERS_WINDOW_S * LEAT_NS_PER_S;

struct title {
    struct hash_node node; /* its hash is the title's number */
    struct viewer_title info;
    unsigned references;
    uint64_t read; /* the last reading it was part of */
};

struct viewer {
    struct hash_node node; /* its hash is the key */
    struct list_node line;
    struct title *title;
    struct viewer_info info;
    /* Bytes since window_ns, and in the window before that. */
    int64_t window_ns;
    uint64_t window_bytes, before_bytes;
};

struct viewers {
    struct hash_table viewers, titles;
    struct list_node line; /* who was silent longest comes first */
    uint64_t connections;  /* that were given a number */
    uint64_t reads;        /* viewers_read, so far */
    struct viewers_counters counters;
};

static _Thread_local struct viewers *own;

/* One for all threads, so that they agree on who is who. */
static struct hash_seed seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed.words[0] = (uint64_t)leat_now_ns(); /* a host that has just started */
}

int viewers_open(void)
{
    ASSERT(!own);
    pthread_once(&seed_once, make_seed);
    struct viewers *viewers = calloc(1, sizeof *viewers);
    if (!viewers || hash_init(&viewers->viewers, VIEWERS_MAX))
        goto free_viewers;
    if (hash_init(&viewers->titles, VIEWERS_MAX))
        goto free_table;
    list_init(&viewers->line);
    own = viewers;
    return 0;
free_table:
    hash_fini(&viewers->viewers);
free_viewers:
    free(viewers);
    return -ENOMEM;
}

/* ---- Coming and going ------------------------------------------------------------------------ */

/* As much of it as there is room for. */
static void copy_text(char *place, size_t place_size, struct leat_slice text)
{
    const size_t size = text.size < place_size ? text.size : place_size - 1;
    if (size > 0)
        memcpy(place, text.data, size);
    place[size] = '\0';
}

static void unref_title(struct title *title)
{
    ASSERT(title->references > 0);
    if (--title->references > 0)
        return;
    hash_remove(&own->titles, &title->node);
    free(title);
}

static void forget(struct viewer *viewer)
{
    uint64_t *count = viewer->info.is_live ? &own->counters.lives : &own->counters.films;
    ASSERT(*count > 0);
    --*count;
    hash_remove(&own->viewers, &viewer->node);
    list_remove(&viewer->line);
    unref_title(viewer->title);
    free(viewer);
}

void viewers_close(void)
{
    if (!own)
        return;
    while (!list_is_empty(&own->line))
        forget(CONTAINER_OF(own->line.next, struct viewer, line));
    ASSERT(own->viewers.count == 0 && own->titles.count == 0);
    hash_fini(&own->viewers);
    hash_fini(&own->titles);
    free(own);
    own = NULL;
}

/* At most `count` of those who have gone. */
static void forget_silent(int64_t now_ns, unsigned count)
{
    while (count-- > 0 && !list_is_empty(&own->line)) {
        struct viewer *oldest = CONTAINER_OF(own->line.next, struct viewer, line);
        if (now_ns - oldest->info.seen_ns < silence_ns)
            return;
        forget(oldest);
    }
}

/* A reference; NULL: no memory. */
static struct title *find_title(const struct viewer_note *note)
{
    struct hash_node *node = hash_find(&own->titles, note->title);
    struct title *title;
    if (node) {
        title = CONTAINER_OF(node, struct title, node);
        title->references++;
        return title;
    }
    title = calloc(1, sizeof *title);
    if (!title)
        return NULL;
    title->references = 1;
    title->info.title = note->title;
    title->info.is_live = note->is_live;
    const size_t folder_size = strnlen(note->folder, VIEWERS_NAME_SIZE / 2);
    copy_text(title->info.name, sizeof title->info.name, slice_of(note->folder, folder_size));
    if (folder_size > 0)
        title->info.name[folder_size] = '/';
    const size_t at = folder_size + (folder_size > 0);
    copy_text(title->info.name + at, sizeof title->info.name - at, note->name);
    if (hash_insert(&own->titles, &title->node, note->title) == 0)
        return title;
    free(title);
    return NULL;
}

static void note_client(const struct leat_http_request *request, struct viewer_info *info)
{
    struct leat_address peer;
    char text[LEAT_ADDRESS_TEXT_SIZE];
    copy_text(info->agent, sizeof info->agent, leat_http_field(request, "User-Agent"));
    if (leat_http_peer(request, &peer) == 0)
        copy_text(info->peer, sizeof info->peer, slice_from_text(leat_address_format(&peer, text)));
}

/* NULL: no memory. */
static struct viewer *add_viewer(const struct viewer_note *note, uint64_t key)
{
    if (own->viewers.count == VIEWERS_MAX) {
        forget(CONTAINER_OF(own->line.next, struct viewer, line));
        own->counters.displaced++;
    }
    struct viewer *viewer = calloc(1, sizeof *viewer);
    struct title *title = viewer ? find_title(note) : NULL;
    if (!title) {
        free(viewer);
        return NULL;
    }
    viewer->title = title;
    viewer->window_ns = note->now_ns;
    viewer->info = (struct viewer_info){
        .key = key, .title = note->title, .since_ns = note->now_ns, .is_live = note->is_live};
    copy_text(viewer->info.session, VIEWERS_SESSION_SIZE,
              slice_of(note->cmcd->sid, note->cmcd->sid_size));
    if (note->request)
        note_client(note->request, &viewer->info);
    const int error = hash_insert(&own->viewers, &viewer->node, key);
    ASSERT(!error);
    list_push_back(&own->line, &viewer->line);
    ++*(note->is_live ? &own->counters.lives : &own->counters.films);
    return viewer;
}

/* ---- Noting ---------------------------------------------------------------------------------- */

/* The same in all threads for a session, and another for each connection of any. */
static uint64_t key_of(const struct viewer_note *note)
{
    const struct cmcd *cmcd = note->cmcd;
    if (cmcd->sid_size > 0)
        return hash_bytes(&seed, slice_of(cmcd->sid, cmcd->sid_size)) ^ note->title;
    if (*note->connection == 0)
        *note->connection = hash_number((uintptr_t)own + ++own->connections) | 1;
    return hash_number(*note->connection ^ note->title);
}

static void turn_window(struct viewer *viewer, int64_t now_ns)
{
    const int64_t age_ns = now_ns - viewer->window_ns;
    if (age_ns < window_ns)
        return;
    viewer->before_bytes = age_ns < 2 * window_ns ? viewer->window_bytes : 0;
    viewer->window_bytes = 0;
    viewer->window_ns = age_ns < 2 * window_ns ? viewer->window_ns + window_ns : now_ns;
}

static void take_note(struct viewer *viewer, const struct viewer_note *note)
{
    struct viewer_info *info = &viewer->info;
    const struct cmcd *cmcd = note->cmcd;
    turn_window(viewer, note->now_ns);
    viewer->window_bytes += note->bytes;
    info->bytes += note->bytes;
    info->seen_ns = note->now_ns;
    info->pace_bytes_per_s = note->pace_bytes_per_s;
    info->streams |= (uint8_t)note->stream;
    info->stalls += cmcd->is_starved;
    /* What is said of sound is of interest where there is nothing else. */
    if (note->stream == VIEWER_AUDIO && info->streams != VIEWER_AUDIO)
        return;
    if (cmcd->has_bl) {
        info->has_buffer = true;
        info->buffer_ms = cmcd->bl_ms;
    }
    if (cmcd->has_br) {
        info->has_media_rate = true;
        info->media_kbit_per_s = cmcd->br_kbit_per_s;
    }
    copy_text(info->rung, VIEWERS_RUNG_SIZE, note->detail);
}

void viewers_note(const struct viewer_note *note)
{
    ASSERT(note->title != 0 && note->stream != 0);
    if (!own)
        return;
    own->counters.segments++;
    *(note->is_live ? &own->counters.live_bytes : &own->counters.film_bytes) += note->bytes;
    own->counters.stalls += note->cmcd->is_starved;
    forget_silent(note->now_ns, LEAVES_A_NOTE);
    const uint64_t key = key_of(note);
    struct hash_node *node = hash_find(&own->viewers, key);
    struct viewer *viewer = node ? CONTAINER_OF(node, struct viewer, node) : add_viewer(note, key);
    if (!viewer)
        return;
    take_note(viewer, note);
    viewer->title->info.bytes += note->bytes;
    list_remove(&viewer->line);
    list_push_back(&own->line, &viewer->line);
}

void viewers_read_cmcd(const struct leat_http_request *request, struct cmcd *cmcd)
{
    cmcd_parse_query(leat_http_query(request), cmcd);
    if (cmcd->has_any)
        return;
#define X(name) cmcd_parse(leat_http_field(request, name), cmcd);
    CMCD_FIELDS(X)
#undef X
}

/* Without the seed: it also stands for a title where nobody looks. */
uint64_t viewers_title(const void *place, struct leat_slice name)
{
    static const struct hash_seed title_seed = {{0x7469746c, 0x6c656174}};
    return (hash_bytes(&title_seed, name) ^ (uintptr_t)place) | 1;
}

/* ---- Looking --------------------------------------------------------------------------------- */

void viewers_read_counters(int64_t now_ns, struct viewers_counters *ret_counters)
{
    *ret_counters = (struct viewers_counters){0};
    if (!own)
        return;
    forget_silent(now_ns, VIEWERS_MAX);
    *ret_counters = own->counters;
}

/* Of the last window: all of this one, and what of the one before is not too long ago, as if that
 * had come evenly. Of who has just come, what there is over the time there was. */
static uint64_t bits_per_s(struct viewer *viewer, int64_t now_ns)
{
    turn_window(viewer, now_ns);
    const int64_t age_ns = now_ns - viewer->info.since_ns;
    const double gone = (double)(now_ns - viewer->window_ns) / (double)window_ns;
    const double over_ns = age_ns > window_ns           ? (double)window_ns
                           : age_ns > 2 * LEAT_NS_PER_S ? (double)age_ns
                                                        : 2.0 * LEAT_NS_PER_S;
    const double bytes =
        (double)viewer->window_bytes + (gone < 1 ? (1 - gone) * (double)viewer->before_bytes : 0);
    return (uint64_t)(bytes * 8 * LEAT_NS_PER_S / over_ns);
}

int viewers_list_init(struct viewers_list *list, uint64_t count)
{
    enum { MORE = 64 };
    *list = (struct viewers_list){.capacity = (unsigned)(count + count / 8 + MORE)};
    list->viewers = malloc(list->capacity * sizeof *list->viewers);
    list->titles = malloc(list->capacity * sizeof *list->titles);
    if (!list->viewers || !list->titles) {
        viewers_list_fini(list);
        return -ENOMEM;
    }
    memset(list->viewers, 0, list->capacity * sizeof *list->viewers);
    memset(list->titles, 0, list->capacity * sizeof *list->titles);
    return 0;
}

void viewers_list_fini(struct viewers_list *list)
{
    free(list->viewers);
    free(list->titles);
    *list = (struct viewers_list){0};
}

void viewers_read(int64_t now_ns, struct viewers_list *list)
{
    list->count = list->title_count = 0;
    if (!own)
        return;
    own->reads++;
    for (struct list_node *node = own->line.previous;
         node != &own->line && list->count < list->capacity; node = node->previous) {
        struct viewer *viewer = CONTAINER_OF(node, struct viewer, line);
        struct viewer_info *info = &list->viewers[list->count++];
        *info = viewer->info;
        info->bits_per_s = bits_per_s(viewer, now_ns);
        if (viewer->title->read != own->reads)
            list->titles[list->title_count++] = viewer->title->info;
        viewer->title->read = own->reads;
    }
    ASSERT(list->title_count <= list->count);
}

/* ---- Adding up ------------------------------------------------------------------------------- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_key(const void *a, const void *b)
{
    const struct viewer_info *one = a, *other = b;
    const int order = compare_numbers(one->key, other->key);
    return order ? order : compare_numbers((uint64_t)other->seen_ns, (uint64_t)one->seen_ns);
}

static int by_title(const void *a, const void *b)
{
    const struct viewer_title *one = a, *other = b;
    return compare_numbers(one->title, other->title);
}

/* The busiest first; those that are as busy in an order that stays. */
static int viewers_by_rate(const void *a, const void *b)
{
    const struct viewer_info *one = a, *other = b;
    const int order = compare_numbers(other->bits_per_s, one->bits_per_s);
    return order ? order : compare_numbers(one->key, other->key);
}

static int titles_by_viewers(const void *a, const void *b)
{
    const struct viewer_title *one = a, *other = b;
    const int order = compare_numbers(other->viewers, one->viewers);
    return order ? order : compare_numbers(one->title, other->title);
}

/* Sorted, so that who was seen last, and knows best, comes first of those with his key. */
static void join_viewers(struct viewers_list *list)
{
    unsigned count = 0;
    qsort(list->viewers, list->count, sizeof *list->viewers, by_key);
    for (unsigned index = 0; index < list->count; index++) {
        const struct viewer_info *info = &list->viewers[index];
        struct viewer_info *last = count > 0 ? &list->viewers[count - 1] : NULL;
        if (!last || last->key != info->key) {
            list->viewers[count++] = *info;
            continue;
        }
        last->bytes += info->bytes;
        last->bits_per_s += info->bits_per_s;
        last->stalls += info->stalls;
        last->streams |= info->streams;
        if (info->since_ns < last->since_ns)
            last->since_ns = info->since_ns;
    }
    list->count = count;
}

static void join_titles(struct viewers_list *list)
{
    unsigned count = 0;
    qsort(list->titles, list->title_count, sizeof *list->titles, by_title);
    for (unsigned index = 0; index < list->title_count; index++) {
        const struct viewer_title *title = &list->titles[index];
        if (count > 0 && list->titles[count - 1].title == title->title)
            list->titles[count - 1].bytes += title->bytes;
        else
            list->titles[count++] = *title;
    }
    list->title_count = count;
}

static void add_up_titles(struct viewers_list *list)
{
    for (unsigned index = 0; index < list->count; index++) {
        const struct viewer_info *info = &list->viewers[index];
        const struct viewer_title wanted = {.title = info->title};
        struct viewer_title *title =
            bsearch(&wanted, list->titles, list->title_count, sizeof wanted, by_title);
        ASSERT(title);
        title->viewers++;
        title->bits_per_s += info->bits_per_s;
        title->stalls += info->stalls;
    }
}

int viewers_merge(const struct viewers_list *lists, unsigned count, struct viewers_list *ret_list)
{
    struct viewers_list list;
    uint64_t viewers = 0;
    for (unsigned index = 0; index < count; index++)
        viewers += lists[index].count;
    const int error = viewers_list_init(&list, viewers);
    if (error)
        return error;
    for (unsigned index = 0; index < count; index++) {
        const struct viewers_list *from = &lists[index];
        if (from->count == 0)
            continue;
        memcpy(list.viewers + list.count, from->viewers, from->count * sizeof *from->viewers);
        memcpy(list.titles + list.title_count, from->titles,
               from->title_count * sizeof *from->titles);
        list.count += from->count;
        list.title_count += from->title_count;
    }
    join_viewers(&list);
    join_titles(&list);
    add_up_titles(&list);
    qsort(list.viewers, list.count, sizeof *list.viewers, viewers_by_rate);
    qsort(list.titles, list.title_count, sizeof *list.titles, titles_by_viewers);
    *ret_list = list;
    return 0;
}
