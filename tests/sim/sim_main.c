/* SPDX-License-Identifier: MIT */
/*
 * sim: runs scenarios under many seeds and prints a line each:
 *
 *     ops: 2000 seeds, 0 failures, 0.61 ms a seed, trace 0x1c4b…
 *
 * The seeds of a scenario are shared out to a few child processes, so that one that dies (an
 * assertion, a sanitizer, a failure of the world, an endless loop) costs only itself: its command
 * is printed, and a new child goes on after it. The trace is a sum over all seeds, whatever process
 * ran them: the same sources give the same figure.
 */
#include "harness.h"

#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fiber/fiber.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

enum {
    PROCESSES_MAX = 16,
    TWICE_EVERY = 16, /* of so many seeds one is run twice, and must give the same trace */
    SEED_SECONDS = IS_SANITIZED ? 120 : 30,
};

struct settings {
    const char *scenario, *profile;
    uint64_t seeds, first_seed;
    int processes;
    unsigned failures_max; /* of one scenario; then it is given up */
    unsigned seed_seconds; /* a seed that runs longer has failed */
    bool trace, twice;
    bool is_single; /* --seed: one seed, in this process */
};

/* What a child tells its parent; in shared memory, so that it is still there when the child is not.
 * */
struct progress {
    uint64_t next; /* the seed to go on with */
    uint64_t seed; /* the one that runs */
    uint64_t done, trace, turns;
    int64_t cpu_ns;
};

/* ---- One seed -------------------------------------------------------------------------------- */

void check_failed(const struct sim_run *run, const char *condition, const char *file, int line)
{
    fprintf(stderr, "seed %" PRIu64 ", %s: %s:%d: check failed: %s\n", run->seed,
            run->profile->name, file, line, condition);
    abort();
}

void turn_until_idle(struct sim_run *run)
{
    const int error = leat_loop_run(run->loop);
    CHECK(run, error == 0);
    CHECK(run, op_busy_count == 0);
    CHECK(run, run->loop->jobs == 0);
}

static void note_end(void *user)
{
    *(bool *)user = true;
}

void run_fiber(struct sim_run *run, void (*main_fiber)(void *arg), void *arg)
{
    static const struct leat_fiber_options options = {.name = "scenario"};
    bool has_ended = false;
    struct fiber *fiber;
    const int error =
        fiber_start(run->loop, &options, main_fiber, arg, note_end, &has_ended, &fiber);
    CHECK(run, error == 0);
    turn_until_idle(run);
    struct fiber_counters counters;
    fiber_counters_read(run->loop, &counters);
    if (!has_ended || counters.fibers > 0)
        fprintf(stderr, "%" PRIu64 " fibers wait, and nothing is left that could wake them\n",
                counters.fibers);
    CHECK(run, has_ended);
    CHECK(run, counters.fibers == 0);
}

int64_t deadline_slack_ns(const struct sim_run *run)
{
    /* A tick of the wheel, the turns in between, an op whose cancel takes its time, and what the
     * world has held the loop up. */
    return 8 * LEAT_NS_PER_MS + 3 * sim_lateness_ns(run->sim);
}

void check_deadline(const struct sim_run *run, int64_t deadline_ns, int64_t at_ns)
{
    CHECK(run, at_ns >= deadline_ns);
    CHECK(run, at_ns <= deadline_ns + deadline_slack_ns(run));
}

static const struct sim_profile *profile_of(const struct settings *settings, uint64_t seed)
{
    for (size_t index = 0; settings->profile && index < sim_profile_count; index++)
        if (strcmp(sim_profiles[index].name, settings->profile) == 0)
            return &sim_profiles[index];
    return &sim_profiles[random_mix(seed) % sim_profile_count];
}

static struct sim_report run_seed(const struct settings *settings, const struct scenario *scenario,
                                  uint64_t seed, bool trace)
{
    struct sim_run run = {.seed = seed, .profile = profile_of(settings, seed)};
    struct sim_report report;
    const struct sim_options options = {
        .seed = seed,
        .profile = run.profile,
        .trace = trace ? stderr : NULL,
        .report = &report,
    };
    random_init(&run.random, random_mix(~seed));
    if (sim_loop_create(&options, &run.loop)) {
        fprintf(stderr, "seed %" PRIu64 ": no loop\n", seed);
        abort();
    }
    run.sim = sim_of(run.loop);
    run.sys = run.loop->sys;
    scenario->run(&run);
    sim_allow_blocking(run.sim, true);
    leat_loop_destroy(run.loop);
    return report;
}

