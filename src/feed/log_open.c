/* SPDX-License-Identifier: MIT */
/*
 * See log.h: opening. What an earlier process left is taken up, or refused with a line that says
 * why; in doubt it is refused, for a sequence number that is used twice is worse than no start.
 *
 *     the host is still in the same boot   Memory was kept: all is there to the last word stored.
 *                                          What is not whole is damage.
 *     another boot, durable                All that was on the disk, and so all that was sent, is
 *                                          there. What lies behind may have holes: it is cut off,
 *                                          and the rest of its segment emptied.
 *     another boot, not durable            Nobody knows what was sent: -ESTALE, unless it ended.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed/log_parts.h"
#include "leat/error.h"

/* A file with a segment's name. */
struct found {
    uint64_t name;
    struct feed_segment *segment; /* NULL: it was not begun, or is no more */
};

struct opening {
    struct feed_log *log;
    const struct backend_sys *sys;
    char *reason;
    size_t reason_size;
    struct found *found; /* by name */
    size_t count, capacity;
    bool has_failed; /* no memory */
    bool is_same_boot;
    bool is_cut; /* segments that were begun are not the log's */
    uint64_t synced_sequence;
};

/* A line for people; the error, to be returned. */
__attribute__((format(printf, 3, 4))) static int refuse(const struct opening *opening, int error,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (opening->reason_size > 0)
        vsnprintf(opening->reason, opening->reason_size, format, arguments);
    va_end(arguments);
    return error;
}

static int refuse_file(struct opening *opening, uint64_t number, int error, const char *what)
{
    char name[FEED_LOG_NAME_SIZE];
    feed_segment_name(number, name);
    return refuse(opening, error, "%s %s%s%s", name, what, error == -EBADMSG ? "" : ": ",
                  error == -EBADMSG ? "" : leat_error_text(error));
}

/* ---- Which files are there ------------------------------------------------------------------- */

/* 0: it is no segment's name. */
static uint64_t number_of_name(const char *name)
{
    char again[FEED_LOG_NAME_SIZE];
    uint64_t number = 0;
    const char *at = name;
    for (; *at >= '0' && *at <= '9' && number < UINT64_MAX / 10 - 1; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    feed_segment_name(number, again);
    return strcmp(name, again) == 0 ? number : 0;
}

static bool note_name(const char *name, bool is_directory, void *user)
{
    struct opening *opening = user;
    const uint64_t number = is_directory ? 0 : number_of_name(name);
    if (number == 0)
        return true;
    if (opening->count == opening->capacity) {
        const size_t capacity = opening->capacity ? 2 * opening->capacity : 64;
        struct found *found = realloc(opening->found, capacity * sizeof found[0]);
        if (!found) {
            opening->has_failed = true;
            return false;
        }
        opening->found = found;
        opening->capacity = capacity;
    }
    opening->found[opening->count++] = (struct found){.name = number};
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const uint64_t one = ((const struct found *)a)->name, other = ((const struct found *)b)->name;
    return (one > other) - (one < other);
}

static int list_files(struct opening *opening)
{
    const int error =
        opening->sys->list(opening->sys, opening->log->directory_fd, note_name, opening);
    if (error || opening->has_failed)
        return error ? error : -ENOMEM;
    if (opening->count > 1)
        qsort(opening->found, opening->count, sizeof opening->found[0], compare_names);
    return 0;
}

/* How many bytes there were, `size` if there are so many; or -errno. */
static ssize_t read_whole(const struct backend_sys *sys, int fd, void *data, size_t size,
                          uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t more = sys->read(sys, fd, (uint8_t *)data + done, size - done, offset + done);
        if (more < 0)
            return more;
        if (more == 0)
            break;
        done += (size_t)more;
    }
    return (ssize_t)done;
}

/* The kernel's name of this boot, as a number; 0: it has none. That it cannot be read for now is an
 * error: what was written in this boot would be taken for another's. */
