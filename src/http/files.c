/* SPDX-License-Identifier: MIT */
/*
 * Replying with files: what exists, whether the client has it already, which part it wants.
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
#include "leat/error.h"
#include "net/file.h"
#include "wire/date.h"
#include "wire/etag.h"
#include "wire/mime.h"
#include "wire/range.h"

enum { OPEN_TIMEOUT_MS = 30 * 1000 };

static const char last_modified[] = "Last-Modified: ";
static const char etag_and_ranges[] =
    "\r\nETag: \"%" PRIx64 "-%" PRIx64 "\"\r\nAccept-Ranges: bytes\r\n";

/* The lines Last-Modified, ETag and Accept-Ranges, made once a file. */
static struct leat_slice validators(struct leat_file *file)
{
    if (file->memo_size == 0) {
        char *text = file->memo;
        memcpy(text, last_modified, sizeof last_modified - 1);
        date_format(file->info.mtime_ns / LEAT_NS_PER_S, text + sizeof last_modified - 1);
        size_t size = sizeof last_modified - 1 + DATE_SIZE;
        size += (size_t)snprintf(text + size, sizeof file->memo - size, etag_and_ranges,
                                 (uint64_t)file->info.mtime_ns, file->info.size);
        ASSERT(size < sizeof file->memo);
        file->memo_size = (unsigned)size;
    }
    return slice_of(file->memo, file->memo_size);
}

static struct leat_slice etag_of(struct leat_file *file)
{
    const struct leat_slice lines = validators(file);
    const size_t start = sizeof last_modified - 1 + DATE_SIZE + sizeof "\r\nETag: " - 1;
    const char *end = memchr(lines.data + start + 1, '"', lines.size - start - 1);
    ASSERT(end != NULL);
    return slice_of(lines.data + start, (size_t)(end + 1 - (lines.data + start)));
}

static bool date_from(const struct leat_file *file, struct leat_slice text, int64_t *ret_s)
{
    const struct backend_sys *sys = file->loop->sys;
    return text.data && date_parse(text, sys->wall_ns(sys) / LEAT_NS_PER_S, ret_s) == 0;
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
    } else if (date_from(file, http1_value(head, HTTP1_FIELD_IF_UNMODIFIED_SINCE), &date_s)) {
        if (mtime_s > date_s)
            return 412;
    }
    if (http1_value(head, HTTP1_FIELD_IF_NONE_MATCH).data) {
        if (has_tag(head, HTTP1_FIELD_IF_NONE_MATCH, file, ETAG_WEAK))
            return 304;
    } else if (date_from(file, http1_value(head, HTTP1_FIELD_IF_MODIFIED_SINCE), &date_s)) {
        if (mtime_s <= date_s)
            return 304;
    }
    return 0;
}

/* Section 13.1.5: a range is for the representation the client has the other parts of. */
static bool may_range(const struct http1_head *head, struct leat_file *file)
{
    const struct leat_slice condition = http1_value(head, HTTP1_FIELD_IF_RANGE);
    if (!condition.data)
        return true;
    if (etag_is_valid(condition))
        return etag_equal(condition, etag_of(file), ETAG_STRONG);
    int64_t date_s;
    return date_from(file, condition, &date_s) && date_s == file->info.mtime_ns / LEAT_NS_PER_S;
}

static bool put_content_range(struct leat_http_response *response, const struct range *range,
                              uint64_t size)
{
    static const char name[] = "Content-Range: ";
    char line[sizeof name - 1 + RANGE_TEXT_SIZE + 2];
    size_t end = sizeof name - 1;
    memcpy(line, name, end);
    end += range_format(range, size, line + end);
    memcpy(line + end, "\r\n", 2);
    return response_put_lines(response, slice_of(line, end + 2));
}

/* The part that is wanted, of a response that is the whole. */
static void reply_with_part(const struct http1_head *head, struct leat_http_response *response)
{
    const uint64_t size = response->size;
    struct range range;
    bool has_room = true;
    switch (range_parse(http1_value(head, HTTP1_FIELD_RANGE), size, &range)) {
    case RANGE_IGNORE: break;
    case RANGE_PART:
        response->status = 206;
        response->offset = range.first;
        response->size = range.last - range.first + 1;
        has_room = put_content_range(response, &range, size);
        break;
    case RANGE_UNSATISFIABLE:
        (void)leat_http_reply_error(response, 416);
        has_room = put_content_range(response, NULL, size);
        break;
    }
    if (!has_room) /* a part that does not say which it is would be taken for the whole */
        (void)leat_http_reply_error(response, 500);
}

/* Takes the file over. */
static void reply_with(struct leat_http_request *request, struct leat_http_response *response,
                       struct leat_file *file, const char *path)
{
    const struct http1_head *head = &request->head.head;
    response_release(response);
    response->file = file;
    if (!response_put_lines(response, validators(file))) {
        (void)leat_http_reply_error(response, 500);
        return;
    }
    response->status = status_of_conditions(head, file);
    if (response->status == 412)
        (void)leat_http_reply_error(response, 412);
    if (response->status != 0)
        return;
    response->status = 200;
    response->media_type = mime_from_name(slice_from_text(path));
    response->offset = 0;
    response->size = file->info.size;
    if (http1_value(head, HTTP1_FIELD_RANGE).data && request->head.method == HTTP1_GET &&
        may_range(head, file))
        reply_with_part(head, response);
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

int leat_http_reply_file(struct leat_http_request *request,
                         struct leat_http_response *response, struct leat_root *root,
                         const char *path)
{
    if (!leat_http_is_get(request)) {
        (void)leat_http_add_field(response, "Allow", "GET, HEAD");
        return leat_http_reply_error(response, 405);
    }
    struct leat_file *file;
    const int error = leat_file_open(root, path, leat_after_ms(OPEN_TIMEOUT_MS), &file);
    if (error)
        return leat_http_reply_error(response, leat_http_status_of_file(error));
    if (file->info.is_directory) {
        leat_file_unref(file);
        return -EISDIR;
    }
    reply_with(request, response, file, path);
    return 0;
}
