/* SPDX-License-Identifier: MIT */
/*
 * What is written of a load: the text line by line, the JSON as jansson has it, the histogram read
 * back and added up, the page as a well-formed tree, and all of them onto a full disk.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "load/figure.h"
#include "load/page.h"
#include "load/report.h"
#include "load_sample.h"

static const char hostile_url[] =
    "http://h/<script>alert(\"1\")</"
    "script>&'\\\x01\x1b[2J\x7f\xff\xc3(\xed\xa0\x80é\xf0\x9f\x98\x80\n%s";

typedef int (*write_fn)(const struct load_result *result,
                        const struct load_expectation *expectations, size_t expectation_count,
                        FILE *out);

static int write_histogram(const struct load_result *result, const struct load_expectation *none,
                           size_t count, FILE *out)
{
    return load_report_histogram(result, out);
}

/* What is written, expectations given as words with NULL at the end; freed by the caller. */
static char *written(write_fn write, const struct load_example *example, const char *const *words)
{
    static struct load_expectation expectations[LOAD_EXPECTATIONS_MAX];
    size_t count = 0, size = 0;
    char error[256], *text = NULL;
    for (; words && words[count]; count++)
        assert_int_equal(load_expect_parse(words[count], &expectations[count], error, sizeof error),
                         0);
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(write(&example->result, expectations, count, out), 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(strlen(text), size);
    return text;
}

static const char *const some[] = {"p99<5ms", "errors < 0.1%", "throughput>1m", NULL};

/* --- figures --- */

static void figures_have_three_digits(void **state)
{
    static const struct {
        double ns;
        const char *text;
    } times[] = {
        {0, "0 ns"},         {1, "1 ns"},        {999, "999 ns"},     {1000, "1.00 us"},
        {9994, "9.99 us"},   {9996, "10.0 us"},  {99960, "100 us"},   {999400, "999 us"},
        {999600, "1.00 ms"}, {1.5e6, "1.50 ms"}, {59.96e9, "60.0 s"}, {3600e9, "3600 s"},
    };
    for (size_t index = 0; index < sizeof times / sizeof *times; index++)
        assert_string_equal(load_figure_time(times[index].ns).text, times[index].text);
    assert_string_equal(load_figure_short_time(2e6).text, "2 ms");
    assert_string_equal(load_figure_short_time(1.234e6).text, "1.23 ms");
    assert_string_equal(load_figure_size(0).text, "0 B");
    assert_string_equal(load_figure_size(1023).text, "1023 B");
    assert_string_equal(load_figure_size(1536).text, "1.50 KiB");
    assert_string_equal(load_figure_size(0x1p60).text, "1024 PiB");
    assert_string_equal(load_figure_count(0).text, "0");
    assert_string_equal(load_figure_count(999).text, "999");
    assert_string_equal(load_figure_count(1000).text, "1,000");
    assert_string_equal(load_figure_count(UINT64_MAX).text, "18,446,744,073,709,551,615");
    assert_string_equal(load_figure_rate(12.345).text, "12.3");
    assert_string_equal(load_figure_rate(123456.7).text, "123,457");
}

/* A share that is neither none nor all is never shown as if it were. */
static void shares_are_not_rounded_to_none_or_all(void **state)
{
    static const struct {
        double part;
        const char *text;
    } rows[] = {
        {0, "0 %"},          {1, "< 0.01 %"},       {100, "0.01 %"},    {5000, "0.50 %"},
        {12345, "1.2 %"},    {530000, "53 %"},      {990000, "99 %"},   {995000, "99.50 %"},
        {999900, "99.99 %"}, {999999, "> 99.99 %"}, {1000000, "100 %"},
    };
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++)
        assert_string_equal(load_figure_share(rows[index].part, 1e6).text, rows[index].text);
    assert_string_equal(load_figure_share(0, 0).text, "0 %");
}

/* --- text --- */

