/* SPDX-License-Identifier: MIT */
/*
 * See magic.h. Formats that only may be compressed inside (TIFF, PDF, tar, WAV) are not here: their
 * bytes decide.
 */
#include "codec/magic.h"

struct magic {
    size_t offset;
    struct leat_slice bytes;
};

static const struct magic magics[] = {
    /* pictures */
    {0, SLICE("\xff\xd8\xff")},      /* JPEG */
    {0, SLICE("\x89PNG\r\n\x1a\n")}, /* PNG */
    {0, SLICE("GIF8")},              /* GIF: LZW */
    {8, SLICE("WEBPVP8")},           /* WebP, in RIFF */
    {0, SLICE("\xff\x0a")},          /* JPEG XL, bare */
    {4, SLICE("JXL \r\n\x87\n")},    /* and boxed */
    {4, SLICE("jP  \r\n\x87\n")},    /* JPEG 2000 */
    /* films and sound */
    {4, SLICE("ftyp")}, /* ISO BMFF: MP4, AVIF, HEIC */
    {4, SLICE("styp")}, /* a segment of one */
    {4, SLICE("moof")},
    {0, SLICE("\x1a\x45\xdf\xa3")}, /* Matroska, WebM */
    {0, SLICE("FLV\x01")},
    {0, SLICE("OggS")},
    {0, SLICE("fLaC")},
    {0, SLICE("ID3")}, /* MP3, AAC */
    /* fonts */
    {0, SLICE("wOFF")},
    {0, SLICE("wOF2")},
    /* archives, and the codecs' own */
    {0, SLICE("\x1f\x8b\x08")}, /* gzip */
    {0, SLICE("BZh")},
    {0, SLICE("\xfd"
              "7zXZ\0")},
    {0, SLICE("7z\xbc\xaf\x27\x1c")},
    {0, SLICE("PK\x03\x04")}, /* zip, and what is made of it: docx, jar, apk */
    {0, SLICE("Rar!\x1a\x07")},
    {0, SLICE("\x28\xb5\x2f\xfd")}, /* zstd */
    {0, SLICE("\x04\x22\x4d\x18")}, /* LZ4 */
    {0, SLICE("LZIP\x01")},
};

bool magic_is_compressed(struct leat_slice head)
{
    for (size_t index = 0; index < sizeof magics / sizeof *magics; index++) {
        const struct magic *magic = &magics[index];
        if (head.size >= magic->offset &&
            slice_starts_with(slice_after(head, magic->offset), magic->bytes))
            return true;
    }
    return false;
}
