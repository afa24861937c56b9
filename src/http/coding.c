/* SPDX-License-Identifier: MIT */
/*
 * Whether, and how: see coding.h. A response may be coded when its policy, its type, its size, its
 * fields and its client allow it; then a sample of its bytes, the core and the link decide.
 */
#include "http/coding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/workshop.h"
#include "http/coding_parts.h"
#include "http/conditions.h"
#include "http/conn.h"
#include "http/server.h"
#include "http/way.h"
#include "leat/error.h"
#include "wire/accept_encoding.h"
#include "wire/mime.h"

static_assert((int)ACCEPT_IDENTITY == LEAT_CODEC_NONE && (int)ACCEPT_ZSTD == LEAT_CODEC_ZSTD &&
                  (int)ACCEPT_GZIP == LEAT_CODEC_GZIP && (int)ACCEPT_BR == LEAT_CODEC_BROTLI,
              "a coding's number is its codec's");

enum {
    SIZE_GUESS = 64 * 1024, /* of what is written piece by piece */
    SAMPLE_LEAST = 256,     /* bytes of a first piece */
    SHORT_NS = 64 * 1000,   /* what takes no longer can not gain what looking at it costs */
};

/* ---- Terms ----------------------------------------------------------------------------------- */

static const struct leat_compress_policy *policy_of(const struct leat_http_response *response)
{
    return response->compress.mode != LEAT_COMPRESS_UNSET
               ? &response->compress
               : &exchange_of_response(response)->conn->server->options.compress;
}

int coding_check(const struct leat_compress_policy *policy)
{
    switch (policy->mode) {
    case LEAT_COMPRESS_UNSET:
    case LEAT_COMPRESS_OFF: return 0;
    case LEAT_COMPRESS_AUTO:
        return policy->codec < LEAT_CODEC_LZ4 && policy->level == 0 ? 0 : -EINVAL;
    case LEAT_COMPRESS_FIXED: break;
    }
    const struct codec_setting setting = {.codec = policy->codec, .level = policy->level};
    const bool is_coding = policy->codec != LEAT_CODEC_NONE && policy->codec != LEAT_CODEC_LZ4;
    return policy->mode == LEAT_COMPRESS_FIXED && is_coding && codec_setting_is_valid(setting)
               ? 0
               : -EINVAL;
}

int leat_http_set_compress(struct leat_http_response *response,
                           const struct leat_compress_policy *policy)
{
    if (coding_check(policy) != 0)
        return -EINVAL;
    response->compress = *policy;
    return 0;
}

static bool is_coded_type(const struct leat_http_server *server, struct leat_slice media_type)
{
    return mime_is_compressible(media_type) ||
           mime_list_has(slice_from_text(server->options.compress_types), media_type);
}

bool coding_varies(const struct leat_http_response *response, struct leat_slice media_type,
                   uint64_t size)
{
    struct leat_http_server *server = exchange_of_response(response)->conn->server;
    if (size <= CODING_ORDERED_SIZE || media_type.size == 0)
        return false;
    const enum leat_compress_mode mode = policy_of(response)->mode;
    if (mode != LEAT_COMPRESS_AUTO && mode != LEAT_COMPRESS_FIXED)
        return false;
    if (mode == LEAT_COMPRESS_AUTO && size <= CODING_PACKET_SIZE)
        return false;
    if (media_type.size > CODING_TYPE_MAX)
        return is_coded_type(server, media_type);
    /* Servers have few types, and a look at the lists costs more than all else here. */
    const unsigned char last = (unsigned char)media_type.data[media_type.size - 1];
    struct coding_type *type = &server->types[(media_type.size + last) % CODING_TYPES];
    if (type->size != media_type.size ||
        memcmp(type->text, media_type.data, media_type.size) != 0) {
        type->size = (unsigned char)media_type.size;
        memcpy(type->text, media_type.data, media_type.size);
        type->is_coded = is_coded_type(server, media_type);
    }
    return type->is_coded;
}

