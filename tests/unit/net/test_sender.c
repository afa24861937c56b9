/* SPDX-License-Identifier: MIT */
/*
 * Send vectors: whatever they are made of and however slowly the peer reads, what arrives is what
 * was asked for, in order; and when it cannot be, less arrives, never something else.
 */
#include "pair.h"

#include <netinet/tcp.h>
#include <sys/mman.h>

#include "base/random.h"
#include "net/sender.h"

static struct leat_file *open_file(struct leat_root *root, const char *name)
{
    struct leat_file *file;
    assert_int_equal(leat_file_open(root, name, soon(), &file), 0);
    return file;
}

struct sending {
    struct leat_stream *stream;
    const struct leat_vector *vectors;
    size_t count;
    int64_t deadline_ns;
};

static int send_and_finish(void *arg)
{
    const struct sending *sending = arg;
    const int error =
        leat_stream_send(sending->stream, sending->vectors, sending->count, sending->deadline_ns);
    return error ? error : leat_stream_finish(sending->stream);
}

/* What the vectors say, as bytes; files are those of folder_write with a `first` of 0. */
static char *flatten(const struct leat_vector *vectors, size_t count, size_t *ret_size)
{
    size_t size = 0;
    for (size_t index = 0; index < count; index++)
        size += vectors[index].size;
    char *data = malloc(size + 1), *place = data;
    for (size_t index = 0; index < count; index++) {
        const struct leat_vector *vector = &vectors[index];
        for (uint64_t offset = 0; offset < vector->size; offset++)
            *place++ = vector->file ? content_at(vector->offset + offset)
                                    : ((const char *)vector->data)[offset];
    }
    *ret_size = size;
    return data;
}

static void send_and_compare(struct pair *pair, const struct leat_vector *vectors, size_t count,
                             size_t piece_size, int pause_ms)
{
    size_t size;
    char *expected = flatten(vectors, count, &size);
    struct sending sending = {pair->here, vectors, count, soon()};
    struct reading reading = {
        .stream = pair->there, .piece_size = piece_size, .pause_ms = pause_ms};
    struct leat_call calls[] = {{.fn = send_and_finish, .arg = &sending},
                                {.fn = read_all, .arg = &reading}};
    assert_int_equal(leat_gather(calls, 2, NULL), 0);
    assert_int_equal(reading.size, size);
    assert_memory_equal(reading.data, expected, size);
    free(reading.data);
    free(expected);
}

/* ---- What is sent ---------------------------------------------------------------------------- */

static int many_pieces_of_memory_fiber(void *arg)
{
    enum { MANY = 3000, SIZE = 1 << 20 };
    static struct leat_vector vectors[MANY];
    char *data = make_content(SIZE);
    struct random random;
    struct pair pair;
    random_init(&random, 7);
    for (unsigned index = 0; index < MANY; index++) {
        const uint64_t offset = random_below(&random, SIZE / 2);
        const uint64_t size = random_chance(&random, 300000) ? 0 : random_below(&random, 3000);
        vectors[index] = (struct leat_vector){.data = data + offset, .size = size};
    }
    pair_open_narrow(&pair);
    send_and_compare(&pair, vectors, MANY, 0, 0);
    pair_close(&pair);
    /* One of many sizes, alone: around what one operation takes. */
    const size_t sizes[] = {1, 65536, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, SIZE};
    for (unsigned index = 0; index < sizeof sizes / sizeof *sizes; index++) {
        vectors[0] = (struct leat_vector){.data = data, .size = sizes[index]};
        pair_open(&pair, NULL);
        send_and_compare(&pair, vectors, 1, 0, 0);
        pair_close(&pair);
    }
    free(data);
    return 0;
}
FIBER_ENGINE_TEST(many_pieces_of_memory)

