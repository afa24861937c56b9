/* SPDX-License-Identifier: MIT */
/*
 * The simulator's register of BUSY ops, and the way of an op through it:
 *
 *     submit -> COMING -> (look) -> READY -> delivered
 *                  ^         |
 *                  |         v            a look that finds nothing to do parks the record;
 *                  +----- WAITING         its object's next change looks again.
 *
 * What an op does is done when it is delivered, so its memory is written at the last moment. Until
 * then every turn checks that the op is still what was submitted and that nobody else has written
 * to its memory: an op freed, moved or changed too early is noticed without ASan, and with it at
 * once.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "loop/sim_world.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#define REGION_IS_GONE(data, size) (__asan_region_is_poisoned((data), (size)) != NULL)
#define REGION_HIDE(data, size) __asan_poison_memory_region((data), (size))
#define REGION_SHOW(data, size) __asan_unpoison_memory_region((data), (size))
#else
#define REGION_IS_GONE(data, size) false
#define REGION_HIDE(data, size) ((void)0)
#define REGION_SHOW(data, size) ((void)0)
#endif

enum { SCRAMBLE_MAX = 8192 };

const char *sim_kind_name(enum op_kind kind)
{
    static const char *const names[] = {"accept", "connect", "recv", "recv-many",
                                        "send",   "poll",    "read", "fill"};
    ASSERT((size_t)kind < sizeof names / sizeof *names);
    return names[kind];
}

/* ---- The register of BUSY ops ---------------------------------------------------------------- */

uint64_t sim_token(const struct sim_record *record)
{
    return (uint64_t)record->generation << 32 | record->slot;
}

static struct sim_record *record_find(struct sim *sim, uint64_t token)
{
    const uint32_t slot = (uint32_t)token;
    ASSERT(slot < sim->record_count);
    struct sim_record *record = sim->records[slot];
    return record->state != RECORD_FREE && record->generation == token >> 32 ? record : NULL;
}

static struct sim_record *record_new(struct sim *sim)
{
    if (sim->free_count == 0) {
        struct sim_record *record = calloc(1, sizeof *record);
        const uint32_t count = sim->record_count + 1;
        sim->records = realloc(sim->records, count * sizeof *sim->records);
        sim->free_records = realloc(sim->free_records, count * sizeof *sim->free_records);
        ASSERT(record && sim->records && sim->free_records);
        record->slot = sim->record_count;
        sim->records[sim->record_count++] = record;
        sim->free_records[sim->free_count++] = record->slot;
    }
    struct sim_record *record = sim->records[sim->free_records[--sim->free_count]];
    *record = (struct sim_record){.slot = record->slot, .generation = record->generation + 1};
    list_init(&record->node);
    return record;
}

static void record_free(struct sim *sim, struct sim_record *record)
{
    list_remove(&record->node);
    record->state = RECORD_FREE;
    sim->free_records[sim->free_count++] = record->slot;
}

/* The memory that a kernel would write to, given bytes that nobody else may change meanwhile. */
static bool record_writes(const struct sim_record *record)
{
    return record->kind == OP_RECV || record->kind == OP_READ;
}

static void record_scramble(struct sim_record *record)
{
    const int byte = (int)(record->canary & 0xff) | 1;
    char *bytes = record->data;
    if (record->size <= (size_t)2 * SCRAMBLE_MAX) {
        memset(bytes, byte, record->size);
        return;
    }
    memset(bytes, byte, SCRAMBLE_MAX);
    memset(bytes + record->size - SCRAMBLE_MAX, byte, SCRAMBLE_MAX);
}

static bool scramble_stands(const struct sim_record *record)
{
    const char byte = (char)((record->canary & 0xff) | 1), *bytes = record->data;
    const size_t size = record->size, looked = size < 8 ? size : 8;
    for (size_t index = 0; index < looked; index++)
        if (bytes[index] != byte || bytes[size - 1 - index] != byte)
            return false;
    return true;
}

/* Is the op in memory what was submitted? */
static bool op_is_intact(const struct sim_record *record)
{
    const struct op *op = record->op;
    if (REGION_IS_GONE((void *)record->op, sizeof *op))
        return false;
    if (op->state != OP_BUSY || op->kind != record->kind || op->fd != record->fd ||
        op->done != record->done || op->backend_word != record->canary ||
        op->backend_count != record->slot)
        return false;
    switch (record->kind) {
    case OP_CONNECT: return op->connect.address == record->data && op->connect.size == record->size;
    case OP_RECV: return op->recv.data == record->data && op->recv.size == record->size;
    case OP_SEND:
        return op->send.data == record->data && op->send.size == record->size &&
               op->send.sent == record->offset;
    case OP_POLL: return op->poll.events == record->events;
    case OP_READ:
        return op->read.data == record->data && op->read.size == record->size &&
               op->read.offset == record->offset;
    case OP_FILL: return op->fill.size == record->size && op->fill.offset == record->offset;
    case OP_ACCEPT:
    case OP_RECV_MANY: return true;
    }
    return false;
}

