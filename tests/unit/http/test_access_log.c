/* SPDX-License-Identifier: MIT */
/*
 * Access logs: what a line looks like, and which lines reach the file: all of them, whole and once,
 * in a world whose disk is slow, full, or takes crumbs, and from several threads at a time.
 */
#include "leat/access_log.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "http/log_line.h"
#include "world.h"

enum { LINE_SIZE_MAX = 128 * 1024 };

static struct leat_address peer_of(const char *text)
{
    struct leat_address address;
    assert_int_equal(leat_address_parse(text, &address, NULL), 0);
    return address;
}

static struct leat_http_record ordinary(const struct leat_address *peer)
{
    return (struct leat_http_record){
        .peer = peer,
        .method = SLICE("GET"),
        .target = SLICE("/films/a%20b.mp4?x=1"),
        .host = SLICE("mill.example:8080"),
        .user_agent = SLICE("curl/7.88.1"),
        .minor_version = 1,
        .status = 206,
        .sent = 1300,
        .body_sent = 1024,
        .body_received = 7,
        .time_ns = INT64_C(1795361412) * LEAT_NS_PER_S + 123456789,
        .duration_ns = 1234567,
    };
}

static char *(*const formats[])(char *, const struct leat_http_record *,
                                struct log_clock *) = {log_line_combined, log_line_json};

static const char *line_of(const struct leat_http_record *record,
                           enum leat_access_log_format format)
{
    static char line[LINE_SIZE_MAX];
    struct log_clock clock;
    log_clock_init(&clock);
    const char *end = formats[format](line, record, &clock);
    assert_true((size_t)(end - line) <= log_line_size_max(record));
    assert_int_equal(end[-1], '\n');
    line[end - line - 1] = '\0';
    return line;
}

static void set_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void a_line_is_combined(void **state)
{
    const struct leat_address v4 = peer_of("192.0.2.7:1234"), v6 = peer_of("[2001:db8::1]:1");
    const struct leat_address local = peer_of("unix:/run/x");
    struct leat_http_record record = ordinary(&v4);
    set_zone("UTC0");
    assert_string_equal(line_of(&record, LEAT_ACCESS_LOG_COMBINED),
                        "192.0.2.7 - - [22/Nov/2026:15:30:12 +0000] \"GET /films/a%20b.mp4?x=1 "
                        "HTTP/1.1\" 206 1024 \"-\" \"curl/7.88.1\"");
    record.peer = &v6;
    record.minor_version = 0;
    record.body_sent = 0;
    record.referer = SLICE("http://a/\"b\\\xff\n");
    record.user_agent = SLICE("");
    set_zone("IST-5:30");
    assert_string_equal(line_of(&record, LEAT_ACCESS_LOG_COMBINED),
                        "2001:db8::1 - - [22/Nov/2026:21:00:12 +0530] \"GET /films/a%20b.mp4?x=1 "
                        "HTTP/1.0\" 206 - \"http://a/\\x22b\\x5C\\xFF\\x0A\" \"\"");
    record = (struct leat_http_record){.peer = &local, .status = 400, .time_ns = record.time_ns};
    set_zone("NST3:30");
    assert_string_equal(line_of(&record, LEAT_ACCESS_LOG_COMBINED),
                        "unix: - - [22/Nov/2026:12:00:12 -0330] \"-\" 400 - \"-\" \"-\"");
    record.status = 0;
    assert_string_equal(line_of(&record, LEAT_ACCESS_LOG_COMBINED),
                        "unix: - - [22/Nov/2026:12:00:12 -0330] \"-\" - - \"-\" \"-\"");
}

