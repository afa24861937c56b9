/* SPDX-License-Identifier: MIT */
/*
 * The simulator's files that a program makes itself: names, room, mappings; and that a kill takes
 * nothing that was written, a power cut nothing that was synced. (That mappings behave as the
 * kernel's is test_conformance.c's affair.)
 */
#include "simulated.h"

#include <netinet/in.h>
#include <poll.h>

static int folder(struct world *world, const char *path)
{
    const int fd = world->sys->open(world->sys, -1, path, BACKEND_OPEN_DIRECTORY);
    assert_true(fd >= 0);
    return fd;
}

static int written(struct world *world, int directory_fd, const char *name, const char *text)
{
    const int fd = world->sys->open_write(world->sys, directory_fd, name, true);
    assert_true(fd >= 0);
    assert_int_equal(world->sys->write(world->sys, fd, text, strlen(text), 0), strlen(text));
    return fd;
}

static bool note_entry(const char *name, bool is_directory, void *user)
{
    strcat(strcat(user, name), is_directory ? "/ " : " ");
    return true;
}

static const char *entries(struct world *world, int fd)
{
    static char text[256];
    text[0] = '\0';
    assert_int_equal(world->sys->list(world->sys, fd, note_entry, text), 0);
    return text;
}

static void names_are_made_moved_and_removed(void **state)
{
    struct world world;
    world_init(&world, 1, SIM_CALM);
    const struct backend_sys *sys = world.sys;
    assert_int_equal(sys->make_directory(sys, -1, "log"), 0);
    assert_int_equal(sys->make_directory(sys, -1, "log"), -EEXIST);
    const int log = folder(&world, "log");
    const int one = written(&world, log, "one", "first"), two = written(&world, log, "two", "2nd");
    assert_string_equal(entries(&world, log), "one two ");
    assert_int_equal(sys->rename(sys, log, "one", "two", false), -EEXIST);
    assert_int_equal(sys->rename(sys, log, "none", "two", true), -ENOENT);
    assert_int_equal(sys->rename(sys, log, "one", "two", true), 0);
    assert_string_equal(entries(&world, log), "two ");
    char bytes[8] = "";
    const int again = sys->open(sys, log, "two", BACKEND_OPEN_BENEATH);
    assert_int_equal(sys->read(sys, again, bytes, sizeof bytes, 0), 5);
    assert_memory_equal(bytes, "first", 5);
    assert_int_equal(sys->write(sys, again, "x", 1, 0), -EBADF);      /* it was opened to be read */
    assert_int_equal(sys->read(sys, two, bytes, sizeof bytes, 0), 3); /* who has it keeps it */
    assert_int_equal(sys->copy(sys, two, 1, one, 5, 100), 2);
    assert_int_equal(sys->resize(sys, one, 6), 0);
    size_t size;
    assert_memory_equal(sim_file_bytes(world.sim, "log/two", &size), "firstn", 6);
    assert_int_equal(size, 6);

    assert_int_equal(sys->make_directory(sys, log, "inner"), 0);
    assert_int_equal(sys->remove(sys, -1, "log", true), -ENOTEMPTY);
    assert_int_equal(sys->remove(sys, log, "inner", false), -EISDIR);
    assert_int_equal(sys->remove(sys, log, "inner", true), 0);
    assert_int_equal(sys->remove(sys, log, "two", false), 0);
    assert_int_equal(sys->remove(sys, log, "two", false), -ENOENT);

    const int other = folder(&world, "log");
    assert_int_equal(sys->lock(sys, log), 0);
    assert_int_equal(sys->lock(sys, log), 0);
    assert_int_equal(sys->lock(sys, other), -EAGAIN);
    sys->close(sys, log);
    assert_int_equal(sys->lock(sys, other), 0);
    const int fds[] = {one, two, again, other};
    for (unsigned index = 0; index < 4; index++)
        sys->close(sys, fds[index]);
    assert_int_equal(world.failures, 0);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void a_file_is_made_like_another(void **state)
{
    struct world world;
    world_init(&world, 1, SIM_CALM);
    const struct backend_sys *sys = world.sys;
    struct backend_stat stat;
    const int one = written(&world, -1, "one", "12345");
    assert_int_equal(sim_file_touch(world.sim, "one", 42), 0);
    assert_int_equal(sys->open_new(sys, -1, "one"), -EEXIST);
    const int two = sys->open_new(sys, -1, "two");
    assert_int_equal(sys->write(sys, two, "two", 3, 0), 3);
    assert_int_equal(sys->resemble(sys, two, one), 0);
    assert_int_equal(sys->stat(sys, two, &stat), 0);
    assert_int_equal(stat.mtime_ns, 42);
    assert_int_equal(stat.size, 3);
    sys->close(sys, one);
    sys->close(sys, two);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void a_disk_is_full(void **state)
{
    struct world world;
    world_init(&world, 1, SIM_CALM);
    const struct backend_sys *sys = world.sys;
    struct backend_stat stat;
    sim_disk_bound(world.sim, 10000);
    const int one = written(&world, -1, "one", "12345");
    const int two = sys->open_private(sys, -1, "two", false);
    assert_int_equal(sys->allocate(sys, one, 6000), 0);
    assert_int_equal(sys->allocate(sys, two, 4001), -ENOSPC);
    assert_int_equal(sys->stat(sys, two, &stat), 0);
    assert_int_equal(stat.size, 0);
    assert_int_equal(sys->allocate(sys, two, 3998), 0);
    assert_int_equal(sys->write(sys, one, "fits", 4, 5000), 4); /* it has that room */
    assert_int_equal(sys->write(sys, one, "fits", 4, 6000), 2);
    assert_int_equal(sys->write(sys, one, "fits", 4, 6002), -ENOSPC);
    assert_int_equal(sys->remove(sys, -1, "two", false), 0);
    assert_int_equal(sys->write(sys, one, "fits", 4, 6002), 4);
    sys->close(sys, one);
    sys->close(sys, two);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void note_end(struct op *op, const struct completion *completion)
{
    *(int32_t *)op->waiter = completion->result;
}

/* A process with a log, a lock and a socket, killed in the middle. */
static void a_kill_takes_nothing_that_was_written(void **state)
{
    enum { SIZE = 65536 };
    struct world world;
    world_init(&world, 3, SIM_CALM);
    const struct backend_sys *sys = world.sys;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(5000)};
    const struct sockaddr *any = (struct sockaddr *)&address;
    size_t size;
    void *data;
    int32_t result = 0;
    struct op poll;
    assert_int_equal(sim_directory_add(world.sim, "log"), 0);
    sim_set_process(world.sim, 1);
    const int log = folder(&world, "log"), fd = sys->socket(sys, AF_INET, SOCK_DGRAM, 0);
    sim_set_process(world.sim, 0);
    const int file = written(&world, log, "segment", "begun"); /* its, by its folder */
    assert_int_equal(sys->lock(sys, log), 0);
    assert_int_equal(sys->bind(sys, fd, any, sizeof address), 0);
    assert_int_equal(sys->allocate(sys, file, SIZE), 0);
    assert_int_equal(sys->map_shared(sys, file, SIZE, true, &data), 0);
    op_init(&poll, OP_POLL, fd, note_end);
    poll.poll.events = POLLIN;
    poll.waiter = &result;
    loop_submit(world.loop, &poll);
    turns(&world, 5);
    sim_allow_blocking(world.sim, true); /* there is no job here */
    assert_int_equal(result, 0);
    memcpy((char *)data + 40000, "before", 7);
    assert_int_equal(sim_open_count(world.sim), 3);

    sim_kill(world.sim, 1);
    assert_int_equal(sim_open_count(world.sim), 0);
    memcpy((char *)data + 50000, "behind", 7); /* it does not know yet */
    assert_string_equal((const char *)data + 40000, "before");
    const char *bytes = sim_file_bytes(world.sim, "log/segment", &size);
    assert_int_equal(size, SIZE);
    assert_string_equal(bytes + 40000, "before");
    assert_int_equal(bytes[50000], 0);
    turns(&world, 5);
    assert_true(op_is_busy(&poll)); /* nothing happens to it any more */
    loop_cancel(world.loop, &poll);
    turns(&world, 5);
    assert_int_equal(result, -ECANCELED);
    assert_false(op_is_busy(&poll));
    assert_int_equal(sys->write(sys, file, "x", 1, 0), -EBADF);
    assert_int_equal(sys->sync(sys, file), -EBADF);
    assert_int_equal(sys->open_write(sys, log, "other", false), -EBADF);
    assert_int_equal(sys->setsockopt(sys, fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(int)), -EBADF);

    /* Its successor. */
    const int next = folder(&world, "log"), next_fd = sys->socket(sys, AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(sys->lock(sys, next), 0);
    assert_int_equal(sys->bind(sys, next_fd, any, sizeof address), 0);
    assert_string_equal(entries(&world, next), "segment ");
    /* It goes as anybody does, and takes nothing along. */
    sys->unmap(sys, data, SIZE);
    sys->close(sys, file);
    sys->close(sys, log);
    world.loop->ops->close(world.loop->backend, fd);
    sys->close(sys, next);
    world.loop->ops->close(world.loop->backend, next_fd);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

/* What one power cut has left: bits of what survived. */
enum { SYNCED = 1, UNSYNCED = 2, NAME_UNSYNCED = 4, OLD_NAME = 8 };

static bool has_text(struct world *world, const char *path, size_t offset, const char *text)
{
    size_t size;
    const char *bytes = sim_file_bytes(world->sim, path, &size);
    return bytes && size >= offset + strlen(text) &&
           memcmp(bytes + offset, text, strlen(text)) == 0;
}

static void boot_id(struct world *world, char ret_text[37])
{
    const struct backend_sys *sys = world->sys;
    const int fd = sys->open(sys, -1, "/proc/sys/kernel/random/boot_id", BACKEND_OPEN_FILE);
    assert_true(fd >= 0);
    assert_int_equal(sys->read(sys, fd, ret_text, 36, 0), 36);
    ret_text[36] = '\0';
    sys->close(sys, fd);
}

static unsigned cut_power(uint64_t seed)
{
    struct world world;
    world_init(&world, seed, SIM_CALM);
    const struct backend_sys *sys = world.sys;
    char before[37], after[37];
    size_t size;
    assert_int_equal(sim_directory_add(world.sim, "log"), 0);
    sim_set_process(world.sim, 1);
    const int log = folder(&world, "log");
    const int one = written(&world, log, "new", "");
    assert_int_equal(sys->allocate(sys, one, 16384), 0);
    assert_int_equal(sys->write(sys, one, "synced", 6, 5000), 6);
    assert_int_equal(sys->sync(sys, one), 0);
    assert_int_equal(sys->sync(sys, log), 0);
    assert_int_equal(sys->write(sys, one, "unsynced", 8, 10000), 8);
    assert_int_equal(sys->rename(sys, log, "new", "one", true), 0);
    const int two = written(&world, log, "two", "not even its name");
    boot_id(&world, before);
    sim_set_process(world.sim, 0);
    sim_kill(world.sim, 1);
    assert_true(has_text(&world, "log/one", 10000, "unsynced")); /* a kill takes nothing */
    sim_power_cut(world.sim);
    boot_id(&world, after);
    assert_string_not_equal(before, after);

    const bool is_renamed = sim_file_bytes(world.sim, "log/one", &size) != NULL;
    const char *path = is_renamed ? "log/one" : "log/new";
    unsigned left = is_renamed ? NAME_UNSYNCED : OLD_NAME;
    /* One of the two names, and both changes of the folder or none. */
    assert_int_equal(sim_file_bytes(world.sim, "log/new", &size) == NULL, is_renamed);
    assert_int_equal(sim_file_bytes(world.sim, "log/two", &size) != NULL, is_renamed);
    assert_non_null(sim_file_bytes(world.sim, path, &size));
    assert_int_equal(size, 16384);
    left |= has_text(&world, path, 5000, "synced") ? SYNCED : 0;
    left |= has_text(&world, path, 10000, "unsynced") ? UNSYNCED : 0;
    sys->close(sys, one);
    sys->close(sys, two);
    sys->close(sys, log);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
    return left;
}

static void a_power_cut_takes_nothing_that_was_synced(void **state)
{
    unsigned ever = 0, always = ~0U;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        const unsigned left = cut_power(seed);
        ever |= left;
        always &= left;
    }
    assert_int_equal(always, SYNCED);
    assert_int_equal(ever, SYNCED | UNSYNCED | NAME_UNSYNCED | OLD_NAME);
}

static void it_notices_misused_mappings(void **state)
{
    struct world world;
    world_init(&world, 1, SIM_CALM);
    const struct backend_sys *sys = world.sys;
    void *data;
    const int fd = written(&world, -1, "file", "text");
    const int reader = sys->open(sys, -1, "file", BACKEND_OPEN_FILE);
    assert_int_equal(sys->map_shared(sys, reader, 4096, true, &data), -EACCES);
    assert_int_equal(sys->map_shared(sys, reader, 8192, false, &data), 0);
    assert_int_equal(sys->prefault(sys, data, 4096, false), 0);
    assert_int_equal(sys->prefault(sys, data, 8192, false), -EFAULT); /* the file ends before */
    sys->unmap(sys, data, 4096);
    expect_failure(&world, "never mapped");
    sys->close(sys, fd);
    sys->close(sys, reader);
    world_fini(&world);
    expect_failure(&world, "never unmapped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_made_moved_and_removed),
        cmocka_unit_test(a_file_is_made_like_another),
        cmocka_unit_test(a_disk_is_full),
        cmocka_unit_test(a_kill_takes_nothing_that_was_written),
        cmocka_unit_test(a_power_cut_takes_nothing_that_was_synced),
        cmocka_unit_test(it_notices_misused_mappings),
    };
    return cmocka_run_group_tests_name("sim files", tests, NULL, NULL);
}
