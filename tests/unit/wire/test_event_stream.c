/* SPDX-License-Identifier: MIT */
/*
 * Events as they are written, and as the standard's reader would understand them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/event_stream.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* In memory of just its size. */
static char *written(const struct event_stream_event *event, size_t *ret_size)
{
    const long size = event_stream_size(event);
    assert_true(size > 0);
    char *text = malloc((size_t)size);
    assert_non_null(text);
    event_stream_write(event, text);
    *ret_size = (size_t)size;
    return text;
}

static void events_as_text(void **state)
{
    static const struct {
        struct event_stream_event event;
        const char *text;
    } rows[] = {
        {{.data = SLICE("hello")}, "data: hello\n\n"},
        {{.data = SLICE("")}, "data: \n\n"},
        {{.id = SLICE("7"), .type = SLICE("tick"), .data = SLICE("x")},
         "id: 7\nevent: tick\ndata: x\n\n"},
        {{.id = SLICE("")}, "id: \n\n"},
        {{.retry_ms = 2500}, "retry: 2500\n\n"},
        {{.id = SLICE("a"), .retry_ms = 1, .data = SLICE("b")}, "id: a\nretry: 1\ndata: b\n\n"},
        {{.data = SLICE("a\nb")}, "data: a\ndata: b\n\n"},
        {{.data = SLICE("a\rb\r\nc")}, "data: a\ndata: b\ndata: c\n\n"},
        {{.data = SLICE("a\n")}, "data: a\ndata: \n\n"},
        {{.data = SLICE("\n\r")}, "data: \ndata: \ndata: \n\n"},
        {{.data = SLICE("data: a\n\nid: b")}, "data: data: a\ndata: \ndata: id: b\n\n"},
        {{.data = SLICE(" a: b")}, "data:  a: b\n\n"},
    };
    for (size_t index = 0; index < COUNT_OF(rows); index++) {
        size_t size;
        char *text = written(&rows[index].event, &size);
        assert_int_equal(size, strlen(rows[index].text));
        assert_memory_equal(text, rows[index].text, size);
        free(text);
    }
}

static void what_would_break_a_line_is_refused(void **state)
{
    static const struct event_stream_event events[] = {
        {.id = SLICE("a\nb")}, {.id = SLICE("a\r")},    {.id = SLICE("\0")},
        {.type = SLICE("\n")}, {.type = SLICE("a\rb")},
    };
    for (size_t index = 0; index < COUNT_OF(events); index++)
        assert_int_equal(event_stream_size(&events[index]), -EINVAL);
}

/* The data that section 9.2.6 makes of "data: " lines: each with LF behind it, without the last. */
static void read_data(const char *text, size_t size, char *data, size_t *ret_size)
{
    *ret_size = 0;
    for (const char *at = text, *const end = text + size; at < end;) {
        const char *const line_end = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(line_end);
        if (line_end == at)
            break;
        assert_memory_equal(at, "data: ", 6);
        assert_null(memchr(at, '\r', (size_t)(line_end - at)));
        const size_t line_size = (size_t)(line_end - at) - 6;
        memcpy(data + *ret_size, at + 6, line_size);
        *ret_size += line_size;
        data[(*ret_size)++] = '\n';
        at = line_end + 1;
    }
    assert_true(*ret_size > 0);
    (*ret_size)--;
}

/* Whatever the data, it arrives: but for CR and CR LF, which arrive as LF. */
static void data_comes_back(void **state)
{
    static const char letters[] = {'a', '\n', '\r', ':', ' ', '\0'};
    enum { SIZE = 5 };
    unsigned count = 1;
    for (unsigned index = 0; index < SIZE; index++)
        count *= sizeof letters;
    for (unsigned number = 0; number < count; number++) {
        char data[SIZE], wanted[SIZE], got[2 * SIZE];
        size_t wanted_size = 0, got_size, size;
        unsigned left = number;
        for (unsigned index = 0; index < SIZE; index++, left /= sizeof letters)
            data[index] = letters[left % sizeof letters];
        for (unsigned index = 0; index < SIZE; index++)
            if (data[index] != '\n' || index == 0 || data[index - 1] != '\r')
                wanted[wanted_size++] = data[index] == '\r' ? '\n' : data[index];
        const struct event_stream_event event = {.data = slice_of(data, SIZE)};
        char *text = written(&event, &size);
        read_data(text, size, got, &got_size);
        assert_int_equal(got_size, wanted_size);
        assert_memory_equal(got, wanted, wanted_size);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_as_text),
        cmocka_unit_test(what_would_break_a_line_is_refused),
        cmocka_unit_test(data_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