static int nothing_at_all_fiber(void *arg)
{
    const struct leat_vector empty[3] = {{.data = "", .size = 0}};
    struct pair pair;
    pair_open(&pair, NULL);
    assert_int_equal(leat_stream_send(pair.here, NULL, 0, soon()), 0);
    assert_int_equal(leat_stream_send(pair.here, empty, 3, soon()), 0);
    send_and_compare(&pair, empty, 3, 0, 0);
    pair_close(&pair);
    return 0;
}
FIBER_ENGINE_TEST(nothing_at_all)

static struct folder folder;

static int memory_and_files_fiber(void *arg)
{
    enum { MANY = 200 };
    static struct leat_vector vectors[MANY];
    char *data = make_content(10000);
    struct leat_root *root;
    struct random random;
    struct pair pair;
    assert_int_equal(leat_root_open(folder.path, &root), 0);
    struct leat_file *files[] = {open_file(root, "film"), open_file(root, "small")};
    for (uint64_t seed = 0; seed < 5; seed++) {
        random_init(&random, seed);
        for (unsigned index = 0; index < MANY; index++) {
            const unsigned kind = (unsigned)random_below(&random, 4);
            const uint64_t file_size = kind < 2 ? leat_file_info(files[kind])->size : 10000;
            const uint64_t offset = random_below(&random, file_size);
            uint64_t size = random_below(&random, 20000);
            if (size > file_size - offset)
                size = file_size - offset;
            vectors[index] = (struct leat_vector){.size = kind == 3 ? 0 : size};
            if (kind < 2)
                vectors[index].file = files[kind], vectors[index].offset = offset;
            else
                vectors[index].data = data + offset;
        }
        seed % 2 ? pair_open(&pair, NULL) : pair_open_narrow(&pair);
        send_and_compare(&pair, vectors, MANY, 0, 0);
        pair_close(&pair);
    }
    /* All of it, which is more than a turn's share. */
    vectors[0] = (struct leat_vector){.data = "head", .size = 4};
    vectors[1] = (struct leat_vector){.file = files[0], .size = leat_file_info(files[0])->size};
    vectors[2] = (struct leat_vector){.data = "tail", .size = 4};
    pair_open(&pair, NULL);
    send_and_compare(&pair, vectors, 3, 0, 0);
    pair_close(&pair);
    leat_file_unref(files[0]);
    leat_file_unref(files[1]);
    leat_root_close(root);
    free(data);
    return 0;
}
FIBER_ENGINE_TEST(memory_and_files)

static int to_a_slow_reader_fiber(void *arg)
{
    char *data = make_content(60000);
    struct leat_root *root;
    struct pair pair;
    assert_int_equal(leat_root_open(folder.path, &root), 0);
    struct leat_file *film = open_file(root, "film");
    const struct leat_vector vectors[] = {{.data = data, .size = 60000},
                                          {.file = film, .offset = 12345, .size = 60000},
                                          {.data = data, .size = 1}};
    pair_open_narrow(&pair);
    send_and_compare(&pair, vectors, 3, 2000, 1);
    pair_close(&pair);
    leat_file_unref(film);
    leat_root_close(root);
    free(data);
    return 0;
}
FIBER_ENGINE_TEST(to_a_slow_reader)