/* Nothing of a damaged op is touched: what was there may be somebody else's by now. */
static bool record_check(struct sim *sim, struct sim_record *record)
{
    const char *damage = NULL;
    if (!op_is_intact(record))
        damage = "was freed, moved or changed too early";
    else if (record->data && REGION_IS_GONE(record->data, record->size))
        damage = "points to memory that was freed too early";
    else if (record_writes(record) && record->size > 0 && !scramble_stands(record))
        damage = "points to memory that somebody else wrote to";
    if (damage && !record->is_reported) {
        record->is_reported = true;
        sim_fail(sim, "a BUSY op %s (%s, descriptor %d, op %" PRIu64 " of this world)", damage,
                 sim_kind_name(record->kind), record->fd - SIM_FD_BASE, record->canary >> 8);
    }
    return damage == NULL;
}

void sim_ops_check(struct sim *sim)
{
    for (uint32_t slot = 0; slot < sim->record_count; slot++)
        if (sim->records[slot]->state != RECORD_FREE)
            record_check(sim, sim->records[slot]);
}

void sim_ops_list(struct sim *sim, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t slot = 0; slot < sim->record_count && length + 80 < size; slot++) {
        const struct sim_record *record = sim->records[slot];
        if (record->state != RECORD_FREE)
            length += (size_t)snprintf(text + length, size - length, "\n    %s on descriptor %d%s",
                                       sim_kind_name(record->kind), record->fd - SIM_FD_BASE,
                                       record->is_cancelled ? ", cancelled" : "");
    }
    snprintf(text + length, size - length, "\n    and %" PRIu64 " timers, %u jobs",
             sim->loop->timers.count, sim->loop->jobs);
}

/* ---- From submission to completion ----------------------------------------------------------- */

static bool is_ready(struct sim *sim, const struct sim_record *record)
{
    return record->kind == OP_READ || record->kind == OP_FILL ? sim_disk_is_ready(sim, record)
                                                              : sim_net_is_ready(sim, record);
}

static void look(struct sim *sim, void *target, uint64_t token);

static void look_later(struct sim *sim, struct sim_record *record, int64_t delay_ns)
{
    list_remove(&record->node);
    record->state = RECORD_COMING;
    sim_schedule(sim, sim->now_ns + delay_ns, look, NULL, sim_token(record));
}

/* Can it complete? If so it does in this turn, or, delayed, later: then a cancel comes too late. */
static void look(struct sim *sim, void *target, uint64_t token)
{
    struct sim_record *record = record_find(sim, token);
    if (!record || record->state != RECORD_COMING)
        return;
    if (!record->is_decided && !is_ready(sim, record)) {
        if (record->is_cancelled) {
            record->is_decided = true;
            record->result = -ECANCELED;
        } else if (record->kind == OP_POLL && sim_chance(sim, sim->profile.spurious_poll)) {
            record->is_decided = true;
            record->result = record->events;
        } else {
            record->is_committed = false;
            record->state = RECORD_WAITING;
            list_push_back(&record->object->waiting, &record->node);
            return;
        }
    }
    if (record->kind == OP_RECV_MANY && !record->is_decided &&
        sim_chance(sim, sim->profile.no_receive_buffers)) {
        look_later(sim, record, sim_draw_us(sim, 50, 3000));
        return;
    }
    if (!record->is_committed && sim_chance(sim, sim->profile.delayed)) {
        record->is_committed = true;
        look_later(sim, record, sim_draw_us(sim, 20, 4000));
        return;
    }
    record->state = RECORD_READY;
    sim_make_ready(sim, token, NULL);
}

void sim_decide(struct sim *sim, uint64_t token, int32_t result)
{
    struct sim_record *record = record_find(sim, token);
    if (!record || record->state != RECORD_WAITING)
        return;
    record->is_decided = true;
    record->result = result;
    look_later(sim, record, sim_draw_us(sim, 1, 4));
}

