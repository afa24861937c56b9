/* SPDX-License-Identifier: MIT */
/*
 * Offload: jobs run elsewhere and end here, the queue has a limit, what is cancelled in time does
 * not run, and no thread outlives the last loop.
 */
#include "../engines.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/offload.h"

static unsigned threads_now(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/task");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

struct work {
    struct offload_job job;
    pthread_t loop_thread;
    bool was_elsewhere, has_run, is_done;
    int cpu_count;
    unsigned *left;
};

static sem_t gate;
static atomic_uint running, running_peak;

static void note_run(struct offload_job *job, const struct backend_sys *sys)
{
    struct work *work = CONTAINER_OF(job, struct work, job);
    work->was_elsewhere = !pthread_equal(pthread_self(), work->loop_thread);
    work->has_run = true;
}

static void run_behind_gate(struct offload_job *job, const struct backend_sys *sys)
{
    const unsigned now = atomic_fetch_add(&running, 1) + 1;
    unsigned peak = atomic_load(&running_peak);
    while (now > peak && !atomic_compare_exchange_weak(&running_peak, &peak, now))
        ;
    while (sem_wait(&gate))
        ;
    atomic_fetch_sub(&running, 1);
    note_run(job, sys);
}

static void note_done(struct offload_job *job)
{
    struct work *work = CONTAINER_OF(job, struct work, job);
    ASSERT(pthread_equal(pthread_self(), work->loop_thread));
    ASSERT(!work->is_done);
    work->is_done = true;
    if (work->left)
        --*work->left;
}

static void work_init(struct work *work,
                      void (*run)(struct offload_job *, const struct backend_sys *))
{
    *work = (struct work){.job = {.run = run, .done = note_done}, .loop_thread = pthread_self()};
}

static void a_job_runs_elsewhere_and_ends_here_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    const unsigned before = threads_now();
    for (int count = 0; count < 50; count++) {
        struct work work;
        work_init(&work, note_run);
        assert_int_equal(offload_submit(loop, &work.job), 0);
        assert_false(work.is_done);
        assert_int_equal(leat_loop_run(loop), 0); /* a job is something left */
        assert_true(work.is_done && work.has_run && work.was_elsewhere);
        assert_false(work.job.cancelled);
    }
    assert_int_equal(threads_now(), before + 1); /* an idle thread is used again */
    assert_int_equal(offload_depth(), 0);
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_job_runs_elsewhere_and_ends_here)

/* Waits until `count` jobs stand at the gate. */
static void await_running(unsigned count)
{
    while (atomic_load(&running) < count)
        usleep(1000);
}

static void the_queue_has_a_limit_body(enum leat_engine engine)
{
    enum { MANY = OFFLOAD_THREADS_MAX + OFFLOAD_QUEUE_MAX };
    struct leat_loop *loop = make_loop(engine);
    struct work *works = calloc(MANY + 1, sizeof *works);
    unsigned left = MANY;
    atomic_store(&running_peak, 0);
    for (unsigned index = 0; index <= MANY; index++) {
        work_init(&works[index], run_behind_gate);
        works[index].left = &left;
    }
    for (unsigned index = 0; index < OFFLOAD_THREADS_MAX; index++)
        assert_int_equal(offload_submit(loop, &works[index].job), 0);
    await_running(OFFLOAD_THREADS_MAX);
    for (unsigned index = OFFLOAD_THREADS_MAX; index < MANY; index++)
        assert_int_equal(offload_submit(loop, &works[index].job), 0);
    assert_int_equal(offload_submit(loop, &works[MANY].job), -EAGAIN);
    assert_int_equal(offload_depth(), MANY);
    for (unsigned index = 0; index < MANY; index++)
        sem_post(&gate);
    assert_int_equal(leat_loop_run(loop), 0);
    assert_int_equal(left, 0);
    assert_int_equal(atomic_load(&running_peak), OFFLOAD_THREADS_MAX);
    assert_false(works[MANY].is_done);
    /* There is room again. */
    left = 1;
    sem_post(&gate);
    assert_int_equal(offload_submit(loop, &works[MANY].job), 0);
    assert_int_equal(leat_loop_run(loop), 0);
    assert_true(works[MANY].is_done);
    leat_loop_destroy(loop);
    free(works);
}
ENGINE_TEST(the_queue_has_a_limit)