/* A film that is not in the page cache comes by way of the disk, whole. */
static int a_cold_file_fiber(void *arg)
{
    struct leat_root *root;
    struct pair pair;
    assert_int_equal(leat_root_open(folder.path, &root), 0);
    struct leat_file *film = open_file(root, "film");
    const int fd = open(folder_path(&folder, "film"), O_RDONLY);
    assert_int_equal(fdatasync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
    const struct leat_vector vectors[] = {
        {.file = film, .offset = 1000, .size = leat_file_info(film)->size - 1000}};
    pair_open(&pair, NULL);
    send_and_compare(&pair, vectors, 1, 0, 0);
    pair_close(&pair);
    leat_file_unref(film);
    leat_root_close(root);
    return 0;
}
FIBER_ENGINE_TEST(a_cold_file)

static void count_release(void *user)
{
    ++*(unsigned *)user;
}

/* As a live stream's segment is: bytes that others own, and that grow while some are sent. */
static int memory_with_an_owner_fiber(void *arg)
{
    enum { SIZE = 300 * 1000 };
    static char data[SIZE];
    struct pair pair;
    struct leat_file *file;
    unsigned releases = 0;
    const int fd = memfd_create("leat-test", MFD_CLOEXEC);
    for (size_t offset = 0; offset < SIZE; offset++)
        data[offset] = content_at(offset);
    assert_int_equal(pwrite(fd, data, SIZE, 0), SIZE);
    assert_int_equal(file_of_memory(fd, SIZE - 1000, count_release, &releases, &file), 0);
    const struct leat_vector vectors[] = {{.data = data, .size = 10},
                                          {.file = file, .offset = 5, .size = 100 * 1000},
                                          {.file = file, .offset = SIZE - 1001, .size = 1}};
    pair_open(&pair, NULL);
    send_and_compare(&pair, vectors, 3, 0, 0);
    pair_close(&pair);
    leat_file_ref(file);
    leat_file_unref(file);
    assert_int_equal(releases, 0);
    leat_file_unref(file);
    assert_int_equal(releases, 1);
    assert_int_equal(close(fd), 0); /* it is still its owner's */
    return 0;
}
FIBER_ENGINE_TEST(memory_with_an_owner)

/* ---- What goes wrong ------------------------------------------------------------------------- */

static void read_alone(void *arg)
{
    read_all(arg);
}

enum { SHRINKING_SIZE = 4 << 20, SHRUNK_SIZE = 3 << 19 };

static int shrink(void *arg)
{
    struct reading *reading = arg;
    while (reading->size < 100000) {
        const int error = leat_sleep_ms(1);
        if (error)
            return error;
    }
    return truncate(folder_path(&folder, "shrinking"), SHRUNK_SIZE);
}

/* The peer gets what there was, and the end; nothing is made up for what is missing. */
static int a_file_that_shrinks_fiber(void *arg)
{
    struct leat_root *root;
    struct pair pair;
    folder_write(&folder, "shrinking", 0, SHRINKING_SIZE);
    assert_int_equal(leat_root_open(folder.path, &root), 0);
    struct leat_file *file = open_file(root, "shrinking");
    const struct leat_vector vectors[] = {{.file = file, .size = SHRINKING_SIZE},
                                          {.data = "never", .size = 5}};
    pair_open_narrow(&pair);
    struct sending sending = {pair.here, vectors, 2, soon()};
    struct reading reading = {.stream = pair.there};
    struct leat_call calls[] = {{.fn = send_and_finish, .arg = &sending},
                                {.fn = shrink, .arg = &reading}};
    struct leat_scope scope;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, read_alone, &reading, NULL), 0);
    const struct leat_gather_options wait = {.on_error = LEAT_GATHER_WAIT};
    assert_int_equal(leat_gather(calls, 2, &wait), -LEAT_E_TRUNCATED);
    leat_stream_close(pair.here);
    assert_int_equal(leat_scope_join(&scope, soon()), 0);
    leat_scope_fini(&scope);
    assert_in_range(reading.size, 100000, SHRUNK_SIZE);
    for (size_t offset = 0; offset < reading.size; offset++)
        assert_int_equal(reading.data[offset], content_at(offset));
    leat_stream_close(pair.there);
    free(reading.data);
    leat_file_unref(file);
    leat_root_close(root);
    return 0;
}
FIBER_ENGINE_TEST(a_file_that_shrinks)

