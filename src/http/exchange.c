/* SPDX-License-Identifier: MIT */
/*
 * The life of an exchange, and how its response's head is finished.
 */
#include "http/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/decimal.h"
#include "http/coding.h"
#include "http/decoding.h"
#include "http/lot.h"
#include "http/status.h"
#include "leat/error.h"
#include "net/file.h"
#include "net/residency.h"

/* Files up to this size ride behind the head in one send, read from the page cache: a sendfile of
 * their own costs more than the copy. */
enum { INLINE_FILE_MAX = EXCHANGE_OUT_SIZE - OUT_FIELDS_END };

static_assert(INLINE_FILE_MAX >= 4096, "icons and playlists fit");

/* ---- Life ------------------------------------------------------------------------------------ */

static void begin_request(struct exchange *exchange)
{
    exchange->scanned = 0;
    exchange->has_request = exchange->is_late = false;
    exchange->read_error = 0;
    exchange->waited_ns = 0;
    exchange->waited_bytes = 0;
    exchange->head_size = 0;
    exchange->place = NULL;
    exchange->fiber = exchange->reader = exchange->writer = NULL;
    exchange->request.head.method_text = slice_of(NULL, 0);
    exchange->request.allocated = 0;
    exchange->request.match = NULL;
    exchange->request.decoding = NULL;
    exchange->request.deadline_ns = LEAT_FOREVER;
    exchange->request.body.state = BODY_DONE;
    exchange->request.body.received = 0;
    exchange->response = (struct leat_http_response){.fields_end = OUT_FIELDS};
}

void exchange_init(struct exchange *exchange, struct conn *conn)
{
    exchange->conn = conn;
    exchange->input_begin = exchange->input_end = exchange->rest = 0;
    exchange->sent_before = 0;
    arena_init(&exchange->request.arena,
               &(struct arena_options){.first = exchange->scratch,
                                       .first_size = sizeof exchange->scratch});
    begin_request(exchange);
}

void exchange_reset(struct exchange *exchange)
{
    if (exchange->place)
        lot_place_destroy(exchange->place);
    if (exchange->response.coder)
        coding_drop(&exchange->response);
    response_release(&exchange->response);
    decoding_fini(exchange->request.decoding);
    arena_reset(&exchange->request.arena);
    begin_request(exchange);
}

void exchange_fini(struct exchange *exchange)
{
    lot_place_destroy(exchange->place);
    if (exchange->response.coder)
        coding_drop(&exchange->response);
    response_release(&exchange->response);
    decoding_fini(exchange->request.decoding);
    arena_fini(&exchange->request.arena);
}

int exchange_status_of_silence(const struct exchange *exchange)
{
    switch (-exchange->read_error) {
    case LEAT_E_LIMIT: return 413;
    case LEAT_E_MALFORMED: return 400;
    case ETIMEDOUT: return 408;
    case EMEDIUMTYPE: return 415;
    default: return exchange->is_late ? 503 : 500;
    }
}

/* ---- Finishing ------------------------------------------------------------------------------- */

/* Puts the status line and Date in front of the fields; returns where the head begins. */
static unsigned put_start(struct exchange *exchange, const char *date)
{
    char unknown[STATUS_LINE_MAX];
    struct leat_slice line = status_line(exchange->response.status);
    if (!line.data) /* the phrase may be empty (RFC 9112, section 4) */
        line = slice_of(unknown, (size_t)snprintf(unknown, sizeof unknown, "HTTP/1.1 %d \r\n",
                                                  exchange->response.status));
    const unsigned start = OUT_FIELDS - DATE_LINE_SIZE - (unsigned)line.size;
    static_assert(STATUS_LINE_MAX + DATE_LINE_SIZE <= OUT_FIELDS, "the start fits");
    ASSERT(line.size <= STATUS_LINE_MAX);
    memcpy(exchange->out + OUT_FIELDS - DATE_LINE_SIZE, date, DATE_LINE_SIZE);
    memcpy(exchange->out + start, line.data, line.size);
    return start;
}

static bool has_no_content(int status)
{
    return status == 204 || status == 304;
}

static char *append(char *at, struct leat_slice text)
{
    memcpy(at, text.data, text.size);
    return at + text.size;
}

/* For these lines response_put_field has kept room. */
static void put_last_fields(struct leat_http_response *response, bool is_old_client)
{
    char *const out = exchange_of_response(response)->out;
    char *at = out + response->fields_end;
    if (response->media_type.data) {
        at = append(at, SLICE("Content-Type: "));
        at = append(at, response->media_type);
        at = append(at, SLICE("\r\n"));
    }
    if (response->kind == RESPONSE_CHUNKED) {
        at = append(at, SLICE("Transfer-Encoding: chunked\r\n"));
    } else if (response->kind != RESPONSE_TO_CLOSE && !has_no_content(response->status)) {
        at = append(at, SLICE("Content-Length: "));
        at = decimal_put(at, response->size);
        at = append(at, SLICE("\r\n"));
    }
    if (!response->keep_alive)
        at = append(at, SLICE("Connection: close\r\n"));
    else if (is_old_client) /* HTTP/1.0 must be told (RFC 9112, section 9.3) */
        at = append(at, SLICE("Connection: keep-alive\r\n"));
    at = append(at, SLICE("\r\n"));
    response->fields_end = (unsigned)(at - out);
    ASSERT(response->fields_end <= OUT_FIELDS_END);
}

/* A small body goes behind the head. Does it? */
static bool put_small_body(struct leat_http_response *response)
{
    struct exchange *exchange = exchange_of_response(response);
    char *place = exchange->out + response->fields_end;
    const size_t room = EXCHANGE_OUT_SIZE - response->fields_end;
    if (response->size > room)
        return false;
    if (response->body) {
        memcpy(place, response->body, response->size);
    } else {
        if (response->size > INLINE_FILE_MAX)
            return false;
        const struct backend_sys *sys = response->file->loop->sys;
        const ssize_t size =
            sys->read_now(sys, response->file->fd, place, response->size, response->offset);
        /* Cold, or shorter than it was: the sender knows what to do about either. */
        if (size != (ssize_t)response->size) {
            residency_doubt(response->file, response->offset);
            return false;
        }
    }
    response->fields_end += (unsigned)response->size;
    return true;
}

void exchange_finish(struct exchange *exchange, const char *date)
{
    struct leat_http_response *response = &exchange->response;
    ASSERT(response->status > 0 && !response->is_head_out);
    const struct http1_head *head = &exchange->request.head.head;
    if (response->status == 205 && response->kind == RESPONSE_WHOLE) /* RFC 9110, 15.3.6 */
        response_set(response, 205, slice_of(NULL, 0), NULL, 0);
    const unsigned start = put_start(exchange, date);
    put_last_fields(response, head->minor_version == 0);
    const bool has_body = response->kind == RESPONSE_WHOLE && response->size > 0 &&
                          !response->is_head_only && !has_no_content(response->status);
    struct leat_vector *list = exchange->vectors;
    exchange->head_size += response->fields_end - start;
    exchange->vector_count = 1;
    if (has_body && response->vector_count > 0) {
        list = response->vectors;
        exchange->vector_count += response->vector_count;
    } else if (has_body && !put_small_body(response)) {
        list[exchange->vector_count++] = (struct leat_vector){
            .file = response->file,
            .data = response->body,
            .offset = response->offset,
            .size = response->size,
        };
    }
    list[0] =
        (struct leat_vector){.data = exchange->out + start, .size = response->fields_end - start};
    exchange->to_send = list;
    response->is_head_out = true;
}
