/* SPDX-License-Identifier: MIT */
/*
 * Batching. Each loop that writes to a log has a writer: a ring of chunks, of which one is being
 * filled on the loop and those before it are being written, or wait for it, by one job at a time.
 *
 *     chunks:     | written, free | to be written ... | being filled |
 *                                 written             filling           (counted on for ever)
 *
 * A file ends in whole lines: what a full disk has cut off is written again, whole, on a line of
 * its own. The writer belongs to its loop's thread; while a job runs, its chunks and what is named
 * job_* are the job's. One writer at a time has the turn: so a disk that hangs holds up one thread
 * of the pool, and who finds a line torn knows that it is. What else threads share is under the
 * log's lock, which nobody holds while he waits for a disk.
 */
#include "leat/access_log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/counters.h"
#include "http/log_line.h"
#include "leat/clock.h"
#include "loop/loop.h"
#include "loop/offload.h"

enum {
    CHUNK_SIZE = 128 * 1024, /* more than a line: a head of 16 KiB in which all is escaped */
    CHUNKS = 4,
    FLUSH_MS = 1000,    /* how long a line waits for company; and between attempts that fail */
    RETRY_MS = 3,       /* for a place in the pool, for another's turn to be over */
    LAST_WAIT_MS = 500, /* for the reader of a pipe, at the end */
    TELL_MS = 5000,
    PIPE_PIECE_SIZE = 4096, /* PIPE_BUF: goes into a pipe as a whole, or not at all */
};

struct chunk {
    size_t begin, end; /* lines not written yet */
    char data[CHUNK_SIZE];
};

struct log_file {
    int fd;
    unsigned references; /* under the log's lock */
    bool is_regular;
    bool is_torn; /* it does not end in a newline; theirs whose turn it is */
};

struct leat_access_log {
    const struct backend_sys *sys;
    struct leat_access_log_options options; /* with a path of our own */
    _Atomic uint64_t failures;
    pthread_mutex_t turn;
    pthread_mutex_t lock; /* of all below */
    struct log_file *file;
    struct list_node writers;
    uint64_t lines_before, dropped_before; /* of writers that are gone */
    int error_told;
    uint64_t dropped_told;
    int64_t told_ns;
};

struct writer {
    struct leat_access_log *log;
    struct leat_loop *loop;
    struct list_node node;    /* in log->writers */
    struct list_node sibling; /* in writers_of_loop */
    struct timer timer;
    struct offload_job job;
    bool is_writing; /* the job is on its way */
    bool is_failing; /* the last one failed: the timer decides when the next goes */
    unsigned filling, written;
    unsigned job_at, job_end; /* the chunk it is at; behind its last */
    int job_error;
    bool job_had_no_turn;
    _Atomic uint64_t lines, dropped;
    struct log_clock clock;
    struct chunk chunks[CHUNKS];
};

/* What a loop has in LOOP_SLOT_LOGS. */
struct writers_of_loop {
    struct loop_extension extension;
    struct list_node list;
};

static struct chunk *chunk_at(struct writer *writer, unsigned index)
{
    return &writer->chunks[index % CHUNKS];
}

/* ---- The file -------------------------------------------------------------------------------- */

/* Was a line cut off, with the process that wrote it? What we may not read is believed whole. */
static bool ends_torn(const struct backend_sys *sys, int fd, uint64_t size)
{
    char last = '\n';
    return size > 0 && sys->read(sys, fd, &last, 1, size - 1) == 1 && last != '\n';
}

static int open_file(const struct leat_access_log *log, struct log_file **ret_file)
{
    struct log_file *file = malloc(sizeof *file);
    if (!file)
        return -ENOMEM;
    struct backend_stat stat;
    file->fd = log->sys->open_append(log->sys, log->options.path);
    const int error = file->fd < 0 ? file->fd : log->sys->stat(log->sys, file->fd, &stat);
    if (error) {
        if (file->fd >= 0)
            log->sys->close(log->sys, file->fd);
        free(file);
        return error;
    }
    file->references = 1;
    file->is_regular = stat.is_regular;
    file->is_torn = stat.is_regular && ends_torn(log->sys, file->fd, stat.size);
    *ret_file = file;
    return 0;
}

static struct log_file *ref_file(struct leat_access_log *log)
{
    pthread_mutex_lock(&log->lock);
    struct log_file *file = log->file;
    file->references++;
    pthread_mutex_unlock(&log->lock);
    return file;
}

static void unref_file(struct leat_access_log *log, struct log_file *file)
{
    pthread_mutex_lock(&log->lock);
    const bool is_last = --file->references == 0;
    pthread_mutex_unlock(&log->lock);
    if (!is_last)
        return;
    log->sys->close(log->sys, file->fd);
    free(file);
}