unsigned coding_codecs(const struct leat_http_response *response)
{
    const struct http1_head *head = &exchange_of_response(response)->request.head.head;
    const struct leat_compress_policy *policy = policy_of(response);
    struct accept_encoding accept;
    if (head->first_line[HTTP1_FIELD_ACCEPT_ENCODING] == 0)
        return CODEC_BIT(LEAT_CODEC_NONE);
    accept_encoding_init(&accept);
    for (unsigned line = head->first_line[HTTP1_FIELD_ACCEPT_ENCODING];
         line > 0 && line <= head->line_count; line++)
        if (head->lines[line - 1].field == HTTP1_FIELD_ACCEPT_ENCODING)
            accept_encoding_add(&accept, head->lines[line - 1].value);
    if (policy->codec == LEAT_CODEC_NONE)
        return accept_encoding_best(&accept);
    return accept_encoding_best_of(&accept, CODEC_BIT(policy->codec));
}

static const struct leat_slice vary_line = {"Vary: Accept-Encoding\r\n", 23};

char *coding_put_lines(char *at, enum leat_codec codec)
{
    if (codec != LEAT_CODEC_NONE) {
        const struct leat_slice name = codec_name(codec);
        at = stpcpy(at, "Content-Encoding: ");
        memcpy(at, name.data, name.size);
        at = stpcpy(at + name.size, "\r\n");
    }
    memcpy(at, vary_line.data, vary_line.size);
    return at + vary_line.size;
}

/* ---- The fields so far ----------------------------------------------------------------------- */

/* What the response says already. */
struct said {
    bool is_settled; /* it has a coding, or must be left as it is, */
    bool is_ours;    /* as its reply has said, not its handler */
    bool has_vary;
    unsigned tag_at; /* a strong tag of the handler's own, in out; 0: none */
};

static bool has_token(struct leat_slice value, const char *token)
{
    const size_t size = strlen(token);
    for (size_t at = 0; at + size <= value.size; at++)
        if (strncasecmp(value.data + at, token, size) == 0)
            return true;
    return false;
}

static void look_at_line(struct leat_http_response *response, struct leat_slice name,
                         struct leat_slice value, struct said *said)
{
    const unsigned at = (unsigned)(value.data - exchange_of_response(response)->out);
    const bool is_replys = at >= response->lines_begin && at < response->lines_end;
    if (slice_equal_nocase(name, SLICE("Content-Encoding")) ||
        slice_equal_nocase(name, SLICE("Content-Range"))) {
        said->is_settled = true;
        said->is_ours = is_replys;
    } else if (slice_equal_nocase(name, SLICE("Cache-Control")))
        said->is_settled |= has_token(value, "no-transform");
    else if (slice_equal_nocase(name, SLICE("Vary")))
        said->has_vary |= has_token(value, "accept-encoding") || has_token(value, "*");
    else if (slice_equal_nocase(name, SLICE("ETag")) && value.size > 0 && value.data[0] == '"' &&
             !is_replys)
        said->tag_at = at;
}

static struct said look_at_fields(struct leat_http_response *response)
{
    const char *const out = exchange_of_response(response)->out;
    const char *const end = out + response->fields_end;
    struct said said = {0};
    for (const char *at = out + OUT_FIELDS; at < end;) {
        const char *line_end = memchr(at, '\r', (size_t)(end - at));
        const char *colon = memchr(at, ':', (size_t)(end - at));
        ASSERT(line_end != NULL && colon != NULL && colon < line_end);
        const struct leat_slice value = slice_of(colon + 2, (size_t)(line_end - colon - 2));
        look_at_line(response, slice_of(at, (size_t)(colon - at)), value, &said);
        at = line_end + 2;
    }
    return said;
}

unsigned coding_codecs_of_stored(struct leat_http_response *response, struct leat_slice media_type,
                                 uint64_t size)
{
    if (!coding_varies(response, media_type, size) || look_at_fields(response).is_settled)
        return 0;
    return coding_codecs(response);
}

