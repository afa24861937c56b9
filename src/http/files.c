/* SPDX-License-Identifier: MIT */
/*
 * Replying with files: what exists, whether the client has it already, which parts it wants.
 *
 * The entity tag is made of size and modification time to the nanosecond, so that servers with the
 * same files agree on it. It is strong: a file changed in place within one tick of the file
 * system's clock, to the same size, is what it does not see.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "http/exchange.h"
#include "http/parts.h"
#include "leat/error.h"
#include "net/file.h"
#include "wire/date.h"
#include "wire/etag.h"
#include "wire/mime.h"
#include "wire/range.h"

enum { OPEN_TIMEOUT_MS = 30 * 1000 };

static const char etag_name[] = "ETag: ";
static const char modified_name[] = "Last-Modified: ";

static int64_t wall_s(const struct leat_file *file)
{
    const struct backend_sys *sys = file->loop->sys;
    return sys->wall_ns(sys) / LEAT_NS_PER_S;
}

/* The lines ETag, Accept-Ranges and Last-Modified, made once a file. A date in the future is not
 * sent (RFC 9110, section 8.8.2.1); until it has come they are made each time. */
static struct leat_slice validators(struct leat_file *file)
{
    if (file->memo_size > 0)
        return slice_of(file->memo, file->memo_size);
    const int64_t mtime_s = file->info.mtime_ns / LEAT_NS_PER_S;
    const bool is_past = mtime_s <= wall_s(file);
    char *text = file->memo;
    size_t size = (size_t)snprintf(text, sizeof file->memo,
                                   "%s\"%" PRIx64 "-%" PRIx64 "\"\r\nAccept-Ranges: bytes\r\n",
                                   etag_name, (uint64_t)file->info.mtime_ns, file->info.size);
    ASSERT(size + sizeof modified_name - 1 + DATE_SIZE + 2 <= sizeof file->memo);
    if (is_past) {
        memcpy(text + size, modified_name, sizeof modified_name - 1);
        size += sizeof modified_name - 1;
        date_format(mtime_s, text + size);
        size += DATE_SIZE;
        memcpy(text + size, "\r\n", 2);
        size += 2;
        file->memo_size = (unsigned)size;
    }
    return slice_of(text, size);
}

static struct leat_slice etag_of(struct leat_file *file)
{
    const struct leat_slice lines = slice_after(validators(file), sizeof etag_name - 1);
    const char *end = memchr(lines.data + 1, '"', lines.size - 1);
    ASSERT(lines.data[0] == '"' && end != NULL);
    return slice_of(lines.data, (size_t)(end + 1 - lines.data));
}

/* The value of a field that is no list: in several lines it says nothing (RFC 9110, 13.1.3). */
static struct leat_slice only_value(const struct http1_head *head, enum http1_field field)
{
    const unsigned first = head->first_line[field];
    for (unsigned line = first; first > 0 && line < head->line_count; line++)
        if (head->lines[line].field == field)
            return slice_of(NULL, 0);
    return http1_value(head, field);
}

static bool date_from(const struct leat_file *file, struct leat_slice text, int64_t *ret_s)
{
    return text.data && date_parse(text, wall_s(file), ret_s) == 0;
}

/* Is the file's tag in one of the lines of this field (If-Match, If-None-Match)? */
static bool has_tag(const struct http1_head *head, enum http1_field field, struct leat_file *file,
                    enum etag_comparison comparison)
{
    for (unsigned line = 0; line < head->line_count; line++)
        if (head->lines[line].field == field &&
            etag_list_has(head->lines[line].value, etag_of(file), comparison))
            return true;
    return false;
}

/* Steps 1 to 4 of RFC 9110, section 13.2.2: 412, 304, or 0 when the file is to be sent. */
static int status_of_conditions(const struct http1_head *head, struct leat_file *file)
{
    const int64_t mtime_s = file->info.mtime_ns / LEAT_NS_PER_S;
    int64_t date_s;
    if (http1_value(head, HTTP1_FIELD_IF_MATCH).data) {
        if (!has_tag(head, HTTP1_FIELD_IF_MATCH, file, ETAG_STRONG))
            return 412;
    } else if (date_from(file, only_value(head, HTTP1_FIELD_IF_UNMODIFIED_SINCE), &date_s)) {
        if (mtime_s > date_s)
            return 412;
    }
    if (http1_value(head, HTTP1_FIELD_IF_NONE_MATCH).data) {
        if (has_tag(head, HTTP1_FIELD_IF_NONE_MATCH, file, ETAG_WEAK))
            return 304;
    } else if (date_from(file, only_value(head, HTTP1_FIELD_IF_MODIFIED_SINCE), &date_s)) {
        if (mtime_s <= date_s)
            return 304;
    }
    return 0;
}

