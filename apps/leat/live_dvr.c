/* SPDX-License-Identifier: MIT */
/*
 * See live_dvr.h.
 */
#include "live_dvr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "leat/error.h"
#include "media/live_store.h"

enum { WINDOW_MIN_S = LIVE_WINDOW_MS / 1000, WINDOW_MAX_S = 24 * 3600 };

int live_dvr_take_window(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct live_dvr *dvr = target;
    char *unit = NULL;
    const long number = strtol(text, &unit, 10);
    const long factor = strcmp(unit, "s") == 0   ? 1
                        : strcmp(unit, "m") == 0 ? 60
                        : strcmp(unit, "h") == 0 ? 3600
                                                 : 0;
    if (*text >= '0' && *text <= '9' && factor > 0 && number <= WINDOW_MAX_S &&
        number * factor >= WINDOW_MIN_S && number * factor <= WINDOW_MAX_S) {
        dvr->window_ms = (int64_t)number * factor * 1000;
        return 0;
    }
    snprintf(ret_error, ret_error_size, "--dvr '%s': it takes %ds to %dh, such as 90s, 30m or 2h",
             text, WINDOW_MIN_S, WINDOW_MAX_S / 3600);
    return -1;
}

int live_dvr_check(const struct live_dvr *dvr, bool has_live, const char *films, char *ret_error,
                   size_t ret_error_size)
{
    const char *problem = NULL;
    const bool has_window = dvr->window_ms > LIVE_WINDOW_MS; /* else memory has it */
    if (!has_live && (dvr->directory || has_window || dvr->keep))
        problem = "--dvr, --live-dir and --keep are of live channels: --live on";
    else if (has_window && !dvr->directory)
        problem = "--dvr needs a folder to keep segments in: --live-dir DIR";
    else if (dvr->keep && !dvr->directory)
        problem = "--keep needs a folder to keep segments in until the end: --live-dir DIR";
    else if (dvr->keep && !films)
        problem = "--keep needs a folder for the films: DIR as an argument";
    if (!problem)
        return 0;
    snprintf(ret_error, ret_error_size, "%s", problem);
    return -1;
}

void live_dvr_make_folder(const struct live_dvr *dvr)
{
    if (dvr->directory)
        (void)mkdir(dvr->directory, 0755); /* what is wrong with it shows when it is opened */
}

static void print(const char *line, void *user)
{
    fprintf(stderr, "leat serve: %s\n", line);
}

int live_dvr_open(struct live_dvr *dvr, struct live_hub *hub, const char *films, char *ret_error,
                  size_t ret_error_size)
{
    if (!dvr->directory)
        return 0;
    snprintf(dvr->label, sizeof dvr->label, "--live-dir %s", dvr->directory);
    const struct live_store_options options = {.directory = dvr->directory,
                                               .label = dvr->label,
                                               .films_directory = dvr->keep ? films : NULL,
                                               .on_news = print};
    int error = live_store_create(&options, &dvr->store);
    if (!error)
        error = live_store_attach(dvr->store, hub);
    if (error)
        snprintf(ret_error, ret_error_size, "%s: %s", dvr->label, leat_error_text(error));
    return error ? -1 : 0;
}

void live_dvr_close(struct live_dvr *dvr)
{
    live_store_destroy(dvr->store);
    dvr->store = NULL;
}
