/* SPDX-License-Identifier: MIT */
/*
 * feed_rtt [-a CORE] [-b CORE] [-n PINGS] [-p PORT] [-l DIR] bare|leat
 *
 * How long a message of 32 bytes takes there and back, both sides spinning on a core of their own.
 * `bare` is sendto and recvfrom, without waiting, of the message alone. `leat` has a publisher and
 * a subscriber on each side: MoldUDP64, one message a packet, logs in DIR/ping and DIR/pong that
 * survive kill -9 (without -l in memory, which does not), a request server. It takes PORT and the
 * three behind it.
 *
 * A line of JSON: the number of round trips that count, and us at p50, p99, p99.9, and the most.
 */
#include <getopt.h>

#include "feed_leat.h"

enum { WARM_UP = 2000, PINGS_MAX = 1000000, STALL_S = 5, LOOKS = 1 << 10 };

struct game {
    int cores[2]; /* who begins, who answers */
    unsigned pings;
    unsigned port;
    const char *log;
    struct sides *sides;
    uint32_t *times_ns;
};

/* ---- Bare ------------------------------------------------------------------------------------ */

static void receive_one(int fd, char message[MESSAGE_SIZE])
{
    ssize_t size;
    do
        size = recvfrom(fd, message, MESSAGE_SIZE, MSG_DONTWAIT, NULL, NULL);
    while (size < 0 && (errno == EAGAIN || errno == EINTR));
    if (size != MESSAGE_SIZE)
        give_up("recvfrom");
}

static void send_one(int fd, const char message[MESSAGE_SIZE], const struct sockaddr_in *to)
{
    if (sendto(fd, message, MESSAGE_SIZE, MSG_DONTWAIT, (const struct sockaddr *)to, sizeof *to) !=
        MESSAGE_SIZE)
        give_up("sendto");
}

static void play_bare(const struct game *game)
{
    char message[MESSAGE_SIZE];
    struct sockaddr_in addresses[2];
    int fds[2];
    pid_t child;
    for (int side = 0; side < 2; side++)
        fds[side] = open_datagram_socket(&addresses[side]);
    const unsigned total = WARM_UP + game->pings;
    if (part(&child)) {
        pin(game->cores[1]);
        for (unsigned number = 0; number < total; number++) {
            receive_one(fds[1], message);
            send_one(fds[1], message, &addresses[0]);
        }
        exit(EXIT_SUCCESS);
    }
    pin(game->cores[0]);
    for (unsigned number = 0; number < total; number++) {
        const uint64_t began = clock_ns(CLOCK_MONOTONIC);
        write_message(message, number);
        send_one(fds[0], message, &addresses[1]);
        receive_one(fds[0], message);
        if (number >= WARM_UP)
            game->times_ns[number - WARM_UP] = (uint32_t)(clock_ns(CLOCK_MONOTONIC) - began);
        if (!is_message(message, MESSAGE_SIZE, number))
            give_up("another message came back");
    }
    join(child);
}

/* ---- leat ------------------------------------------------------------------------------------ */

/* One side. Side 0 publishes on PORT and hears PORT + 1, side 1 the other way round. */
struct player {
    const struct game *game;
    int side;
    struct leat_feed_publisher *publisher;
    struct leat_feed_subscriber *subscriber;
    unsigned heard;
    bool is_wrong;
};

static void publish(struct player *player, struct leat_slice message)
{
    const int error = leat_feed_publish(player->publisher, message, NULL);
    must(error, "publish", "");
}

static int on_batch(const struct leat_feed_batch *batch, void *user)
{
    struct player *player = user;
    struct leat_slice blocks = batch->blocks, message;
    while (leat_feed_next(&blocks, &message)) {
        player->is_wrong |= !is_message(message.data, message.size, player->heard);
        player->heard++;
        if (player->side == 1)
            publish(player, message);
    }
    return 0;
}

/* Until so many things are open, this one among them. */
static void await_ready(struct sides *sides, unsigned count)
{
    atomic_fetch_add(&sides->ready, 1);
    while (atomic_load(&sides->ready) < count)
        usleep(100);
}

