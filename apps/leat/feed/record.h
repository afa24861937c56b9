/* SPDX-License-Identifier: MIT */
/*
 * leat feed record: what its parts share. record.c has the flags and the course of things;
 * record_pcap.c keeps packets as they come, record_log.c messages in sequence.
 */
#ifndef LEAT_FEED_RECORD_H
#define LEAT_FEED_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "feed/log.h"
#include "feed/transport.h"
#include "flags.h"
#include "sink.h"
#include "wire/pcap.h"

struct record_line {
    struct feed_transport *transport;
    struct pcap_endpoint address; /* where its packets are sent */
    bool is_ipv6;
    struct feed_frame frames[FEED_BURST_MAX]; /* that came, and were not written yet */
    unsigned count, index;
};

struct record_pcap {
    struct record_line lines[LEAT_FEED_LINES_MAX];
    struct feed_sink sink;
    bool is_open;
    int epoll_fd; /* readable when a line is; -1: a line has nothing to wait for */
    uint64_t packets, bytes;
    uint64_t dropped; /* once it is closed: they came, and there was no room for them */
    int result;       /* of the run */

    /* One record, being made. */
    uint8_t record[PCAP_RECORD_HEADER_MAX + LEAT_FEED_PACKET_SIZE_MAX];
};

struct record_log {
    struct leat_feed_subscriber *subscriber;
    struct feed_log *log;           /* NULL: no message was heard yet */
    uint64_t first_sequence;        /* that was recorded now; 0: none */
    uint64_t lost_first, lost_last; /* what ended it; 0: nothing was lost */
    int result;                     /* of the run */
    bool is_resting;                /* it was to end, and takes what had come */
    bool has_failed;                /* a batch could not be written */
    char reason[FEED_ERROR_SIZE];   /* when the log could not be opened */
};

struct record {
    struct feed_flags flags;
    const char *pcap_path, *log_path; /* NULL: not wanted */
    const char *request;
    uint64_t from, segment_size;
    int64_t duration_ns; /* 0: until a signal, or the session's end */

    struct record_pcap pcap;
    struct record_log log;
    struct leat_scope *running; /* what ends the recording; NULL: not begun, or over */
    unsigned signals;
    int64_t deadline_ns;
};

/* One line on stderr. */
void record_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* In a fiber: opens the lines and the file. 0, or -errno, which was told. */
int record_pcap_open(struct record *record);
/* In a fiber of record->running: to the deadline, a cancel or an error, in record->pcap.result. */
void record_pcap_run(void *arg);
/* What was written is in the file. 0 or -errno. */
int record_pcap_close(struct record *record);

/* The same for the log. */
int record_log_open(struct record *record);
void record_log_run(void *arg);
int record_log_close(struct record *record);

#endif
