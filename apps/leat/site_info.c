/* SPDX-License-Identifier: MIT */
/*
 * What is known of a film, for the library's page: as JSON, described in docs/streaming.md. Of a
 * ladder it is what is known of its best rung. A film that cannot be streamed is none the less one
 * to be shown: why it cannot is part of the answer.
 */
#include <errno.h>
#include <string.h>

#include "site_film.h"
#include "text.h"

static void add_key(struct text *json, const char *key)
{
    text_add_literal(json, ",\"");
    text_add_literal(json, key);
    text_add_literal(json, "\":");
}

static void add_count(struct text *json, const char *key, uint64_t count, bool is_known)
{
    add_key(json, key);
    if (is_known)
        text_add_number(json, count);
    else
        text_add_literal(json, "null");
}

/* Of the tracks that are streamed, each once. */
static void add_codecs(struct text *json, const struct film *film)
{
    struct text codecs = {0};
    for (unsigned index = 0; index < film_track_count(film); index++) {
        const struct film_track *track = film_track(film, index);
        bool is_new = track->is_streamed && track->codec.text[0];
        for (unsigned other = 0; other < index; other++)
            is_new &= !film_track(film, other)->is_streamed ||
                      strcmp(film_track(film, other)->codec.text, track->codec.text) != 0;
        if (!is_new)
            continue;
        text_add_literal(&codecs, codecs.size > 0 ? "," : "");
        text_add_literal(&codecs, track->codec.text);
    }
    json->has_failed |= codecs.has_failed;
    add_key(json, "codecs");
    text_add_json(json, slice_of(codecs.data, codecs.size));
    text_fini(&codecs);
}

static void add_audio(struct text *json, const struct film *film)
{
    const unsigned count = film_audio_count(film);
    add_key(json, "audio");
    text_add_literal(json, "[");
    for (unsigned number = 1; number <= count; number++) {
        const struct film_track *track = film_track(film, (unsigned)film_audio(film, number));
        text_add_literal(json, number > 1 ? ",{\"language\":" : "{\"language\":");
        text_add_json(json, slice_from_text(track->language));
        text_add_format(json, ",\"channels\":%u,\"codec\":", track->codec.channels);
        text_add_json(json, slice_from_text(track->codec.text));
        text_add_literal(json, "}");
    }
    text_add_literal(json, "]");
}

static void add_film(struct text *json, const struct film *film)
{
    const int video = film_video(film);
    const struct film_track *picture = video >= 0 ? film_track(film, (unsigned)video) : NULL;
    add_key(json, "duration_s");
    text_add_format(json, "%.3f", film_duration_s(film));
    add_count(json, "width", picture ? picture->width : 0, picture);
    add_count(json, "height", picture ? picture->height : 0, picture);
    add_key(json, "frame_rate");
    if (picture)
        text_add_format(json, "%.3f", picture->frame_rate_milli / 1e3);
    else
        text_add_literal(json, "null");
    add_count(json, "bit_rate", ladder_bits_per_s(film, false), true);
    add_codecs(json, film);
    add_audio(json, film);
}

static void add_subtitles(struct text *json, const struct film_request *wanted)
{
    struct film_languages languages;
    film_find_languages(wanted, &languages);
    add_key(json, "subtitles");
    text_add_literal(json, "[");
    for (unsigned index = 0; index < languages.count; index++) {
        text_add_literal(json, index ? "," : "");
        text_add_json(json, slice_from_text(languages.names[index]));
    }
    text_add_literal(json, "]");
}

void site_reply_info(struct film_request *wanted, const struct film_facts *facts)
{
    struct text json = {0};
    struct film_poster poster;
    const int error = film_poster_find(wanted, &poster);
    if (!error)
        leat_file_unref(poster.file);
    text_add_literal(&json, "{\"stream\":");
    text_add_literal(&json, facts->film ? "true" : "false");
    if (!facts->film) {
        add_key(&json, "why");
        text_add_json(&json, slice_from_text(facts->why));
    }
    add_count(&json, "size", facts->size, facts->has_size);
    if (facts->film)
        add_film(&json, facts->film);
    add_subtitles(&json, wanted);
    add_key(&json, "poster");
    text_add_literal(&json, error ? "null}\n" : "\"poster\"}\n");
    film_reply_text(wanted, "application/json", &json);
}
