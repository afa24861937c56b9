/* SPDX-License-Identifier: MIT */
/*
 * What is compressed already, by its first bytes: pictures, films, sound, fonts, archives. Only
 * numbers that no text begins with by accident are in the table, so formats without one, or with
 * one too short (MP3 without ID3), are left to the sample.
 */
#ifndef CODEC_MAGIC_H
#define CODEC_MAGIC_H

#include "base/slice.h"

/* 16 bytes or more tell all there is to tell. */
bool magic_is_compressed(struct leat_slice head);

#endif
