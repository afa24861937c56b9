/* SPDX-License-Identifier: MIT */
/*
 * See crew.h.
 */
#include "crew.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "client.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "loop/process.h"

enum {
    NS_PER_S = 1000 * 1000 * 1000,
    SETTLE_NS = 20 * 1000 * 1000, /* from the last thread's readiness to the begin; and from a full
                                     second to the look at it, for the clients hand over then */
};

struct member {
    struct muster *muster;
    unsigned index;
    pthread_t thread;
    struct load_client *client;
    int error;
    int64_t end_ns;
};

struct muster {
    const struct load_crew *crew;
    struct member members[LOAD_THREADS_MAX];
    unsigned count;          /* of threads that were started */
    sem_t is_ready;          /* posted by each once it is connected or has failed */
    pthread_barrier_t begin; /* then all wait here for the times */
    int64_t warm_up_ns, begin_ns;
    int ended_fd; /* an eventfd, counts those that have ended */
    struct process_signals signals;
    struct load_tally *whole, *second;
    struct load_sample *samples;
    size_t sample_count, sample_capacity;
    bool is_interrupted;
};

/* ---- In the threads -------------------------------------------------------------------------- */

static void pin(const struct member *member)
{
    const cpu_set_t *cores = member->muster->crew->cores;
    if (!cores)
        return;
    unsigned turn = member->index % (unsigned)CPU_COUNT(cores);
    for (size_t core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, cores) || turn-- > 0)
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        return;
    }
}

static void *run(void *arg)
{
    struct member *member = arg;
    struct muster *muster = member->muster;
    char name[16]; /* as large as the kernel's */
    snprintf(name, sizeof name, "client %u", member->index);
    (void)pthread_setname_np(pthread_self(), name);
    pin(member);
    member->error = load_client_create(muster->crew->plan, member->index, &member->client);
    if (!member->error)
        member->error = load_client_connect(member->client);
    sem_post(&muster->is_ready);
    pthread_barrier_wait(&muster->begin);
    if (!member->error)
        member->error = load_client_run(member->client, muster->warm_up_ns, muster->begin_ns);
    member->end_ns = leat_now_ns();
    const uint64_t one = 1;
    (void)!write(muster->ended_fd, &one, sizeof one);
    pthread_barrier_wait(&muster->begin); /* until all has been collected */
    if (member->client)
        load_client_destroy(member->client);
    return NULL;
}

/* ---- In the thread that called --------------------------------------------------------------- */

static void stop_all(struct muster *muster)
{
    for (unsigned index = 0; index < muster->count; index++)
        if (muster->members[index].client)
            load_client_stop(muster->members[index].client);
}

/* Waits until the instant, or all have ended; returns whether they have. */
static bool wait_until(struct muster *muster, int64_t until_ns, unsigned *ended_count)
{
    while (*ended_count < muster->count) {
        const int64_t left_ns = until_ns - leat_now_ns();
        if (left_ns <= 0)
            return false;
        const struct timespec left = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};
        struct pollfd waiting[] = {{.fd = muster->ended_fd, .events = POLLIN},
                                   {.fd = muster->signals.fd, .events = POLLIN}};
        if (ppoll(waiting, 2, &left, NULL) <= 0)
            continue;
        uint64_t ended;
        if (waiting[0].revents && read(muster->ended_fd, &ended, sizeof ended) == sizeof ended)
            *ended_count += (unsigned)ended;
        if (waiting[1].revents && process_take_signal(&muster->signals)) {
            muster->is_interrupted = true;
            stop_all(muster);
        }
    }
    return true;
}

