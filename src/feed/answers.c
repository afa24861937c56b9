/* SPDX-License-Identifier: MIT */
/*
 * See answers.h. One job is under way at a time, and serves as many requests of the queue as its
 * memory holds packets for: FEED_BURST_MAX.
 */
#include "feed/answers.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/assert.h"
#include "feed/allowance.h"
#include "fiber/fiber.h"
#include "loop/offload.h"
#include "net/address.h"

struct request {
    struct leat_address peer;
    uint64_t sequence;
    uint32_t count; /* of messages; after the job: 0 */
    struct feed_log_cursor cursor;
    unsigned first, packets; /* its frames, after the job */
};

/*
 *                  requests                 done                    all are sent
 *     ANSWERS_IDLE ───────> ANSWERS_READING ────> ANSWERS_SENDING ───────────────> ANSWERS_IDLE
 */
enum answers_state { ANSWERS_IDLE, ANSWERS_READING, ANSWERS_SENDING };

struct feed_answers {
    struct leat_loop *loop;
    struct feed_log *log;
    struct feed_transport *transport;
    uint8_t session[MOLD_SESSION_SIZE];
    size_t packet_size;
    unsigned packets_max;
    uint64_t (*end_sequence)(void *user);
    void *user;
    enum answers_state state;
    bool is_polled, is_closing;
    struct op poll;
    struct fiber *closer;
    unsigned queue_first, queue_count;
    struct request queue[FEED_ANSWERS_QUEUE];
    struct feed_allowance allowance;

    /* The job's while it runs: the requests it serves, and what it has read. */
    struct offload_job job;
    uint64_t closed_sequence;
    unsigned taken_count, frame_count;
    struct request taken[FEED_BURST_MAX];
    uint8_t *memory; /* FEED_BURST_MAX packets */
    struct feed_frame frames[FEED_BURST_MAX];
    unsigned sent_count;

    uint64_t requests, request_messages, sent_packets;
    uint64_t refused_malformed, refused_session, refused_future, refused_past, refused_rate;
};

static void wait_for(struct feed_answers *answers, short events)
{
    if (!answers->is_polled || answers->is_closing || op_is_busy(&answers->poll))
        return;
    answers->poll.poll.events = events;
    loop_submit(answers->loop, &answers->poll);
}

/* ---- Reading (in the job) -------------------------------------------------------------------- */

/* The record's packet, from `request`'s sequence on and no more than it wants, into the memory of
 * the next frame. */
static void copy_packet(struct feed_answers *answers, struct request *request,
                        const struct feed_record *record)
{
    uint8_t *to = answers->memory + answers->frame_count * answers->packet_size;
    const struct leat_slice blocks = {(const char *)record->packet + MOLD_HEADER_SIZE,
                                      record->size - MOLD_HEADER_SIZE};
    const size_t skipped = request->sequence - record->sequence;
    const size_t begin = mold_blocks_skip(blocks, skipped);
    const size_t left = record->count - skipped;
    const size_t count = left < request->count ? left : request->count;
    const struct leat_slice rest = {blocks.data + begin, blocks.size - begin};
    const size_t size = count < left ? mold_blocks_skip(rest, count) : rest.size;

    ASSERT(MOLD_HEADER_SIZE + size <= answers->packet_size);
    mold_write_header(to, answers->session, request->sequence, (uint16_t)count);
    memcpy(to + MOLD_HEADER_SIZE, rest.data, size);
    answers->frames[answers->frame_count++] = (struct feed_frame){
        .data = to, .size = (uint32_t)(MOLD_HEADER_SIZE + size), .peer = &request->peer};
    request->packets++;
    request->sequence += count;
    request->count -= (uint32_t)count;
}

/* What lies in another segment is for another request. */
static void read_packets(struct feed_answers *answers, struct request *request)
{
    struct feed_record record;
    request->first = answers->frame_count;
    int found =
        feed_log_find(&request->cursor, request->sequence, answers->closed_sequence, &record);
    while (found == 1 && request->packets < answers->packets_max) {
        copy_packet(answers, request, &record);
        if (request->count == 0)
            break;
        found = feed_log_next(&request->cursor, answers->closed_sequence, &record);
    }
}

static void run_job(struct offload_job *job, const struct backend_sys *sys)
{
    struct feed_answers *answers = CONTAINER_OF(job, struct feed_answers, job);
    for (unsigned i = 0; i < answers->taken_count; i++)
        read_packets(answers, &answers->taken[i]);
}

