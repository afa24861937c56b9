/* SPDX-License-Identifier: MIT */
/*
 * Publishing in files, as ffmpeg's HLS and DASH muxers send them: PUT or POST of each segment to
 * /live/NAME/FILE. All files of a name are one publisher's, whatever connection they come by. Media
 * is parsed as it comes, so that segments sent in chunks are parts long before they are whole; of
 * playlists and manifests only their end is looked at.
 */
#ifndef LEAT_LIVE_FILES_H
#define LEAT_LIVE_FILES_H

#include "site_live.h"

/* In the fiber of the request, who has been allowed to. Replies. */
void live_take_file(struct live_request *wanted, const char *peer);
/* What time alone changes: who has sent nothing for long has gone. About once a second. */
void live_files_tick(struct site_live *live);
/* A worker ends: so do those that no request is at. On its loop. */
void live_files_end(struct site_live *live);

/* live_put.c: what an error means to a publisher. */
void live_refuse_push(struct live_request *wanted, int error, const char *reason);

#endif