/* The handler's own tag is for the plain text, byte by byte: a coded one is only as good. */
static void weaken_tag(struct leat_http_response *response, unsigned at)
{
    char *out = exchange_of_response(response)->out;
    ASSERT(out[at] == '"' && response->lines_end == 0);
    memmove(out + at + 2, out + at, response->fields_end - at);
    memcpy(out + at, "W/", 2);
    response->fields_end += 2;
}

/* The head says now how the body is coded. The reply's own lines, of which `lines` is a copy, are
 * made anew behind all others, where there is room kept for them. */
static void say_coding(struct leat_http_response *response, struct said said,
                       struct leat_slice lines, enum leat_codec codec)
{
    char text[RESPONSE_LINES_MAX];
    size_t size = 0;
    static_assert(CONDITIONS_CODED_MAX + 2 * CODING_LINES_MAX + 2 <= sizeof text, "they fit");
    ASSERT(codec != LEAT_CODEC_NONE);
    if (said.tag_at > 0 && said.tag_at >= response->lines_end)
        said.tag_at -= response->lines_end - response->lines_begin;
    response_take_lines_back(response);
    if (said.tag_at > 0)
        weaken_tag(response, said.tag_at);
    if (lines.size > 0)
        size = validators_put_coded(lines, codec, text);
    const char *end = coding_put_lines(text + size, codec);
    if (said.has_vary) /* the last of them */
        end -= vary_line.size;
    response_put_lines(response, slice_of(text, (size_t)(end - text)));
}

/* It is left as it is, and might not have been. */
static void say_vary(struct leat_http_response *response, const struct said *said)
{
    char lines[RESPONSE_LINES_MAX];
    const unsigned begin = response->lines_begin, size = response->lines_end - begin;
    if (said->has_vary)
        return;
    if (size > 0 && response->lines_end != response->fields_end) { /* they go last, as above */
        memcpy(lines, exchange_of_response(response)->out + begin, size);
        response_take_lines_back(response);
        response_put_lines(response, slice_of(lines, size));
    }
    response_put_lines(response, vary_line);
}

/* ---- The decision ---------------------------------------------------------------------------- */

int coding_read(const struct coding_text *text, uint64_t offset, size_t size, char *buffer,
                const char **ret_data)
{
    size_t end = 0;
    *ret_data = buffer;
    for (size_t index = 0; index < text->count && end < size; index++) {
        const struct leat_vector *vector = &text->vectors[index];
        if (vector->size <= offset) {
            offset -= vector->size;
            continue;
        }
        const uint64_t left = vector->size - offset;
        const size_t piece = left < size - end ? (size_t)left : size - end;
        if (!vector->file && piece == size) {
            *ret_data = (const char *)vector->data + offset;
            return 0;
        }
        const struct leat_file_range range = {.offset = vector->offset + offset, .size = piece};
        if (!vector->file)
            memcpy(buffer + end, (const char *)vector->data + offset, piece);
        else if (leat_file_read(vector->file, &range, 1, buffer + end, LEAT_FOREVER) != 0)
            return -EIO;
        end += piece;
        offset = 0;
    }
    ASSERT(end == size);
    return 0;
}

__attribute__((noinline)) static int take_sample(const struct coding_text *text, uint64_t size,
                                                 struct sample *ret_sample)
{
    char buffer[SAMPLE_SIZE_MAX];
    if (text->size < SAMPLE_LEAST) { /* the bracket of a list says nothing of what comes: text */
        *ret_sample =
            (struct sample){.size = size, .core_set = 0.15F, .entropy = 4.8F, .lz4_ratio = 0.45F};
        return 0;
    }
    struct sample_range ranges[SAMPLE_PIECES_MAX];
    struct leat_slice pieces[SAMPLE_PIECES_MAX];
    const unsigned count = sample_ranges(text->size, ranges);
    char *at = buffer;
    for (unsigned index = 0; index < count; index++) {
        const char *data;
        const int error = coding_read(text, ranges[index].offset, ranges[index].size, at, &data);
        if (error)
            return error;
        pieces[index] = slice_of(data, ranges[index].size);
        at += ranges[index].size;
    }
    ASSERT(at <= buffer + sizeof buffer);
    sample_take(size, pieces, count, ret_sample);
    return 0;
}