/* Section 13.1.5: a range is for the representation the client has the other parts of. A date of
 * this second tells none from the next (8.8.2.2). */
static bool may_range(const struct http1_head *head, struct leat_file *file)
{
    if (!http1_value(head, HTTP1_FIELD_IF_RANGE).data)
        return true;
    const struct leat_slice condition = only_value(head, HTTP1_FIELD_IF_RANGE);
    if (!condition.data)
        return false;
    if (etag_is_valid(condition))
        return etag_equal(condition, etag_of(file), ETAG_STRONG);
    int64_t date_s;
    return date_from(file, condition, &date_s) && date_s < wall_s(file) &&
           date_s == file->info.mtime_ns / LEAT_NS_PER_S;
}

/* What the client gets: 200, 206 and which parts, 304, 412 or 416. */
static int status_for(const struct leat_http_request *request, struct leat_file *file,
                      struct range_set *ret_set)
{
    const struct http1_head *head = &request->head.head;
    const int status = status_of_conditions(head, file);
    if (status != 0)
        return status;
    const struct leat_slice range = only_value(head, HTTP1_FIELD_RANGE);
    if (!range.data || request->head.method != HTTP1_GET || !may_range(head, file))
        return 200;
    switch (range_parse(range, file->info.size, ret_set)) {
    case RANGE_PARTS: return 206;
    case RANGE_UNSATISFIABLE: return 416;
    case RANGE_IGNORE: break;
    }
    return 200;
}

/* For NULL: there is no such range. */
static void put_content_range(struct leat_http_response *response, const struct range *range,
                              uint64_t size)
{
    static const char name[] = "Content-Range: ";
    char line[sizeof name - 1 + RANGE_TEXT_SIZE + 2];
    size_t end = sizeof name - 1;
    static_assert(sizeof line + sizeof((struct leat_file *)0)->memo <= RESPONSE_LINES_MAX,
                  "what is said of a file fits");
    memcpy(line, name, end);
    end += range_format(range, size, line + end);
    memcpy(line + end, "\r\n", 2);
    response_put_lines(response, slice_of(line, end + 2));
}

/* A part of the file, or with NULL the whole; it is held from now on. */
static void reply_with_range(struct leat_http_response *response, int status,
                             struct leat_slice media_type, struct leat_file *file,
                             const struct range *part)
{
    response_set(response, status, media_type, NULL, 0);
    leat_file_ref(file);
    response->file = file;
    response->offset = part ? part->first : 0;
    response->size = part ? part->last - part->first + 1 : file->info.size;
}

static void reply_with(const struct leat_http_request *request, struct leat_http_response *response,
                       struct leat_file *file, struct leat_slice media_type)
{
    struct range_set set;
    int status = status_for(request, file, &set);
    const struct range *part = status == 206 && set.count == 1 ? &set.parts[0] : NULL;
    response_set(response, status, slice_of(NULL, 0), NULL, 0);
    /* Without memory for the heads of parts the client gets the whole: Range is a wish. */
    if (status == 206 && !part && parts_reply(response, file, media_type, &set) != 0)
        status = 200;
    if (status == 200 || part)
        reply_with_range(response, status, media_type, file, part);
    else if (status >= 400)
        (void)leat_http_reply_error(response, status);
    if (response->lines_end > 0) /* options.on_error has replied with a file of its own */
        return;
    response_put_lines(response, validators(file));
    if (part || status == 416)
        put_content_range(response, part, file->info.size);
}

int leat_http_status_of_file(int error)
{
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
    case EXDEV: /* it leads out of the root: as if it were not there */
    case ELOOP:
    case ENAMETOOLONG: return 404;
    case EACCES:
    case EPERM: return 403;
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ETIMEDOUT: return 503;
    default: return 500;
    }
}

int leat_http_reply_file(struct leat_http_request *request, struct leat_http_response *response,
                         struct leat_root *root, const char *path)
{
    if (response->kind != RESPONSE_WHOLE)
        return -EALREADY;
    if (!leat_http_is_get(request))
        return leat_http_reply_not_allowed(request, response, "GET, HEAD");
    struct leat_file *file;
    const int error = leat_file_open(root, path, leat_after_ms(OPEN_TIMEOUT_MS), &file);
    if (error)
        return leat_http_reply_error(response, leat_http_status_of_file(error));
    const bool is_directory = file->info.is_directory;
    if (!is_directory)
        reply_with(request, response, file, mime_from_name(slice_from_text(path)));
    leat_file_unref(file);
    return is_directory ? -EISDIR : 0;
}