static void the_text_tells_everything(void **state)
{
    struct load_example *example = load_example_create_full();
    char *text = written(load_report_text, example, some);
    assert_string_equal(
        text, "GET http://127.0.0.1:8080/1k\n"
              "\n"
              "  loop          closed: each connection waits for its answer\n"
              "  connections   64, kept alive; 2 threads, engine uring\n"
              "  measured      10.0 s after 1.00 s of warm-up\n"
              "\n"
              "  requests      9,900                     990/s\n"
              "  received      11.3 MiB             1.13 MiB/s\n"
              "  sent          580 KiB              58.0 KiB/s\n"
              "  statuses      200: 9,000, 404: 890, 503: 10\n"
              "  failures      900 (9.1 %) had a status of 400 or above\n"
              "  ERRORS        98 (0.98 % of all requests)\n"
              "                40 refused: no connection could be made\n"
              "                30 cut: closed before the response was whole\n"
              "                20 malformed: what came is no response\n"
              "                8 timeout: no response in time\n"
              "  unfinished    2 of 10,000 requests were not answered when it ended\n"
              "  closed        3 times the server closed between two requests\n"
              "  client CPU    202.02 us/request: 50.51 user, 151.52 system; 10 % busy\n"
              "\n"
              "  latency\n"
              "    min       100 us        100 us - 200 us      51 %  ######################\n"
              "    mean      286 us        200 us - 500 us      40 %  ##################\n"
              "    stddev    739 us        500 us - 1 ms         0 %\n"
              "    p50       100 us          1 ms - 2 ms       9.0 %  ####\n"
              "    p75       201 us          2 ms - 5 ms         0 %\n"
              "    p90       201 us          5 ms - 10 ms        0 %\n"
              "    p99      1.51 ms         10 ms - 20 ms     0.10 %\n"
              "    p99.9    20.0 ms         20 ms - 50 ms        0 %\n"
              "    p99.99   20.0 ms\n"
              "    max      20.0 ms\n"
              "\n"
              "  expected\n"
              "    p99<5ms                    is      1.50733 ms   met\n"
              "    errors < 0.1%              is          0.98 %   NOT met\n"
              "    throughput>1m              is   1.13297 MiB/s   met\n");
    free(text);
    free(example);
}

static void assert_fits_a_terminal(const char *text)
{
    while (*text) {
        const size_t size = strcspn(text, "\n");
        assert_true(size < 80);
        for (size_t index = 0; index < size; index++)
            assert_true((unsigned char)text[index] >= ' ');
        assert_true(size == 0 || text[size - 1] != ' ');
        text += size + 1;
    }
}

static void the_text_says_what_makes_figures_doubtful(void **state)
{
    struct load_example *example = load_example_create_full();
    example->result.rate = 5000;
    example->result.is_interrupted = true;
    example->result.url_count = 1235;
    example->tally.unfinished = 40000;
    example->result.cpu_system_s = 18.5;
    char *text = written(load_report_text, example, NULL);
    assert_fits_a_terminal(text);
    assert_non_null(strstr(text, "GET http://127.0.0.1:8080/1k and 1,234 more\n"));
    assert_non_null(strstr(text, "open: 5,000 requests/s are due, whatever the server does\n"));
    assert_non_null(strstr(text, "warm-up; INTERRUPTED before its end\n"));
    assert_non_null(strstr(
        text, "  UNFINISHED    40,000 of 49,998 requests due were not answered when it ended\n"
              "                the server did not keep up with 5,000 requests/s\n"));
    assert_non_null(strstr(text, "the client itself may have been the limit"));
    assert_non_null(strstr(text, "latency, from when it was due\n"));
    free(text);

    /* As many as there are connections may be on their way. */
    example->tally.unfinished = 64;
    text = written(load_report_text, example, NULL);
    assert_non_null(strstr(text, "  unfinished    64 of"));
    assert_null(strstr(text, "keep up"));
    free(text);
    free(example);
}

static void the_text_of_nothing_and_of_everything_fits(void **state)
{
    struct load_example *example = load_example_create();
    char *text = written(load_report_text, example, some);
    assert_fits_a_terminal(text);
    assert_non_null(strstr(text, "latency       nothing was answered\n"));
    assert_non_null(strstr(text, "    p99<5ms                      nothing answered   NOT met\n"));
    assert_non_null(strstr(text, "    errors < 0.1%              is             0 %   met\n"));
    free(text);

    example->result.url = hostile_url;
    example->result.keep_alive = false;
    example->result.threads = 1;
    for (unsigned status = 0; status < LOAD_STATUSES; status++)
        load_example_answer(example, status, 1ull << (status % 64), 1 + status * status);
    text = written(load_report_text, example, NULL);
    assert_fits_a_terminal(text);
    assert_non_null(strstr(text, "a new one for each request; 1 thread, engine"));
    assert_non_null(strstr(text, "000: 1, 001: 2,"));
    assert_non_null(strstr(text, "and 976 others\n"));
    free(text);
    free(example);
}

