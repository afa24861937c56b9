/* SPDX-License-Identifier: MIT */
/*
 * See replace.h.
 */
#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/decimal.h"
#include "leat/clock.h"

/* The byte on the pipe: that the successor serves, or the errno of its exec. */
enum { SERVES = 0, EXIT_NO_EXEC = 127 };

enum { VARIABLE_SIZE = 96, VARIABLES = 4 };

/* ---- The program ----------------------------------------------------------------------------- */

static bool is_running_program(const char *path)
{
    struct stat ours, theirs;
    return stat("/proc/self/exe", &ours) == 0 && stat(path, &theirs) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* The path as it was written, made absolute: /usr/bin/leat, say, although that is a link, for it is
 * the link that will lead to the new version. */
static bool find_as_written(const char *name, char *path, size_t size)
{
    if (name[0] == '/')
        return snprintf(path, size, "%s", name) < (int)size && is_running_program(path);
    if (strchr(name, '/')) {
        char folder[PATH_MAX];
        return getcwd(folder, sizeof folder) &&
               snprintf(path, size, "%s/%s", folder, name) < (int)size && is_running_program(path);
    }
    const char *folders = getenv("PATH");
    for (const char *next; folders; folders = next) {
        const char *end = strchr(folders, ':');
        const size_t length = end ? (size_t)(end - folders) : strlen(folders);
        next = end ? end + 1 : NULL;
        if (length > 0 && folders[0] == '/' &&
            snprintf(path, size, "%.*s/%s", (int)length, folders, name) < (int)size &&
            is_running_program(path))
            return true;
    }
    return false;
}

int program_init(struct program *program, char **argv)
{
    char path[PATH_MAX];
    ASSERT(argv[0] != NULL);
    *program = (struct program){.argv = argv};
    if (pthread_sigmask(SIG_SETMASK, NULL, &program->signal_mask) != 0)
        sigemptyset(&program->signal_mask);
    if (!find_as_written(argv[0], path, sizeof path)) {
        const ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
        if (size < 0)
            return -errno;
        path[size] = '\0';
    }
    program->path = strdup(path);
    return program->path ? 0 : -ENOMEM;
}

void program_fini(struct program *program)
{
    free(program->path);
    program->path = NULL;
}

/* ---- Starting -------------------------------------------------------------------------------- */

/* All that the child needs, made before there is a child. */
struct launch {
    const struct program *program;
    int fds[SOCKETS_ADDRESSES_MAX * SOCKETS_AN_ADDRESS_MAX + 1]; /* the last: the pipe's end */
    int count;
    char variables[VARIABLES][VARIABLE_SIZE];
    char *pid_digits; /* where the child writes its number */
    char **environment;
};

static bool is_ours(const char *variable)
{
    static const char *const names[] = {
        "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=", "LEAT_READY_FD=", "LEAT_SANDBOX="};
    for (size_t index = 0; index < sizeof names / sizeof *names; index++)
        if (strncmp(variable, names[index], strlen(names[index])) == 0)
            return true;
    return false;
}

static int make_environment(struct launch *launch, const char *sandbox)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    launch->environment = calloc(count + VARIABLES + 1, sizeof *launch->environment);
    if (!launch->environment)
        return -ENOMEM;
    for (size_t index = 0; index < count; index++)
        if (!is_ours(environ[index]))
            launch->environment[kept++] = environ[index];

    const int sockets = launch->count - 1;
    snprintf(launch->variables[0], VARIABLE_SIZE, "LISTEN_FDS=%d", sockets);
    snprintf(launch->variables[1], VARIABLE_SIZE, "LEAT_READY_FD=%d", SOCKETS_FIRST_FD + sockets);
    snprintf(launch->variables[2], VARIABLE_SIZE, "LEAT_SANDBOX=%s", sandbox);
    const int size = snprintf(launch->variables[3], VARIABLE_SIZE, "LISTEN_PID=");
    launch->pid_digits = launch->variables[3] + size;
    for (int index = 0; index < VARIABLES; index++)
        launch->environment[kept++] = launch->variables[index];
    return 0;
}

/* Descriptors go to 3, 4, … by way of numbers above all of those: some may be in the way of others.
 * The copies on the way, and everything else of ours, close with exec. */
static int place_descriptors(struct launch *launch)
{
    for (int index = 0; index < launch->count; index++) {
        launch->fds[index] =
            fcntl(launch->fds[index], F_DUPFD_CLOEXEC, SOCKETS_FIRST_FD + launch->count);
        if (launch->fds[index] < 0)
            return -1;
    }
    for (int index = 0; index < launch->count; index++)
        if (dup2(launch->fds[index], SOCKETS_FIRST_FD + index) < 0)
            return -1;
    return 0;
}

/* In the child. Its memory is a copy, so it may write to what the launch has. */
static _Noreturn void become(struct launch *launch, int ready_fd)
{
    if (place_descriptors(launch) == 0) {
        ready_fd = SOCKETS_FIRST_FD + launch->count - 1;
        *decimal_put(launch->pid_digits, (unsigned long)getpid()) = '\0';
        pthread_sigmask(SIG_SETMASK, &launch->program->signal_mask, NULL);
        execve(launch->program->path, launch->program->argv, launch->environment);
    }
    const unsigned char error = (unsigned char)errno;
    (void)!write(ready_fd, &error, 1);
    _exit(EXIT_NO_EXEC);
}