static void call_peer(struct sim *sim, void *target, uint64_t word)
{
    struct sim_object *object = target;
    object->is_event_coming = false;
    if (object->kind != SIM_CLOSED && object->event)
        object->event((struct sim_peer *)(void *)object, object->user);
}

void sim_kick(struct sim *sim, struct sim_object *object)
{
    if (!object || object->kind == SIM_CLOSED)
        return;
    if (object->is_peer && !object->is_event_coming) {
        object->is_event_coming = true;
        sim_schedule(sim, sim->now_ns + sim_draw_us(sim, 1, 20), call_peer, object, 0);
    }
    for (struct list_node *node = object->waiting.next, *next; node != &object->waiting;
         node = next) {
        next = node->next;
        struct sim_record *record = CONTAINER_OF(node, struct sim_record, node);
        if (record->kind != OP_CONNECT)
            look_later(sim, record, sim_draw_us(sim, 1, 4));
    }
}

static void record_fill(struct sim_record *record, struct op *op)
{
    record->op = op;
    record->kind = op->kind;
    record->fd = op->fd;
    record->done = op->done;
    switch (op->kind) {
    case OP_CONNECT:
        record->data = (void *)(uintptr_t)op->connect.address;
        record->size = op->connect.size;
        break;
    case OP_RECV:
        record->data = op->recv.data;
        record->size = op->recv.size;
        break;
    case OP_SEND:
        op->send.sent = 0;
        record->data = (void *)(uintptr_t)op->send.data;
        record->size = op->send.size;
        record->more = op->send.more;
        break;
    case OP_POLL: record->events = op->poll.events; break;
    case OP_READ:
        record->data = op->read.data;
        record->size = op->read.size;
        record->offset = op->read.offset;
        break;
    case OP_FILL:
        record->size = op->fill.size;
        record->offset = op->fill.offset;
        break;
    case OP_ACCEPT:
    case OP_RECV_MANY: break;
    }
}

/* Its process was killed: nothing happens to it until it is cancelled. */
static void bury(struct sim *sim, struct sim_record *record)
{
    record->object = sim->buried;
    record->state = RECORD_WAITING;
    list_remove(&record->node);
    list_push_back(&sim->buried->waiting, &record->node);
}

void sim_ops_submit(struct sim *sim, struct op *op)
{
    ASSERT(op->state == OP_BUSY && op->done != NULL);
    struct sim_record *record = record_new(sim);
    record_fill(record, op);
    record->canary = ++sim->canary_sequence << 8 | (sim->options.seed & 0xff);
    op->backend_word = record->canary;
    op->backend_count = record->slot;
    if (record_writes(record))
        record_scramble(record);
    else if (record->data)
        record->data_hash = sim_hash(record->data, record->size);

    if (sim_is_buried(sim, op->fd)) {
        bury(sim, record);
        return;
    }
    record->object = sim_object(sim, op->fd, sim_kind_name(op->kind));
    record->state = RECORD_COMING;
    if (!record->object) {
        record->is_decided = true;
        record->result = -EBADF;
    } else if (sim_chance(sim, sim->profile.submit_error)) {
        record->is_decided = true;
        record->result = -ENOMEM;
    } else if (op->kind == OP_CONNECT) {
        record->state = RECORD_WAITING;
        list_push_back(&record->object->waiting, &record->node);
        sim_net_connect(sim, record);
        return;
    }
    look_later(sim, record, sim_draw_us(sim, 1, 8));
}

static void land_cancel(struct sim *sim, void *target, uint64_t token)
{
    struct sim_record *record = record_find(sim, token);
    if (!record)
        return;
    record->is_cancelled = true;
    if (record->is_committed || record->is_decided || record->state == RECORD_READY)
        return;
    record->is_decided = true;
    record->result = -ECANCELED;
    list_remove(&record->node);
    record->state = RECORD_READY;
    sim_make_ready(sim, token, NULL);
}

void sim_ops_cancel(struct sim *sim, struct op *op)
{
    ASSERT(op->state == OP_BUSY && op->backend_count < sim->record_count);
    struct sim_record *record = sim->records[op->backend_count];
    if (record->op != op || !record_check(sim, record))
        return;
    const uint64_t latest_us = sim_chance(sim, sim->profile.delayed) ? 2000 : 12;
    sim_schedule(sim, sim->now_ns + sim_draw_us(sim, 0, latest_us), land_cancel, NULL,
                 sim_token(record));
}