static void a_line_is_json(void **state)
{
    const struct leat_address v4 = peer_of("192.0.2.7:1234");
    struct leat_http_record record = ordinary(&v4);
    set_zone("IST-5:30"); /* of no effect */
    assert_string_equal(
        line_of(&record, LEAT_ACCESS_LOG_JSON),
        "{\"time\":\"2026-11-22T15:30:12.123Z\",\"peer\":\"192.0.2.7\",\"port\":1234,"
        "\"method\":\"GET\",\"target\":\"/films/a%20b.mp4?x=1\",\"protocol\":\"HTTP/1.1\","
        "\"host\":\"mill.example:8080\",\"status\":206,\"sent\":1300,\"body_sent\":1024,"
        "\"body_received\":7,\"duration_us\":1234,\"referer\":null,"
        "\"user_agent\":\"curl/7.88.1\",\"broken\":false}");
    record = (struct leat_http_record){.peer = &v4, .time_ns = 5999999, .is_broken = true};
    assert_string_equal(
        line_of(&record, LEAT_ACCESS_LOG_JSON),
        "{\"time\":\"1970-01-01T00:00:00.005Z\",\"peer\":\"192.0.2.7\",\"port\":1234,"
        "\"method\":null,\"target\":null,\"protocol\":null,\"host\":null,\"status\":null,"
        "\"sent\":0,\"body_sent\":0,\"body_received\":0,\"duration_us\":0,\"referer\":null,"
        "\"user_agent\":null,\"broken\":true}");
}

/* What \xHH stands for; everything else for itself. */
static size_t unescape(const char *text, size_t size, char *bytes)
{
    size_t count = 0;
    for (size_t index = 0; index < size; index++) {
        unsigned byte = (unsigned char)text[index];
        assert_true(byte >= 0x20 && byte < 0x7f && byte != '"');
        if (byte == '\\') {
            assert_int_equal(sscanf(text + index, "\\x%2X", &byte), 1);
            index += 3;
        }
        bytes[count++] = (char)byte;
    }
    return count;
}

/* Every byte at every place of a field: nothing of it can end the field or the line, and all of it
 * can be had back. */
static void hostile_bytes_stay_in_their_field(void **state)
{
    enum { SIZE_MAX_TESTED = 40 };
    const struct leat_address peer = peer_of("192.0.2.7:1234");
    char agent[SIZE_MAX_TESTED], back[SIZE_MAX_TESTED];
    for (size_t size = 1; size <= SIZE_MAX_TESTED; size += 13) {
        for (unsigned value = 0; value < 256 * size; value++) {
            memset(agent, 'x', sizeof agent);
            agent[value / 256] = (char)value;
            struct leat_http_record record = ordinary(&peer);
            record.user_agent = slice_of(agent, size);
            const char *line = line_of(&record, LEAT_ACCESS_LOG_COMBINED);
            const char *begin = strstr(line, "\"-\" \"") + 5;
            assert_int_equal(line[strlen(line) - 1], '"');
            assert_int_equal(unescape(begin, strlen(begin) - 1, back), size);
            assert_memory_equal(back, agent, size);

            const char *text = line_of(&record, LEAT_ACCESS_LOG_JSON);
            json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);
            assert_non_null(json);
            const json_t *told = json_object_get(json, "user_agent");
            if ((value & 255) < 0x80) {
                assert_int_equal(json_string_length(told), size);
                assert_memory_equal(json_string_value(told), agent, size);
            } else {
                assert_non_null(strstr(json_string_value(told), "\\x"));
            }
            json_decref(json);
        }
    }
}

static void utf8_stays_utf8(void **state)
{
    static const char text[] =
        "M\xc3\xbchle \xe6\xb0\xb4\xe8\xbb\x8a \xf0\x9f\x9b\xb6 \xc3(\xe6\xb0";
    const struct leat_address peer = peer_of("192.0.2.7:1234");
    struct leat_http_record record = ordinary(&peer);
    record.referer = slice_from_text(text);
    json_t *json = json_loads(line_of(&record, LEAT_ACCESS_LOG_JSON), 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "referer")),
                        "M\xc3\xbchle \xe6\xb0\xb4\xe8\xbb\x8a \xf0\x9f\x9b\xb6 \\xC3(\\xE6\\xB0");
    json_decref(json);
}