/* --- JSON --- */

static json_t *read_json(const struct load_example *example, const char *const *words)
{
    char *text = written(load_report_json, example, words);
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(json);
    free(text);
    return json;
}

static void assert_keys(const json_t *object, const char *keys)
{
    const char *key;
    json_t *value;
    char told[512] = "";
    json_object_foreach((json_t *)object, key, value)
    {
        strcat(strcat(told, told[0] ? " " : ""), key);
    }
    assert_string_equal(told, keys);
}

static double number_at(const json_t *json, const char *outer, const char *key)
{
    const json_t *value = json_object_get(outer ? json_object_get(json, outer) : json, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void json_has_every_figure(void **state)
{
    struct load_example *example = load_example_create_full();
    json_t *json = read_json(example, some);
    assert_keys(json, "format leat url urls method engine connections threads loop rate keep_alive "
                      "warm_up_s started elapsed_s interrupted requests requests_per_s "
                      "bytes_received body_bytes bytes_per_s bytes_sent connects closes statuses "
                      "unfinished errors failures latency_us cpu seconds expect");
    assert_keys(json_object_get(json, "errors"), "total refused cut malformed timeout");
    assert_keys(json_object_get(json, "latency_us"),
                "min mean stddev p50 p75 p90 p99 p99.9 p99.99 max");
    assert_keys(json_object_get(json, "cpu"), "user_s system_s us_per_request");
    assert_keys(json_object_get(json, "statuses"), "200 404 503");
    assert_string_equal(json_string_value(json_object_get(json, "format")), "leat load 1");
    assert_string_equal(json_string_value(json_object_get(json, "loop")), "closed");
    assert_true(json_is_null(json_object_get(json, "rate")));
    assert_string_equal(json_string_value(json_object_get(json, "started")),
                        "2026-11-18T18:45:03.250Z");
    assert_true(number_at(json, NULL, "requests") == 9900);
    assert_true(number_at(json, NULL, "requests_per_s") == 990);
    assert_true(number_at(json, NULL, "failures") == 900);
    assert_true(number_at(json, "statuses", "404") == 890);
    assert_true(number_at(json, "errors", "total") == 98);
    assert_true(number_at(json, "errors", "timeout") == 8);
    assert_true(number_at(json, "latency_us", "min") == 100);
    assert_true(fabs(number_at(json, "latency_us", "p99") - 1507.327) < 1e-9);
    assert_true(number_at(json, "latency_us", "max") == 20000);
    assert_true(fabs(number_at(json, "cpu", "us_per_request") - 202.02) < 1e-9);

    json_t *second = json_array_get(json_object_get(json, "seconds"), 1);
    assert_int_equal(json_array_size(json_object_get(json, "seconds")), 3);
    assert_keys(second, "end_s length_s requests bytes errors p50_us p99_us max_us");
    assert_true(number_at(second, NULL, "errors") == 98);
    assert_true(number_at(second, NULL, "p99_us") == 1500);

    json_t *met = json_array_get(json_object_get(json, "expect"), 0);
    assert_keys(met, "text value met");
    assert_true(fabs(number_at(met, NULL, "value") - 1507.327) < 1e-9);
    assert_true(json_is_true(json_object_get(met, "met")));
    assert_true(
        json_is_false(json_object_get(json_array_get(json_object_get(json, "expect"), 1), "met")));
    json_decref(json);
    free(example);
}

static void json_of_nothing_has_no_latency(void **state)
{
    struct load_example *example = load_example_create();
    example->result.elapsed_s = 0;
    example->result.rate = 100.5;
    example->result.is_interrupted = true;
    example->result.sample_count = 1;
    json_t *json = read_json(example, some);
    assert_true(json_is_null(json_object_get(json_object_get(json, "latency_us"), "p50")));
    assert_true(json_is_null(json_object_get(json_object_get(json, "cpu"), "us_per_request")));
    json_t *second = json_array_get(json_object_get(json, "seconds"), 0);
    assert_true(json_is_null(json_object_get(second, "p50_us")));
    json_t *expected = json_array_get(json_object_get(json, "expect"), 0);
    assert_true(json_is_null(json_object_get(expected, "value")));
    assert_true(number_at(json, NULL, "requests_per_s") == 0);
    assert_true(number_at(json, NULL, "rate") == 100.5);
    assert_true(json_is_true(json_object_get(json, "interrupted")));
    assert_int_equal(json_object_size(json_object_get(json, "statuses")), 0);
    json_decref(json);
    free(example);
}

static void json_is_well_formed_whatever_the_url(void **state)
{
    struct load_example *example = load_example_create();
    example->result.url = hostile_url;
    json_t *json = read_json(example, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "url")),
                        "http://h/<script>alert(\"1\")</script>&'\\\x01\x1b[2J\x7f\ufffd\ufffd("
                        "\ufffd\ufffd\ufffdé\xf0\x9f\x98\x80\n%s");
    json_decref(json);
    for (unsigned byte = 1; byte < 256; byte++) {
        const char url[] = {(char)byte, 'a', (char)byte, (char)byte, 0};
        example->result.url = url;
        json_decref(read_json(example, NULL));
    }
    free(example);
}

