/* SPDX-License-Identifier: MIT */
/*
 * What we code, others decode, and the other way round: the commands gzip, zstd, brotli and lz4, at
 * their levels and ours, whole texts and pieces.
 */
#include "texts.h"

#include <unistd.h>

static char folder[] = "/tmp/leat-test-tools-XXXXXX";

struct tool {
    enum leat_codec codec;
    const char *name;
    const char *levels[5]; /* options; NULL ends them */
};
static const struct tool tools[] = {
    {LEAT_CODEC_GZIP, "gzip", {"-1", "-6", "-9"}},
    /* -T0 makes frames of several jobs, --long=23 the largest window that we take */
    {LEAT_CODEC_ZSTD, "zstd", {"-1", "-3", "-19", "-T0", "--long=23"}},
    {LEAT_CODEC_BROTLI, "brotli", {"-q 0", "-q 5", "-q 9 -w 24", "-q 2 -w 10"}},
    {LEAT_CODEC_LZ4, "lz4", {"-1", "-9", "-B4", "-BX -BI", "-B7 -BD"}},
};
enum { TOOLS = sizeof(tools) / sizeof(tools[0]), LEVELS = 5 };

static bool has_tool(const struct tool *tool)
{
    char command[128];
    snprintf(command, sizeof(command), "%s --version >/dev/null 2>&1", tool->name);
    if (system(command) == 0)
        return true;
    print_message("# skip: there is no command %s\n", tool->name);
    return false;
}

static const char *path_of(const char *name)
{
    static char paths[2][128];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(path_of(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static struct bytes read_file(const char *name)
{
    struct bytes bytes = {0};
    FILE *file = fopen(path_of(name), "rb");
    assert_non_null(file);
    size_t size;
    while ((size = fread(bytes_room(&bytes, 65536), 1, 65536, file)) > 0)
        bytes.size += size;
    fclose(file);
    return bytes;
}

/* name OPTIONS < in > out */
static void run(const struct tool *tool, const char *options, const char *in, const char *out)
{
    char command[512];
    snprintf(command, sizeof(command), "%s %s -c <%s >%s 2>/dev/null", tool->name, options,
             path_of(in), path_of(out));
    if (system(command) != 0)
        fail_msg("%s", command);
}

static bool is_worth_it(const struct text *text)
{
    static const char *const names[] = {"empty",        "words",
                                        "noise",        "zeros",
                                        "snappy__html", "simdjson-data__github_events.json",
                                        "corpora__geo", "brotli__x"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text->name, names[i]) == 0)
            return text->size < 4 || text->size > 60000;
    return false;
}

static void check_decodes(const struct tool *tool, const struct bytes *coded,
                          const struct text *text)
{
    write_file("coded", coded->data, coded->size);
    run(tool, "-d", "coded", "plain");
    struct bytes plain = read_file("plain");
    assert_int_equal(plain.size, text->size);
    if (text->size > 0)
        assert_memory_equal(plain.data, text->data, text->size);
    bytes_free(&plain);
}

static void check_ours(const struct tool *tool, struct codec_setting setting,
                       const struct text *text)
{
    struct bytes coded = {0};
    const size_t bound = codec_bound(setting.codec, text->size);
    const ssize_t size =
        codec_encode(setting, text->data, text->size, bytes_room(&coded, bound), bound);
    assert_true(size > 0);
    coded.size = (size_t)size;
    check_decodes(tool, &coded, text);

    struct encoder *encoder;
    coded.size = 0;
    assert_int_equal(encoder_create(setting, -1, &encoder), 0);
    encode_some(encoder, text->data, text->size / 3, ENCODER_FLUSH, 777, &coded);
    encode_some(encoder, text->data + text->size / 3, text->size - text->size / 3, ENCODER_END, 777,
                &coded);
    encoder_destroy(encoder);
    check_decodes(tool, &coded, text);
    bytes_free(&coded);
}

static void test_others_decode_what_we_code(void **state)
{
    struct leat_loop *loop = new_loop();
    for (unsigned t = 0; t < TOOLS; t++) {
        if (!has_tool(&tools[t]))
            continue;
        for (unsigned i = 0; i < text_count; i++)
            for (unsigned j = 0; j < SETTINGS && is_worth_it(&texts[i]); j++)
                if (settings[j].codec == tools[t].codec && !is_slow(settings[j]))
                    check_ours(&tools[t], settings[j], &texts[i]);
    }
    leat_loop_destroy(loop);
}

static void check_theirs(const struct tool *tool, const char *options, const struct text *text)
{
    write_file("plain", text->data, text->size);
    run(tool, options, "plain", "coded");
    struct bytes coded = read_file("coded"), plain = {0};
    assert_decodes(tool->codec, &coded, text->data, text->size);
    struct decoder *decoder;
    struct leat_slice input = slice_of(coded.data, coded.size);
    assert_int_equal(decoder_create(tool->codec, &decoder), 0);
    assert_int_equal(decode_some(decoder, &input, 1234, &plain), 2);
    assert_int_equal(input.size, 0);
    assert_int_equal(plain.size, text->size);
    if (text->size > 0)
        assert_memory_equal(plain.data, text->data, text->size);
    decoder_destroy(decoder);
    bytes_free(&coded);
    bytes_free(&plain);
}

static void test_we_decode_what_others_code(void **state)
{
    for (unsigned t = 0; t < TOOLS; t++) {
        if (!has_tool(&tools[t]))
            continue;
        for (unsigned i = 0; i < text_count; i++)
            for (unsigned l = 0; l < LEVELS && tools[t].levels[l] && is_worth_it(&texts[i]); l++)
                check_theirs(&tools[t], tools[t].levels[l], &texts[i]);
    }
}

static int make_folder(void **state)
{
    return mkdtemp(folder) ? read_texts(state) : -1;
}

static int remove_folder(void **state)
{
    unlink(path_of("plain"));
    unlink(path_of("coded"));
    return rmdir(folder) == 0 ? free_texts(state) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_decode_what_we_code),
        cmocka_unit_test(test_we_decode_what_others_code),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