/* A clock that is asked for many seconds in turn never tells the wrong one. */
static void seconds_are_not_mixed_up(void **state)
{
    const struct leat_address peer = peer_of("192.0.2.7:1234");
    struct leat_http_record record = ordinary(&peer);
    struct log_clock clock;
    struct random random;
    char line[4096], expected[64];
    set_zone("UTC0");
    random_init(&random, 7);
    log_clock_init(&clock);
    for (int count = 0; count < 2000; count++) {
        const time_t second = (time_t)(1795361412 + random_between(&random, 0, 50));
        record.time_ns = second * LEAT_NS_PER_S;
        *log_line_combined(line, &record, &clock) = '\0';
        struct tm tm;
        gmtime_r(&second, &tm);
        strftime(expected, sizeof expected, "[%d/%b/%Y:%H:%M:%S +0000]", &tm);
        assert_non_null(strstr(line, expected));
    }
}

/* ---- In a world ------------------------------------------------------------------------------ */

struct trouble {
    int error;
    uint64_t dropped;
    unsigned count;
};

static void note_trouble(int error, uint64_t dropped, void *user)
{
    struct trouble *trouble = user;
    trouble->error = error;
    trouble->dropped = dropped;
    trouble->count++;
}

static struct leat_access_log *make_log(const char *path, struct trouble *trouble)
{
    struct leat_access_log *log;
    const struct leat_access_log_options options = {
        .path = path, .on_trouble = trouble ? note_trouble : NULL, .user = trouble};
    assert_int_equal(leat_access_log_create(&options, &log), 0);
    return log;
}

/* A line whose user agent is a number, and some padding. */
static void log_number(struct leat_access_log *log, unsigned number, size_t padding)
{
    static const struct leat_address peer = {.v4 = {.sin_family = AF_INET},
                                             .size = sizeof(struct sockaddr_in)};
    static char spaces[4096];
    char text[32];
    struct leat_http_record record = ordinary(&peer);
    memset(spaces, '.', sizeof spaces);
    assert_true(padding <= sizeof spaces);
    snprintf(text, sizeof text, "<%u>", number);
    record.user_agent = slice_from_text(text);
    record.referer = slice_of(spaces, padding);
    leat_access_log_write(&record, log);
}

/* Looks at each whole line of a log: `seen` counts how often each number is there. Returns how many
 * lines are fragments: the beginning of one that is written again. */
static unsigned look_at(const char *bytes, size_t size, unsigned *seen, unsigned count)
{
    unsigned fragments = 0;
    assert_true(size == 0 || bytes[size - 1] == '\n');
    for (const char *line = bytes, *end; line < bytes + size; line = end + 1) {
        unsigned number;
        end = memchr(line, '\n', (size_t)(bytes + size - line));
        const char *mark = memchr(line, '<', (size_t)(end - line));
        if (end[-1] == '"' && mark && sscanf(mark, "<%u>\"\n", &number) == 1) {
            assert_memory_equal(line, "0.0.0.0 - - [", 13);
            assert_true(number < count);
            seen[number]++;
        } else {
            fragments++;
        }
    }
    return fragments;
}

/* The loop's end, for its logs alone: then the log may go before the world does. */
static void end_logging(struct world *world)
{
    struct loop_extension *extension = world->loop->extensions[LOOP_SLOT_LOGS];
    sim_allow_blocking(world->sim, true);
    if (extension)
        extension->fini(extension);
}

static void end_log(struct world *world, struct leat_access_log *log)
{
    end_logging(world);
    leat_access_log_destroy(log);
}