static void percentiles_are_those_they_are_called(void **state)
{
    struct load_example *example = load_example_create();
    for (unsigned us = 1; us <= 100000; us++)
        load_example_answer(example, 200, us * 1000ull, 1);
    json_t *json = read_json(example, NULL);
    static const struct {
        const char *name;
        double us;
    } rows[] = {{"min", 1},        {"mean", 50000.5}, {"stddev", 28867.5}, {"p50", 50000},
                {"p75", 75000},    {"p90", 90000},    {"p99", 99000},      {"p99.9", 99900},
                {"p99.99", 99990}, {"max", 100000}};
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        const double told = number_at(json, "latency_us", rows[index].name);
        assert_true(told > rows[index].us * 0.9999 && told < rows[index].us * 1.008);
    }
    json_decref(json);
    free(example);
}

/* --- histogram --- */

static struct histogram *read_histogram(const char *text)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    assert_memory_equal(text, "# leat histogram 1\n", 19);
    uint64_t low, high, count, last_high = 0;
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        sscanf(line, "# count %" SCNu64, &histogram->count);
        sscanf(line, "# min %" SCNu64, &histogram->least_ns);
        sscanf(line, "# max %" SCNu64, &histogram->greatest_ns);
        sscanf(line, "# sum %lf", &histogram->sum_ns);
        sscanf(line, "# sum_of_squares %lf", &histogram->sum_of_squares_ns2);
        if (line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &low, &high, &count), 3);
        assert_int_equal(histogram_bucket(low), histogram_bucket(high));
        assert_int_equal(histogram_bucket_low_ns(histogram_bucket(low)), low);
        assert_int_equal(histogram_bucket_high_ns(histogram_bucket(low)), high);
        assert_true(count > 0 && (low > last_high || last_high == 0));
        histogram->buckets[histogram_bucket(low)] = count;
        last_high = high;
    }
    return histogram;
}

static void histogram_files_can_be_added_up(void **state)
{
    struct load_example *one = load_example_create_full(), *other = load_example_create();
    load_example_answer(other, 200, 123456789, 3);
    load_example_answer(other, 200, UINT64_MAX, 1);
    other->result.url = "http://h/a\n1 2 3";
    char *texts[] = {written(write_histogram, one, NULL), written(write_histogram, other, NULL)};
    struct histogram *sum = read_histogram(texts[0]), *added = read_histogram(texts[1]);
    assert_memory_equal(sum, &one->tally.latency, sizeof *sum);
    assert_memory_equal(added, &other->tally.latency, sizeof *sum);
    histogram_add(sum, added);
    histogram_add(&one->tally.latency, &other->tally.latency);
    assert_memory_equal(sum, &one->tally.latency, sizeof *sum);
    free(texts[0]), free(texts[1]), free(sum), free(added), free(one), free(other);
}

static void a_histogram_of_nothing_has_its_head(void **state)
{
    struct load_example *example = load_example_create();
    char *text = written(write_histogram, example, NULL);
    struct histogram *histogram = read_histogram(text);
    assert_memory_equal(histogram, &example->tally.latency, sizeof *histogram);
    assert_non_null(strstr(text, "\n# url http://127.0.0.1:8080/1k\n"));
    assert_non_null(strstr(text, "\n# unit ns\n# count 0\n"));
    free(text), free(histogram), free(example);
}