/* ---- Sending --------------------------------------------------------------------------------- */

static void send_ready(struct feed_answers *answers)
{
    while (answers->sent_count < answers->frame_count) {
        const int count = feed_send(answers->transport, answers->frames + answers->sent_count,
                                    answers->frame_count - answers->sent_count);
        if (count < 0)
            return wait_for(answers, POLLOUT | POLLIN);
        answers->sent_count += (unsigned)count;
        answers->sent_packets += (unsigned)count;
    }
    answers->state = ANSWERS_IDLE;
}

static void on_done(struct offload_job *job)
{
    struct feed_answers *answers = CONTAINER_OF(job, struct feed_answers, job);
    const int64_t now_ns = answers->loop->ops->now_ns(answers->loop->backend);
    for (unsigned i = 0; i < answers->taken_count; i++) {
        struct request *request = &answers->taken[i];
        uint64_t bytes = 0;
        for (unsigned frame = 0; frame < request->packets; frame++)
            bytes += answers->frames[request->first + frame].size;
        feed_allowance_take(&answers->allowance, &request->peer, bytes, now_ns);
        feed_log_cursor_release(&request->cursor);
    }
    answers->state = ANSWERS_SENDING;
    answers->sent_count = 0;
    if (answers->closer)
        return fiber_wake(answers->closer);
    send_ready(answers);
    feed_answers_turn(answers);
}

/* ---- Taking requests ------------------------------------------------------------------------- */

/* Who asks faster than it is answered keeps nobody else from being answered. */
static bool has_its_share(const struct feed_answers *answers, const struct leat_address *peer)
{
    unsigned waiting = 0;
    if (answers->queue_count < FEED_ANSWERS_SHARE)
        return false;
    for (unsigned i = 0; i < answers->queue_count; i++) {
        const unsigned place = (answers->queue_first + i) % FEED_ANSWERS_QUEUE;
        waiting += address_same_host(peer, &answers->queue[place].peer);
    }
    return waiting >= FEED_ANSWERS_SHARE;
}

static void refuse_or_queue(struct feed_answers *answers, const struct feed_frame *frame,
                            int64_t now_ns)
{
    struct mold_packet packet;
    uint16_t count;
    uint64_t first, last;
    answers->requests++;
    if (!frame->peer ||
        mold_parse_request((struct leat_slice){(const char *)frame->data, frame->size}, &packet,
                           &count) != MOLD_FINE ||
        count == 0) {
        answers->refused_malformed++;
        return;
    }
    feed_log_range(answers->log, &first, &last);
    if (memcmp(packet.session, answers->session, MOLD_SESSION_SIZE) != 0)
        answers->refused_session++;
    else if (packet.sequence >= answers->end_sequence(answers->user))
        answers->refused_future++;
    else if (packet.sequence < first)
        answers->refused_past++;
    else if (answers->queue_count == FEED_ANSWERS_QUEUE || has_its_share(answers, frame->peer) ||
             !feed_allowance_ask(&answers->allowance, frame->peer, now_ns))
        answers->refused_rate++;
    else {
        const unsigned last_place =
            (answers->queue_first + answers->queue_count++) % FEED_ANSWERS_QUEUE;
        answers->queue[last_place] =
            (struct request){.peer = *frame->peer, .sequence = packet.sequence, .count = count};
        answers->request_messages += count;
    }
}

static void take_requests(struct feed_answers *answers)
{
    struct feed_frame frames[FEED_ANSWERS_QUEUE / 4];
    const int count = feed_receive(answers->transport, frames, sizeof frames / sizeof *frames);
    if (count <= 0)
        return;
    const int64_t now_ns = answers->loop->ops->now_ns(answers->loop->backend);
    for (int i = 0; i < count; i++)
        refuse_or_queue(answers, &frames[i], now_ns);
}

/* As many as there is memory for. What was allowed when it came may be too much by now: jobs are
 * what bounds by how much an allowance can be overdrawn. */
