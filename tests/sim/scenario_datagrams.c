/* SPDX-License-Identifier: MIT */
/*
 * Transports over UDP: bursts of numbered frames from a few senders to the members of a group, and
 * questions with their answers. Whatever the wire does, a frame arrives whole or not at all, with
 * the bytes and from the sender it says; what does not arrive is somewhere counted; and in a world
 * where nothing is lost, all does, once and in order.
 */
#include <poll.h>

#include "feed/transport.h"
#include "fiber/fiber.h"
#include "leat/fiber.h"
#include "talker.h"

enum {
    SENDERS_MAX = 3,
    MEMBERS_MAX = 3,
    FRAMES_MAX = 200,
    FRAME_SIZE_MIN = 8, /* sender and number, 4 bytes each */
    PACKET_SIZE_MAX = 1400,
    QUESTIONS_MAX = 20,
    LAST_WORDS = 8, /* more frames, spaced: what they find dropped is told with them */
    NUMBERS_MAX = FRAMES_MAX + LAST_WORDS,
    QUIET_MS = 500, /* nothing is on its way for so long */
};

struct member {
    struct party *party;
    struct feed_transport *transport;
    bool is_elsewhere; /* listens to a source that nobody has */
    unsigned frames[SENDERS_MAX], repeated, late, total;
    uint32_t youngest[SENDERS_MAX];
    uint8_t times[SENDERS_MAX][NUMBERS_MAX];
};

struct sender {
    struct party *party;
    struct feed_transport *transport;
    struct leat_address address;
    unsigned frames; /* handed over, the last words among them */
    uint64_t too_long;
};

struct party {
    struct sim_run *run;
    const char *address;
    struct sender senders[SENDERS_MAX];
    struct member members[MEMBERS_MAX];
    unsigned sender_count, member_count, senders_left;
    int64_t begun_ns;
    bool has_stamps;
};

static struct feed_transport *open_transport(struct party *party, const char *address,
                                             enum feed_role role, const char *source)
{
    struct sim_run *run = party->run;
    const struct feed_transport_options options = {
        .address = address,
        .role = role,
        .source = source,
        .packet_size_max = PACKET_SIZE_MAX,
        .socket.has_stamps = party->has_stamps,
    };
    struct feed_transport *transport;
    char reason[200];
    int error;
    while ((error = feed_transport_open(run->loop, &options, &transport, reason, sizeof reason)))
        CHECK(run, error == -EMFILE && may_lack(run));
    return transport;
}

/* Until the transport may be asked again: it says so, or (by chance) it does not. */
static int await_transport(struct party *party, const struct feed_transport *transport,
                           short events, int64_t deadline_ns)
{
    struct op op;
    op_init(&op, OP_POLL, transport->ops->fd(transport), fiber_op_done);
    op.poll.events = events;
    const int result = fiber_await(&op, deadline_ns);
    if (result == -ENOMEM && may_lack(party->run))
        return leat_sleep_ms(1);
    CHECK(party->run, result > 0 || result == -ETIMEDOUT);
    return result;
}

/* ---- Senders --------------------------------------------------------------------------------- */

static void put_number(uint8_t *at, uint32_t number)
{
    memcpy(at, &number, sizeof number);
}