static enum leat_http_left left_by(enum choice_reason reason)
{
    switch (reason) {
    case CHOICE_SMALL: return LEAT_HTTP_LEFT_SMALL;
    case CHOICE_COMPRESSED: return LEAT_HTTP_LEFT_COMPRESSED;
    case CHOICE_NOISE: return LEAT_HTTP_LEFT_NOISE;
    default: return LEAT_HTTP_LEFT_NO_GAIN;
    }
}

static void leave(struct leat_http_response *response, uint64_t size, enum leat_http_left reason)
{
    struct coding_counters *counters = &exchange_of_response(response)->conn->server->coding;
    counter_add(&counters->left[reason], 1);
    counter_add(&counters->responses[LEAT_CODEC_NONE], 1);
    counter_add(&counters->plain_bytes[LEAT_CODEC_NONE], size);
    counter_add(&counters->coded_bytes[LEAT_CODEC_NONE], size);
}

void coding_count(struct exchange *exchange, enum leat_codec codec, uint64_t plain_size,
                  uint64_t coded_size, int64_t cpu_ns)
{
    struct coding_counters *counters = &exchange->conn->server->coding;
    counter_add(&counters->responses[codec], 1);
    counter_add(&counters->plain_bytes[codec], plain_size);
    counter_add(&counters->coded_bytes[codec], coded_size);
    counter_add(&counters->cpu_ns, (uint64_t)cpu_ns);
}

static struct codec_setting cheapest_of(unsigned codecs)
{
    enum leat_codec codec = LEAT_CODEC_ZSTD;
    while ((codecs & CODEC_BIT(codec)) == 0)
        codec++;
    ASSERT(codec < LEAT_CODEC_LZ4);
    return (struct codec_setting){.codec = codec, .level = 1};
}

/* The best of these codecs for the text, of which `size` bytes are expected. False: it is to be
 * left as it is, and counted as such. */
static bool decide(struct leat_http_response *response, const struct coding_text *text,
                   uint64_t size, unsigned codecs, struct sample *ret_sample,
                   struct choice *ret_choice)
{
    const struct leat_compress_policy *policy = policy_of(response);
    const struct conn *conn = exchange_of_response(response)->conn;
    if ((codecs & ~CODEC_BIT(LEAT_CODEC_NONE)) == 0) {
        leave(response, size, LEAT_HTTP_LEFT_NOT_ACCEPTED);
        return false;
    }
    if (policy->mode == LEAT_COMPRESS_FIXED) {
        *ret_choice = (struct choice){.setting = {.codec = policy->codec, .level = policy->level},
                                      .reason = CHOICE_CODED};
        return true;
    }
    const struct choice_link link = way_of(response);
    const bool may_leave = (codecs & CODEC_BIT(LEAT_CODEC_NONE)) != 0;
    if (may_leave && choice_send_ns(&link, (double)size) < SHORT_NS) {
        leave(response, size, LEAT_HTTP_LEFT_NO_GAIN);
        return false;
    }
    struct workshop *workshop = workshop_of(conn->stream.loop);
    if (!workshop || take_sample(text, size, ret_sample) != 0) {
        leave(response, size, LEAT_HTTP_LEFT_BUSY);
        return false;
    }
    const double slowdown =
        headroom_slowdown(&workshop->headroom, conn->stream.loop->sys, workshop->active);
    choice_make(&workshop->model, ret_sample, &link, slowdown, codecs, ret_choice);
    if (ret_choice->reason == CHOICE_CODED)
        return true;
    if (!may_leave) { /* whatever it takes (section 12.5.3) */
        ret_choice->index = 0;
        ret_choice->setting = cheapest_of(codecs);
        return true;
    }
    leave(response, size, left_by(ret_choice->reason));
    return false;
}

/* ---- Whole responses ------------------------------------------------------------------------- */

struct job {
    struct codec_setting setting;
    const struct backend_sys *sys;
    const char *plain;
    size_t plain_size;
    char *out;
    size_t out_size;
    ssize_t size;   /* of what came out */
    int64_t cpu_ns; /* that it took */
};