/* Runs it, twice if wanted. */
static struct sim_report run_and_compare(const struct settings *settings,
                                         const struct scenario *scenario, uint64_t seed)
{
    const struct sim_report report = run_seed(settings, scenario, seed, settings->trace);
    if (settings->twice || seed % TWICE_EVERY == 0) {
        const struct sim_report again = run_seed(settings, scenario, seed, false);
        if (again.trace != report.trace) {
            fprintf(stderr,
                    "seed %" PRIu64 " does not replay: trace 0x%016" PRIx64 ", then 0x%016" PRIx64
                    "\n",
                    seed, report.trace, again.trace);
            abort();
        }
    }
    return report;
}

/* ---- Many seeds ------------------------------------------------------------------------------ */

static int64_t cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

__attribute__((noreturn)) static void run_child(const struct settings *settings,
                                                const struct scenario *scenario,
                                                struct progress *progress)
{
    const uint64_t end = settings->first_seed + settings->seeds;
    const int64_t before_ns = cpu_now_ns() - progress->cpu_ns;
    while (progress->next < end) {
        progress->seed = progress->next;
        progress->next += (uint64_t)settings->processes;
        alarm(settings->seed_seconds); /* a loop without end dies of it */
        const struct sim_report report = run_and_compare(settings, scenario, progress->seed);
        progress->trace += random_mix(report.trace ^ progress->seed);
        progress->turns += report.turns;
        progress->done++;
        progress->cpu_ns = cpu_now_ns() - before_ns;
    }
    alarm(0);
    exit(0); /* not _exit: the leak checker has its say here */
}

static void print_replay(const char *program, const struct settings *settings,
                         const struct scenario *scenario, uint64_t seed)
{
    printf("%s: seed %" PRIu64 " failed; replay it: %s --scenario %s --seed %" PRIu64 "%s%s"
           " --trace\n",
           scenario->name, seed, program, scenario->name, seed,
           settings->profile ? " --profile " : "", settings->profile ? settings->profile : "");
    fflush(stdout);
}

static pid_t start_child(const struct settings *settings, const struct scenario *scenario,
                         struct progress *progress)
{
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
        run_child(settings, scenario, progress);
    if (child < 0) {
        perror("sim: fork");
        exit(1);
    }
    return child;
}

/* Runs all seeds of a scenario; the number of failures. */
static unsigned run_scenario(const char *program, const struct settings *settings,
                             const struct scenario *scenario, struct progress *progress)
{
    pid_t children[PROCESSES_MAX];
    unsigned failures = 0;
    int running = settings->processes;
    for (int index = 0; index < settings->processes; index++) {
        progress[index] = (struct progress){.next = settings->first_seed + (uint64_t)index};
        children[index] = start_child(settings, scenario, &progress[index]);
    }
    while (running > 0) {
        int status, index = 0;
        const pid_t child = wait(&status);
        if (child < 0) {
            if (errno == EINTR)
                continue;
            perror("sim: wait");
            exit(1);
        }
        while (index < settings->processes && children[index] != child)
            index++;
        if (index == settings->processes)
            continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            children[index] = 0;
            running--;
            continue;
        }
        failures++;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            printf("%s: seed %" PRIu64 " did not end within %u s\n", scenario->name,
                   progress[index].seed, settings->seed_seconds);
        print_replay(program, settings, scenario, progress[index].seed);
        children[index] = 0;
        if (failures == settings->failures_max) {
            for (index = 0; index < settings->processes; index++)
                if (children[index] > 0)
                    kill(children[index], SIGKILL);
            while (wait(NULL) > 0)
                ;
            break;
        }
        if (progress[index].next < settings->first_seed + settings->seeds)
            children[index] = start_child(settings, scenario, &progress[index]);
        else
            running--;
    }
    return failures;
}

static void print_summary(const struct settings *settings, const struct scenario *scenario,
                          const struct progress *progress, unsigned failures)
{
    uint64_t done = 0, trace = 0, turns = 0;
    int64_t cpu_ns = 0;
    for (int index = 0; index < settings->processes; index++) {
        done += progress[index].done;
        trace += progress[index].trace;
        turns += progress[index].turns;
        cpu_ns += progress[index].cpu_ns;
    }
    const double seeds = done ? (double)done : 1;
    printf(
        "%s: %" PRIu64 " seeds, %u failures, %.2f ms a seed, %.0f turns, trace 0x%016" PRIx64 "\n",
        scenario->name, done, failures, (double)cpu_ns / 1e6 / seeds, (double)turns / seeds, trace);
    fflush(stdout);
}