static void lines_are_written_after_a_second(void **state)
{
    struct world world;
    size_t size;
    world_init(&world, SIM_CALM, 1);
    struct leat_access_log *log = make_log("log", NULL), *other = make_log("other", NULL);
    turns(&world, 10);
    log_number(log, 0, 0);
    turns(&world, 900);
    log_number(log, 1, 0);
    (void)sim_file_bytes(world.sim, "log", &size);
    assert_int_equal(size, 0);
    turns(&world, 120);
    unsigned seen[2] = {0};
    const char *bytes = sim_file_bytes(world.sim, "log", &size);
    assert_int_equal(look_at(bytes, size, seen, 2), 0);
    assert_true(seen[0] == 1 && seen[1] == 1);
    log_number(other, 0, 0); /* two logs of one loop */
    turns(&world, 1100);
    (void)sim_file_bytes(world.sim, "other", &size);
    assert_true(size > 0);
    log_number(other, 0, 0);
    end_log(&world, log);
    leat_access_log_destroy(other);
    world_fini(&world);
}

/* A loop that has nothing else to do ends at once, and leaves no line behind. */
static void the_end_waits_for_no_timer(void **state)
{
    struct world world;
    size_t size;
    world_init(&world, SIM_CALM, 1);
    struct leat_access_log *log = make_log("log", NULL);
    turns(&world, 10);
    const int64_t begin_ns = sim_now_ns(world.sim);
    log_number(log, 0, 0);
    assert_int_equal(leat_loop_run(world.loop), 0);
    assert_true(sim_now_ns(world.sim) - begin_ns < LEAT_NS_PER_MS);
    end_log(&world, log);
    unsigned seen[1] = {0};
    const char *bytes = sim_file_bytes(world.sim, "log", &size);
    assert_int_equal(look_at(bytes, size, seen, 1), 0);
    assert_int_equal(seen[0], 1);
    world_fini(&world);
}

static void a_full_disk_costs_lines_and_says_so(void **state)
{
    enum { LINES = 3000 };
    struct world world;
    struct trouble trouble = {0};
    struct leat_access_log_counters counters;
    static unsigned seen[LINES];
    size_t size;
    world_init(&world, SIM_CALM, 1);
    struct leat_access_log *log = make_log("log", &trouble);
    turns(&world, 10);
    sim_disk_bound(world.sim, 1000); /* within a line */
    for (unsigned number = 0; number < LINES; number++) {
        log_number(log, number, 300);
        turns(&world, 1);
    }
    assert_int_equal(trouble.count, 1);
    assert_int_equal(trouble.error, -ENOSPC);
    leat_access_log_counters(log, &counters);
    assert_true(counters.failures >= 2);
    assert_true(counters.dropped > 0 && counters.lines > 500);
    assert_int_equal(counters.lines + counters.dropped, LINES);
    sim_disk_bound(world.sim, 100 << 20);
    turns(&world, 5000); /* it is told no sooner */
    log_number(log, 0, 0);
    turns(&world, 1100);
    assert_int_equal(trouble.count, 2);
    assert_int_equal(trouble.error, 0);
    assert_int_equal(trouble.dropped, counters.dropped);
    const char *bytes = sim_file_bytes(world.sim, "log", &size);
    memset(seen, 0, sizeof seen);
    assert_int_equal(look_at(bytes, size, seen, LINES), 1);
    for (unsigned number = 1; number < LINES; number++)
        assert_int_equal(seen[number], number < counters.lines);
    end_log(&world, log);
    assert_int_equal(trouble.count, 2);
    world_fini(&world);
}

/* Lines that nobody will write any more are counted, and told of, when the loop ends. */
static void what_is_lost_at_the_end_is_told(void **state)
{
    struct world world;
    struct trouble trouble = {0};
    struct leat_access_log_counters counters;
    world_init(&world, SIM_CALM, 1);
    struct leat_access_log *log = make_log("log", &trouble);
    turns(&world, 10);
    sim_disk_bound(world.sim, 0);
    for (unsigned number = 0; number < 5; number++)
        log_number(log, number, 0);
    end_logging(&world);
    assert_int_equal(trouble.dropped, 5);
    assert_int_equal(trouble.error, -ENOSPC);
    leat_access_log_counters(log, &counters);
    assert_int_equal(counters.dropped, 5);
    leat_access_log_destroy(log);
    world_fini(&world);
}