static int run_job(void *arg)
{
    struct job *job = arg;
    const int64_t begin_ns = job->sys->thread_cpu_ns(job->sys);
    job->size = codec_encode(job->setting, job->plain, job->plain_size, job->out, job->out_size);
    job->cpu_ns = job->sys->thread_cpu_ns(job->sys) - begin_ns;
    return 0;
}

/* Little is done here, much in a thread of the pool: 0 or an error, -EAGAIN: it has no thread. */
static int do_job(struct job *job, struct headroom *headroom)
{
    if (job->plain_size > CODING_AT_ONCE_MAX) {
        int result;
        return leat_offload(run_job, job, LEAT_FOREVER, &result);
    }
    struct headroom_watch watch;
    headroom_begin(job->sys, &watch);
    job->size = codec_encode(job->setting, job->plain, job->plain_size, job->out, job->out_size);
    job->cpu_ns = headroom_end(headroom, job->sys, &watch);
    return 0;
}

/* The whole text in one piece of memory: where it lies, or a copy, to be freed. */
static int gather(const struct coding_text *text, const char **ret_data, char **ret_copy)
{
    *ret_copy = NULL;
    if (text->count == 1 && !text->vectors[0].file) {
        *ret_data = text->vectors[0].data;
        return 0;
    }
    *ret_copy = malloc(text->size);
    if (!*ret_copy)
        return -ENOMEM;
    return coding_read(text, 0, text->size, *ret_copy, ret_data);
}

/* Replaces the reply's body by its coded form: 0, or an error and nothing has changed. */
static int code_at_once(struct leat_http_response *response, const struct coding_text *text,
                        const struct sample *sample, const struct choice *choice)
{
    struct exchange *exchange = exchange_of_response(response);
    struct workshop *workshop = workshop_of(exchange->conn->stream.loop);
    struct job job = {.setting = choice->setting,
                      .sys = exchange->conn->stream.loop->sys,
                      .plain_size = text->size,
                      .out_size = codec_bound(choice->setting.codec, text->size)};
    /* What does not become smaller is of no use, unless it was ordered. */
    if (choice->index > 0 && job.out_size >= text->size)
        job.out_size = text->size - 1;
    char *copy = NULL;
    job.out = workshop ? malloc(job.out_size) : NULL;
    int error = job.out ? gather(text, &job.plain, &copy) : -ENOMEM;
    if (!error)
        error = do_job(&job, &workshop->headroom);
    if (!error && job.size < 0)
        error = (int)job.size;
    free(copy);
    if (error) {
        free(job.out);
        return error;
    }
    char *kept = realloc(job.out, (size_t)job.size);
    if (choice->index > 0)
        model_learn(&workshop->model, choice->index, sample, (uint64_t)job.size, job.cpu_ns);
    coding_count(exchange, choice->setting.codec, text->size, (uint64_t)job.size, job.cpu_ns);
    response_set(response, response->status, response->media_type, kept ? kept : job.out,
                 (size_t)job.size);
    response->owned_body = kept ? kept : job.out;
    return 0;
}

static bool is_at_once(const struct codec_setting *setting, uint64_t size)
{
    return size <= CODING_AT_ONCE_MAX ||
           (setting->codec == LEAT_CODEC_GZIP && size <= CODING_GZIP_AT_ONCE_MAX);
}

/* The body is coded, or will be by the coder that the response has then: 0, or an error and nothing
 * has changed. */
static int code(struct leat_http_response *response, const struct coding_text *text,
                const struct sample *sample, const struct choice *choice)
{
    if (response->is_head_only) {
        response->kind = RESPONSE_CHUNKED; /* GET would be told no size, or another */
        return 0;
    }
    int error = -EAGAIN;
    if (is_at_once(&choice->setting, text->size))
        error = code_at_once(response, text, sample, choice);
    if (error != -EAGAIN) /* that is a pool of threads that has enough to do */
        return error;
    error = coder_start(response, choice->setting, (int64_t)text->size);
    if (!error && choice->index > 0)
        coder_learns(response->coder, choice->index, sample);
    return error;
}

