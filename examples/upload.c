/* SPDX-License-Identifier: MIT */
/*
 * upload [--listen ADDR:PORT] [--size-max BYTES] [--threads N] [--no-sync] DIR: takes files over
 * HTTP and keeps them in DIR.
 *
 *   PUT /upload/NAME   the body becomes DIR/NAME, in place of what was there
 *   POST /upload       the body becomes a file with a name of ours, which the answer tells
 *   POST /             a form, as the page at / sends it: the same for each file in it
 *
 * However large a file, two blocks hold what is on its way: while one is written in a thread of the
 * pool, the other is received into. A file is written under a name of its own, synced, and then
 * renamed: what has been acknowledged is on the disk, and what broke off leaves nothing. What
 * clients call their files is not used: it may be "../../etc/passwd".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "leat/leat.h"

enum { BLOCK_SIZE = 512 * 1024, NAME_SIZE = 256, GOODBYE_MS = 5000 };

#define TEMPORARY ".upload-"

/* Set before the server runs, then only read. */
static struct {
    const char *address, *folder;
    int directory;
    bool syncs;
    uint64_t size_max;
    struct leat_http_run_options run;
} settings = {.address = "127.0.0.1:8080", .syncs = true, .size_max = UINT64_C(16) << 30};

/* ---- On the disk: these run in threads of the pool ------------------------------------------- */

struct block {
    int fd;
    const char *data;
    size_t size;
    uint64_t offset;
    int result;
};

struct upload {
    char temporary[NAME_SIZE], name[NAME_SIZE];
    int fd; /* -1: there is no file */
    char *blocks[2];
    unsigned turn; /* the block that is received into, */
    size_t filled; /* and how far it is */
    uint64_t size;
    int error;                /* of the disk */
    struct block block;       /* the other one, being written */
    struct leat_scope writer; /* its fiber */
};

static int open_file(void *arg)
{
    struct upload *upload = arg;
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return -errno;
    snprintf(upload->temporary, NAME_SIZE, TEMPORARY "%016" PRIx64, number);
    if (!upload->name[0])
        snprintf(upload->name, NAME_SIZE, "%016" PRIx64, number);
    upload->fd = openat(settings.directory, upload->temporary,
                        O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return upload->fd < 0 ? -errno : 0;
}

static int write_block(void *arg)
{
    const struct block *block = arg;
    for (size_t done = 0; done < block->size;) {
        const ssize_t size = pwrite(block->fd, block->data + done, block->size - done,
                                    (off_t)(block->offset + done));
        if (size < 0 && errno != EINTR)
            return -errno;
        done += size > 0 ? (size_t)size : 0;
    }
    return 0;
}

/* The file gets its name, when it and its name will survive. 1: the name is new, 0: it replaced. */
static int keep_file(void *arg)
{
    struct upload *upload = arg;
    const int directory = settings.directory;
    if (settings.syncs && fsync(upload->fd))
        return -errno;
    int is_new =
        renameat2(directory, upload->temporary, directory, upload->name, RENAME_NOREPLACE) == 0;
    if (!is_new && renameat(directory, upload->temporary, directory, upload->name))
        return -errno;
    if (settings.syncs && fsync(directory))
        return -errno;
    return is_new;
}

static int close_file(void *arg)
{
    struct upload *upload = arg;
    close(upload->fd);
    /* Fails where the file has its name already. */
    unlinkat(settings.directory, upload->temporary, 0);
    return 0;
}

/* What the last run left behind when it was killed. */
static void remove_leftovers(void)
{
    DIR *folder = opendir(settings.folder);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) == 0)
            unlinkat(settings.directory, entry->d_name, 0);
    if (folder)
        closedir(folder);
}

/* ---- In the handler's fiber ------------------------------------------------------------------ */

static int in_pool(int (*fn)(void *arg), void *arg)
{
    int result;
    const int error = leat_offload(fn, arg, LEAT_FOREVER, &result);
    return error ? error : result;
}

static void write_fiber(void *arg)
{
    struct block *block = arg;
    block->result = in_pool(write_block, block);
}

static int begin(struct upload *upload)
{
    upload->fd = -1;
    leat_scope_init(&upload->writer);
    for (int index = 0; index < 2; index++)
        if (!(upload->blocks[index] = malloc(BLOCK_SIZE)))
            return -ENOMEM;
    return in_pool(open_file, upload);
}

/* The block before has been written. */
static int await_writer(struct upload *upload)
{
    const int error = leat_scope_join(&upload->writer, LEAT_FOREVER);
    return error ? error : upload->block.result;
}

/* What has been received is written while the other block is filled. */
static int pass_on(struct upload *upload)
{
    const int error = await_writer(upload);
    if (error || upload->filled == 0)
        return error;
    upload->block = (struct block){.fd = upload->fd,
                                   .data = upload->blocks[upload->turn],
                                   .size = upload->filled,
                                   .offset = upload->size};
    upload->size += upload->filled;
    upload->filled = 0;
    upload->turn ^= 1;
    return leat_spawn(&upload->writer, write_fiber, &upload->block, NULL);
}

typedef ssize_t (*source_fn)(void *source, void *data, size_t size);

/* All that comes from the source. 0, or the source's error; upload->error is the disk's. */
static int receive(struct upload *upload, source_fn read, void *source)
{
    ssize_t size = 1;
    upload->error = begin(upload);
    while (size > 0 && !upload->error) {
        size = read(source, upload->blocks[upload->turn] + upload->filled,
                    BLOCK_SIZE - upload->filled);
        if (size < 0)
            return (int)size;
        upload->filled += (size_t)size;
        if (size == 0 || upload->filled == BLOCK_SIZE)
            upload->error = pass_on(upload);
    }
    if (!upload->error)
        upload->error = await_writer(upload);
    return 0;
}

