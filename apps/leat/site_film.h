/* SPDX-License-Identifier: MIT */
/*
 * Films as streams: the URLs below a film's own, and those of ladders, which have no file.
 *
 *     FILE/master.m3u8, FILE/manifest.mpd        FILE/subtitles-LANG.m3u8, FILE/subtitles-LANG.vtt
 *     FILE/STREAM/index.m3u8, init.mp4, N.m4s    STREAM: muxed, video, audio-1, audio-2, ...
 *     FILE/info.json, FILE/poster                for the library's page
 *     film/master.m3u8, film/info.json and so on: of film-1080.mp4, film-720.mp4, ...
 *
 * What is really there by such a name is served as the file that it is. One struct site_films for
 * all worker threads.
 */
#ifndef LEAT_SITE_FILM_H
#define LEAT_SITE_FILM_H

#include <stdbool.h>
#include <stdint.h>

#include "media/film_cache.h"
#include "media/ladder.h"
#include "mem/text.h"
#include "site.h"
#include "site_pace.h"
#include "site_stems.h"
#include "site_url.h"

struct site_films {
    struct film_cache *cache;
    struct stems *stems;
    struct pace_policy pace;
    _Atomic uint64_t segments, copied_bytes; /* sent; of these, put together in memory */
};

struct site_films_counters {
    struct film_cache_counters cache;
    uint64_t segments, copied_bytes;
};

/* `builds_max`: films whose index is read at a time. */
int site_films_create(const struct pace_policy *pace, unsigned builds_max,
                      struct site_films **ret_films);
/* NULL is fine. */
void site_films_destroy(struct site_films *films);
void site_films_read_counters(struct site_films *films, struct site_films_counters *ret_counters);

/* Paces what is no segment, where it is to be. */
void site_pace_other(const struct site *site, struct leat_http_response *response);

/* Was it the URL of a stream? Then it has been replied to. */
bool site_reply_stream(const struct site *site, struct leat_http_request *request,
                       const struct site_place *place, struct leat_http_response *response);

/* ---- For the site's files about films -------------------------------------------------------- */

enum { FILM_TIMEOUT_MS = 30 * 1000 };

/* A request for one of them. */
struct film_request {
    const struct site *site;
    struct leat_http_request *request;
    struct leat_http_response *response;
    struct leat_root *root;
    struct film_url url;
    char path[SITE_PATH_SIZE]; /* of the film or the ladder, below the root */
    struct leat_file *file;    /* NULL: it is a ladder */
    struct film *film;         /* likewise */
    int64_t deadline_ns;
};

/* The status that tells why there is no film; with a reason 422. */
void film_reply_failure(const struct film_request *wanted, int error, const char *reason);
/* As site_reply_text. */
void film_reply_text(struct film_request *wanted, const char *media_type, struct text *text);

/* The tracks of a stream; false: the film has no such stream. */
bool film_stream_of(const struct film *film, enum film_stream_kind kind, unsigned audio,
                    struct film_stream *ret_stream);
/* How many audio tracks are streamed; and which is the `number`th, from 1; -1: none. */
unsigned film_audio_count(const struct film *film);
int film_audio(const struct film *film, unsigned number);

/* What is played as one: a film, or the rungs of a ladder. */
struct film_ladder {
    unsigned count;
    struct ladder_rung rungs[LADDER_RUNGS_MAX]; /* the best first */
    struct ladder_names names;
    bool is_ladder; /* has its own URL, beside those of its rungs */
};

/* Opens the ladder of a stem. -ENOENT: there is none; else an error and, where it has one, the
 * reason. What is open is closed with film_ladder_close, also after an error. */
int film_ladder_open(const struct film_request *wanted, const char *stem,
                     struct film_ladder *ladder, char *ret_reason);
void film_ladder_close(struct film_ladder *ladder);

/* Reads STEM.ladder.json, which is at `path`: 0, or an error and, where it has one, the reason. */
int film_ladder_list(struct leat_root *root, const char *path, int64_t deadline_ns,
                     struct ladder_names *names, char *ret_reason);
/* The names of the rungs of a stem, as film_ladder_open finds them. */
int film_ladder_names(const struct film_request *wanted, const char *stem,
                      struct ladder_names *names, char *ret_reason);

/* "folder/NAME", beside the stem or the film. False: too long. */
bool film_path_beside(const char *stem, const char *name, char ret_path[SITE_PATH_SIZE]);

/* The path of the stem: "folder/film-720" of "folder/film-720.mp4", or with `of_ladder` and where
 * it is named like a rung, "folder/film". */
void film_stem_path(const char *path, bool of_ladder, char ret_path[SITE_PATH_SIZE]);

/* The ladder's top rate, for pacing; asks for it where nobody has of late. */
struct stem_rate film_ladder_rate(const struct film_request *wanted);

/* Languages of the subtitles beside a film or a ladder; and the stem of their names. Failing that
 * there are none. */
enum { FILM_SUBTITLES_MAX = 32 };
struct film_languages {
    unsigned count;
    char names[FILM_SUBTITLES_MAX][FILM_LANGUAGE_SIZE];
    char stem[SITE_PATH_SIZE];
};
void film_find_languages(const struct film_request *wanted, struct film_languages *ret_languages);

/* The picture that stands for a film or a ladder: a range of a file, to be unref'd. -ENOENT: there
 * is none. */
#define FILM_POSTER_EXTENSIONS "jpg", "jpeg", "png", "webp", "avif"
struct film_poster {
    struct leat_file *file;
    uint64_t offset, size;
    char media_type[16];
};
int film_poster_find(const struct film_request *wanted, struct film_poster *ret_poster);

/* What is told of a film, or of the best rung of a ladder. */
struct film_facts {
    const struct film *film; /* NULL: it cannot be streamed, */
    const char *why;         /* and this is why */
    bool has_size;           /* it is known: */
    uint64_t size;           /* of its file */
};

void site_reply_master(struct film_request *wanted, const struct film_ladder *ladder);
void site_reply_manifest(struct film_request *wanted, const struct film_ladder *ladder);
void site_reply_index(struct film_request *wanted);
void site_reply_init(struct film_request *wanted);
void site_reply_segment(struct film_request *wanted);
void site_reply_subtitle_list(struct film_request *wanted, double duration_s);
void site_reply_subtitles(struct film_request *wanted);
void site_reply_info(struct film_request *wanted, const struct film_facts *facts);
/* False, and no reply: there is no ladder, or it has none. */
bool site_reply_poster(struct film_request *wanted);

#endif
