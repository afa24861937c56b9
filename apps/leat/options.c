/* SPDX-License-Identifier: MIT */
/*
 * See options.h.
 */
#include "options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERROR_SIZE = 256 };

static void print_table(const struct option *options)
{
    for (const struct option *option = options; option->name; option++) {
        char head[64];
        if (option->letter)
            snprintf(head, sizeof head, "-%c, --%s %s", option->letter, option->name,
                     option->value);
        else
            snprintf(head, sizeof head, "--%s %s", option->name, option->value);
        printf("  %-34s %s\n", head, option->help);
    }
}

static void print_help(const struct option_set *set)
{
    printf("usage: %s [OPTION...] %s\n%s\n\noptions:\n", set->command, set->arguments,
           set->summary);
    print_table(set->options);
    printf("  %-34s %s\n", "--help", "this");
    if (set->common) {
        printf("\nof the server:\n");
        print_table(set->common);
    }
    if (set->tuning) {
        printf("\nsocket options (sizes: k, m and g are binary):\n");
        tuning_flags_print_help(set->tuning->roles, stdout);
    }
}

static int take_count(const struct option *option, const char *text, char *error)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < option->min || value > option->max) {
        snprintf(error, ERROR_SIZE, "--%s takes a whole number from %ld to %ld, not '%s'",
                 option->name, option->min, option->max, text);
        return -1;
    }
    *(long *)option->target = value;
    return 0;
}

static int take_choice(const struct option *option, const char *text, char *error)
{
    for (int index = 0; option->choices[index]; index++) {
        if (strcmp(text, option->choices[index]) != 0)
            continue;
        if (option->kind == OPTION_SWITCH)
            *(bool *)option->target = index == 0;
        else
            *(int *)option->target = index;
        return 0;
    }
    int size = snprintf(error, ERROR_SIZE, "--%s takes ", option->name);
    for (int index = 0; option->choices[index] && size < ERROR_SIZE; index++)
        size += snprintf(error + size, (size_t)(ERROR_SIZE - size), "%s%s", index ? ", " : "",
                         option->choices[index]);
    if (size < ERROR_SIZE)
        snprintf(error + size, (size_t)(ERROR_SIZE - size), ", not '%s'", text);
    return -1;
}

static int take_value(const struct option *option, const char *text, char *error)
{
    static const char *const on_off[] = {"on", "off", NULL};
    switch (option->kind) {
    case OPTION_COUNT: return take_count(option, text, error);
    case OPTION_CHOICE: return take_choice(option, text, error);
    case OPTION_SWITCH: {
        struct option with_choices = *option;
        with_choices.choices = on_off;
        return take_choice(&with_choices, text, error);
    }
    case OPTION_TEXT: *(const char **)option->target = text; return 0;
    case OPTION_CALL: return option->take(text, option->target, error, ERROR_SIZE);
    }
    return -1;
}

static const struct option *find(const struct option *options, const char *name)
{
    for (const struct option *option = options; option && option->name; option++)
        if (strcmp(option->name, name) == 0)
            return option;
    return NULL;
}

static const struct option *find_letter(const struct option_set *set, char letter)
{
    for (const struct option *option = set->options; option->name; option++)
        if (option->letter == letter)
            return option;
    return NULL;
}

static int no_such_option(const struct option_set *set, const char *argument, char *error)
{
    snprintf(error, ERROR_SIZE, "there is no option '%.*s'; %s --help tells which there are",
             (int)strcspn(argument, "="), argument, set->command);
    return -1;
}

/* One flag, whose value may be in the same argument or the next; returns the arguments used, or -1
 * with its line in `error`. */
static int take_long(const struct option_set *set, const char *argument, const char *next,
                     char *error)
{
    char name[64];
    const char *value = strchr(argument, '=');
    const size_t size = value ? (size_t)(value - argument) - 2 : strlen(argument) - 2;
    snprintf(name, sizeof name, "%.*s", (int)(size < sizeof name ? size : sizeof name - 1),
             argument + 2);
    const struct option *option = find(set->options, name);
    if (!option)
        option = find(set->common, name);
    if (!option && !(set->tuning && tuning_flag_exists(set->tuning->roles, name)))
        return no_such_option(set, argument, error);
    value = value ? value + 1 : next;
    if (!value) {
        snprintf(error, ERROR_SIZE, "--%s needs a value", name);
        return -1;
    }
    const int result = option ? take_value(option, value, error)
                              : tuning_flag_try(set->tuning, name, value, error, ERROR_SIZE);
    if (result < 0)
        return -1;
    return value == next ? 2 : 1;
}

/* The same for a letter. */
static int take_short(const struct option_set *set, const char *argument, const char *next,
                      char *error)
{
    const struct option *option = find_letter(set, argument[1]);
    if (!option)
        return no_such_option(set, argument, error);
    const char *value = argument[2] ? argument + 2 : next;
    if (!value) {
        snprintf(error, ERROR_SIZE, "-%c needs a value", argument[1]);
        return -1;
    }
    if (take_value(option, value, error) < 0)
        return -1;
    return value == next ? 2 : 1;
}

void options_complain(const char *command, const char *error)
{
    char line[1024];
    snprintf(line, sizeof line, "%s", error);
    for (char *at = line; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    fprintf(stderr, "%s: %s\n", command, line);
}

enum options_result options_parse(const struct option_set *set, int argc, char **argv)
{
    char error[ERROR_SIZE] = "";
    size_t positional_count = 0;
    bool is_flag_possible = true;
    for (int index = 1; index < argc;) {
        const char *argument = argv[index];
        if (is_flag_possible && strcmp(argument, "--") == 0) {
            is_flag_possible = false;
            index++;
            continue;
        }
        if (is_flag_possible && (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)) {
            print_help(set);
            return OPTIONS_HELPED;
        }
        int used = 1;
        if (is_flag_possible && strncmp(argument, "--", 2) == 0) {
            used = take_long(set, argument, argv[index + 1], error);
        } else if (is_flag_possible && argument[0] == '-' && argument[1]) {
            used = take_short(set, argument, argv[index + 1], error);
        } else if (positional_count < set->positional_max) {
            set->positional[positional_count++] = argument;
        } else {
            snprintf(error, sizeof error, "'%s' is one argument too many: %s [OPTION...] %s",
                     argument, set->command, set->arguments);
            used = -1;
        }
        if (used < 0) {
            options_complain(set->command, error);
            return OPTIONS_WRONG;
        }
        index += used;
    }
    return OPTIONS_GO;
}