/* ---- The command ----------------------------------------------------------------------------- */

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--scenario NAME|all] [--seeds N] [--first-seed S] [--threads N]\n"
            "           [--seed S] [--profile NAME] [--twice] [--trace] [--list]\n"
            "           [--failures N] [--seed-seconds N]\n",
            program);
    return 2;
}

static void read_environment(struct settings *settings)
{
    const char *seeds = getenv("SEEDS");
    if (seeds)
        settings->seeds = strtoull(seeds, NULL, 10);
}

static int list_scenarios(void)
{
    for (size_t index = 0; scenarios[index]; index++)
        printf("%-10s %s\n", scenarios[index]->name, scenarios[index]->what);
    return 0;
}

/* 0 to go on, else the exit status + 1. */
static int read_arguments(int count, char **arguments, struct settings *settings)
{
    static const struct option options[] = {
        {"scenario", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'n'},
        {"first-seed", required_argument, NULL, 'f'},
        {"threads", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, '1'},
        {"profile", required_argument, NULL, 'p'},
        {"twice", no_argument, NULL, '2'},
        {"trace", no_argument, NULL, 'T'},
        {"list", no_argument, NULL, 'l'},
        {"failures", required_argument, NULL, 'F'},
        {"seed-seconds", required_argument, NULL, 'S'},
        {0},
    };
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        switch (option) {
        case 's': settings->scenario = optarg; break;
        case 'n': settings->seeds = strtoull(optarg, NULL, 10); break;
        case 'f': settings->first_seed = strtoull(optarg, NULL, 10); break;
        case 't': settings->processes = atoi(optarg); break;
        case 'F': settings->failures_max = (unsigned)atoi(optarg); break;
        case 'S': settings->seed_seconds = (unsigned)atoi(optarg); break;
        case 'p': settings->profile = optarg; break;
        case '2': settings->twice = true; break;
        case 'T': settings->trace = true; break;
        case '1':
            settings->is_single = true;
            settings->first_seed = strtoull(optarg, NULL, 10);
            settings->seeds = 1;
            break;
        case 'l': return list_scenarios() + 1;
        default: return usage(arguments[0]) + 1;
        }
    }
    bool is_known = !settings->profile;
    for (size_t index = 0; !is_known && index < sim_profile_count; index++)
        is_known = strcmp(sim_profiles[index].name, settings->profile) == 0;
    if (!is_known || optind < count || settings->seeds == 0 || settings->processes < 1 ||
        settings->processes > PROCESSES_MAX)
        return usage(arguments[0]) + 1;
    return 0;
}

int main(int count, char **arguments)
{
    struct settings settings = {
        .scenario = "all",
        .seeds = IS_SANITIZED ? 200 : 2000,
        .first_seed = 1,
        .processes = 2,
        .failures_max = 10,
        .seed_seconds = SEED_SECONDS,
    };
    read_environment(&settings);
    const int stop = read_arguments(count, arguments, &settings);
    if (stop)
        return stop - 1;
    /* Freed memory is filled, so that the world notices an op in it without ASan too. */
    mallopt(M_PERTURB, 0xa5);
    struct progress *progress = mmap(NULL, PROCESSES_MAX * sizeof *progress, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED) {
        perror("sim: mmap");
        return 1;
    }
    unsigned failures = 0, ran = 0;
    for (size_t index = 0; scenarios[index]; index++) {
        const struct scenario *scenario = scenarios[index];
        if (strcmp(settings.scenario, "all") != 0 && strcmp(settings.scenario, scenario->name) != 0)
            continue;
        ran++;
        if (settings.is_single) {
            const struct sim_report report =
                run_and_compare(&settings, scenario, settings.first_seed);
            printf("%s: seed %" PRIu64 " (%s) passed, %.3f s lived, %" PRIu64
                   " completions, trace 0x%016" PRIx64 "\n",
                   scenario->name, settings.first_seed,
                   profile_of(&settings, settings.first_seed)->name, (double)report.lived_ns / 1e9,
                   report.completions, report.trace);
        } else {
            const unsigned failed = run_scenario(arguments[0], &settings, scenario, progress);
            print_summary(&settings, scenario, progress, failed);
            failures += failed;
        }
    }
    if (ran == 0) {
        fprintf(stderr, "sim: no scenario '%s' (see --list)\n", settings.scenario);
        return 2;
    }
    return failures > 0 ? 1 : 0;
}
