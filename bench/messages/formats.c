/* SPDX-License-Identifier: MIT */
/*
 * The formats that are measured, an entry each. A new one needs its entry, its two functions (named
 * in messages.h) and its reader in ../test_messages.py. A library that can be used in two ways has
 * two entries: as its manual shows it, and in the quickest way it offers.
 *
 * A library that was not there when this was built leaves its entries in the table, without
 * functions: the report says so in its rows.
 */
#include "messages.h"

#include "leat/version.h"

#ifdef WITH_PROTOBUF_C
#define PROTOBUF(function) function
#else
#define PROTOBUF(function) NULL
#endif
#ifdef WITH_MSGPACK
#define MSGPACK(function) function
#else
#define MSGPACK(function) NULL
#endif

const struct format formats[] = {
    {"copy", "a struct, copied",
     "no format: the same program on the same machine alone can read it; what measuring costs",
     copy_encode, copy_decode, NULL, NULL},
    {"itch", "ITCH by hand", "the limit: the exchange's own layout, fixed and big-endian",
     itch_encode, itch_decode, itch_version, NULL},
    {"leat-itch", "leat: ITCH",
     "as in docs/itch.md: its own structs, in batches of 64, a length before each message",
     blocks_encode, blocks_decode, leat_version, NULL, blocks_encode_pass, blocks_decode_pass},
    {"protobuf-c", "protobuf-c", "as in its manual: get_packed_size, pack; unpack with malloc",
     PROTOBUF(protobuf_encode), PROTOBUF(protobuf_decode), PROTOBUF(protobuf_version),
     "libprotobuf-c-dev or protobuf-c-compiler"},
    {"protobuf-c-pool", "protobuf-c, pooled",
     "at its best: pack into room for any trade; unpack with an allocator that is a pool",
     PROTOBUF(protobuf_pool_encode), PROTOBUF(protobuf_pool_decode), PROTOBUF(protobuf_version),
     "libprotobuf-c-dev or protobuf-c-compiler"},
    {"msgpack", "msgpack-c",
     "as in its manual: an array; an sbuffer and an unpacked object for each message",
     MSGPACK(msgpack_encode), MSGPACK(msgpack_decode), MSGPACK(msgpack_c_version),
     "libmsgpack-dev"},
    {"msgpack-reuse", "msgpack-c, reused",
     "at its best: an array, packed straight into the caller's buffer; one zone for all messages",
     MSGPACK(msgpack_reuse_encode), MSGPACK(msgpack_reuse_decode), MSGPACK(msgpack_c_version),
     "libmsgpack-dev"},
    {"msgpack-map", "msgpack-c, reused, by names",
     "the same, but a map with the names of the fields, as JSON has them",
     MSGPACK(msgpack_map_encode), MSGPACK(msgpack_map_decode), MSGPACK(msgpack_c_version),
     "libmsgpack-dev"},
    {"json", "JSON (jansson)", "as in its manual: json_pack, json_dumpb; json_loadb, json_unpack",
     json_encode, json_decode, json_version, NULL},
    {"json-reuse", "JSON (jansson), reused",
     "at its best: one object whose values are set, json_dumpb; a pool in malloc's place",
     json_reuse_encode, json_reuse_decode, json_version, NULL},
};
const size_t formats_count = sizeof formats / sizeof formats[0];
