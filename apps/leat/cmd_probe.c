/* SPDX-License-Identifier: MIT */
/*
 * leat probe: says what films are made of, how they will stream, or why they cannot. It reads their
 * indexes alone, through the same library as the server, and so says the same. With --compress it
 * says of any file how it would be compressed.
 */
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leat/error.h"
#include "options.h"
#include "probe.h"
#include "probe_compress.h"

enum { EXIT_REFUSED = 1 };

/* The whole piece: less means that the file has become shorter. */
static int read_piece(void *user, uint64_t offset, void *data, size_t size)
{
    const int fd = *(const int *)user;
    for (size_t done = 0; done < size;) {
        const ssize_t count = pread(fd, (char *)data + done, size - done, (off_t)(offset + done));
        if (count == 0)
            return -ESTALE;
        if (count < 0 && errno != EINTR)
            return -errno;
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

static bool is_refusal(int error)
{
    return error == -LEAT_E_MALFORMED || error == -LEAT_E_LIMIT || error == -EOPNOTSUPP;
}

/* 0 also for what cannot be streamed. */
static int examine(struct probe *probe, int fd)
{
    const struct mp4_source source = {read_piece, &fd, probe->size};
    int error = film_build(&source, &probe->film, probe->reason);
    if (error && !is_refusal(error))
        return error;
    error = probe_scan(probe, &source);
    if (!error && probe->film)
        error = probe_plan(probe);
    if (!error)
        probe_advise(probe);
    return error;
}

/* What is no regular file is not even opened for reading: a pipe would wait for its writer. */
static int examine_file(struct probe *probe)
{
    struct stat status;
    const int fd = open(probe->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int error = fstat(fd, &status) < 0 ? -errno : 0;
    if (!error && !S_ISREG(status.st_mode)) {
        snprintf(probe->reason, sizeof probe->reason, "it is %s",
                 S_ISDIR(status.st_mode) ? "a folder" : "no regular file");
    } else if (!error) {
        probe->size = (uint64_t)status.st_size;
        error = examine(probe, fd);
    }
    close(fd);
    return error;
}

static int complain(const char *path, int error)
{
    char line[512];
    snprintf(line, sizeof line, "'%s': %s", path,
             error == -ESTALE ? "it changes while it is read" : leat_error_text(error));
    options_complain("leat probe", line);
    return error == -ENOENT || error == -EACCES || error == -ENOTDIR ? EXIT_WRONG_USE : 1;
}

/* The exit status for this file. */
static int probe_file(const char *path, bool is_json)
{
    struct probe *probe = calloc(1, sizeof *probe);
    if (!probe)
        return complain(path, -ENOMEM);
    probe->path = path;
    int error = examine_file(probe);
    if (!error)
        error = is_json ? probe_print_json(probe, stdout) : probe_print_text(probe, stdout);
    const int status = error ? complain(path, error) : probe->film ? 0 : EXIT_REFUSED;
    film_unref(probe->film);
    free(probe);
    return status;
}

static int probe_one(const char *path, bool is_json, bool is_compress)
{
    if (!is_compress)
        return probe_file(path, is_json);
    const int error = probe_compress(path, stdout);
    return error ? complain(path, error) : 0;
}

static void print_help(void)
{
    puts("usage: leat probe [--json | --compress] FILE...\n"
         "\n"
         "Says of each film whether it streams as HLS and DASH or why it cannot, what it is made "
         "of, "
         "how\n"
         "much of its file a segment takes, and what would make it stream better. Reads its index, "
         "not\n"
         "its media. The exit status is 1 when a file cannot be streamed.\n"
         "\n"
         "  --json      for machines: an object a file, each on a line\n"
         "  --compress  of any file: how leat serve would compress it, why, and what comes of it\n"
         "  --help      this text");
}

int cmd_probe(int argc, char **argv)
{
    bool is_json = false, is_compress = false, is_flag_possible = true;
    int file_count = 0;
    for (int i = 1; i < argc; i++) {
        if (!is_flag_possible || argv[i][0] != '-') {
            argv[1 + file_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            is_flag_possible = false;
        } else if (strcmp(argv[i], "--json") == 0) {
            is_json = true;
        } else if (strcmp(argv[i], "--compress") == 0) {
            is_compress = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return 0;
        } else {
            char line[256];
            snprintf(line, sizeof line,
                     "unknown argument '%s'; there are --json, --compress and --help", argv[i]);
            options_complain("leat probe", line);
            return EXIT_WRONG_USE;
        }
    }
    if (file_count == 0) {
        options_complain("leat probe", is_compress ? "which file? leat probe --compress FILE..."
                                                   : "which film? leat probe FILE...");
        return EXIT_WRONG_USE;
    }
    if (is_json && is_compress) {
        options_complain("leat probe", "--json is for films, and not for --compress");
        return EXIT_WRONG_USE;
    }
    int status = 0;
    for (int i = 1; i <= file_count; i++) {
        const int its_status = probe_one(argv[i], is_json, is_compress);
        status = its_status > status ? its_status : status;
    }
    return status;
}