/* To a regular file. */
static int write_to_file(const struct backend_sys *sys, struct log_file *file, struct chunk *chunk)
{
    while (chunk->begin < chunk->end) {
        const ssize_t end = file->is_torn ? sys->append(sys, file->fd, "\n", 1, 0) : 0;
        if (end < 0)
            return (int)end;
        file->is_torn = false;
        const char *data = chunk->data + chunk->begin;
        const size_t wanted = chunk->end - chunk->begin;
        const ssize_t size = sys->append(sys, file->fd, data, wanted, 0);
        if (size <= 0)
            return size < 0 ? (int)size : -EIO;
        file->is_torn = data[size - 1] != '\n';
        const char *newline = memrchr(data, '\n', (size_t)size);
        if (newline)
            chunk->begin += (size_t)(newline + 1 - data);
    }
    return 0;
}

/* Of lines that are `size` bytes: as many as go into a pipe as a whole, or else the first. */
static size_t piece_size(const char *lines, size_t size)
{
    if (size <= PIPE_PIECE_SIZE)
        return size;
    size_t end = PIPE_PIECE_SIZE;
    while (end > 0 && lines[end - 1] != '\n')
        end--;
    if (end > 0)
        return end;
    while (lines[end] != '\n') /* a chunk ends with one */
        end++;
    return end + 1;
}

/* To a pipe, a terminal, a socket. A line that is longer than a piece may be cut in two by another
 * process's. */
static int write_to_pipe(const struct backend_sys *sys, int fd, struct chunk *chunk, int wait_ms)
{
    while (chunk->begin < chunk->end) {
        const char *data = chunk->data + chunk->begin;
        const size_t wanted = piece_size(data, chunk->end - chunk->begin);
        const ssize_t size = sys->append(sys, fd, data, wanted, wait_ms);
        if (size <= 0)
            return size < 0 ? (int)size : -EIO;
        chunk->begin += (size_t)size;
    }
    return 0;
}

/* ---- What went wrong ------------------------------------------------------------------------- */

/* With the lock held. */
static void count_writers(const struct leat_access_log *log, uint64_t *ret_lines,
                          uint64_t *ret_dropped)
{
    *ret_lines = log->lines_before;
    *ret_dropped = log->dropped_before;
    LIST_FOR_EACH (node, &log->writers) {
        const struct writer *writer = CONTAINER_OF(node, struct writer, node);
        *ret_lines += counter_read(&writer->lines);
        *ret_dropped += counter_read(&writer->dropped);
    }
}

