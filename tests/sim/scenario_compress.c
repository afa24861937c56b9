/* SPDX-License-Identifier: MIT */
/*
 * Responses that are coded where they then arrive sooner, over links of all speeds, to readers who
 * dawdle, pipeline and vanish. What each must get is in library.h; here: the desk, which hands
 * texts over in every way that a handler can, breaks off, and flushes; a workshop without room; and
 * that no encoder is left at work when all have gone.
 */
#include <stdio.h>

#include "codec/workshop.h"
#include "fiber/fiber.h"
#include "leat/error.h"
#include "leat/file.h"
#include "library.h"
#include "talker.h"

enum {
    FILE_SIZE = 96 * 1024,
    FLUSH_PATIENCE_MS = 20 * 60 * 1000, /* of a pipeline over the slowest link, with pauses */
    VECTORS_MAX = 6,
};

static const uint64_t file_content = 77;

struct play {
    struct library library;
    struct leat_root *root;
    struct leat_file
        *file; /* the text of file_content; NULL: this world had nothing to open it with */
    struct leat_http_server *server;
    struct leat_http_compress_counters counters;
};

/* ---- Loans ----------------------------------------------------------------------------------- */

static struct leat_compress_policy draw_policy(struct sim_run *run)
{
    static const struct leat_compress_policy policies[] = {
        {.mode = LEAT_COMPRESS_AUTO},
        {.mode = LEAT_COMPRESS_AUTO, .codec = LEAT_CODEC_GZIP},
        {.mode = LEAT_COMPRESS_AUTO, .codec = LEAT_CODEC_BROTLI},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_GZIP, .level = 1},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_GZIP, .level = 6},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_GZIP, .level = 12},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_ZSTD, .level = 1},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_ZSTD, .level = 6},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_BROTLI, .level = 1},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_BROTLI, .level = 5},
        {.mode = LEAT_COMPRESS_OFF},
    };
    return policies[draw(run, 0, sizeof policies / sizeof *policies - 1)];
}

static uint64_t draw_size(struct sim_run *run)
{
    const uint64_t kind = draw(run, 0, 99);
    return kind < 3    ? 0
           : kind < 30 ? draw(run, 1, 2500)
           : kind < 80 ? draw(run, 1000, 33000)
                       : draw(run, 30000, 150000);
}

static void draw_text(struct sim_run *run, struct loan *loan)
{
    static const struct {
        const char *type;
        bool is_compressible;
    } types[] = {
        {"text/plain", true},
        {"application/json", true},
        {"text/html; charset=utf-8", true},
        {"image/svg+xml", true},
        {"image/png", false},
        {"video/mp4", false},
        {"text/event-stream", false},
    };
    const unsigned type =
        draw_chance(run, 80) ? 0 : (unsigned)draw(run, 1, sizeof types / sizeof *types - 1);
    loan->media_type = types[type].type;
    loan->is_compressible = types[type].is_compressible;
    loan->content = draw(run, 1000, 1000000);
    loan->size = draw_size(run);
    loan->text = draw_chance(run, 70) ? LOAN_WORDS : draw_chance(run, 50) ? LOAN_NOISE : LOAN_MIXED;
    loan->way = (enum loan_way)draw(run, LOAN_REPLY, LOAN_PIECES);
    if (loan->way == LOAN_VECTORS) {
        loan->text = LOAN_WORDS;
        loan->content = file_content;
        loan->size = loan->size > FILE_SIZE ? FILE_SIZE : loan->size;
    }
}

static void draw_question(struct sim_run *run, struct loan *loan)
{
    loan->accept = draw_chance(run, 50) ? (unsigned)draw(run, 0, 1)
                                        : (unsigned)draw(run, 0, library_accept_count - 1);
    loan->is_head = draw_chance(run, 8);
    loan->is_old = draw_chance(run, 8);
    if (loan->way == LOAN_CONTENT && loan->size > 0 && draw_chance(run, 20)) {
        loan->has_range = true;
        loan->first = draw(run, 0, loan->size - 1);
        loan->last = draw(run, loan->first, loan->size - 1);
    }
}

