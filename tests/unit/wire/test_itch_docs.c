/* SPDX-License-Identifier: MIT */
/*
 * The tables of docs/itch.md are those of leat/itch.h. Started with --print, this program writes
 * them: what it writes belongs between the two marks in the page.
 */
#include "test_itch.h"

enum { PAGE_MAX = 1 << 16 };

static const char begin_mark[] = "<!-- tables: test_wire_itch_docs --print -->\n";
static const char end_mark[] = "<!-- end of tables -->\n";

static const char *const kind_names[] = {"u16",    "u32",    "u48",    "u64",  "price4", "price8",
                                         "alpha2", "alpha4", "alpha8", "code", "side"};
static_assert(COUNT_OF(kind_names) == SIDE + 1, "a name for each kind");

static void print_fields(FILE *to, const struct field *fields, size_t count)
{
    fputs("| offset | kind | name | what |\n|---:|---|---|---|\n", to);
    for (size_t i = 0; i < count; i++)
        fprintf(to, "| %zu | %s | `%s` | %s |\n", fields[i].offset, kind_names[fields[i].kind],
                fields[i].name, fields[i].what);
    fputc('\n', to);
}

static void print_tables(FILE *to)
{
    fputs("| type | name | bytes | section | message |\n|---|---|---:|---|---|\n", to);
    for (size_t i = 0; i < COUNT_OF(message_types); i++) {
        const struct message_type *const type = &message_types[i];
        fprintf(to, "| `%c` | `%s` | %zu | %s | %s |\n", type->type, type->name, type->size,
                type->section, type->title);
    }
    fputs("\nEvery message begins with:\n\n", to);
    print_fields(to, header_fields, COUNT_OF(header_fields));
    for (size_t i = 0; i < COUNT_OF(message_types); i++) {
        const struct message_type *const type = &message_types[i];
        fprintf(to, "### `%c` `%s`: %s\n\n", type->type, type->name, type->title);
        print_fields(to, type->fields, type->field_count);
    }
}

static void test_the_page_has_these_tables(void **unused)
{
    static char page[PAGE_MAX];
    char path[4096], *tables = NULL;
    size_t size = 0;
    const char *const root = getenv("LEAT_SOURCE_ROOT");
    if (!root)
        skip();
    snprintf(path, sizeof path, "%s/docs/itch.md", root);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);

    FILE *const memory = open_memstream(&tables, &size);
    assert_non_null(memory);
    print_tables(memory);
    fclose(memory);
    char *const begin = strstr(page, begin_mark), *const end = strstr(page, end_mark);
    assert_true(begin && end && begin < end);
    *end = '\0';
    assert_string_equal(begin + strlen(begin_mark), tables);
    free(tables);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        print_tables(stdout);
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_page_has_these_tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
