/* SPDX-License-Identifier: MIT */
/*
 * The delimiter is looked for with memmem, which skips through data faster than it could be copied.
 * At the end of the input as much is held back as may be the delimiter's beginning, and no more.
 */
#include "wire/multipart.h"

#include "base/assert.h"
#include "leat/error.h"
#include "wire/chars.h"

/* ---- Parameters ------------------------------------------------------------------------------ */

/* One of `; name=value` behind a media type or a disposition. */
struct parameter {
    struct leat_slice name, value; /* of a quoted one: what is between the quotes, as sent */
    bool is_quoted;
};

static size_t run_of(struct leat_slice text, enum chars_class class)
{
    return (size_t)(chars_skip(text.data, text.data + text.size, class) - text.data);
}

/* The size of what is between quotes, of which the first is taken off already; or SIZE_MAX. */
static size_t quoted_size(struct leat_slice text)
{
    for (size_t index = 0; index < text.size; index++) {
        const bool is_pair = text.data[index] == '\\' && index + 1 < text.size &&
                             (text.data[index + 1] == '"' || text.data[index + 1] == '\\');
        if (text.data[index] == '"')
            return index;
        index += is_pair;
    }
    return SIZE_MAX;
}

/* Boundaries are sent bare though they are no tokens ("----=_Part_1"). */
static size_t bare_size(struct leat_slice text)
{
    size_t size = 0;
    while (size < text.size && text.data[size] != ';' && text.data[size] != '"' &&
           !chars_is_space(text.data[size]))
        size++;
    return size;
}

/* Takes the next one off the start of `*text`: 1, 0 at its end, or -LEAT_E_MALFORMED. */
static int next_parameter(struct leat_slice *text, struct parameter *ret_parameter)
{
    struct leat_slice rest = chars_trim(*text);
    while (rest.size > 0 && rest.data[0] == ';') /* "; ;" and a last ';' are empty ones */
        rest = chars_trim(slice_after(rest, 1));
    *text = rest;
    if (rest.size == 0)
        return 0;
    const size_t name_size = run_of(rest, CHARS_TOKEN);
    ret_parameter->name = slice_of(rest.data, name_size);
    rest = slice_after(rest, name_size);
    if (name_size == 0 || rest.size == 0 || rest.data[0] != '=')
        return -LEAT_E_MALFORMED;
    rest = slice_after(rest, 1);
    ret_parameter->is_quoted = rest.size > 0 && rest.data[0] == '"';
    if (ret_parameter->is_quoted)
        rest = slice_after(rest, 1);
    const size_t size = ret_parameter->is_quoted ? quoted_size(rest) : bare_size(rest);
    if (size == SIZE_MAX || (size == 0 && !ret_parameter->is_quoted))
        return -LEAT_E_MALFORMED;
    ret_parameter->value = slice_of(rest.data, size);
    rest = slice_after(rest, size + ret_parameter->is_quoted);
    const struct leat_slice next = chars_trim(rest);
    if (next.size > 0 && next.data[0] != ';')
        return -LEAT_E_MALFORMED;
    *text = next;
    return 1;
}

/* Takes what stands before the parameters off the start of `*text`. */
static struct leat_slice take_essence(struct leat_slice *text)
{
    if (text->size == 0)
        return *text;
    const char *const end = memchr(text->data, ';', text->size);
    const size_t size = end ? (size_t)(end - text->data) : text->size;
    const struct leat_slice essence = slice_of(text->data, size);
    *text = slice_after(*text, size);
    return chars_trim(essence);
}

/* ---- The boundary ---------------------------------------------------------------------------- */

/* bchars of RFC 2046, section 5.1.1. */
static bool is_boundary(struct leat_slice text)
{
    if (text.size == 0 || text.size > MULTIPART_BOUNDARY_MAX || text.data[text.size - 1] == ' ')
        return false;
    for (size_t index = 0; index < text.size; index++) {
        const char c = text.data[index];
        const bool is_alphanumeric =
            chars_is(c, CHARS_DIGIT) || (chars_lower(c) >= 'a' && chars_lower(c) <= 'z');
        if (!is_alphanumeric && (c == '\0' || !strchr("'()+_,-./:=? ", c)))
            return false;
    }
    return true;
}