static uint32_t get_number(const uint8_t *at)
{
    uint32_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

static uint64_t content_of(uint32_t sender, uint32_t number)
{
    return 1000 + (uint64_t)sender * NUMBERS_MAX + number;
}

/* Most often several of one size, as packets of a feed are, so that they leave as a train. */
static uint32_t draw_size(struct sim_run *run, uint32_t last_size)
{
    if (last_size > 0 && draw_chance(run, 80))
        return last_size;
    if (draw_chance(run, 5))
        return PACKET_SIZE_MAX + (uint32_t)draw(run, 1, 3000); /* too long for who receives */
    return (uint32_t)draw(run, FRAME_SIZE_MIN, draw_chance(run, 50) ? 60 : PACKET_SIZE_MAX);
}

static void send_all(struct sender *sender, const struct feed_frame *frames, unsigned count)
{
    struct sim_run *run = sender->party->run;
    for (unsigned done = 0; done < count;) {
        const int sent = feed_send(sender->transport, frames + done, count - done);
        CHECK(run, sent == -EAGAIN || (sent > 0 && sent <= (int)(count - done)));
        if (sent > 0)
            done += (unsigned)sent;
        else
            CHECK(run,
                  await_transport(sender->party, sender->transport, POLLOUT, LEAT_FOREVER) >= 0);
    }
}

static void send_burst(struct sender *sender, unsigned count)
{
    struct party *party = sender->party;
    struct sim_run *run = party->run;
    const uint32_t self = (uint32_t)(sender - party->senders);
    struct feed_frame frames[FEED_BURST_MAX];
    uint8_t *bytes = malloc((size_t)count * 2 * (PACKET_SIZE_MAX + 3000)), *at = bytes;
    CHECK(run, bytes != NULL && count <= FEED_BURST_MAX);
    uint32_t size = 0;
    for (unsigned index = 0; index < count; index++) {
        const uint32_t number = sender->frames++;
        size = draw_size(run, size);
        sender->too_long += size > PACKET_SIZE_MAX;
        put_number(at, self);
        put_number(at + 4, number);
        sim_content(content_of(self, number), 0, at + FRAME_SIZE_MIN, size - FRAME_SIZE_MIN);
        frames[index] = (struct feed_frame){.data = at, .size = size};
        at += size + draw(run, 0, 1); /* they need not lie side by side */
    }
    send_all(sender, frames, count);
    free(bytes);
}

static void send_last_words(struct sender *sender)
{
    struct sim_run *run = sender->party->run;
    const uint32_t self = (uint32_t)(sender - sender->party->senders);
    for (unsigned count = 0; count < LAST_WORDS; count++) {
        uint8_t bytes[FRAME_SIZE_MIN];
        CHECK(run, leat_sleep_ms(QUIET_MS) == 0);
        put_number(bytes, self);
        put_number(bytes + 4, sender->frames++);
        const struct feed_frame frame = {.data = bytes, .size = sizeof bytes};
        send_all(sender, &frame, 1);
    }
    CHECK(run, leat_sleep_ms(QUIET_MS) == 0);
}

static void be_sender(void *arg)
{
    struct sender *sender = arg;
    struct party *party = sender->party;
    struct sim_run *run = party->run;
    for (unsigned left = (unsigned)draw(run, 1, FRAMES_MAX); left > 0;) {
        const unsigned most = left < 100 ? left : 100;
        const unsigned count = (unsigned)draw(run, 1, draw_chance(run, 50) ? most : 1);
        send_burst(sender, count);
        left -= count;
        if (draw_chance(run, 60))
            CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 5)) == 0);
    }
    send_last_words(sender);
    party->senders_left--;
}

/* ---- Members --------------------------------------------------------------------------------- */

static void note_frame(struct member *member, const struct feed_frame *frame)
{
    struct party *party = member->party;
    struct sim_run *run = party->run;
    CHECK(run, frame->size >= FRAME_SIZE_MIN && frame->size <= PACKET_SIZE_MAX);
    const uint32_t from = get_number(frame->data), number = get_number(frame->data + 4);
    CHECK(run, from < party->sender_count && number < party->senders[from].frames);
    CHECK(run, sim_content_equal(content_of(from, number), 0, frame->data + FRAME_SIZE_MIN,
                                 frame->size - FRAME_SIZE_MIN));
    CHECK(run, frame->peer && leat_address_equal(frame->peer, &party->senders[from].address));
    if (party->has_stamps)
        CHECK(run,
              frame->stamp_ns >= party->begun_ns && frame->stamp_ns <= run->sys->wall_ns(run->sys));
    member->total++;
    if (member->times[from][number]++ > 0)
        member->repeated++;
    else
        member->frames[from]++;
    if (number < member->youngest[from])
        member->late++;
    else
        member->youngest[from] = number;
}

static void be_member(void *arg)
{
    struct member *member = arg;
    struct party *party = member->party;
    struct sim_run *run = party->run;
    struct feed_frame frames[FEED_BURST_MAX];
    while (party->senders_left > 0) {
        const unsigned wanted = (unsigned)draw(run, 1, draw_chance(run, 50) ? FEED_BURST_MAX : 3);
        const int count = feed_receive(member->transport, frames, wanted);
        CHECK(run, count == -EAGAIN || (count > 0 && count <= (int)wanted));
        for (int index = 0; index < count; index++)
            note_frame(member, &frames[index]);
        if (count == -EAGAIN)
            await_transport(party, member->transport, POLLIN,
                            leat_now_ns() + QUIET_MS * LEAT_NS_PER_MS);
        else if (draw_chance(run, 5))
            CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 20)) == 0); /* its queue fills */
    }
}