static void draw_loan(struct sim_run *run, struct loan *loan)
{
    draw_text(run, loan);
    draw_question(run, loan);
    loan->status = loan->way == LOAN_CONTENT || draw_chance(run, 90) ? 200 : 404;
    if (draw_chance(run, 40))
        loan->policy = draw_policy(run);
    loan->is_coded_already = draw_chance(run, 4);
    loan->is_never_transformed = draw_chance(run, 4);
    loan->has_vary = draw_chance(run, 5);
    loan->has_tag = loan->way != LOAN_CONTENT && draw_chance(run, 15);
    loan->flushes = draw_chance(run, 40) ? (unsigned)draw(run, 1, 60) : 0;
    loan->breaks_at = UINT64_MAX;
    if ((loan->way == LOAN_SIZED || loan->way == LOAN_PIECES) && draw_chance(run, 12)) {
        loan->breaks_at = draw(run, 0, loan->size);
        loan->aborts = loan->way == LOAN_PIECES || draw_chance(run, 50);
    }
}

/* The same once more, with the tag that came. */
static void draw_again(struct sim_run *run, struct loan *loan, const struct loan *before)
{
    const unsigned number = loan->number;
    *loan = *before;
    loan->number = number;
    loan->again = before;
    loan->has_range = false;
    if (draw_chance(run, 30))
        loan->accept = (unsigned)draw(run, 0, library_accept_count - 1);
}

static void draw_library(struct library *library, struct sim_run *run)
{
    library->run = run;
    library->policy = draw_policy(run);
    if (draw_chance(run, 60))
        library->policy = (struct leat_compress_policy){.mode = LEAT_COMPRESS_AUTO};
    library->is_full = draw_chance(run, 10);
    library->loan_count = (unsigned)draw(run, 1, draw_chance(run, 80) ? 12 : LOANS_MAX);
    for (unsigned number = 0; number < library->loan_count; number++) {
        struct loan *loan = &library->loans[number], *before = loan - 1;
        loan->number = number;
        if (number > 0 && before->way == LOAN_CONTENT && draw_chance(run, 40))
            draw_again(run, loan, before);
        else
            draw_loan(run, loan);
    }
}

/* ---- The desk -------------------------------------------------------------------------------- */

static void add_fields(const struct library *library, const struct loan *loan,
                       struct leat_http_response *response)
{
    char tag[LOAN_TAG_MAX];
    int error = 0;
    snprintf(tag, sizeof tag, "\"t%llu\"", (unsigned long long)loan->content);
    if (loan->policy.mode != LEAT_COMPRESS_UNSET)
        error |= leat_http_set_compress(response, &loan->policy);
    if (loan->is_coded_already)
        error |= leat_http_add_field(response, "Content-Encoding", "x-own");
    if (loan->is_never_transformed)
        error |= leat_http_add_field(response, "Cache-Control", "max-age=60, no-transform");
    if (loan->has_vary)
        error |= leat_http_add_field(response, "Vary", "Origin");
    if (loan->has_tag)
        error |= leat_http_add_field(response, "ETag", tag);
    CHECK(library->run, error == 0);
}

/* Memory of the request's with a part of the text; NULL: the request has enough of it. */
static char *part_of(struct leat_http_request *request, const struct loan *loan, uint64_t offset,
                     uint64_t size)
{
    char *data = leat_http_alloc(request, size + 1);
    if (data)
        loan_bytes(loan, offset, data, size);
    return data;
}

/* The text as vectors that hold it: how many. */
static size_t draw_vectors(const struct play *play, struct leat_http_request *request,
                           const struct loan *loan, struct leat_vector *ret_vectors)
{
    struct sim_run *run = play->library.run;
    const size_t count = (size_t)draw(run, 1, VECTORS_MAX);
    uint64_t offset = 0;
    for (size_t index = 0; index < count; index++) {
        const uint64_t left = loan->size - offset;
        const uint64_t size = index == count - 1 ? left : draw(run, 0, left);
        if (loan->content == file_content && play->file && draw_chance(run, 60)) {
            ret_vectors[index] =
                (struct leat_vector){.file = play->file, .offset = offset, .size = size};
        } else {
            const char *data = part_of(request, loan, offset, size);
            CHECK(run, data != NULL);
            ret_vectors[index] = (struct leat_vector){.data = data, .size = size};
        }
        offset += size;
    }
    return count;
}

