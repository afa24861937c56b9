/* SPDX-License-Identifier: MIT */
/*
 * The pool of threads. One lock guards the queue; a thread is added when a job finds none idle, up
 * to OFFLOAD_THREADS_MAX. The last loop to go ends and joins them: by then no job is left, for
 * every loop waits for its own.
 */
#include "loop/offload.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "base/assert.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wanted; /* a job was queued, or the threads shall end */
    pthread_cond_t ended;
    struct list_node queue;
    unsigned depth; /* waiting and running */
    unsigned waiting;
    unsigned idle;
    unsigned loops;
    unsigned threads_count;
    pthread_t threads[OFFLOAD_THREADS_MAX];
    bool is_ending;
    /* Where its threads run: where the first loop's thread was allowed to when that was made. Who
     * pins itself to a core afterwards, to have it to itself, does not take them along. */
    cpu_set_t cpus;
    bool has_cpus;
} pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .wanted = PTHREAD_COND_INITIALIZER,
    .ended = PTHREAD_COND_INITIALIZER,
    .queue = {&pool.queue, &pool.queue},
};

void offload_run(struct offload_job *job, const struct backend_sys *sys)
{
    if (!job->cancelled)
        job->run(job, sys);
}

void offload_finish(struct offload_job *job)
{
    ASSERT(job->loop->jobs > 0);
    job->loop->jobs--;
    job->state = OFFLOAD_IDLE;
    job->done(job);
}

static void finish_task(struct task *task)
{
    offload_finish(CONTAINER_OF(task, struct offload_job, task));
}

static void *work(void *unused)
{
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        struct list_node *node = list_take_front(&pool.queue);
        if (!node) {
            if (pool.is_ending)
                break;
            pool.idle++;
            pthread_cond_wait(&pool.wanted, &pool.lock);
            pool.idle--;
            continue;
        }
        struct offload_job *job = CONTAINER_OF(node, struct offload_job, node);
        pool.waiting--;
        job->state = OFFLOAD_RUNNING;
        pthread_mutex_unlock(&pool.lock);

        offload_run(job, job->loop->sys);

        pthread_mutex_lock(&pool.lock);
        job->state = OFFLOAD_DONE;
        pool.depth--;
        /* Under the lock, so that offload_cancel never sees a job that is already on its way. */
        loop_post(job->loop, &job->task);
    }
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* On the pool's CPUs from its first instruction; wherever it may when the host has taken those away
 * meanwhile. */
static int create_thread(pthread_t *ret_thread)
{
    if (pool.has_cpus) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setaffinity_np(&attributes, sizeof pool.cpus, &pool.cpus);
        const int error = pthread_create(ret_thread, &attributes, work, NULL);
        pthread_attr_destroy(&attributes);
        if (error != EINVAL)
            return error;
    }
    return pthread_create(ret_thread, NULL, work, NULL);
}

/* With the lock held. Threads take no signals: those are the program's own threads' affair. */
static int add_thread(void)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int error = create_thread(&pool.threads[pool.threads_count]);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!error)
        pool.threads_count++;
    return -error;
}

int offload_submit(struct leat_loop *loop, struct offload_job *job)
{
    ASSERT(job->state == OFFLOAD_IDLE);
    ASSERT(job->run && job->done);
    job->loop = loop;
    job->cancelled = false;
    job->task.run = finish_task;
    job->state = OFFLOAD_QUEUED;
    if (loop->ops->offload) {
        int error = loop->ops->offload(loop->backend, job);
        if (error)
            job->state = OFFLOAD_IDLE;
        else
            loop->jobs++;
        return error;
    }

    int error = 0;
    pthread_mutex_lock(&pool.lock);
    if (pool.waiting >= OFFLOAD_QUEUE_MAX)
        error = -EAGAIN;
    else if (pool.idle <= pool.waiting && pool.threads_count < OFFLOAD_THREADS_MAX)
        error = add_thread();
    /* Without a new thread the job waits for one of the others, if there are any. */
    if (error && error != -EAGAIN && pool.threads_count > 0)
        error = 0;
    if (!error) {
        list_push_back(&pool.queue, &job->node);
        pool.waiting++;
        pool.depth++;
        loop->jobs++;
        pthread_cond_signal(&pool.wanted);
    } else {
        job->state = OFFLOAD_IDLE;
        error = -EAGAIN;
    }
    pthread_mutex_unlock(&pool.lock);
    return error;
}

void offload_cancel(struct offload_job *job)
{
    struct leat_loop *loop = job->loop;
    if (loop && loop->ops->offload) {
        if (job->state == OFFLOAD_QUEUED)
            job->cancelled = true;
        return;
    }
    pthread_mutex_lock(&pool.lock);
    if (job->state == OFFLOAD_QUEUED) {
        list_remove(&job->node);
        pool.waiting--;
        pool.depth--;
        job->cancelled = true;
        job->state = OFFLOAD_DONE;
        loop_defer(loop, &job->task);
    }
    pthread_mutex_unlock(&pool.lock);
}

void offload_attach(void)
{
    pthread_mutex_lock(&pool.lock);
    while (pool.is_ending)
        pthread_cond_wait(&pool.ended, &pool.lock);
    if (pool.loops++ == 0) /* more than 1,024 CPUs are EINVAL, and inherited */
        pool.has_cpus = sched_getaffinity(0, sizeof pool.cpus, &pool.cpus) == 0;
    pthread_mutex_unlock(&pool.lock);
}

void offload_detach(void)
{
    pthread_mutex_lock(&pool.lock);
    ASSERT(pool.loops > 0);
    pool.loops--;
    if (pool.loops == 0 && pool.threads_count > 0) {
        pool.is_ending = true;
        pthread_cond_broadcast(&pool.wanted);
        pthread_mutex_unlock(&pool.lock);
        /* Nobody else touches the threads now: a new loop waits in offload_attach. */
        for (unsigned index = 0; index < pool.threads_count; index++)
            pthread_join(pool.threads[index], NULL);
        pthread_mutex_lock(&pool.lock);
        pool.is_ending = false;
        pool.threads_count = 0;
        pthread_cond_broadcast(&pool.ended);
    }
    pthread_mutex_unlock(&pool.lock);
}

unsigned offload_depth(void)
{
    pthread_mutex_lock(&pool.lock);
    const unsigned depth = pool.depth;
    pthread_mutex_unlock(&pool.lock);
    return depth;
}