/* In every kind of world, with appends that take crumbs and a pool that is full: each line is there
 * whole and once, unless it was dropped and counted. */
static void every_line_once_in_all_worlds(void **state)
{
    enum { LINES = 1200 };
    static unsigned seen[LINES];
    for (size_t profile = 0; profile < sim_profile_count; profile++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct world world;
            struct random random;
            struct leat_access_log_counters counters;
            size_t size;
            random_init(&random, seed);
            world_init(&world, &sim_profiles[profile], seed);
            struct leat_access_log *log = make_log("log", NULL);
            turns(&world, 1);
            for (unsigned number = 0; number < LINES; number++) {
                log_number(log, number, random_between(&random, 0, 2000));
                if (random_between(&random, 0, 9) == 0)
                    turns(&world, (int64_t)random_between(&random, 1, 50));
                if (random_between(&random, 0, 99) == 0)
                    sim_disk_bound(world.sim, random_between(&random, 0, 300000));
            }
            sim_disk_bound(world.sim, 100 << 20);
            turns(&world, 1500);
            end_logging(&world);
            leat_access_log_counters(log, &counters);
            leat_access_log_destroy(log);
            memset(seen, 0, sizeof seen);
            const char *bytes = sim_file_bytes(world.sim, "log", &size);
            (void)look_at(bytes, size, seen, LINES);
            unsigned found = 0;
            for (unsigned number = 0; number < LINES; number++) {
                assert_true(seen[number] <= 1);
                found += seen[number];
            }
            assert_int_equal(found + counters.dropped, LINES);
            assert_true(found > 0);
            world_fini(&world);
        }
    }
}

static void reopening_goes_to_the_new_file(void **state)
{
    struct world world;
    size_t size;
    world_init(&world, SIM_CALM, 1);
    struct leat_access_log *log = make_log("log", NULL);
    log_number(log, 0, 0);
    turns(&world, 1100);
    assert_int_equal(sim_file_remove(world.sim, "log"), 0); /* as if it were renamed */
    log_number(log, 1, 0);
    sim_allow_blocking(world.sim, true); /* another thread's, in truth */
    assert_int_equal(leat_access_log_reopen(log), 0);
    sim_allow_blocking(world.sim, false);
    turns(&world, 1100);
    unsigned seen[2] = {0};
    const char *bytes = sim_file_bytes(world.sim, "log", &size);
    assert_int_equal(look_at(bytes, size, seen, 2), 0);
    assert_true(seen[0] == 0 && seen[1] == 1);
    end_log(&world, log);
    world_fini(&world);
}

/* ---- Threads and files ----------------------------------------------------------------------- */

enum { THREADS = 4, THREAD_LINES = 20000 };

struct thread {
    pthread_t thread;
    struct leat_access_log *log;
    unsigned index, number;
    struct timer timer;
};

static void log_some(struct timer *timer)
{
    struct thread *thread = CONTAINER_OF(timer, struct thread, timer);
    for (unsigned count = 0; count < 100 && thread->number < THREAD_LINES; count++)
        log_number(thread->log, thread->index * THREAD_LINES + thread->number++, 20);
    if (thread->number < THREAD_LINES)
        loop_timer_start(leat_loop_current(), timer, leat_after_ms(1));
}

static void *run_thread(void *arg)
{
    struct thread *thread = arg;
    struct leat_loop *loop;
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    assert_int_equal(leat_loop_create(&options, &loop), 0);
    timer_init(&thread->timer, log_some);
    loop_timer_start(loop, &thread->timer, leat_after_ms(1));
    assert_int_equal(leat_loop_run(loop), 0);
    leat_loop_destroy(loop);
    return NULL;
}