/* --- the page --- */

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* One tag, from behind its "<"; returns what follows. Keeps the names of open elements. */
static const char *check_tag(const char *at, char open[][16], size_t *depth)
{
    static const char *const empty[] = {"!doctype", "meta", "link", NULL};
    char name[16] = "";
    const bool closes = *at == '/';
    at += closes;
    const size_t size = strspn(at, "!abcdefghijklmnopqrstuvwxyz0123456789");
    assert_true(size > 0 && size < sizeof name);
    memcpy(name, at, size);
    assert_string_not_equal(name, "script");
    bool is_empty = is_one_of(name, empty);
    for (at += size; *at != '>'; at++) {
        assert_int_not_equal(*at, 0);
        assert_int_not_equal(*at, '<');
        if (*at == '"')
            at = strchr(at + 1, '"');
        assert_non_null(at);
        is_empty |= at[0] == '/' && at[1] == '>';
    }
    if (closes) {
        assert_true(*depth > 0);
        assert_string_equal(open[--*depth], name);
    } else if (!is_empty) {
        assert_true(*depth < 16);
        strcpy(open[(*depth)++], name);
    }
    return at + 1;
}

/* What a line's "d" moves to, with only M, H and V. */
static void assert_is_within_the_plot(const char *at)
{
    while (*at != '"') {
        const char command = *at++;
        char *end;
        const double value = strtod(at, &end);
        assert_true(end > at && strchr("MHV ", command));
        assert_true(value >= 0 && value <= (command == 'V' || command == ' ' ? 270 : 480));
        at = end;
    }
}

static void assert_is_page(const char *text)
{
    char open[16][16];
    size_t depth = 0;
    for (const char *at = text; *at;) {
        if (*at == '<') {
            at = check_tag(at + 1, open, &depth);
        } else if (*at == '&') {
            const size_t size = strcspn(at, ";");
            assert_true(size <= 6 && at[size] == ';');
            at += size;
        } else {
            assert_int_not_equal(*at++, '>');
        }
    }
    assert_int_equal(depth, 0);
    for (const char *at = text; (at = strstr(at, " d=\"")); at++)
        assert_is_within_the_plot(at + 4);
    static const char *const never[] = {"nan", "inf ", "inf\"", "-inf", "url(", "src=", "@import"};
    for (size_t index = 0; index < sizeof never / sizeof *never; index++)
        assert_null(strstr(text, never[index]));
}

static void the_page_is_well_formed(void **state)
{
    struct load_example *example = load_example_create_full();
    char *text = written(load_page_write, example, some);
    assert_is_page(text);
    assert_non_null(strstr(text, "<h1>GET http://127.0.0.1:8080/1k</h1>"));
    assert_non_null(strstr(text, "<td class=\"met\">met</td>"));
    assert_non_null(strstr(text, "<th scope=\"row\">errors &lt; 0.1%</th>"));
    assert_non_null(strstr(text, "<td class=\"unmet\">not met</td>"));
    assert_non_null(strstr(text, "coordinated omission"));
    assert_non_null(strstr(text, "<title id=\"requests-t\">"));
    assert_non_null(strstr(text, "class=\"orange\"")); /* the errors of a second */
    assert_null(strstr(text, "class=\"warning\""));
    free(text);

    example->result.rate = 5000;
    example->result.is_interrupted = true;
    example->tally.unfinished = 40000;
    example->result.cpu_system_s = 18.5;
    text = written(load_page_write, example, NULL);
    assert_is_page(text);
    assert_non_null(strstr(text, "Interrupted before its end"));
    assert_non_null(strstr(text, "40,000 of the 49,998 requests"));
    assert_non_null(strstr(text, "threads were 95 % busy"));
    assert_non_null(strstr(text, "each one’s latency counts from the moment it was due"));
    assert_null(strstr(text, "coordinated omission"));
    free(text);
    free(example);
}

static void the_page_escapes_what_it_shows(void **state)
{
    struct load_example *example = load_example_create();
    example->result.url = example->result.method = hostile_url;
    char *text = written(load_page_write, example, NULL);
    assert_is_page(text);
    assert_non_null(strstr(text, "&lt;script&gt;"));
    json_t *utf8 = json_string(text); /* NULL of what is no UTF-8 */
    assert_non_null(utf8);
    json_decref(utf8);
    free(text);
    free(example);
}