/* Bodies that there are, and that are the whole of what they are a body of. */
static bool has_body(const struct leat_http_response *response)
{
    const int status = response->status;
    return status >= 200 && status != 204 && status != 205 && status != 206 && status != 304;
}

/* Decides and says; a body that is to go through a coder does so afterwards. */
static void begin_whole(struct leat_http_response *response, const struct coding_text *text)
{
    char kept[RESPONSE_LINES_MAX];
    struct sample sample;
    struct choice choice;
    const struct said said = look_at_fields(response);
    if (said.is_settled && !said.is_ours)
        leave(response, text->size, LEAT_HTTP_LEFT_FORBIDDEN);
    if (said.is_settled)
        return;
    if (!decide(response, text, text->size, coding_codecs(response), &sample, &choice)) {
        say_vary(response, &said);
        return;
    }
    const size_t size = response->lines_end - response->lines_begin;
    ASSERT(size <= sizeof kept);
    memcpy(kept, exchange_of_response(response)->out + response->lines_begin, size);
    const int error = code(response, text, &sample, &choice);
    if (!error) {
        say_coding(response, said, slice_of(kept, size), choice.setting.codec);
        return;
    }
    leave(response, text->size,
          error == -LEAT_E_LIMIT ? LEAT_HTTP_LEFT_NO_GAIN : LEAT_HTTP_LEFT_BUSY);
    say_vary(response, &said);
}

__attribute__((noinline)) static void code_whole(struct leat_http_response *response)
{
    const struct leat_vector only = {.file = response->file,
                                     .data = response->body,
                                     .offset = response->offset,
                                     .size = response->size};
    const bool is_list = response->vector_count > 0;
    const struct coding_text text = {.vectors = is_list ? response->vectors + 1 : &only,
                                     .count = is_list ? response->vector_count : 1,
                                     .size = response->size};
    begin_whole(response, &text);
    if (!response->coder)
        return;
    /* From here on it is the client's time, as with any whole reply, and no more the handler's. */
    leat_http_set_deadline(&exchange_of_response(response)->request, LEAT_FOREVER);
    if (coding_write(response, text.vectors, text.count, LEAT_FOREVER) == 0)
        (void)coder_finish(response);
}

void coding_end(struct exchange *exchange)
{
    struct leat_http_response *response = &exchange->response;
    if (exchange->is_late)
        return;
    if (response->kind == RESPONSE_WHOLE &&
        coding_varies(response, response->media_type, response->size) && has_body(response))
        code_whole(response);
    else if (response->coder && !response->is_broken)
        (void)coder_finish(response);
}

/* ---- Piece by piece -------------------------------------------------------------------------- */

void coding_begin(struct leat_http_response *response, const struct leat_vector *vectors,
                  size_t count, int64_t size)
{
    struct coding_text first = {.vectors = vectors, .count = count};
    struct sample sample;
    struct choice choice;
    for (size_t index = 0; index < count; index++)
        first.size += vectors[index].size;
    const uint64_t expected = size >= 0                 ? (uint64_t)size
                              : first.size > SIZE_GUESS ? first.size
                                                        : SIZE_GUESS;
    if (first.size == 0 || !has_body(response) ||
        !coding_varies(response, response->media_type, expected))
        return;
    const struct said said = look_at_fields(response);
    if (said.is_settled) {
        leave(response, expected, LEAT_HTTP_LEFT_FORBIDDEN);
        return;
    }
    if (!decide(response, &first, expected, coding_codecs(response), &sample, &choice)) {
        say_vary(response, &said);
        return;
    }
    if (response->is_head_only) {
        response->kind = RESPONSE_CHUNKED;
    } else if (coder_start(response, choice.setting, size) != 0) {
        leave(response, expected, LEAT_HTTP_LEFT_BUSY);
        say_vary(response, &said);
        return;
    }
    say_coding(response, said, slice_of(NULL, 0), choice.setting.codec);
}