/* Whatever has become of it; also when the client has gone and this fiber is cancelled. */
static void end(struct upload *upload)
{
    leat_scope_fini(&upload->writer);
    leat_shield_begin(leat_after_ms(GOODBYE_MS));
    if (upload->fd >= 0)
        in_pool(close_file, upload);
    leat_shield_end();
    free(upload->blocks[0]);
    free(upload->blocks[1]);
}

/* Receives a file and keeps it: 201 or 200, another status that tells what is wrong, or 0: what
 * came from the client was, and the server will say so. */
static int take_file(struct upload *upload, source_fn read, void *source)
{
    const int error = receive(upload, read, source);
    int result = upload->error;
    if (!error && !result)
        result = in_pool(keep_file, upload);
    end(upload);
    if (error)
        return 0;
    switch (result) {
    case 1: return 201;
    case 0: return 200;
    case -ENOSPC:
    case -EDQUOT: return 507;
    case -EFBIG: return 413;
    case -EAGAIN: /* the pool has too much to do */
    case -ENOMEM: return 503;
    default: return 500;
    }
}

/* ---- Requests -------------------------------------------------------------------------------- */

static ssize_t read_body(void *source, void *data, size_t size)
{
    return leat_http_read(source, data, size, LEAT_FOREVER);
}

static ssize_t read_part(void *source, void *data, size_t size)
{
    return leat_http_multipart_read(source, data, size, LEAT_FOREVER);
}

static json_t *describe(const struct upload *upload)
{
    return json_pack("{s:s, s:I}", "name", upload->name, "size", (json_int_t)upload->size);
}

static void upload_body(struct leat_http_request *request, struct leat_http_response *response,
                        void *user)
{
    struct upload upload = {.fd = -1};
    const char *name = leat_http_param(request, "name");
    if (name && (name[0] == '.' || strchr(name, '/') || strlen(name) >= NAME_SIZE)) {
        leat_http_reply_error(response, 400);
        return;
    }
    if (name)
        strcpy(upload.name, name);
    const int status = take_file(&upload, read_body, request);
    if (status == 200 || status == 201)
        leat_http_reply_json(response, status, describe(&upload));
    else if (status)
        leat_http_reply_error(response, status);
}

static void upload_form(struct leat_http_request *request, struct leat_http_response *response,
                        void *user)
{
    static const struct leat_http_multipart_options options = {.buffer_size = BLOCK_SIZE / 2};
    struct leat_http_multipart *multipart;
    struct leat_http_part part;
    if (leat_http_multipart_begin(request, &options, &multipart))
        return;
    json_t *files = json_array();
    int status = 201, result;
    while (status == 201 &&
           (result = leat_http_multipart_next(multipart, LEAT_FOREVER, &part)) > 0) {
        if (!part.filename || !part.filename[0])
            continue;
        struct upload upload = {.fd = -1};
        status = take_file(&upload, read_part, multipart);
        json_array_append_new(files, describe(&upload));
    }
    if (status == 201 && result == 0) {
        leat_http_reply_json(response, 201, files);
        return;
    }
    json_decref(files);
    if (status && status != 201)
        leat_http_reply_error(response, status);
}

static void show_page(struct leat_http_request *request, struct leat_http_response *response,
                      void *user)
{
    static const char page[] =
        "<!doctype html><meta charset=utf-8><title>Upload</title>\n"
        "<form method=post enctype=multipart/form-data>\n"
        "<input type=file name=file multiple><button>Upload</button></form>\n";
    leat_http_reply_static(response, 200, "text/html; charset=utf-8", page, sizeof page - 1);
}

/* ---- The program ----------------------------------------------------------------------------- */

static const char *parse(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"size-max", required_argument, NULL, 's'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"no-sync", no_argument, NULL, 'n'},
                                            {0}};
    for (int flag; (flag = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (flag) {
        case 'l': settings.address = optarg; break;
        case 's': settings.size_max = strtoull(optarg, NULL, 10); break;
        case 't': settings.run.threads = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'n': settings.syncs = false; break;
        default: return "[--listen ADDR:PORT] [--size-max BYTES] [--threads N] [--no-sync] DIR";
        }
    }
    if (optind != argc - 1)
        return "name one folder";
    settings.folder = argv[optind];
    settings.directory = open(settings.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return settings.directory < 0 ? strerror(errno) : NULL;
}

int main(int argc, char **argv)
{
    const char *reason = parse(argc, argv);
    if (reason) {
        fprintf(stderr, "upload: %s\n", reason);
        return 2;
    }
    remove_leftovers();
    const uint64_t size_max = settings.size_max;
    const struct leat_http_route routes[] = {
        {"GET", "/", .handler = show_page},
        {"POST", "/", .handler = upload_form, .body_size_max = size_max},
        {"POST", "/upload", .handler = upload_body, .body_size_max = size_max},
        {"PUT", "/upload/{name}", .handler = upload_body, .body_size_max = size_max},
    };
    struct leat_http_router *router = leat_http_router_create();
    for (size_t index = 0; router && index < sizeof routes / sizeof *routes; index++)
        leat_http_route(router, &routes[index]);
    settings.run.on_listening = leat_http_announce;
    const int error = router ? leat_http_run(router, settings.address, &settings.run) : -ENOMEM;
    if (error)
        fprintf(stderr, "upload: %s: %s\n", settings.address, leat_error_text(error));
    leat_http_router_destroy(router);
    return error ? 1 : 0;
}