/* Plots of one request, of equal ones, of the extremes, and of seconds without an answer. */
static void the_page_draws_what_there_is(void **state)
{
    static const uint64_t latencies[][2] = {
        {0, 0}, {1, 1}, {1, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {99999, 100001}};
    for (size_t index = 0; index < sizeof latencies / sizeof *latencies; index++) {
        struct load_example *example = load_example_create();
        load_example_answer(example, 200, latencies[index][0], 1);
        load_example_answer(example, 200, latencies[index][1], index == 2 ? 100000000 / 100 : 1);
        example->samples[0] = (struct load_sample){.end_s = 1,
                                                   .length_s = 1,
                                                   .answered = 1,
                                                   .p50_ns = latencies[index][0],
                                                   .p99_ns = latencies[index][1],
                                                   .greatest_ns = latencies[index][1]};
        example->samples[1] = (struct load_sample){.end_s = 2, .length_s = 1, .errors = 5};
        example->samples[2] = (struct load_sample){.end_s = 2.001,
                                                   .length_s = 0.001,
                                                   .answered = 1000,
                                                   .p50_ns = 1,
                                                   .p99_ns = 1,
                                                   .greatest_ns = 1};
        example->result.sample_count = 3;
        char *text = written(load_page_write, example, NULL);
        assert_is_page(text);
        free(text);
        free(example);
    }
}

/* Of so many requests that the last ones are beyond what the percentiles' axis has. */
static void a_billion_requests_have_an_end(void **state)
{
    struct load_example *example = load_example_create();
    load_example_answer(example, 200, 1000, 1);
    load_example_answer(example, 200, 2000, 1);
    load_example_answer(example, 200, 3000000, 1);
    struct histogram *latency = &example->tally.latency;
    latency->buckets[histogram_bucket(1000)] += 10000000000;
    latency->count += 10000000000;
    char *text = written(load_page_write, example, NULL);
    assert_is_page(text);
    assert_non_null(strstr(text, ">99.99999 %</text>"));
    free(text);
    free(example);
}

/* A day has more seconds than a plot has pixels. */
static void a_long_load_is_drawn_in_bounds(void **state)
{
    enum { SECONDS = 86400 };
    struct load_example *example = load_example_create_full();
    struct load_sample *samples = calloc(SECONDS, sizeof *samples);
    for (unsigned index = 0; index < SECONDS; index++)
        samples[index] = (struct load_sample){.end_s = index + 1,
                                              .length_s = 1,
                                              .answered = 1000 + index * 7919 % 1000,
                                              .p50_ns = 100000 + index,
                                              .p99_ns = 200000 + index * 7919 % 90000,
                                              .greatest_ns = index == 5000 ? 900000000 : 400000};
    example->result.samples = samples;
    example->result.sample_count = SECONDS;
    char *text = written(load_page_write, example, NULL);
    assert_is_page(text);
    assert_true(strlen(text) < 100000);
    assert_non_null(strstr(text, "each step is 216 seconds"));
    assert_non_null(strstr(text, ">1 s</text>")); /* the one slow second has its place */
    free(text), free(samples), free(example);
}

/* --- all of them --- */

static void a_full_disk_is_told(void **state)
{
    static const write_fn writers[] = {load_report_text, load_report_json, write_histogram,
                                       load_page_write};
    struct load_example *example = load_example_create_full();
    for (size_t index = 0; index < sizeof writers / sizeof *writers; index++) {
        FILE *full = fopen("/dev/full", "w");
        assert_non_null(full);
        assert_int_equal(writers[index](&example->result, NULL, 0, full), -ENOSPC);
        fclose(full);
    }
    free(example);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_have_three_digits),
        cmocka_unit_test(shares_are_not_rounded_to_none_or_all),
        cmocka_unit_test(the_text_tells_everything),
        cmocka_unit_test(the_text_says_what_makes_figures_doubtful),
        cmocka_unit_test(the_text_of_nothing_and_of_everything_fits),
        cmocka_unit_test(json_has_every_figure),
        cmocka_unit_test(json_of_nothing_has_no_latency),
        cmocka_unit_test(json_is_well_formed_whatever_the_url),
        cmocka_unit_test(percentiles_are_those_they_are_called),
        cmocka_unit_test(histogram_files_can_be_added_up),
        cmocka_unit_test(a_histogram_of_nothing_has_its_head),
        cmocka_unit_test(the_page_is_well_formed),
        cmocka_unit_test(the_page_escapes_what_it_shows),
        cmocka_unit_test(the_page_draws_what_there_is),
        cmocka_unit_test(a_billion_requests_have_an_end),
        cmocka_unit_test(a_long_load_is_drawn_in_bounds),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