/* ---- What came of it ------------------------------------------------------------------------- */

static void check_member(struct member *member)
{
    struct party *party = member->party;
    struct sim_run *run = party->run;
    const struct sim_profile *profile = run->profile;
    struct feed_transport_stats stats;
    uint64_t sent = 0, received = 0, too_long = 0;
    member->transport->ops->stats(member->transport, &stats);
    CHECK(run, stats.received == member->total);
    if (member->is_elsewhere) {
        CHECK(run, member->total == 0);
        return;
    }
    for (unsigned index = 0; index < party->sender_count; index++) {
        struct feed_transport_stats out;
        const struct sender *sender = &party->senders[index];
        sender->transport->ops->stats(sender->transport, &out);
        CHECK(run, out.sent + out.lost == sender->frames);
        CHECK(run, out.lost == 0 || profile->datagram_refused > 0);
        CHECK(run, out.stamps <= out.sent);
        CHECK(run, !party->has_stamps || out.stamps > 0 || out.sent == 0);
        CHECK(run, member->frames[index] <= out.sent);
        sent += out.sent;
        received += member->frames[index];
        too_long += sender->too_long;
    }
    CHECK(run, member->repeated == 0 || profile->datagram_duplicate > 0);
    CHECK(run, member->late == 0 || profile->datagram_duplicate + profile->datagram_reorder > 0);
    if (profile->datagram_loss > 0 || profile->datagram_duplicate > 0)
        return;
    /* Nothing vanishes but what is counted: of the last words some have told of all before. */
    CHECK(run, received + stats.dropped == sent);
    if (profile->datagram_queue_max == 0) /* there was room for all */
        CHECK(run, stats.dropped == too_long);
}

/* ---- Questions and answers ------------------------------------------------------------------- */

struct desk {
    struct party *party;
    struct feed_transport *ask, *answer;
    bool is_over;
};

static void be_answerer(void *arg)
{
    struct desk *desk = arg;
    struct sim_run *run = desk->party->run;
    struct feed_frame frames[FEED_BURST_MAX];
    while (!desk->is_over) {
        const int count = feed_receive(desk->answer, frames, FEED_BURST_MAX);
        if (count == -EAGAIN) {
            await_transport(desk->party, desk->answer, POLLIN,
                            leat_now_ns() + QUIET_MS * LEAT_NS_PER_MS);
            continue;
        }
        CHECK(run, count > 0);
        for (int done = 0; done < count;) { /* the same back to each, as they lie there */
            const int sent = feed_send(desk->answer, frames + done, (unsigned)(count - done));
            CHECK(run, sent > 0 || sent == -EAGAIN);
            if (sent > 0)
                done += sent;
            else
                await_transport(desk->party, desk->answer, POLLOUT, LEAT_FOREVER);
        }
    }
}

static unsigned hear_answers(struct desk *desk, uint32_t number)
{
    struct sim_run *run = desk->party->run;
    struct feed_frame frames[8];
    unsigned heard = 0;
    int count;
    while ((count = feed_receive(desk->ask, frames, 8)) > 0)
        for (int index = 0; index < count; index++) {
            CHECK(run, frames[index].size == sizeof number);
            const uint32_t answered = get_number(frames[index].data);
            CHECK(run, answered <= number);
            heard += answered == number;
        }
    CHECK(run, count == -EAGAIN);
    return heard;
}

/* Asked again until it is answered: sooner or later it is, and nothing else ever comes. */
static void ask_questions(struct desk *desk)
{
    struct sim_run *run = desk->party->run;
    const uint32_t questions = (uint32_t)draw(run, 1, QUESTIONS_MAX);
    for (uint32_t number = 0; number < questions; number++) {
        unsigned heard = 0;
        for (unsigned tries = 0; heard == 0; tries++) {
            const struct feed_frame frame = {.data = (const uint8_t *)&number,
                                             .size = sizeof number};
            CHECK(run, tries < 100);
            const int sent = feed_send(desk->ask, &frame, 1);
            CHECK(run, sent == 1 || sent == -EAGAIN);
            const int64_t deadline_ns = leat_now_ns() + QUIET_MS * LEAT_NS_PER_MS;
            while (heard == 0 &&
                   await_transport(desk->party, desk->ask, POLLIN, deadline_ns) != -ETIMEDOUT)
                heard = hear_answers(desk, number);
        }
    }
}