static void hand_over_whole(const struct play *play, const struct loan *loan,
                            struct leat_http_request *request, struct leat_http_response *response)
{
    struct sim_run *run = play->library.run;
    struct leat_vector vectors[VECTORS_MAX];
    char tag[LOAN_TAG_MAX];
    size_t count;
    if (loan->way == LOAN_REPLY) {
        char *data = malloc(loan->size + 1);
        CHECK(run, data != NULL);
        loan_bytes(loan, 0, data, loan->size);
        CHECK(run,
              leat_http_reply(response, loan->status, loan->media_type, data, loan->size) == 0);
        free(data);
        return;
    }
    count = draw_vectors(play, request, loan, vectors);
    if (loan->way == LOAN_VECTORS) {
        CHECK(run, leat_http_reply_vectors(response, loan->status, loan->media_type, vectors,
                                           count) == 0);
        return;
    }
    snprintf(tag, sizeof tag, "t%llu", (unsigned long long)loan->content);
    const struct leat_http_content content = {
        .media_type = loan->media_type, .etag = tag, .vectors = vectors, .count = count};
    CHECK(run, leat_http_reply_content(request, response, &content) == 0);
}

/* What was flushed comes to the reader, though nothing follows it. */
static int await_reader(const struct play *play, const struct loan *loan, uint64_t written)
{
    struct sim_run *run = play->library.run;
    const int64_t until_ns = leat_after_ms(FLUSH_PATIENCE_MS);
    int error = 0;
    while (!error && !loan->is_left && loan->decoded < written && leat_now_ns() < until_ns)
        error = leat_sleep_ms(20);
    if (!error && !loan->is_left && library_is_kind(&play->library))
        CHECK(run, loan->decoded == written);
    return error;
}

static int write_piece(const struct play *play, const struct loan *loan,
                       struct leat_http_response *response, uint64_t offset, uint64_t size)
{
    struct sim_run *run = play->library.run;
    char *data = malloc(size);
    CHECK(run, data != NULL);
    loan_bytes(loan, offset, data, size);
    int error = leat_http_write(response, data, size, LEAT_FOREVER);
    free(data);
    if (error || !draw_chance(run, loan->flushes))
        return error;
    error = leat_http_flush(response, LEAT_FOREVER);
    if (error || loan->is_head || loan->is_coded_already || !draw_chance(run, 30))
        return error;
    return await_reader(play, loan, offset + size);
}

static void hand_over_in_pieces(const struct play *play, struct loan *loan,
                                struct leat_http_response *response)
{
    struct sim_run *run = play->library.run;
    const bool is_sized = loan->way == LOAN_SIZED;
    const uint64_t piece_max = draw_chance(run, 50) ? 40000 : draw_chance(run, 80) ? 6000 : 300;
    const uint64_t end = loan_is_cut(loan) ? loan->breaks_at : loan->size;
    CHECK(run, leat_http_begin(response, loan->status, loan->media_type,
                               is_sized ? (int64_t)loan->size : -1) == 0);
    int error = 0;
    for (uint64_t offset = 0; offset < end && !error;) {
        const uint64_t left = end - offset;
        const uint64_t size = draw(run, 1, left < piece_max ? left : piece_max);
        error = write_piece(play, loan, response, offset, size);
        offset += size;
        if (!error && draw_chance(run, 5))
            error = leat_sleep_ms((int64_t)draw(run, 1, 400));
    }
    if (error)
        CHECK(run, loan->is_left || !library_is_kind(&play->library));
    if (loan_is_cut(loan) && loan->aborts)
        leat_http_abort(response);
}

static void handle(struct leat_http_request *request, struct leat_http_response *response,
                   void *user)
{
    struct play *play = user;
    struct library *library = &play->library;
    struct sim_run *run = library->run;
    const struct leat_slice path = leat_http_path(request);
    char text[16] = {0};
    unsigned number;
    CHECK(run, path.size < sizeof text);
    memcpy(text, path.data, path.size);
    CHECK(run, sscanf(text, "/%u", &number) == 1 && number < library->loan_count);
    struct loan *loan = &library->loans[number];
    CHECK(run, loan->handled++ == 0);
    add_fields(library, loan, response);
    if (loan->way == LOAN_SIZED || loan->way == LOAN_PIECES)
        hand_over_in_pieces(play, loan, response);
    else
        hand_over_whole(play, loan, request, response);
}

/* ---- The play -------------------------------------------------------------------------------- */

/* Before the world turns: it may block. */
static void make_file(struct play *play)
{
    struct sim_run *run = play->library.run;
    const struct loan loan = {.content = file_content, .size = FILE_SIZE};
    char *data = malloc(FILE_SIZE);
    int fd;
    CHECK(run, data != NULL);
    loan_bytes(&loan, 0, data, FILE_SIZE);
    while ((fd = run->sys->open_write(run->sys, -1, "text", true)) == -EMFILE)
        CHECK(run, may_lack(run));
    CHECK(run, fd >= 0);
    for (ssize_t done = 0; done < FILE_SIZE;) {
        const ssize_t size =
            run->sys->write(run->sys, fd, data + done, (size_t)(FILE_SIZE - done), (uint64_t)done);
        CHECK(run, size > 0);
        done += size;
    }
    run->sys->close(run->sys, fd);
    free(data);
    int error;
    while ((error = leat_root_open(".", &play->root)) == -EMFILE)
        CHECK(run, may_lack(run));
    CHECK(run, error == 0);
}