static void list_sockets(struct launch *launch, const struct sockets *sockets)
{
    for (unsigned index = 0; index < sockets->count; index++)
        for (unsigned other = 0; other < sockets->groups[index].count; other++)
            launch->fds[launch->count++] = sockets->groups[index].fds[other];
}

int replace_start(struct replacement *replacement, const struct program *program,
                  const struct sockets *sockets, const char *sandbox)
{
    ASSERT(replacement->ready_fd < 0);
    ASSERT(strlen(sandbox) < VARIABLE_SIZE - sizeof "LEAT_SANDBOX=");
    int pipe_fds[2], error;
    struct launch *launch = calloc(1, sizeof *launch);
    if (!launch)
        return -ENOMEM;
    launch->program = program;
    list_sockets(launch, sockets);
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        error = -errno;
        goto free_launch;
    }
    launch->fds[launch->count++] = pipe_fds[1];
    error = make_environment(launch, sandbox);
    if (error)
        goto close_read_end;
    const pid_t pid = fork();
    if (pid == 0)
        become(launch, pipe_fds[1]);
    if (pid < 0) {
        error = -errno;
        goto close_read_end;
    }
    *replacement = (struct replacement){
        .pid = pid, .ready_fd = pipe_fds[0], .deadline_ns = leat_after_ms(REPLACE_START_MS)};
    goto close_write_end;

close_read_end:
    close(pipe_fds[0]);
close_write_end:
    close(pipe_fds[1]);
    free(launch->environment);
free_launch:
    free(launch);
    return error;
}

/* ---- The outcome ----------------------------------------------------------------------------- */

static void bury(struct replacement *replacement, int *ret_status)
{
    kill(replacement->pid, SIGKILL); /* one that has ended already keeps the status it had */
    while (waitpid(replacement->pid, ret_status, 0) < 0 && errno == EINTR)
        ;
    replacement->pid = 0;
}

static void close_pipe(struct replacement *replacement)
{
    close(replacement->ready_fd);
    replacement->ready_fd = -1;
}

static enum replace_outcome fail(struct replacement *replacement, const unsigned char *exec_error,
                                 bool is_late)
{
    int status = 0;
    bury(replacement, &status);
    char *reason = replacement->reason;
    const size_t size = sizeof replacement->reason;
    if (exec_error)
        snprintf(reason, size, "it cannot be started: %s", strerror(*exec_error));
    else if (is_late)
        snprintf(reason, size, "it did not serve within %d s", REPLACE_START_MS / 1000);
    else if (WIFEXITED(status))
        snprintf(reason, size, "it ended with status %d", WEXITSTATUS(status));
    else
        snprintf(reason, size, "it was ended by signal %d", WTERMSIG(status));
    return REPLACE_FAILED;
}

enum replace_outcome replace_check(struct replacement *replacement)
{
    ASSERT(replacement->pid > 0 && replacement->ready_fd >= 0);
    struct pollfd news = {.fd = replacement->ready_fd, .events = POLLIN};
    if (poll(&news, 1, 0) == 0) {
        if (leat_now_ns() < replacement->deadline_ns)
            return REPLACE_PENDING;
        close_pipe(replacement);
        return fail(replacement, NULL, true);
    }
    unsigned char byte;
    const ssize_t size = read(replacement->ready_fd, &byte, 1);
    close_pipe(replacement);
    if (size == 1 && byte == SERVES)
        return REPLACE_READY;
    return fail(replacement, size == 1 ? &byte : NULL, false);
}

void replace_abandon(struct replacement *replacement)
{
    if (replacement->ready_fd < 0)
        return;
    int status;
    close_pipe(replacement);
    bury(replacement, &status);
}

/* ---- In the successor ------------------------------------------------------------------------ */

void replace_inherit(struct inheritance *inheritance)
{
    *inheritance = (struct inheritance){.ready_fd = -1};
    const char *pid = getenv("LISTEN_PID"), *ready_fd = getenv("LEAT_READY_FD");
    const char *sandbox = getenv("LEAT_SANDBOX");
    if (pid && ready_fd && atol(pid) == getpid() &&
        fcntl(atoi(ready_fd), F_SETFD, FD_CLOEXEC) == 0) {
        inheritance->is_successor = true;
        inheritance->ready_fd = atoi(ready_fd);
        snprintf(inheritance->sandbox, sizeof inheritance->sandbox, "%s", sandbox ? sandbox : "");
    }
    unsetenv("LEAT_READY_FD");
    unsetenv("LEAT_SANDBOX");
}

void replace_report_ready(struct inheritance *inheritance)
{
    const unsigned char byte = SERVES;
    if (inheritance->ready_fd < 0)
        return;
    (void)!write(inheritance->ready_fd, &byte, 1); /* SIGPIPE is ignored: the predecessor died */
    close(inheritance->ready_fd);
    inheritance->ready_fd = -1;
}