static int a_range_beyond_the_end_fiber(void *arg)
{
    struct leat_root *root;
    assert_int_equal(leat_root_open(folder.path, &root), 0);
    struct leat_file *file = open_file(root, "small");
    const uint64_t size = leat_file_info(file)->size;
    const struct leat_vector wrong[] = {{.file = file, .offset = size, .size = 1},
                                        {.file = file, .offset = 0, .size = size + 1},
                                        {.file = file, .offset = size + 5000000, .size = 100}};
    for (unsigned index = 0; index < 3; index++) {
        struct pair pair;
        pair_open(&pair, NULL);
        assert_int_equal(leat_stream_send(pair.here, &wrong[index], 1, soon()), -LEAT_E_TRUNCATED);
        pair_close(&pair);
    }
    leat_file_unref(file);
    leat_root_close(root);
    return 0;
}
FIBER_ENGINE_TEST(a_range_beyond_the_end)

static int interrupted_fiber(void *arg)
{
    struct leat_root *root;
    char *data = make_content(SHRINKING_SIZE);
    assert_int_equal(leat_root_open(folder.path, &root), 0);
    struct leat_file *film = open_file(root, "film");
    const struct leat_vector memory = {.data = data, .size = SHRINKING_SIZE},
                             file = {.file = film, .size = leat_file_info(film)->size};
    for (unsigned index = 0; index < 4; index++) {
        struct pair pair;
        pair_open_narrow(&pair);
        const struct leat_vector *vector = index % 2 ? &memory : &file;
        if (index < 2) {
            assert_int_equal(leat_stream_send(pair.here, vector, 1, leat_after_ms(20)), -ETIMEDOUT);
        } else {
            struct sending sending = {pair.here, vector, 1, LEAT_FOREVER};
            struct leat_call call = {.fn = send_and_finish, .arg = &sending};
            const struct leat_gather_options options = {.deadline_ns = leat_after_ms(20)};
            leat_gather(&call, 1, &options);
            assert_int_equal(call.result, -ECANCELED);
        }
        pair_close(&pair);
    }
    leat_file_unref(film);
    leat_root_close(root);
    free(data);
    return 0;
}
FIBER_ENGINE_TEST(interrupted)

/* The peer goes away while a file is sent: an error, and no signal. */
static int the_peer_goes_away_fiber(void *arg)
{
    struct leat_root *root;
    struct pair pair;
    assert_int_equal(leat_root_open(folder.path, &root), 0);
    struct leat_file *film = open_file(root, "film");
    const struct leat_vector vector = {.file = film, .size = leat_file_info(film)->size};
    pair_open(&pair, NULL);
    leat_stream_close(pair.there);
    int error = 0;
    while (!error)
        error = leat_stream_send(pair.here, &vector, 1, soon());
    assert_true(error == -EPIPE || error == -ECONNRESET);
    leat_stream_close(pair.here);
    leat_file_unref(film);
    leat_root_close(root);
    return 0;
}
FIBER_ENGINE_TEST(the_peer_goes_away)

/* ---- The machine ----------------------------------------------------------------------------- */

struct machine {
    struct sender sender;
    unsigned done_count;
    int result;
};

static void note_done(struct sender *sender, int result)
{
    struct machine *machine = CONTAINER_OF(sender, struct machine, sender);
    assert_false(sender_is_busy(sender));
    machine->done_count++;
    machine->result = result;
}

/* `done` never comes from within start or cancel, once after what said so, and progress can be
 * seen. */