static void on_closed(struct leat_http_server *server, void *user)
{
    struct play *play = user;
    leat_http_server_compress_counters(server, &play->counters);
}

static void open_library(struct play *play)
{
    struct library *library = &play->library;
    struct sim_run *run = library->run;
    const struct leat_http_options options = {.handler = handle,
                                              .user = play,
                                              .send_timeout_ms = 10 * 60 * 1000,
                                              .send_rate_min = 1,
                                              .compress = library->policy,
                                              .on_closed = on_closed,
                                              .on_closed_user = play};
    struct leat_listener *listener = listen_at(run, 0, 64);
    library->address = *leat_listener_address(listener);
    CHECK(run, leat_http_server_create(&options, &play->server) == 0);
    CHECK(run, leat_http_server_add(play->server, listener) == 0);
}

static void check_workshop(const struct play *play, const struct workshop *workshop)
{
    struct sim_run *run = play->library.run;
    CHECK(run, workshop->memory <= WORKSHOP_MEMORY_MAX);
    CHECK(run, workshop->idle_count <= WORKSHOP_IDLE_MAX);
    CHECK(run, workshop->active <= READERS_MAX || !library_is_kind(&play->library));
}

static void compress_main(void *arg)
{
    struct play *play = arg;
    struct library *library = &play->library;
    struct sim_run *run = library->run;
    struct workshop *workshop = workshop_of(run->loop);
    CHECK(run, workshop != NULL);
    (void)leat_file_open(play->root, "text", LEAT_FOREVER, &play->file);
    const size_t taken = library->is_full ? WORKSHOP_MEMORY_MAX : 0;
    workshop->memory += taken;
    open_library(play);
    const unsigned readers = (unsigned)draw(run, 1, READERS_MAX);
    for (unsigned index = 0, first = 0; index < readers; index++) {
        const unsigned last = library->loan_count * (index + 1) / readers;
        if (last > first)
            reader_start(library, first, last - 1);
        first = last;
    }
    while (library->readers_left > 0) {
        CHECK(run, leat_sleep_ms(50) == 0);
        check_workshop(play, workshop);
    }
    leat_http_server_close(play->server, leat_now_ns(), leat_after_ms(60000));
    while (workshop->active > 0) /* of readers who have gone: nothing holds their handlers up */
        CHECK(run, leat_sleep_ms(50) == 0);
    check_workshop(play, workshop);
    workshop->memory -= taken;
    CHECK(run, workshop->idle_count > 0 || workshop->memory == 0);
    leat_file_unref(play->file);
}

static void check_counters(const struct play *play)
{
    struct sim_run *run = play->library.run;
    const struct leat_http_compress_counters *counters = &play->counters;
    uint64_t coded = 0, left = 0;
    for (enum leat_codec codec = LEAT_CODEC_ZSTD; codec < LEAT_CODECS; codec++) {
        coded += counters->responses[codec];
        CHECK(run, counters->responses[codec] > 0 || counters->coded_bytes[codec] == 0);
    }
    for (unsigned reason = 0; reason < LEAT_HTTP_LEFT_REASONS; reason++)
        left += counters->left[reason];
    CHECK(run, coded >= play->library.coded_seen && coded <= play->library.loan_count);
    CHECK(run, left == counters->responses[LEAT_CODEC_NONE]);
    CHECK(run, counters->plain_bytes[LEAT_CODEC_NONE] == counters->coded_bytes[LEAT_CODEC_NONE]);
}

static void run_compress(struct sim_run *run)
{
    struct play *play = calloc(1, sizeof *play);
    CHECK(run, play != NULL);
    draw_library(&play->library, run);
    make_file(play);
    run_fiber(run, compress_main, play);
    check_counters(play);
    sim_allow_blocking(run->sim, true);
    leat_root_close(play->root);
    CHECK(run, sim_open_count(run->sim) == 0);
    free(play);
}

const struct scenario scenario_compress = {
    "compress", "responses coded on the fly, links of all speeds, readers who vanish",
    run_compress};