static void cancelled_before_it_began_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    struct work at_gate[OFFLOAD_THREADS_MAX], late;
    for (unsigned index = 0; index < OFFLOAD_THREADS_MAX; index++) {
        work_init(&at_gate[index], run_behind_gate);
        assert_int_equal(offload_submit(loop, &at_gate[index].job), 0);
    }
    await_running(OFFLOAD_THREADS_MAX);
    work_init(&late, note_run);
    assert_int_equal(offload_submit(loop, &late.job), 0);
    offload_cancel(&late.job);
    assert_false(late.is_done); /* never before this returns */
    offload_cancel(&late.job);
    /* One that runs already runs to its end, and says so. */
    offload_cancel(&at_gate[0].job);
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    assert_true(late.is_done && late.job.cancelled && !late.has_run);
    assert_false(at_gate[0].is_done);
    assert_int_equal(offload_depth(), OFFLOAD_THREADS_MAX);
    for (unsigned index = 0; index < OFFLOAD_THREADS_MAX; index++)
        sem_post(&gate);
    assert_int_equal(leat_loop_run(loop), 0);
    assert_true(at_gate[0].is_done && at_gate[0].has_run && !at_gate[0].job.cancelled);
    leat_loop_destroy(loop);
}
ENGINE_TEST(cancelled_before_it_began)

/* ---- Many loops ------------------------------------------------------------------------------ */

enum { ROUNDS = 20, BATCH = 50 };

static void *submit_much(void *arg)
{
    struct leat_loop *loop;
    if (leat_loop_create(arg, &loop))
        return "a loop was refused";
    struct work *works = calloc(BATCH, sizeof *works);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned left = BATCH;
        for (unsigned index = 0; index < BATCH; index++) {
            work_init(&works[index], note_run);
            works[index].left = &left;
            if (offload_submit(loop, &works[index].job))
                return "the queue is full";
            if (index % 7 == 0)
                offload_cancel(&works[index / 2].job);
        }
        if (leat_loop_run(loop) || left != 0)
            return "jobs got lost";
        for (unsigned index = 0; index < BATCH; index++)
            if (works[index].has_run == works[index].job.cancelled)
                return "a job ran although it was cancelled, or neither";
    }
    free(works);
    leat_loop_destroy(loop);
    return NULL;
}

static void jobs_of_many_loops_body(enum leat_engine engine)
{
    struct leat_loop_options options = {.engine = engine, .queue_entries = 64};
    const unsigned before = threads_now();
    pthread_t threads[6];
    for (unsigned index = 0; index < 6; index++)
        assert_int_equal(pthread_create(&threads[index], NULL, submit_much, &options), 0);
    for (unsigned index = 0; index < 6; index++) {
        void *complaint;
        pthread_join(threads[index], &complaint);
        if (complaint)
            fail_msg("%s", (char *)complaint);
    }
    assert_int_equal(offload_depth(), 0);
    /* The last loop has taken the pool's threads with it; the kernel forgets a joined thread a
     * little later. */
    for (int tries = 0; threads_now() > before && tries < 1000; tries++)
        usleep(1000);
    assert_int_equal(threads_now(), before);
}
ENGINE_TEST(jobs_of_many_loops)

static void note_cpus(struct offload_job *job, const struct backend_sys *sys)
{
    struct work *work = CONTAINER_OF(job, struct work, job);
    cpu_set_t cpus;
    ASSERT(sched_getaffinity(0, sizeof cpus, &cpus) == 0);
    work->cpu_count = CPU_COUNT(&cpus);
    note_run(job, sys);
}

/* A thread that has a core to itself does not share it with what it offloads. */
static void jobs_leave_a_core_alone_body(enum leat_engine engine)
{
    cpu_set_t all, one;
    struct work work;
    struct leat_loop *loop = make_loop(engine);
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    work_init(&work, note_cpus);
    assert_int_equal(offload_submit(loop, &work.job), 0);
    assert_int_equal(leat_loop_run(loop), 0);
    assert_int_equal(work.cpu_count, CPU_COUNT(&all));
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    leat_loop_destroy(loop);
}
ENGINE_TEST(jobs_leave_a_core_alone)

static void *do_nothing(void *arg)
{
    return NULL;
}

int main(void)
{
    sem_init(&gate, 0, 0);
    /* TSan starts a thread of its own with the first of ours: before anybody counts. */
    pthread_t thread;
    pthread_create(&thread, NULL, do_nothing, NULL);
    pthread_join(thread, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_runs_elsewhere_and_ends_here),
        cmocka_unit_test(test_the_queue_has_a_limit),
        cmocka_unit_test(test_cancelled_before_it_began),
        cmocka_unit_test(test_jobs_of_many_loops),
        cmocka_unit_test(test_jobs_leave_a_core_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