static int read_boot(struct opening *opening)
{
    const struct backend_sys *sys = opening->sys;
    char text[64];
    uint64_t boot = 0;
    const int fd = sys->open(sys, -1, "/proc/sys/kernel/random/boot_id", BACKEND_OPEN_FILE);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    const ssize_t size = read_whole(sys, fd, text, sizeof text, 0);
    sys->close(sys, fd);
    if (size < 0)
        return (int)size;
    for (ssize_t i = 0; i < size; i++) {
        const char digit = text[i];
        if (digit >= '0' && digit <= '9')
            boot = (boot << 4 | boot >> 60) ^ (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            boot = (boot << 4 | boot >> 60) ^ (uint64_t)(digit - 'a' + 10);
    }
    opening->log->boot = boot;
    return 0;
}

/* ---- What they are --------------------------------------------------------------------------- */

static int map_segment(struct opening *opening, int fd, const struct feed_log_header *header,
                       struct feed_segment **ret_segment)
{
    const struct backend_sys *sys = opening->sys;
    const size_t size = (size_t)le64toh(header->segment_size);
    struct feed_segment *segment = feed_segment_alloc(size);
    void *data;
    if (!segment)
        return -ENOMEM;
    const int error = sys->map_shared(sys, fd, size, !opening->log->is_read_only, &data);
    if (error) {
        feed_segment_free(sys, segment);
        return error;
    }
    segment->data = data;
    segment->number = segment->name = le64toh(header->number);
    segment->epoch = le32toh(header->epoch);
    segment->first_sequence = le64toh(header->first_sequence);
    atomic_store_explicit(&segment->end_sequence, le64toh(header->end_sequence),
                          memory_order_relaxed);
    *ret_segment = segment;
    return 0;
}

/* Prepared, and not begun: on the same boot nothing was ever written to it. Or it was the oldest,
 * and is on its way to another life. */
static int check_unbegun(struct opening *opening, const struct found *found, int fd,
                         const struct feed_log_header *header)
{
    uint64_t word = 0;
    if (found == opening->found && opening->count > FEED_LOG_KEPT_MIN)
        return 0;
    if (!feed_log_header_is_whole(header))
        return refuse_file(opening, found->name, -EBADMSG, "is no segment of a log, or damaged");
    const ssize_t size = read_whole(opening->sys, fd, &word, sizeof word, FEED_LOG_HEADER_SIZE);
    if (size < 0)
        return refuse_file(opening, found->name, (int)size, "cannot be read");
    if (word && le64toh(header->boot) == opening->log->boot)
        return refuse_file(opening, found->name, -EBADMSG, "has messages, and says it has none");
    return 0;
}

static int check_begun(struct opening *opening, const struct found *found,
                       const struct feed_log_header *header, uint64_t file_size)
{
    struct feed_log *log = opening->log;
    const uint64_t size = le64toh(header->segment_size);
    if (!feed_log_header_is_whole(header) || le64toh(header->number) != found->name)
        return refuse_file(opening, found->name, -EBADMSG, "is no segment of a log, or damaged");
    if (size != file_size || size < FEED_LOG_SEGMENT_SIZE_MIN || size > FEED_LOG_SEGMENT_SIZE_MAX ||
        size % FEED_LOG_HEADER_SIZE != 0)
        return refuse_file(opening, found->name, -EBADMSG, "has not the size it should have");
    if (log->is_read_only)
        memcpy(log->session, header->session, MOLD_SESSION_SIZE);
    if (memcmp(header->session, log->session, MOLD_SESSION_SIZE) != 0) {
        char theirs[MOLD_SESSION_SIZE + 1];
        mold_session_to_text(header->session, theirs);
        return refuse(opening, -EBADMSG, "it is the log of another session: %s", theirs);
    }
    return 0;
}

static int load(struct opening *opening, struct found *found)
{
    const struct backend_sys *sys = opening->sys;
    struct feed_log *log = opening->log;
    char name[FEED_LOG_NAME_SIZE];
    struct feed_log_header header = {0};
    struct backend_stat stat;
    feed_segment_name(found->name, name);
    const int fd = log->is_read_only ? sys->open(sys, log->directory_fd, name, BACKEND_OPEN_BENEATH)
                                     : sys->open_write(sys, log->directory_fd, name, false);
    if (fd < 0)
        return refuse_file(opening, found->name, fd, "cannot be opened");
    int error = sys->stat(sys, fd, &stat);
    const ssize_t size = error ? 0 : read_whole(sys, fd, &header, sizeof header, 0);
    error = error || size >= 0 ? error : (int)size;
    if (error)
        error = refuse_file(opening, found->name, error, "cannot be read");
    else if (header.first_sequence == 0)
        error = check_unbegun(opening, found, fd, &header);
    else
        error = check_begun(opening, found, &header, stat.size);
    if (!error && header.first_sequence) {
        error = map_segment(opening, fd, &header, &found->segment);
        if (error)
            error = refuse_file(opening, found->name, error, "cannot be mapped");
    }
    sys->close(sys, fd);
    return error;
}

static bool is_of_this_boot(const struct opening *opening, const struct feed_segment *segment)
{
    const struct feed_log *log = opening->log;
    const uint64_t boot = feed_word_load(&feed_segment_header(segment)->boot);
    return boot == log->boot && (boot || log->loop->ops->is_simulated);
}

/* The host lost its power before it was all on the disk. */
static bool may_have_holes(const struct opening *opening, const struct feed_segment *segment)
{
    const uint64_t flags = feed_word_load(&feed_segment_header(segment)->flags);
    return !is_of_this_boot(opening, segment) && (flags & FEED_LOG_IS_DURABLE);
}

/* It is the log's, and follows the one before it without a gap, as far as their headers say. */
static int adopt(struct opening *opening, struct found *found)
{
    struct feed_log *log = opening->log;
    struct feed_segment *segment = found->segment;
    const struct feed_segment *before = log->count > 0 ? log->segments[log->count - 1] : NULL;
    const uint64_t end = before ? before->end_sequence : 0;
    const uint64_t synced = feed_word_load(&feed_segment_header(segment)->synced_sequence);
    opening->synced_sequence =
        synced > opening->synced_sequence ? synced : opening->synced_sequence;
    if (before && segment->number != before->number + 1) {
        if (!opening->is_cut && !may_have_holes(opening, segment))
            return refuse_file(opening, before->number + 1, -EBADMSG, "is missing");
        opening->is_cut = true; /* that the one before it was begun never came to the disk */
        return 0;
    }
    if (before && segment->size != before->size)
        return refuse_file(opening, segment->number, -EBADMSG, "has not the size of the others");
    if (before && end && end != segment->first_sequence)
        return refuse(opening, -EBADMSG,
                      "messages are missing between two segments: one ends before %" PRIu64
                      ", the next begins with %" PRIu64,
                      end, segment->first_sequence);
    const int error = feed_log_grow(log);
    if (error)
        return error;
    log->segments[log->count++] = segment;
    log->segment_size = segment->size;
    found->segment = NULL;
    return 0;
}

static int load_all(struct opening *opening)
{
    int error = 0;
    for (size_t i = 0; !error && i < opening->count; i++) {
        error = load(opening, &opening->found[i]);
        if (!error && opening->found[i].segment)
            error = adopt(opening, &opening->found[i]);
    }
    return error;
}

/* What was prepared, and not begun. */
static int clear_away(struct opening *opening)
{
    const struct backend_sys *sys = opening->sys;
    const struct feed_log *log = opening->log;
    const uint64_t first = log->count > 0 ? log->segments[0]->number : 0;
    int error = sys->remove(sys, log->directory_fd, FEED_LOG_NEW_NAME, false);
    for (size_t i = 0; (!error || error == -ENOENT) && i < opening->count; i++) {
        char name[FEED_LOG_NAME_SIZE];
        const uint64_t number = opening->found[i].name;
        feed_segment_name(number, name);
        if (number < first || number >= first + log->count)
            error = sys->remove(sys, log->directory_fd, name, false);
    }
    return error == -ENOENT ? 0 : error;
}

/* ---- How far it goes ------------------------------------------------------------------------- */

static int check_boot(struct opening *opening)
{
    struct feed_log *log = opening->log;
    const struct feed_segment *last = log->segments[log->count - 1];
    const uint64_t flags = feed_word_load(&feed_segment_header(last)->flags);
    opening->is_same_boot = is_of_this_boot(opening, last);
    log->is_ended = flags & FEED_LOG_IS_ENDED;
    if (opening->is_same_boot || log->is_read_only || log->is_ended ||
        (flags & FEED_LOG_IS_DURABLE))
        return 0;
    return refuse(opening, -ESTALE,
                  "the host went down since it was written, and it was not durable: what was sent "
                  "last may be missing; begin a new session");
}

/* Later segments are there, and may not be: a file a time, the last first. */
static int cut_behind(struct opening *opening, size_t index)
{
    struct feed_log *log = opening->log;
    int error = 0;
    while (!error && log->count > index + 1) {
        struct feed_segment *last = log->segments[log->count - 1];
        if (log->is_read_only)
            feed_segment_free(opening->sys, last);
        else
            error = feed_segment_drop(log, opening->sys, last);
        log->count -= !error;
    }
    return error;
}

/* It ends before it should. May it? */
static int end_early(struct opening *opening, size_t index, size_t offset, uint64_t sequence)
{
    struct feed_log *log = opening->log;
    const bool is_last = index + 1 == log->count;
    const bool was_cut = !opening->is_same_boot && sequence >= opening->synced_sequence;
    if (log->is_read_only ? !is_last && !was_cut : (!was_cut || log->is_ended))
        return refuse(opening, -EBADMSG,
                      "segment %" PRIu64 " is damaged at byte %zu: message %" PRIu64
                      " and what follows cannot be read",
                      log->segments[index]->number, offset, sequence);
    const int error = cut_behind(opening, index);
    log->segments[index]->end_sequence = 0;
    if (!error && !log->is_read_only)
        feed_word_store(&feed_segment_header(log->segments[index])->end_sequence, 0);
    return error;
}

/* The first of those that may not be whole: on the same boot the last one, else all that may have
 * been on their way to the disk; and who does not say where it ends. */
static size_t first_to_scan(const struct opening *opening)
{
    const struct feed_log *log = opening->log;
    size_t first = log->count - 1;
    const bool has_holes = !opening->is_same_boot && !log->is_read_only && !log->is_ended;
    while (first > 0 && has_holes &&
           log->segments[first]->first_sequence > opening->synced_sequence)
        first--;
    for (size_t i = 0; i < first; i++)
        if (log->segments[i]->end_sequence == 0)
            return i;
    return first;
}

static int scan(struct opening *opening, size_t index, enum feed_record_state *ret_state)
{
    struct feed_log *log = opening->log;
    struct feed_segment *segment = log->segments[index];
    const int error = feed_log_touch(opening->sys, segment->data, segment->size, false);
    if (error)
        return refuse_file(opening, segment->number, error, "cannot be read");
    *ret_state = feed_segment_scan(segment, log->session, &log->offset, &log->closed_sequence);
    segment->is_trusted = true;
    return 0;
}

static int scan_end(struct opening *opening, enum feed_record_state *ret_state)
{
    struct feed_log *log = opening->log;
    for (size_t i = first_to_scan(opening); i < log->count; i++) {
        struct feed_segment *segment = log->segments[i];
        const bool is_last = i + 1 == log->count;
        const uint64_t expected =
            is_last ? segment->end_sequence : log->segments[i + 1]->first_sequence;
        const int error = scan(opening, i, ret_state);
        if (error)
            return error;
        if (expected ? expected != log->closed_sequence : *ret_state == FEED_RECORD_BAD)
            return end_early(opening, i, log->offset, log->closed_sequence);
        if (is_last)
            break;
        segment->end_offset = log->offset;
        segment->end_sequence = expected;
        if (!log->is_read_only)
            feed_word_store(&feed_segment_header(segment)->end_sequence, expected);
    }
    return 0;
}

/* ---- Taking it up ---------------------------------------------------------------------------- */

/* The record that was open when its process ended. */
static int close_open(struct opening *opening)
{
    struct feed_log *log = opening->log;
    struct feed_segment *tail = log->segments[log->count - 1];
    struct feed_record record;
    if (!feed_record_open_is_whole(tail, log->offset, log->session, log->closed_sequence, &record))
        return refuse(opening, -EBADMSG,
                      "segment %" PRIu64 " is damaged at byte %zu: what was "
                      "being written there makes no sense",
                      tail->number, log->offset);
    log->offset =
        feed_record_close(tail, log->offset, record.size - MOLD_HEADER_SIZE, record.count);
    log->closed_sequence += record.count;
    return 0;
}

/* Behind the end there is nothing, whatever the disk kept of it. */
static int settle_end(struct opening *opening, enum feed_record_state state)
{
    const struct feed_log *log = opening->log;
    struct feed_segment *tail = log->segments[log->count - 1];
    if (opening->is_same_boot && state == FEED_RECORD_OPEN)
        return close_open(opening);
    if (!opening->is_same_boot)
        memset(tail->data + log->offset, 0, tail->size - log->offset);
    else if (feed_segment_has_stray(tail, log->session, log->offset, log->closed_sequence))
        return refuse(opening, -EBADMSG,
                      "segment %" PRIu64 " is damaged at byte %zu: message %" PRIu64
                      " is missing, and later ones are there",
                      tail->number, log->offset, log->closed_sequence);
    return 0;
}

/* What the header promises is true before it is promised. */
static int settle_durability(struct opening *opening)
{
    struct feed_log *log = opening->log;
    struct feed_log_header *header = feed_segment_header(log->segments[log->count - 1]);
    const uint64_t flags = log->is_durable ? FEED_LOG_IS_DURABLE : 0;
    int error = 0;
    log->sync.synced_sequence = opening->synced_sequence;
    for (size_t i = log->count; !error && log->is_durable && i-- > 0;) {
        const uint64_t end = log->segments[i]->end_sequence;
        if (end && end <= opening->synced_sequence)
            break;
        error = feed_segment_sync(log, opening->sys, log->segments[i], NULL);
    }
    if (!error && log->is_durable) {
        log->sync.synced_sequence = log->closed_sequence;
        feed_word_store(&header->synced_sequence, log->closed_sequence);
    }
    if (error || (opening->is_same_boot && feed_word_load(&header->flags) == flags))
        return error;
    feed_word_store(&header->boot, log->boot);
    feed_word_store(&header->flags, flags);
    return feed_segment_sync(log, opening->sys, log->segments[log->count - 1], NULL);
}

static int begin_next(struct feed_log *log, uint64_t number, uint64_t sequence)
{
    struct feed_segment *segment;
    int error = feed_log_grow(log);
    if (!error)
        error = feed_segment_make(log, log->sys, number, &segment);
    if (!error)
        feed_log_begin_segment(log, segment, sequence);
    return error;
}

static int take_up(struct opening *opening, enum feed_record_state state)
{
    struct feed_log *log = opening->log;
    struct feed_segment *tail = log->segments[log->count - 1];
    int error = settle_end(opening, state);
    if (!error)
        error = settle_durability(opening);
    if (!error)
        error = clear_away(opening);
    if (!error && tail->end_sequence) {
        tail->end_offset = log->offset;
        error = begin_next(log, tail->number + 1, log->closed_sequence);
    } else if (!error) {
        const uint32_t count = tail->index_count;
        log->index_offset =
            count > 0 ? tail->index[count - 1].offset + FEED_LOG_INDEX_STEP : FEED_LOG_HEADER_SIZE;
        const size_t begin = log->offset & ~(size_t)(FEED_LOG_HEADER_SIZE - 1);
        error = begin < tail->size
                    ? feed_log_touch(log->sys, tail->data + begin, tail->size - begin, true)
                    : 0;
    }
    return error;
}

static int recover(struct opening *opening)
{
    struct feed_log *log = opening->log;
    enum feed_record_state state = FEED_RECORD_NONE;
    int error = check_boot(opening);
    if (!error)
        error = scan_end(opening, &state);
    if (error)
        return error;
    if (!log->is_read_only && log->closed_sequence < opening->synced_sequence)
        return refuse(opening, -EBADMSG,
                      "messages up to %" PRIu64 " were on the disk, and only those before %" PRIu64
                      " are there",
                      opening->synced_sequence - 1, log->closed_sequence);
    struct feed_segment *tail = log->segments[log->count - 1];
    if (log->is_ended || log->is_read_only)
        tail->end_offset = log->offset; /* there is no more, whatever the file has behind it */
    else
        error = take_up(opening, state);
    return error;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int open_folder(struct opening *opening, const char *path)
{
    const struct backend_sys *sys = opening->sys;
    struct feed_log *log = opening->log;
    int error = log->is_read_only ? 0 : sys->make_directory(sys, -1, path);
    if (error && error != -EEXIST)
        return refuse(opening, error, "%s: %s", path, leat_error_text(error));
    log->directory_fd = sys->open(sys, -1, path, BACKEND_OPEN_DIRECTORY);
    if (log->directory_fd < 0)
        return refuse(opening, log->directory_fd, "%s: %s", path,
                      leat_error_text(log->directory_fd));
    error = log->is_read_only ? 0 : sys->lock(sys, log->directory_fd);
    if (error == -EAGAIN)
        return refuse(opening, error, "%s: another process has it", path);
    return error;
}

/* The folder of a new log is there after a power cut, too: else the session would begin again. */
static int sync_parent(const struct opening *opening)
{
    const struct backend_sys *sys = opening->sys;
    const int fd = sys->open(sys, opening->log->directory_fd, "..", BACKEND_OPEN_DIRECTORY);
    if (fd < 0)
        return fd;
    const int error = sys->sync(sys, fd);
    sys->close(sys, fd);
    return error;
}

static int open_files(struct opening *opening, const char *path)
{
    struct feed_log *log = opening->log;
    int error = open_folder(opening, path);
    if (!error)
        error = read_boot(opening);
    if (!error)
        error = list_files(opening);
    if (!error)
        error = load_all(opening);
    if (error)
        return error;
    if (log->count > 0)
        error = recover(opening);
    else if (log->is_read_only)
        error = refuse(opening, -EBADMSG, "%s has no segment of a log", path);
    else
        error = clear_away(opening);
    if (!error && log->count == 0)
        error = sync_parent(opening);
    return error;
}

static int check_options(struct opening *opening, const struct feed_log_options *options)
{
    const size_t size = options->segment_size;
    if (options->is_read_only)
        return options->path ? 0 : refuse(opening, -EINVAL, "nothing is there to be read");
    if (size && (size < FEED_LOG_SEGMENT_SIZE_MIN || size > FEED_LOG_SEGMENT_SIZE_MAX))
        return refuse(opening, -EINVAL, "segments have %d to %d bytes", FEED_LOG_SEGMENT_SIZE_MIN,
                      FEED_LOG_SEGMENT_SIZE_MAX);
    if (options->segments_kept && options->segments_kept < FEED_LOG_KEPT_MIN)
        return refuse(opening, -EINVAL, "%d segments are kept at least", FEED_LOG_KEPT_MIN);
    ASSERT(options->packet_size > MOLD_HEADER_SIZE + sizeof(uint16_t) &&
           options->packet_size <= UINT16_MAX);
    return 0;
}

static void set_up(struct opening *opening, const struct feed_log_options *options)
{
    struct feed_log *log = opening->log;
    const size_t size = options->segment_size ? options->segment_size : FEED_LOG_SEGMENT_SIZE;
    log->sys = opening->sys;
    log->directory_fd = -1;
    log->segment_size = (size + FEED_LOG_HEADER_SIZE - 1) & ~(size_t)(FEED_LOG_HEADER_SIZE - 1);
    log->packet_size = options->packet_size;
    log->record_size_max = (FEED_LOG_PREFIX_SIZE + options->packet_size + 7) & ~(size_t)7;
    log->segments_kept = options->segments_kept;
    if (!options->path && !log->segments_kept)
        log->segments_kept = FEED_LOG_KEPT_MIN;
    memcpy(log->session, options->session, MOLD_SESSION_SIZE);
    log->is_durable = options->is_durable;
    log->is_read_only = options->is_read_only;
    log->closed_sequence = options->first_sequence ? options->first_sequence : 1;
    feed_log_next_init(log);
}

int feed_log_open(struct leat_loop *loop, const struct feed_log_options *options,
                  struct feed_log **ret_log, char *ret_reason, size_t reason_size)
{
    struct feed_log *log = calloc(1, sizeof *log);
    struct opening opening = {
        .log = log, .sys = loop->sys, .reason = ret_reason, .reason_size = reason_size};
    if (!log)
        return -ENOMEM;
    log->loop = loop;
    set_up(&opening, options);
    if (reason_size > 0)
        ret_reason[0] = '\0';
    int error = check_options(&opening, options);
    if (!error)
        error = options->path ? open_files(&opening, options->path) : 0;
    if (!error && log->count == 0)
        error = begin_next(log, 1, log->closed_sequence);
    for (size_t i = 0; i < opening.count; i++)
        feed_segment_free(log->sys, opening.found[i].segment);
    free(opening.found);
    if (error) {
        if (reason_size > 0 && ret_reason[0] == '\0')
            (void)refuse(&opening, error, "%s: %s",
                         options->path ? options->path : "a log in memory", leat_error_text(error));
        feed_log_discard(log);
        return error;
    }
    log->tail.next_sequence = log->closed_sequence;
    *ret_log = log;
    return 0;
}
