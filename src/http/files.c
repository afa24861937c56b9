/* SPDX-License-Identifier: MIT */
/*
 * Replying with files: what exists, and what tells it from what it was before; the rest is that of
 * any content (contents.c).
 *
 * The entity tag is made of size and modification time to the nanosecond, so that servers with the
 * same files agree on it. It is strong: a file changed in place within one tick of the file
 * system's clock, to the same size, is what it does not see.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "http/coded_files.h"
#include "http/coding.h"
#include "http/conn.h"
#include "http/contents.h"
#include "http/exchange.h"
#include "http/server.h"
#include "leat/error.h"
#include "net/file.h"
#include "wire/mime.h"

enum {
    OPEN_TIMEOUT_MS = 30 * 1000,
    ETAG_SIZE = 2 * 16 + 1, /* two numbers of 64 bits in hex */
};

/* The field lines that say which file it is, made once a file; while its time is still to come they
 * are made each time, for then they are without it. */
static struct leat_slice lines_of(struct leat_file *file)
{
    const struct backend_sys *sys = file->loop->sys;
    static_assert(sizeof file->memo >= ETAG_SIZE + CONDITIONS_LINES_MAX - LEAT_HTTP_ETAG_MAX,
                  "they fit");
    if (file->memo_size > 0)
        return slice_of(file->memo, file->memo_size);
    char etag[ETAG_SIZE + 1];
    const int etag_size = snprintf(etag, sizeof etag, "%" PRIx64 "-%" PRIx64,
                                   (uint64_t)file->info.mtime_ns, file->info.size);
    ASSERT(etag_size > 0 && etag_size <= ETAG_SIZE);
    const int64_t mtime_s = file->info.mtime_ns / LEAT_NS_PER_S;
    const int64_t now_s = sys->wall_ns(sys) / LEAT_NS_PER_S;
    const size_t size =
        validators_put(slice_of(etag, (size_t)etag_size), &mtime_s, now_s, file->memo);
    if (mtime_s <= now_s)
        file->memo_size = (unsigned)size;
    return slice_of(file->memo, size);
}

/* A file as it was coded before, in place of the plain one. */
struct stored_form {
    struct leat_file *file; /* held; NULL: there is none for this client */
    enum leat_codec codec;
    unsigned codecs; /* that the client may get; 0: nobody has asked */
};

/* What is wanted in parts is plain. */
static void find_form(const struct leat_http_request *request, struct leat_http_response *response,
                      struct leat_root *root, const char *path, struct leat_file *file,
                      struct leat_slice media_type, struct stored_form *ret_form)
{
    struct leat_http_coded_files *coded =
        exchange_of_response(response)->conn->server->options.coded_files;
    *ret_form = (struct stored_form){0};
    if (!coded || request->head.head.first_line[HTTP1_FIELD_RANGE] > 0)
        return;
    ret_form->codecs = coding_codecs_of_stored(response, media_type, file->info.size);
    if (ret_form->codecs & ~CODEC_BIT(LEAT_CODEC_NONE))
        (void)coded_files_find(coded, root, path, file, ret_form->codecs, &ret_form->file,
                               &ret_form->codec);
}

static void reply_with(const struct leat_http_request *request, struct leat_http_response *response,
                       struct leat_file *file, struct leat_slice media_type,
                       const struct stored_form *form)
{
    const struct leat_vector vector = {.file = form->file ? form->file : file,
                                       .size = (form->file ? form->file : file)->info.size};
    const struct content content = {
        .media_type = media_type,
        .validators = {.lines = lines_of(file),
                       .has_mtime = true,
                       .mtime_s = file->info.mtime_ns / LEAT_NS_PER_S,
                       .size = vector.size,
                       .codecs = form->codecs,
                       .codec = form->codec},
        .vectors = &vector,
        .count = 1,
    };
    const int error = contents_reply(request, response, &content);
    ASSERT(error == 0); /* a single vector takes no memory */
    if (!form->file)
        return;
    if (response->status == 200)
        coding_count(exchange_of_response(response), form->codec, file->info.size, vector.size, 0);
    response->compress.mode = LEAT_COMPRESS_OFF; /* it is, and need not be looked at again */
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
    if (!is_directory) {
        const struct leat_slice media_type = mime_from_name(slice_from_text(path));
        struct stored_form form;
        find_form(request, response, root, path, file, media_type, &form);
        reply_with(request, response, file, media_type, &form);
        leat_file_unref(form.file);
    }
    leat_file_unref(file);
    return is_directory ? -EISDIR : 0;
}