static int the_machine_fiber(void *arg)
{
    enum { SIZE = 1 << 20 };
    char *data = make_content(SIZE);
    static char received[65536];
    const struct leat_vector vector = {.data = data, .size = SIZE};
    struct machine machine = {0};
    struct pair pair;
    pair_open_narrow(&pair);
    sender_init(&machine.sender, loop_current, pair.here->fd);
    assert_int_equal(sender_start(&machine.sender, NULL, 0, note_done), 0);
    assert_int_equal(sender_start(&machine.sender, &vector, 1, note_done), -EINPROGRESS);
    assert_true(sender_is_busy(&machine.sender));
    assert_int_equal(machine.done_count, 0);
    uint64_t sent = machine.sender.sent;
    int64_t progress_ns = machine.sender.progress_ns;
    for (unsigned round = 0; round < 6; round++) {
        for (size_t size = 0; size < 300000;) {
            const ssize_t count = leat_stream_read(pair.there, received, sizeof received, soon());
            assert_true(count > 0);
            size += (size_t)count;
            if (machine.sender.sent >= SIZE)
                break;
        }
        leat_sleep_ms(2);
        if (round < 3) {
            assert_true(machine.sender.sent > sent);
            assert_true(machine.sender.progress_ns > progress_ns);
        }
        sent = machine.sender.sent;
        progress_ns = machine.sender.progress_ns;
        if (machine.done_count > 0)
            break;
    }
    assert_int_equal(machine.done_count, 1);
    assert_int_equal(machine.result, 0);
    assert_int_equal(machine.sender.sent, SIZE);

    assert_int_equal(sender_start(&machine.sender, &vector, 1, note_done), -EINPROGRESS);
    sender_cancel(&machine.sender);
    sender_cancel(&machine.sender);
    assert_int_equal(machine.done_count, 1);
    while (machine.done_count == 1)
        assert_int_equal(leat_sleep_ms(1), 0);
    assert_int_equal(machine.done_count, 2);
    assert_int_equal(machine.result, -ECANCELED);
    sender_cancel(&machine.sender); /* idle: nothing */
    pair_close(&pair);
    free(data);
    return 0;
}
FIBER_ENGINE_TEST(the_machine)

static int cork_of(const struct leat_stream *stream)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(stream->fd, IPPROTO_TCP, TCP_CORK, &value, &size), 0);
    return value;
}

static void drain(struct pair *pair, const struct machine *machine)
{
    static char received[65536];
    while (machine->done_count == 0)
        assert_true(leat_stream_read(pair->there, received, sizeof received, soon()) > 0);
}

/* Full segments alone while a large range is on its way; when it is out nothing is held back, and a
 * small one never is. */
static int a_large_range_goes_in_full_segments_fiber(void *arg)
{
    struct leat_root *root;
    assert_int_equal(leat_root_open(folder.path, &root), 0);
    struct leat_file *film = open_file(root, "film");
    const uint64_t sizes[] = {1000 * 1000, 60 * 1000};
    for (unsigned index = 0; index < 2; index++) {
        const struct leat_vector vectors[] = {{.data = "head", .size = 4},
                                              {.file = film, .size = sizes[index]}};
        struct machine machine = {0};
        struct pair pair;
        pair_open_narrow(&pair);
        sender_init(&machine.sender, loop_current, pair.here->fd);
        assert_int_equal(sender_start(&machine.sender, vectors, 2, note_done), -EINPROGRESS);
        assert_int_equal(cork_of(pair.here), index == 0);
        drain(&pair, &machine);
        assert_int_equal(machine.result, 0);
        assert_int_equal(cork_of(pair.here), 0);
        pair_close(&pair);
    }
    leat_file_unref(film);
    leat_root_close(root);
    return 0;
}
FIBER_ENGINE_TEST(a_large_range_goes_in_full_segments)

static int make_files(void **state)
{
    folder_make(&folder);
    folder_write(&folder, "film", 0, 9 * 1000 * 1000);
    folder_write(&folder, "small", 0, 777);
    return 0;
}

static int remove_files(void **state)
{
    folder_remove(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_pieces_of_memory),
        cmocka_unit_test(test_nothing_at_all),
        cmocka_unit_test(test_memory_and_files),
        cmocka_unit_test(test_to_a_slow_reader),
        cmocka_unit_test(test_a_cold_file),
        cmocka_unit_test(test_memory_with_an_owner),
        cmocka_unit_test(test_a_file_that_shrinks),
        cmocka_unit_test(test_a_range_beyond_the_end),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_the_peer_goes_away),
        cmocka_unit_test(test_the_machine),
        cmocka_unit_test(test_a_large_range_goes_in_full_segments),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