static struct load_sample *add_sample(struct muster *muster)
{
    if (muster->sample_count == muster->sample_capacity) {
        const size_t capacity = muster->sample_capacity ? 2 * muster->sample_capacity : 64;
        struct load_sample *grown = realloc(muster->samples, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        muster->samples = grown;
        muster->sample_capacity = capacity;
    }
    return &muster->samples[muster->sample_count++];
}

/* What was handed over since the last time becomes a sample of the seconds up to `end_s`. */
static void collect(struct muster *muster, double end_s)
{
    const struct load_crew *crew = muster->crew;
    struct load_tally *second = muster->second;
    for (unsigned index = 0; index < muster->count; index++)
        if (muster->members[index].client)
            load_client_collect(muster->members[index].client, second);
    const double begin_s =
        muster->sample_count ? muster->samples[muster->sample_count - 1].end_s : 0;
    struct load_sample *sample = end_s > begin_s ? add_sample(muster) : NULL;
    if (sample) {
        *sample = (struct load_sample){
            .end_s = end_s,
            .length_s = end_s - begin_s,
            .answered = second->answered,
            .bytes_received = second->bytes_received,
            .errors = load_tally_errors(second),
            .p50_ns = histogram_quantile_ns(&second->latency, 0.5),
            .p99_ns = histogram_quantile_ns(&second->latency, 0.99),
            .greatest_ns = second->latency.greatest_ns,
        };
        if (crew->on_second)
            crew->on_second(sample, end_s, crew->user);
    }
    load_tally_add(muster->whole, second);
    load_tally_clear(second);
}

static double seconds(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

/* From the begin to the end of all. */
static void watch(struct muster *muster, struct load_result *result)
{
    const struct load_crew *crew = muster->crew;
    struct rusage before, after;
    unsigned ended_count = 0;
    bool is_over = false;
    for (int64_t next = leat_now_ns() + NS_PER_S; !is_over && next < muster->begin_ns;
         next += NS_PER_S) {
        is_over = wait_until(muster, next, &ended_count);
        if (crew->on_second)
            crew->on_second(NULL, (double)(next - muster->begin_ns) / 1e9, crew->user);
    }
    is_over = is_over || wait_until(muster, muster->begin_ns, &ended_count);
    getrusage(RUSAGE_SELF, &before);
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    result->begin_wall_ns = (int64_t)wall.tv_sec * NS_PER_S + wall.tv_nsec;
    for (int64_t second = 1; !is_over; second++) {
        is_over =
            wait_until(muster, muster->begin_ns + second * NS_PER_S + SETTLE_NS, &ended_count);
        if (!is_over)
            collect(muster, (double)second);
    }
    getrusage(RUSAGE_SELF, &after);
    result->cpu_user_s = seconds(&after.ru_utime) - seconds(&before.ru_utime);
    result->cpu_system_s = seconds(&after.ru_stime) - seconds(&before.ru_stime);
    int64_t end_ns = muster->begin_ns;
    for (unsigned index = 0; index < muster->count; index++)
        end_ns = muster->members[index].end_ns > end_ns ? muster->members[index].end_ns : end_ns;
    result->elapsed_s = (double)(end_ns - muster->begin_ns) / 1e9;
    collect(muster, result->elapsed_s);
}

static int complain(char *ret_error, size_t size, const char *what, int error)
{
    snprintf(ret_error, size, "%s: %s", what, leat_error_text(error));
    return -1;
}

/* Threads, as many as the system gives. */
static int start(struct muster *muster)
{
    const unsigned wanted = muster->crew->plan->threads;
    pthread_barrier_init(&muster->begin, NULL, wanted + 1);
    int error = 0;
    while (!error && muster->count < wanted) {
        struct member *member = &muster->members[muster->count];
        *member = (struct member){.muster = muster, .index = muster->count};
        error = pthread_create(&member->thread, NULL, run, member);
        muster->count += !error;
    }
    for (unsigned index = 0; index < muster->count; index++)
        while (sem_wait(&muster->is_ready) != 0)
            ;
    return -error;
}

static int lead(struct muster *muster, struct load_result *result, char *ret_error, size_t size)
{
    const struct load_plan *plan = muster->crew->plan;
    int error = start(muster);
    if (error) /* those that were started wait for ever; the process ends now */
        return complain(ret_error, size, "cannot start so many threads", error);
    for (unsigned index = 0; index < muster->count; index++)
        error = error ? error : muster->members[index].error;
    if (!error)
        result->engine = load_client_engine(muster->members[0].client);
    muster->warm_up_ns = leat_now_ns() + SETTLE_NS;
    muster->begin_ns = muster->warm_up_ns + plan->warm_up_ns;
    pthread_barrier_wait(&muster->begin);
    watch(muster, result);
    for (unsigned index = 0; index < muster->count; index++)
        error = error ? error : muster->members[index].error;
    pthread_barrier_wait(&muster->begin);
    for (unsigned index = 0; index < muster->count; index++)
        pthread_join(muster->members[index].thread, NULL);
    pthread_barrier_destroy(&muster->begin);
    return error ? complain(ret_error, size, "the engine", error) : 0;
}

static int prepare(struct muster *muster)
{
    muster->whole = calloc(1, sizeof *muster->whole);
    muster->second = calloc(1, sizeof *muster->second);
    muster->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sem_init(&muster->is_ready, 0, 0);
    if (!muster->whole || !muster->second)
        return -ENOMEM;
    return muster->ended_fd < 0 ? -errno : process_catch_signals(&muster->signals);
}

int load_crew_run(const struct load_crew *crew, struct load_result *ret_result, char *ret_error,
                  size_t ret_error_size)
{
    ASSERT(crew->plan->threads > 0 && crew->plan->threads <= LOAD_THREADS_MAX);
    struct muster *muster = calloc(1, sizeof *muster);
    if (!muster)
        return complain(ret_error, ret_error_size, "starting", -ENOMEM);
    muster->crew = crew;
    int error = prepare(muster);
    if (error)
        return complain(ret_error, ret_error_size, "starting", error);
    error = lead(muster, ret_result, ret_error, ret_error_size);
    process_release_signals(&muster->signals);
    close(muster->ended_fd);
    sem_destroy(&muster->is_ready);
    free(muster->second);
    ret_result->tally = muster->whole;
    ret_result->samples = muster->samples;
    ret_result->sample_count = muster->sample_count;
    ret_result->is_interrupted = muster->is_interrupted;
    free(muster);
    return error;
}