static void start_job(struct feed_answers *answers)
{
    const int64_t now_ns = answers->loop->ops->now_ns(answers->loop->backend);
    answers->taken_count = 0;
    answers->frame_count = 0;
    const unsigned room = FEED_BURST_MAX / answers->packets_max;
    while (answers->taken_count < room && answers->queue_count > 0) {
        struct request *request = &answers->taken[answers->taken_count];
        *request = answers->queue[answers->queue_first];
        answers->queue_first = (answers->queue_first + 1) % FEED_ANSWERS_QUEUE;
        answers->queue_count--;
        if (!feed_allowance_ask(&answers->allowance, &request->peer, now_ns))
            answers->refused_rate++;
        else if (feed_log_hold(answers->log, request->sequence, &request->cursor))
            answers->refused_past++;
        else
            answers->taken_count++;
    }
    if (answers->taken_count == 0)
        return;
    answers->closed_sequence = answers->end_sequence(answers->user);
    answers->state = ANSWERS_READING;
    if (offload_submit(answers->loop, &answers->job) == 0)
        return;
    /* The host is too busy to answer: as if the requests had been lost on their way. */
    for (unsigned i = 0; i < answers->taken_count; i++)
        feed_log_cursor_release(&answers->taken[i].cursor);
    answers->refused_rate += answers->taken_count;
    answers->state = ANSWERS_IDLE;
}

void feed_answers_turn(struct feed_answers *answers)
{
    if (answers->is_closing)
        return;
    take_requests(answers);
    if (answers->state == ANSWERS_SENDING)
        send_ready(answers);
    if (answers->state == ANSWERS_IDLE && answers->queue_count > 0)
        start_job(answers);
    wait_for(answers, answers->state == ANSWERS_SENDING ? POLLIN | POLLOUT : POLLIN);
}

static void on_poll(struct op *op, const struct completion *completion)
{
    struct feed_answers *answers = CONTAINER_OF(op, struct feed_answers, poll);
    if (answers->closer)
        fiber_wake(answers->closer);
    else
        feed_answers_turn(answers);
}

/* ---- Life ------------------------------------------------------------------------------------ */

int feed_answers_create(struct leat_loop *loop, const struct feed_answers_options *options,
                        bool is_polled, struct feed_answers **ret_answers)
{
    ASSERT(options->packets >= 1 && options->packets <= FEED_BURST_MAX);
    ASSERT(options->packet_size >= MOLD_HEADER_SIZE);
    struct feed_answers *answers = calloc(1, sizeof *answers);
    uint8_t *memory = malloc(FEED_BURST_MAX * options->packet_size);
    if (!answers || !memory) {
        free(answers);
        free(memory);
        return -ENOMEM;
    }
    answers->loop = loop;
    answers->log = options->log;
    answers->transport = options->transport;
    memcpy(answers->session, options->session, MOLD_SESSION_SIZE);
    answers->packet_size = options->packet_size;
    answers->packets_max = options->packets;
    answers->end_sequence = options->end_sequence;
    answers->user = options->user;
    answers->memory = memory;
    answers->job = (struct offload_job){.run = run_job, .done = on_done};
    const int fd = options->transport->ops->fd(options->transport);
    answers->is_polled = is_polled && fd >= 0;
    op_init(&answers->poll, OP_POLL, fd < 0 ? -1 : fd, on_poll);
    feed_allowance_init(&answers->allowance, options->bytes_per_s, options->all_bytes_per_s,
                        loop->ops->now_ns(loop->backend));
    wait_for(answers, POLLIN);
    *ret_answers = answers;
    return 0;
}

int feed_answers_address(const struct feed_answers *answers, struct leat_address *ret_address)
{
    return feed_transport_address(answers->transport, ret_address);
}

void feed_answers_stats(const struct feed_answers *answers, struct leat_feed_publisher_stats *stats)
{
    stats->requests = answers->requests;
    stats->request_messages = answers->request_messages;
    stats->answers = answers->sent_packets;
    stats->refused_malformed = answers->refused_malformed;
    stats->refused_session = answers->refused_session;
    stats->refused_future = answers->refused_future;
    stats->refused_past = answers->refused_past;
    stats->refused_rate = answers->refused_rate;
}

void feed_answers_destroy(struct feed_answers *answers)
{
    if (!answers)
        return;
    answers->is_closing = true;
    answers->closer = fiber_current();
    loop_cancel(answers->loop, &answers->poll);
    while (op_is_busy(&answers->poll) || answers->state == ANSWERS_READING)
        fiber_park_sealed();
    feed_transport_destroy(answers->transport);
    free(answers->memory);
    free(answers);
}