/* Bytes that were being sent must have stayed what they were. */
static void check_sent(struct sim *sim, const struct sim_record *record)
{
    if ((record->kind == OP_SEND || record->kind == OP_CONNECT) && record->data &&
        sim_hash(record->data, record->size) != record->data_hash)
        sim_fail(sim, "the bytes of a %s on descriptor %d changed while it was BUSY",
                 sim_kind_name(record->kind), record->fd - SIM_FD_BASE);
}

/* Whether the op goes on after this result; a cancelled one at the latest with the one that
 * follows. */
static bool goes_on(struct sim *sim, struct sim_record *record, int32_t result)
{
    const bool is_many = record->kind == OP_ACCEPT || record->kind == OP_RECV_MANY;
    if (!is_many || result < 0 || (record->kind == OP_RECV_MANY && result == 0))
        return false;
    record->is_committed = record->is_decided = false;
    if (record->is_cancelled) {
        if (random_below(&sim->random, 2) == 0)
            return false;
        record->is_decided = true;
        record->result = -ECANCELED;
    }
    return true;
}

void sim_ops_deliver(struct sim *sim, uint64_t token)
{
    struct sim_record *record = record_find(sim, token);
    if (!record || record->state != RECORD_READY || !record_check(sim, record))
        return;
    struct op *op = record->op;
    struct leat_slice data = {0};
    int32_t result = record->result;
    if (!record->is_decided) {
        REGION_SHOW(sim->receive_buffer, sim->receive_buffer_size);
        result = record->kind == OP_READ || record->kind == OP_FILL
                     ? sim_disk_perform(sim, record)
                     : sim_net_perform(sim, record, &data);
        if (result == -EAGAIN) { /* partly done, or gone since it was looked at */
            look_later(sim, record, sim_draw_us(sim, 1, 4));
            return;
        }
    }
    const bool more = goes_on(sim, record, result);
    if (!more)
        check_sent(sim, record);
    if (op->cancelled && result != -ECANCELED)
        sim->report.cancels_too_late++;
    sim->report.completions++;
    const bool has_bytes = record_writes(record) && result > 0;
    sim_trace(sim, sim_kind_name(record->kind), record->fd, result,
              has_bytes ? record->data : data.data, has_bytes ? (size_t)result : data.size);
    const struct completion completion = {.result = result, .more = more, .data = data};
    if (more)
        look_later(sim, record, sim_draw_us(sim, 1, 4));
    else
        record_free(sim, record);
    op_complete(op, &completion);
    if (data.size > 0)
        memset(sim->receive_buffer, 0xdb, data.size);
    REGION_HIDE(sim->receive_buffer, sim->receive_buffer_size);
}

/* ---- At the end of a descriptor, and of the world -------------------------------------------- */

void sim_ops_check_rest(struct sim *sim, int fd, const char *fate)
{
    for (uint32_t slot = 0; slot < sim->record_count; slot++) {
        const struct sim_record *record = sim->records[slot];
        if (record->state != RECORD_FREE && record->object && record->fd == fd)
            sim_fail(sim, "descriptor %d is %s while its %s is BUSY", fd - SIM_FD_BASE, fate,
                     sim_kind_name(record->kind));
    }
}

void sim_ops_bury(struct sim *sim, int fd)
{
    for (uint32_t slot = 0; slot < sim->record_count; slot++) {
        struct sim_record *record = sim->records[slot];
        if (record->state == RECORD_FREE || record->fd != fd)
            continue;
        if (record->state == RECORD_READY) { /* on its way to be told: of nothing, then */
            record->is_decided = true;
            record->result = -ECANCELED;
        } else {
            record->is_decided = record->is_committed = false;
            bury(sim, record);
        }
    }
}

int sim_ops_init(struct sim *sim, size_t receive_buffer_size)
{
    sim->receive_buffer_size = receive_buffer_size;
    sim->receive_buffer = calloc(1, receive_buffer_size);
    if (!sim->receive_buffer)
        return -ENOMEM;
    REGION_HIDE(sim->receive_buffer, sim->receive_buffer_size);
    return 0;
}

void sim_ops_fini(struct sim *sim)
{
    for (uint32_t slot = 0; slot < sim->record_count; slot++) {
        if (sim->records[slot]->state != RECORD_FREE)
            sim_fail(sim, "the %s of descriptor %d is BUSY when its world ends",
                     sim_kind_name(sim->records[slot]->kind), sim->records[slot]->fd - SIM_FD_BASE);
        free(sim->records[slot]);
    }
    REGION_SHOW(sim->receive_buffer, sim->receive_buffer_size);
    free(sim->receive_buffer);
    free(sim->records);
    free(sim->free_records);
}