/* Tells of an attempt that ended with `error`, when that is news; of lines lost for good always. */
static void tell(struct leat_access_log *log, int error, bool is_for_good)
{
    const int64_t now_ns = leat_now_ns();
    uint64_t lines, dropped;
    if (!log->options.on_trouble)
        return;
    pthread_mutex_lock(&log->lock);
    count_writers(log, &lines, &dropped);
    const uint64_t news = dropped - log->dropped_told;
    const bool is_news = (error != 0) != (log->error_told != 0) || (!error && news > 0);
    const bool is_told =
        is_for_good ? news > 0 : is_news && now_ns - log->told_ns >= TELL_MS * LEAT_NS_PER_MS;
    if (is_told) {
        log->error_told = error;
        log->dropped_told = dropped;
        log->told_ns = now_ns;
    }
    pthread_mutex_unlock(&log->lock);
    if (is_told)
        log->options.on_trouble(error, news, log->options.user);
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* The chunks from job_at to job_end, or as far as it goes. In whose turn it is. */
static void write_chunks(struct writer *writer, const struct backend_sys *sys, int wait_ms)
{
    struct leat_access_log *log = writer->log;
    struct log_file *file = ref_file(log);
    int error = 0;
    while (!error && writer->job_at != writer->job_end) {
        struct chunk *chunk = chunk_at(writer, writer->job_at);
        error = file->is_regular ? write_to_file(sys, file, chunk)
                                 : write_to_pipe(sys, file->fd, chunk, wait_ms);
        writer->job_at += !error;
    }
    unref_file(log, file);
    if (error)
        atomic_fetch_add_explicit(&log->failures, 1, memory_order_relaxed);
    writer->job_error = error;
}

static void run_job(struct offload_job *job, const struct backend_sys *sys)
{
    struct writer *writer = CONTAINER_OF(job, struct writer, job);
    struct leat_access_log *log = writer->log;
    writer->job_had_no_turn = pthread_mutex_trylock(&log->turn) != 0;
    if (writer->job_had_no_turn)
        return;
    write_chunks(writer, sys, 0);
    pthread_mutex_unlock(&log->turn);
    tell(log, writer->job_error, false);
}

static void arm(struct writer *writer, int64_t delay_ms)
{
    loop_timer_start(writer->loop, &writer->timer,
                     writer->loop->now_ns + delay_ms * LEAT_NS_PER_MS);
}

/* Goes on to the next chunk, if there is one free. */
static bool seal(struct writer *writer)
{
    if (writer->filling + 1 - writer->written >= CHUNKS)
        return false;
    writer->filling++;
    chunk_at(writer, writer->filling)->begin = chunk_at(writer, writer->filling)->end = 0;
    return true;
}

static void start_writing(struct writer *writer)
{
    ASSERT(!writer->is_writing);
    if (chunk_at(writer, writer->filling)->end > 0)
        (void)seal(writer); /* when all are full the others go first */
    if (writer->written == writer->filling)
        return;
    writer->job_at = writer->written;
    writer->job_end = writer->filling;
    if (offload_submit(writer->loop, &writer->job) == 0)
        writer->is_writing = true;
    else
        arm(writer, RETRY_MS);
}

static void on_written(struct offload_job *job)
{
    struct writer *writer = CONTAINER_OF(job, struct writer, job);
    writer->is_writing = false;
    if (writer->job_had_no_turn) {
        arm(writer, RETRY_MS);
        return;
    }
    writer->written = writer->job_at;
    writer->is_failing = writer->job_error != 0;
    if (writer->is_failing)
        arm(writer, FLUSH_MS);
    else if (writer->written != writer->filling)
        start_writing(writer);
    else if (chunk_at(writer, writer->filling)->end > 0)
        arm(writer, FLUSH_MS);
}

static void on_time(struct timer *timer)
{
    struct writer *writer = CONTAINER_OF(timer, struct writer, timer);
    if (!writer->is_writing)
        start_writing(writer);
}

/* ---- Writers --------------------------------------------------------------------------------- */

/* The loop ends, and its thread may block: what is left is written here. */
static void end_writer(struct writer *writer)
{
    struct leat_access_log *log = writer->log;
    while (writer->is_writing)
        if (leat_loop_run_once(writer->loop, LEAT_FOREVER) != 0)
            return; /* the loop is broken, and the job has the writer */
    loop_timer_stop(writer->loop, &writer->timer);
    writer->job_at = writer->written;
    writer->job_end = writer->filling + 1;
    pthread_mutex_lock(&log->turn);
    write_chunks(writer, writer->loop->sys, LAST_WAIT_MS);
    pthread_mutex_unlock(&log->turn);
    uint64_t lost = 0;
    for (; writer->job_at != writer->job_end; writer->job_at++) {
        const struct chunk *chunk = chunk_at(writer, writer->job_at);
        for (size_t index = chunk->begin; index < chunk->end; index++)
            lost += chunk->data[index] == '\n';
    }
    pthread_mutex_lock(&log->lock);
    list_remove(&writer->node);
    log->lines_before += counter_read(&writer->lines);
    log->dropped_before += counter_read(&writer->dropped) + lost;
    pthread_mutex_unlock(&log->lock);
    tell(log, writer->job_error, true);
    free(writer);
}

static void end_writers(struct loop_extension *extension)
{
    struct writers_of_loop *writers = CONTAINER_OF(extension, struct writers_of_loop, extension);
    struct list_node *node;
    while ((node = list_take_front(&writers->list)))
        end_writer(CONTAINER_OF(node, struct writer, sibling));
    loop_current->extensions[LOOP_SLOT_LOGS] = NULL;
    free(writers);
}

static struct writers_of_loop *writers_of(struct leat_loop *loop)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_LOGS];
    if (extension)
        return CONTAINER_OF(extension, struct writers_of_loop, extension);
    struct writers_of_loop *writers = malloc(sizeof *writers);
    if (!writers)
        return NULL;
    writers->extension.fini = end_writers;
    list_init(&writers->list);
    loop->extensions[LOOP_SLOT_LOGS] = &writers->extension;
    return writers;
}

__attribute__((noinline)) static struct writer *make_writer(struct leat_access_log *log,
                                                            struct leat_loop *loop)
{
    struct writers_of_loop *writers = writers_of(loop);
    /* Large enough to be a mapping of its own: chunks that nobody fills take no memory. */
    struct writer *writer = writers ? malloc(sizeof *writer) : NULL;
    if (!writer)
        return NULL;
    memset(writer, 0, offsetof(struct writer, chunks));
    writer->log = log;
    writer->loop = loop;
    writer->job.run = run_job;
    writer->job.done = on_written;
    timer_init(&writer->timer, on_time);
    writer->timer.is_quiet = true; /* a loop that ends is not kept: end_writer comes */
    log_clock_init(&writer->clock);
    chunk_at(writer, 0)->begin = chunk_at(writer, 0)->end = 0;
    list_push_back(&writers->list, &writer->sibling);
    pthread_mutex_lock(&log->lock);
    list_push_back(&log->writers, &writer->node);
    pthread_mutex_unlock(&log->lock);
    return writer;
}