struct leat_slice multipart_boundary(struct leat_slice content_type)
{
    const struct leat_slice none = slice_of(NULL, 0);
    if (!slice_equal_nocase(take_essence(&content_type), SLICE("multipart/form-data")))
        return none;
    struct leat_slice boundary = none;
    struct parameter parameter;
    int result;
    while ((result = next_parameter(&content_type, &parameter)) > 0) {
        if (!slice_equal_nocase(parameter.name, SLICE("boundary")))
            continue;
        if (boundary.data)
            return none;
        boundary = parameter.value;
    }
    return result == 0 && is_boundary(boundary) ? boundary : none;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

void multipart_init(struct multipart *reader, struct leat_slice boundary, size_t head_size_max)
{
    ASSERT(is_boundary(boundary));
    ASSERT(head_size_max > 0);
    *reader = (struct multipart){.state = MULTIPART_IN_PREAMBLE,
                                 .is_line_start = true,
                                 .head_size_max = head_size_max,
                                 .delimiter_size = 4 + boundary.size};
    memcpy(reader->delimiter, "\r\n--", 4);
    memcpy(reader->delimiter + 4, boundary.data, boundary.size);
}

static int broken(struct multipart *reader, int error)
{
    reader->state = MULTIPART_BROKEN;
    return error;
}

/* How many bytes at the start of the input are surely not of a delimiter; *ret_is_found: one stands
 * behind them. */
static size_t plain_size(const struct multipart *reader, struct leat_slice input,
                         bool *ret_is_found)
{
    const char *const found =
        memmem(input.data, input.size, reader->delimiter, reader->delimiter_size);
    *ret_is_found = found != NULL;
    if (found)
        return (size_t)(found - input.data);
    const size_t tail_max = reader->delimiter_size - 1;
    const char *const end = input.data + input.size;
    const char *at = input.size > tail_max ? end - tail_max : input.data;
    /* A delimiter has one CR, at its start. */
    while ((at = memchr(at, '\r', (size_t)(end - at))) != NULL &&
           memcmp(at, reader->delimiter, (size_t)(end - at)) != 0)
        at++;
    return at ? (size_t)(at - input.data) : input.size;
}

/* Where a line starts the delimiter's CR LF is there already (the head's, or none at the very
 * beginning). True: there is one; *ret_is_open: too little is there to tell. */
static bool is_bare_delimiter(const struct multipart *reader, struct leat_slice input,
                              bool *ret_is_open)
{
    const struct leat_slice bare = slice_of(reader->delimiter + 2, reader->delimiter_size - 2);
    *ret_is_open = input.size < bare.size && slice_starts_with(bare, input);
    return slice_starts_with(input, bare);
}

/* A part's data, or the preamble. */
static int step_body(struct multipart *reader, struct leat_slice *input,
                     struct leat_slice *ret_data)
{
    const bool is_preamble = reader->state == MULTIPART_IN_PREAMBLE;
    size_t size = 0, delimiter_size = reader->delimiter_size;
    bool is_found = false, is_open = false;
    if (reader->is_line_start) {
        is_found = is_bare_delimiter(reader, *input, &is_open);
        delimiter_size -= 2;
    }
    if (is_open)
        return MULTIPART_MORE;
    if (!is_found) {
        delimiter_size = reader->delimiter_size;
        reader->is_line_start = false;
        size = plain_size(reader, *input, &is_found);
    }
    ASSERT(size + (is_found ? delimiter_size : 0) <= input->size);
    if (size > 0 && !is_preamble) {
        *ret_data = slice_of(input->data, size);
        *input = slice_after(*input, size);
        return MULTIPART_DATA;
    }
    *input = slice_after(*input, size + (is_found ? delimiter_size : 0));
    if (!is_found)
        return MULTIPART_MORE;
    reader->state = MULTIPART_BEHIND;
    reader->padding = 0;
    return is_preamble ? multipart_next(reader, input, ret_data) : MULTIPART_PART_END;
}

/* Behind a delimiter: "--", or blanks and the end of its line. */
static int step_behind(struct multipart *reader, struct leat_slice *input,
                       struct leat_slice *ret_data)
{
    while (input->size > 0 && chars_is_space(input->data[0])) {
        if (++reader->padding > MULTIPART_PADDING_MAX)
            return broken(reader, -LEAT_E_MALFORMED);
        *input = slice_after(*input, 1);
    }
    const bool may_end = reader->padding == 0;
    if (input->size == 0 ||
        (input->size == 1 && (input->data[0] == '\r' || (may_end && input->data[0] == '-'))))
        return MULTIPART_MORE;
    if (slice_starts_with(*input, SLICE("\r\n")))
        reader->state = MULTIPART_IN_HEAD;
    else if (may_end && slice_starts_with(*input, SLICE("--")))
        reader->state = MULTIPART_DONE;
    else
        return broken(reader, -LEAT_E_MALFORMED);
    *input = slice_after(*input, 2);
    return multipart_next(reader, input, ret_data);
}

static int step_head(struct multipart *reader, struct leat_slice *input,
                     struct leat_slice *ret_data)
{
    const bool is_empty = slice_starts_with(*input, SLICE("\r\n"));
    const char *const end =
        is_empty ? input->data : memmem(input->data, input->size, "\r\n\r\n", 4);
    const size_t size = end ? (size_t)(end - input->data) + (is_empty ? 0 : 2) : input->size;
    /* What has come of the empty line is not the head's. */
    if (size > reader->head_size_max + (end ? 0 : 1))
        return broken(reader, -LEAT_E_LIMIT);
    if (!end)
        return MULTIPART_MORE;
    *ret_data = slice_of(input->data, size);
    *input = slice_after(*input, size + 2);
    reader->state = MULTIPART_IN_BODY;
    reader->is_line_start = true;
    return MULTIPART_HEAD;
}

int multipart_next(struct multipart *reader, struct leat_slice *input, struct leat_slice *ret_data)
{
    if (input->size == 0 && reader->state < MULTIPART_DONE)
        return MULTIPART_MORE;
    switch (reader->state) {
    case MULTIPART_IN_PREAMBLE:
    case MULTIPART_IN_BODY: return step_body(reader, input, ret_data);
    case MULTIPART_BEHIND: return step_behind(reader, input, ret_data);
    case MULTIPART_IN_HEAD: return step_head(reader, input, ret_data);
    case MULTIPART_DONE: *input = slice_after(*input, input->size); return MULTIPART_END;
    default: ASSERT(reader->state == MULTIPART_BROKEN); return -LEAT_E_MALFORMED;
    }
}

/* ---- Heads of parts -------------------------------------------------------------------------- */

/* The lines of a head that say something to us, once each; data NULL: not there. */
struct head_lines {
    struct leat_slice disposition, media_type, transfer_encoding;
};

/* Takes a line off the start of the head. 0 or -LEAT_E_MALFORMED. */
static int take_line(struct leat_slice *head, struct leat_slice *ret_name,
                     struct leat_slice *ret_value)
{
    const char *const end = memmem(head->data, head->size, "\r\n", 2);
    ASSERT(end); /* a head is whole lines */
    const struct leat_slice line = slice_of(head->data, (size_t)(end - head->data));
    *head = slice_after(*head, line.size + 2);
    const size_t name_size = run_of(line, CHARS_TOKEN);
    if (name_size == 0 || name_size == line.size || line.data[name_size] != ':')
        return -LEAT_E_MALFORMED;
    const struct leat_slice value = slice_after(line, name_size + 1);
    if (run_of(value, CHARS_VALUE) != value.size)
        return -LEAT_E_MALFORMED;
    *ret_name = slice_of(line.data, name_size);
    *ret_value = chars_trim(value);
    return 0;
}

static int read_lines(struct leat_slice head, struct head_lines *lines)
{
    const struct {
        struct leat_slice name;
        struct leat_slice *value;
    } wanted[] = {
        {SLICE("Content-Disposition"), &lines->disposition},
        {SLICE("Content-Type"), &lines->media_type},
        {SLICE("Content-Transfer-Encoding"), &lines->transfer_encoding},
    };
    while (head.size > 0) {
        struct leat_slice name, value;
        const int error = take_line(&head, &name, &value);
        if (error)
            return error;
        for (size_t index = 0; index < sizeof wanted / sizeof *wanted; index++) {
            if (!slice_equal_nocase(name, wanted[index].name))
                continue;
            if (wanted[index].value->data)
                return -LEAT_E_MALFORMED;
            *wanted[index].value = value;
        }
    }
    return 0;
}

/* Where decoded texts go, one behind the other. */
struct output {
    char *next, *end;
};

static const char *put_text(struct output *output, struct leat_slice text)
{
    ASSERT(text.size < (size_t)(output->end - output->next));
    char *const start = output->next;
    if (text.size > 0)
        memcpy(start, text.data, text.size);
    start[text.size] = '\0';
    output->next = start + text.size + 1;
    return start;
}

/* A byte that stands for itself or, as "%22", "%0D", "%0A", \" or \\, for another. */
static char take_quoted(struct leat_slice *text)
{
    char c = text->data[0];
    size_t size = 1;
    if (c == '\\' && text->size > 1 && (text->data[1] == '"' || text->data[1] == '\\')) {
        c = text->data[1];
        size = 2;
    } else if (c == '%' && text->size >= 3) {
        const struct leat_slice code = slice_of(text->data + 1, 2);
        size = 3;
        if (slice_equal(code, SLICE("22")))
            c = '"';
        else if (slice_equal_nocase(code, SLICE("0d")))
            c = '\r';
        else if (slice_equal_nocase(code, SLICE("0a")))
            c = '\n';
        else
            size = 1;
    }
    *text = slice_after(*text, size);
    return c;
}

static const char *put_parameter(struct output *output, const struct parameter *parameter)
{
    if (!parameter->is_quoted)
        return put_text(output, parameter->value);
    ASSERT(parameter->value.size < (size_t)(output->end - output->next));
    char *const start = output->next;
    struct leat_slice text = parameter->value;
    while (text.size > 0)
        *output->next++ = take_quoted(&text);
    *output->next++ = '\0';
    return start;
}

/* ext-value of RFC 8187, section 3.2: UTF-8'language'%C3%A4. NULL and nothing written: it is in
 * another charset, or none at all. */
static const char *put_extended(struct output *output, struct leat_slice text)
{
    const char *mark = memchr(text.data, '\'', text.size);
    if (!mark ||
        !slice_equal_nocase(slice_of(text.data, (size_t)(mark - text.data)), SLICE("UTF-8")))
        return NULL;
    text = slice_after(text, (size_t)(mark - text.data) + 1);
    mark = text.size > 0 ? memchr(text.data, '\'', text.size) : NULL;
    if (!mark)
        return NULL;
    text = slice_after(text, (size_t)(mark - text.data) + 1);
    ASSERT(text.size < (size_t)(output->end - output->next));
    char *const start = output->next, *at = start;
    while (text.size > 0) {
        const bool is_code = text.data[0] == '%';
        const int high = is_code && text.size >= 3 ? chars_hex(text.data[1]) : -1;
        const int low = high >= 0 ? chars_hex(text.data[2]) : -1;
        if (is_code && low < 0)
            return NULL;
        char c = text.data[0];
        if (is_code)
            c = (char)(high << 4 | low);
        if (c == '\0')
            return NULL;
        *at++ = c;
        text = slice_after(text, is_code ? 3 : 1);
    }
    *at++ = '\0';
    output->next = at;
    return start;
}

static int read_disposition(struct leat_slice text, struct output *output,
                            struct multipart_part *part)
{
    if (!slice_equal_nocase(take_essence(&text), SLICE("form-data")))
        return -LEAT_E_MALFORMED;
    const char *extended = NULL;
    bool has_extended = false;
    struct parameter parameter;
    int result;
    while ((result = next_parameter(&text, &parameter)) > 0) {
        bool is_twice = false;
        if (slice_equal_nocase(parameter.name, SLICE("name"))) {
            is_twice = part->name != NULL;
            part->name = put_parameter(output, &parameter);
        } else if (slice_equal_nocase(parameter.name, SLICE("filename"))) {
            is_twice = part->filename != NULL;
            part->filename = put_parameter(output, &parameter);
        } else if (slice_equal_nocase(parameter.name, SLICE("filename*"))) {
            is_twice = has_extended;
            has_extended = true;
            extended = put_extended(output, parameter.value);
        }
        if (is_twice)
            return -LEAT_E_MALFORMED;
    }
    if (extended)
        part->filename = extended;
    return result == 0 && part->name ? 0 : -LEAT_E_MALFORMED;
}

int multipart_parse_head(struct leat_slice head, char *buffer, struct multipart_part *ret_part)
{
    struct head_lines lines = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    int error = read_lines(head, &lines);
    if (error)
        return error;
    /* RFC 7578, section 4.7: deprecated; what is not the data itself is refused. */
    const struct leat_slice encoding = lines.transfer_encoding;
    if (encoding.data && !slice_equal_nocase(encoding, SLICE("binary")) &&
        !slice_equal_nocase(encoding, SLICE("8bit")) &&
        !slice_equal_nocase(encoding, SLICE("7bit")))
        return -LEAT_E_MALFORMED;
    struct output output = {buffer, buffer + head.size}; /* decoding never grows */
    struct multipart_part part = {NULL, NULL, NULL};
    error = read_disposition(lines.disposition, &output, &part);
    if (error)
        return error;
    if (lines.media_type.data)
        part.media_type = put_text(&output, lines.media_type);
    ASSERT(output.next <= output.end);
    *ret_part = part;
    return 0;
}