static void open_player(struct player *player)
{
    static char lines[2][32], request[32], folder[4096];
    const struct game *game = player->game;
    const int side = player->side;
    char reason[256] = "";
    for (unsigned line = 0; line < 2; line++)
        snprintf(lines[line], sizeof lines[line], "127.0.0.1:%u", game->port + line);
    snprintf(request, sizeof request, "127.0.0.1:%u", game->port + 2 + (unsigned)side);
    if (game->log)
        snprintf(folder, sizeof folder, "%s/%s", game->log, side == 0 ? "ping" : "pong");
    const struct leat_feed_subscriber_options hear = {.lines = {lines[1 - side]},
                                                      .from = 1,
                                                      .mode = LEAT_FEED_SPIN,
                                                      .on_batch = on_batch,
                                                      .user = player};
    int error = leat_feed_subscriber_open(&hear, &player->subscriber, reason, sizeof reason);
    must(error, "subscriber", reason);
    await_ready(game->sides, 2);
    const struct leat_feed_publisher_options say = {.session = side == 0 ? "PING" : "PONG",
                                                    .lines = {lines[side]},
                                                    .request_listen = request,
                                                    .log = game->log ? folder : NULL,
                                                    .mode = LEAT_FEED_SPIN,
                                                    .flush_messages = 1};
    error = leat_feed_publisher_open(&say, &player->publisher, reason, sizeof reason);
    must(error, "publisher", reason);
    await_ready(game->sides, 4);
}

/* Until so many were heard. Nothing for some seconds is an end. */
static void spin_until_heard(struct player *player, unsigned count)
{
    uint64_t last_ns = clock_ns(CLOCK_MONOTONIC);
    unsigned heard = player->heard;
    for (unsigned looks = 1; player->heard < count; looks++) {
        must(leat_feed_subscriber_turn(player->subscriber), "subscriber", "");
        if (player->heard >= count)
            break;
        leat_feed_publisher_turn(player->publisher);
        leat_yield();
        if (looks % LOOKS != 0)
            continue;
        const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
        if (player->heard != heard)
            last_ns = now_ns;
        heard = player->heard;
        if (now_ns - last_ns > STALL_S * NS_PER_S)
            must(-ETIMEDOUT, "what was sent did not come back", "");
    }
}

static void ping(struct player *player)
{
    const struct game *game = player->game;
    char message[MESSAGE_SIZE];
    for (unsigned number = 0; number < WARM_UP + game->pings; number++) {
        const uint64_t began = clock_ns(CLOCK_MONOTONIC);
        write_message(message, number);
        publish(player, (struct leat_slice){message, sizeof message});
        spin_until_heard(player, number + 1);
        if (number >= WARM_UP)
            game->times_ns[number - WARM_UP] = (uint32_t)(clock_ns(CLOCK_MONOTONIC) - began);
    }
}

static int play(void *arg)
{
    struct player *player = arg;
    open_player(player);
    if (player->side == 0)
        ping(player);
    else
        spin_until_heard(player, WARM_UP + player->game->pings);
    leat_feed_subscriber_close(player->subscriber);
    leat_feed_publisher_close(player->publisher);
    return player->is_wrong ? -EBADMSG : 0;
}

static void play_leat(const struct game *game)
{
    pid_t child;
    struct player player = {.game = game, .side = part(&child)};
    pin(game->cores[player.side]); /* its threads for disks, too */
    const int error = leat_run(play, &player, NULL);
    must(error, "feed_rtt", "");
    if (player.side == 1)
        exit(EXIT_SUCCESS);
    join(child);
}

int main(int argc, char **argv)
{
    struct game game = {.cores = {-1, -1}, .pings = 20000, .port = 15000};
    bool is_right = true;
    for (int option; (option = getopt(argc, argv, "a:b:n:p:l:")) >= 0;) {
        const unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 'a': game.cores[0] = (int)number; break;
        case 'b': game.cores[1] = (int)number; break;
        case 'n': game.pings = (unsigned)number; break;
        case 'p': game.port = (unsigned)number; break;
        case 'l': game.log = optarg; break;
        default: is_right = false;
        }
    }
    const char *who = optind == argc - 1 ? argv[optind] : "";
    const bool is_bare = strcmp(who, "bare") == 0;
    if (!is_right || (!is_bare && strcmp(who, "leat") != 0) || game.pings < 1 ||
        game.pings > PINGS_MAX || game.port < 1 || game.port > 65000) {
        fputs("feed_rtt [-a CORE] [-b CORE] [-n PINGS] [-p PORT] [-l DIR] bare|leat\n", stderr);
        return 2;
    }
    game.sides = share(sizeof *game.sides);
    game.times_ns = share(game.pings * sizeof *game.times_ns);
    memset(game.times_ns, 0, game.pings * sizeof *game.times_ns); /* its pages are there */
    (is_bare ? play_bare : play_leat)(&game);
    printf("{");
    print_times(game.times_ns, game.pings);
    printf("}\n");
    return 0;
}