static struct writer *writer_of(struct leat_access_log *log)
{
    struct leat_loop *loop = loop_current;
    ASSERT(loop);
    const struct loop_extension *extension = loop->extensions[LOOP_SLOT_LOGS];
    if (extension) {
        struct writers_of_loop *writers =
            CONTAINER_OF(extension, struct writers_of_loop, extension);
        LIST_FOR_EACH (node, &writers->list) {
            struct writer *writer = CONTAINER_OF(node, struct writer, sibling);
            if (writer->log == log)
                return writer;
        }
    }
    return make_writer(log, loop);
}

/* Room for a line of so many bytes; NULL: there is none, it must be dropped. */
static char *reserve(struct writer *writer, size_t size)
{
    struct chunk *chunk = chunk_at(writer, writer->filling);
    if (CHUNK_SIZE - chunk->end >= size)
        return chunk->data + chunk->end;
    if (size > CHUNK_SIZE || !seal(writer))
        return NULL;
    if (!writer->is_writing && !writer->is_failing)
        start_writing(writer);
    return chunk_at(writer, writer->filling)->data;
}

void leat_access_log_write(const struct leat_http_record *record, void *user)
{
    struct leat_access_log *log = user;
    struct writer *writer = writer_of(log);
    const size_t size_max = log_line_size_max(record);
    char *line = writer ? reserve(writer, size_max) : NULL;
    if (!writer) {
        pthread_mutex_lock(&log->lock);
        log->dropped_before++;
        pthread_mutex_unlock(&log->lock);
        return;
    }
    if (!line) {
        counter_add(&writer->dropped, 1);
        return;
    }
    const char *end = log->options.format == LEAT_ACCESS_LOG_JSON
                          ? log_line_json(line, record, &writer->clock)
                          : log_line_combined(line, record, &writer->clock);
    ASSERT(end > line && (size_t)(end - line) <= size_max);
    chunk_at(writer, writer->filling)->end += (size_t)(end - line);
    counter_add(&writer->lines, 1);
    if (!writer->is_writing && !writer->timer.is_running)
        arm(writer, FLUSH_MS);
}

/* ---- The log --------------------------------------------------------------------------------- */

int leat_access_log_create(const struct leat_access_log_options *options,
                           struct leat_access_log **ret_log)
{
    struct leat_access_log *log = calloc(1, sizeof *log);
    if (!log)
        return -ENOMEM;
    log->sys = loop_current ? loop_current->sys : &backend_sys_linux;
    log->options = *options;
    log->options.path = options->path ? strdup(options->path) : NULL;
    log->told_ns = INT64_MIN / 2;
    list_init(&log->writers);
    const int error = options->path && !log->options.path ? -ENOMEM : open_file(log, &log->file);
    if (error) {
        free((char *)log->options.path);
        free(log);
        return error;
    }
    pthread_mutex_init(&log->turn, NULL);
    pthread_mutex_init(&log->lock, NULL);
    tzset(); /* reads a file, once */
    *ret_log = log;
    return 0;
}

void leat_access_log_destroy(struct leat_access_log *log)
{
    if (!log)
        return;
    ASSERT(list_is_empty(&log->writers));
    ASSERT(log->file->references == 1);
    unref_file(log, log->file);
    pthread_mutex_destroy(&log->lock);
    pthread_mutex_destroy(&log->turn);
    free((char *)log->options.path);
    free(log);
}

int leat_access_log_reopen(struct leat_access_log *log)
{
    struct log_file *file;
    if (!log->options.path)
        return 0; /* standard output is what it was */
    const int error = open_file(log, &file);
    if (error)
        return error;
    pthread_mutex_lock(&log->lock);
    struct log_file *old = log->file;
    log->file = file;
    pthread_mutex_unlock(&log->lock);
    unref_file(log, old);
    return 0;
}

void leat_access_log_counters(struct leat_access_log *log,
                              struct leat_access_log_counters *ret_counters)
{
    uint64_t lines, dropped;
    pthread_mutex_lock(&log->lock);
    count_writers(log, &lines, &dropped);
    pthread_mutex_unlock(&log->lock);
    *ret_counters = (struct leat_access_log_counters){
        .lines = lines,
        .dropped = dropped,
        .failures = atomic_load_explicit(&log->failures, memory_order_relaxed),
    };
}
