/* SPDX-License-Identifier: MIT */
/*
 * What a loop does without a network: timers from a microsecond to half an hour that are started,
 * moved and stopped, messages in order, jobs that are cancelled at any moment. A model says what
 * must have happened.
 */
#include "harness.h"

#include "loop/offload.h"

enum { TIMERS = 24, JOBS = 6, MESSAGES = 16, STEPS_MAX = 120 };

struct waiting {
    struct timer timer;
    struct play *play;
    int64_t deadline_ns; /* as the model has it; 0: it does not run */
};

struct working {
    struct offload_job job;
    struct play *play;
    bool is_busy;
    unsigned runs;
};

struct message {
    struct task task;
    struct play *play;
    unsigned number;
};

struct play {
    struct sim_run *run;
    struct timer stepping;
    unsigned steps_left, fires, starts;
    struct waiting timers[TIMERS];
    struct working jobs[JOBS];
    struct message messages[MESSAGES];
    unsigned posted, received;
};

/* From the next tick to far up the wheel, each magnitude as often as another. */
static int64_t draw_delay_ns(struct sim_run *run)
{
    const unsigned bits = (unsigned)draw(run, 0, draw_chance(run, 3) ? 40 : 31);
    return (int64_t)(random_next(&run->random) & ((UINT64_C(1) << bits) - 1));
}

static void start(struct waiting *waiting)
{
    struct sim_run *run = waiting->play->run;
    waiting->deadline_ns = run->loop->now_ns + draw_delay_ns(run);
    loop_timer_start(run->loop, &waiting->timer, waiting->deadline_ns);
}

static void fire(struct timer *timer)
{
    struct waiting *waiting = CONTAINER_OF(timer, struct waiting, timer);
    struct play *play = waiting->play;
    CHECK(play->run, waiting->deadline_ns != 0);
    CHECK(play->run, !timer->is_running);
    check_deadline(play->run, waiting->deadline_ns, play->run->loop->now_ns);
    waiting->deadline_ns = 0;
    play->fires++;
    if (play->steps_left > 0 && draw_chance(play->run, 30))
        start(waiting);
}

static void job_run(struct offload_job *job, const struct backend_sys *sys)
{
    struct working *working = CONTAINER_OF(job, struct working, job);
    CHECK(working->play->run, working->is_busy && !job->cancelled);
    working->runs++;
}

static void job_done(struct offload_job *job)
{
    struct working *working = CONTAINER_OF(job, struct working, job);
    CHECK(working->play->run, working->is_busy);
    CHECK(working->play->run, working->runs == (job->cancelled ? 0u : 1u));
    working->is_busy = false;
}

static void offer_job(struct working *working)
{
    struct sim_run *run = working->play->run;
    if (working->is_busy) {
        offload_cancel(&working->job);
        CHECK(run, working->is_busy); /* done is never called from within a cancel */
        return;
    }
    working->runs = 0;
    working->is_busy = true;
    const int error = offload_submit(run->loop, &working->job);
    CHECK(run, error == 0 || (error == -EAGAIN && run->profile->offload_full > 0));
    if (error)
        working->is_busy = false;
}

static void receive_message(struct task *task)
{
    struct message *message = CONTAINER_OF(task, struct message, task);
    CHECK(message->play->run, message->number == message->play->received);
    message->play->received++;
}

static void post_message(struct play *play)
{
    if (play->posted == MESSAGES)
        return;
    struct message *message = &play->messages[play->posted];
    *message = (struct message){{.run = receive_message}, play, play->posted};
    play->posted++;
    loop_post(play->run->loop, &message->task);
}

static void step(struct timer *timer)
{
    struct play *play = CONTAINER_OF(timer, struct play, stepping);
    struct sim_run *run = play->run;
    struct waiting *waiting = &play->timers[draw(run, 0, TIMERS - 1)];
    switch (draw(run, 0, 5)) {
    case 0:
        loop_timer_stop(run->loop, &waiting->timer);
        waiting->deadline_ns = 0;
        break;
    case 1: offer_job(&play->jobs[draw(run, 0, JOBS - 1)]); break;
    case 2:
        for (uint64_t count = draw(run, 1, 3); count > 0; count--)
            post_message(play);
        break;
    default: start(waiting); break;
    }
    if (--play->steps_left > 0)
        loop_timer_start(run->loop, timer, run->loop->now_ns + draw_delay_ns(run) / 64);
}

static void run_timers(struct sim_run *run)
{
    struct play play = {.run = run, .steps_left = (unsigned)draw(run, 1, STEPS_MAX)};
    timer_init(&play.stepping, step);
    for (unsigned index = 0; index < TIMERS; index++) {
        timer_init(&play.timers[index].timer, fire);
        play.timers[index].play = &play;
    }
    for (unsigned index = 0; index < JOBS; index++)
        play.jobs[index] = (struct working){{.run = job_run, .done = job_done}, &play, false, 0};
    loop_timer_start(run->loop, &play.stepping, run->loop->now_ns);
    turn_until_idle(run);

    CHECK(run, play.steps_left == 0);
    CHECK(run, play.received == play.posted);
    CHECK(run, run->loop->timers.count == 0);
    for (unsigned index = 0; index < TIMERS; index++)
        CHECK(run, play.timers[index].deadline_ns == 0);
    for (unsigned index = 0; index < JOBS; index++)
        CHECK(run, !play.jobs[index].is_busy);
}

const struct scenario scenario_timers = {"timers", "timers, messages and jobs, against a model",
                                         run_timers};