static size_t read_all(const char *path, char **ret_bytes)
{
    struct stat stat;
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &stat) == 0);
    *ret_bytes = malloc((size_t)stat.st_size + 1);
    assert_int_equal(read(fd, *ret_bytes, (size_t)stat.st_size), stat.st_size);
    close(fd);
    return (size_t)stat.st_size;
}

/* Threads log while the file is renamed away beneath them: none of their lines is torn or lost. */
static void threads_share_a_log(void **state)
{
    char folder[] = "/tmp/leat-log-XXXXXX", path[64], old_path[80];
    static unsigned seen[THREADS * THREAD_LINES];
    struct leat_access_log_counters counters;
    struct thread threads[THREADS];
    enum { RENAMES = 5 };
    loop_current = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
    struct leat_access_log *log = make_log(path, NULL);
    for (unsigned index = 0; index < THREADS; index++) {
        threads[index] = (struct thread){.log = log, .index = index};
        assert_int_equal(pthread_create(&threads[index].thread, NULL, run_thread, &threads[index]),
                         0);
    }
    for (int count = 0; count < RENAMES; count++) {
        usleep(30000);
        snprintf(old_path, sizeof old_path, "%s.%d", path, count);
        assert_int_equal(rename(path, old_path), 0);
        assert_int_equal(leat_access_log_reopen(log), 0);
        leat_access_log_counters(log, &counters);
    }
    for (unsigned index = 0; index < THREADS; index++)
        pthread_join(threads[index].thread, NULL);
    leat_access_log_counters(log, &counters);
    assert_int_equal(counters.lines + counters.dropped, THREADS * THREAD_LINES);
    for (int count = 0; count <= RENAMES; count++) {
        char *bytes;
        snprintf(old_path, sizeof old_path, count < RENAMES ? "%s.%d" : "%s", path, count);
        const size_t size = read_all(old_path, &bytes);
        assert_int_equal(look_at(bytes, size, seen, THREADS * THREAD_LINES), 0);
        free(bytes);
        unlink(old_path);
    }
    uint64_t found = 0;
    for (unsigned number = 0; number < THREADS * THREAD_LINES; number++) {
        assert_true(seen[number] <= 1);
        found += seen[number];
    }
    assert_int_equal(found, counters.lines);
    assert_true(counters.dropped < THREADS * THREAD_LINES / 2);
    leat_access_log_destroy(log);
    rmdir(folder);
}

static void what_cannot_be_opened_is_told(void **state)
{
    struct leat_access_log *log = NULL;
    loop_current = NULL;
    const struct leat_access_log_options folder = {.path = "/tmp"};
    assert_int_equal(leat_access_log_create(&folder, &log), -EISDIR);
    const struct leat_access_log_options nowhere = {.path = "/tmp/leat-is-not-there/log"};
    assert_int_equal(leat_access_log_create(&nowhere, &log), -ENOENT);
    assert_null(log);
    leat_access_log_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_combined),
        cmocka_unit_test(a_line_is_json),
        cmocka_unit_test(hostile_bytes_stay_in_their_field),
        cmocka_unit_test(utf8_stays_utf8),
        cmocka_unit_test(seconds_are_not_mixed_up),
        cmocka_unit_test(lines_are_written_after_a_second),
        cmocka_unit_test(the_end_waits_for_no_timer),
        cmocka_unit_test(a_full_disk_costs_lines_and_says_so),
        cmocka_unit_test(what_is_lost_at_the_end_is_told),
        cmocka_unit_test(every_line_once_in_all_worlds),
        cmocka_unit_test(reopening_goes_to_the_new_file),
        cmocka_unit_test(threads_share_a_log),
        cmocka_unit_test(what_cannot_be_opened_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