static void be_asker(void *arg)
{
    struct desk *desk = arg;
    struct party *party = desk->party;
    ask_questions(desk);
    desk->is_over = true;
    /* Nobody is there any more: what is sent now is refused, which stops nothing. */
    CHECK(party->run, leat_sleep_ms(2 * QUIET_MS) == 0);
}

/* ---- The party ------------------------------------------------------------------------------- */

static void open_all(struct party *party)
{
    struct sim_run *run = party->run;
    const bool is_group = draw_chance(run, 70);
    party->address =
        is_group ? (draw_chance(run, 70) ? "239.1.1.1:5000" : "[ff05::5]:5000") : "127.0.0.1:5000";
    party->begun_ns = run->sys->wall_ns(run->sys);
    party->has_stamps = draw_chance(run, 40);
    party->sender_count = party->senders_left = (unsigned)draw(run, 1, SENDERS_MAX);
    party->member_count = is_group ? (unsigned)draw(run, 1, MEMBERS_MAX) : 1;
    for (unsigned index = 0; index < party->member_count; index++) {
        struct member *member = &party->members[index];
        member->party = party;
        member->is_elsewhere = index > 0 && party->address[0] == '2' && draw_chance(run, 30);
        const char *source = member->is_elsewhere ? "127.0.0.9" : NULL;
        member->transport = open_transport(party, party->address, FEED_ROLE_RECEIVE, source);
    }
    for (unsigned index = 0; index < party->sender_count; index++) {
        struct sender *sender = &party->senders[index];
        sender->party = party;
        sender->transport = open_transport(party, party->address, FEED_ROLE_SEND, NULL);
    }
}

static void learn_addresses(struct party *party)
{
    struct sim_run *run = party->run;
    for (unsigned index = 0; index < party->sender_count; index++) {
        struct sender *sender = &party->senders[index];
        CHECK(run, feed_transport_address(sender->transport, &sender->address) == 0);
    }
}

static void datagrams_main(void *arg)
{
    struct party *party = arg;
    struct sim_run *run = party->run;
    open_all(party);
    learn_addresses(party);
    struct desk desk = {.party = party};
    desk.answer = open_transport(party, "127.0.0.1:6000", FEED_ROLE_ANSWER, NULL);
    desk.ask = open_transport(party, "127.0.0.1:6000", FEED_ROLE_ASK, NULL);
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (unsigned index = 0; index < party->member_count; index++)
        CHECK(run, leat_spawn(&scope, be_member, &party->members[index], NULL) == 0);
    for (unsigned index = 0; index < party->sender_count; index++)
        CHECK(run, leat_spawn(&scope, be_sender, &party->senders[index], NULL) == 0);
    CHECK(run, leat_spawn(&scope, be_answerer, &desk, NULL) == 0);
    CHECK(run, leat_spawn(&scope, be_asker, &desk, NULL) == 0);
    CHECK(run, leat_scope_join(&scope, LEAT_FOREVER) == 0);
    leat_scope_fini(&scope);
    for (unsigned index = 0; index < party->member_count; index++)
        check_member(&party->members[index]);
    for (unsigned index = 0; index < party->member_count; index++)
        feed_transport_destroy(party->members[index].transport);
    for (unsigned index = 0; index < party->sender_count; index++)
        feed_transport_destroy(party->senders[index].transport);
    feed_transport_destroy(desk.answer);
    feed_transport_destroy(desk.ask);
}

static void run_datagrams(struct sim_run *run)
{
    struct party *party = calloc(1, sizeof *party);
    CHECK(run, party != NULL);
    party->run = run;
    run_fiber(run, datagrams_main, party);
    CHECK(run, sim_open_count(run->sim) == 0);
    free(party);
}

const struct scenario scenario_datagrams = {
    "datagrams", "bursts of frames over UDP, to groups, and questions with answers", run_datagrams};
