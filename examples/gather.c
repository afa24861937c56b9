/* SPDX-License-Identifier: MIT */
/*
 * gather: a batch of calls in parallel. Each runs in a fiber of its own, the answers are in the
 * order of the calls, and leat_gather returns when all have ended: with the first failure, if
 * there was one.
 */
#include <errno.h>
#include <stdio.h>

#include "leat/leat.h"

/* A question to somebody who takes his time: what is the square of the number? */
struct question {
    int number;
    int delay_ms;
};

static int ask(void *arg)
{
    const struct question *question = arg;
    const int error = leat_sleep_ms(question->delay_ms);
    if (error)
        return error;
    return question->number >= 0 ? question->number * question->number : -EDOM;
}

static void print(const char *title, int result, const struct leat_call *calls, size_t count)
{
    printf("%s: %s\n", title, result == 0 ? "all is well" : leat_error_text(result));
    for (size_t i = 0; i < count; i++) {
        const struct question *question = calls[i].arg;
        if (calls[i].result >= 0)
            printf("    %2d: %d\n", question->number, calls[i].result);
        else
            printf("    %2d: %s\n", question->number, leat_error_text(calls[i].result));
    }
}

static int run(void *arg)
{
    /* The last to be asked is the first to answer. */
    struct question good[] = {{1, 40}, {2, 30}, {3, 20}, {4, 10}};
    struct leat_call calls[4];
    for (int i = 0; i < 4; i++)
        calls[i] = (struct leat_call){.fn = ask, .arg = &good[i]};
    print("four at once", leat_gather(calls, 4, NULL), calls, 4);

    /* -1 has no answer here, and says so before 3 can speak. */
    struct question bad[] = {{2, 10}, {-1, 20}, {3, 200}};
    for (int i = 0; i < 3; i++)
        calls[i] = (struct leat_call){.fn = ask, .arg = &bad[i]};
    const struct leat_gather_options cancel = {.on_error = LEAT_GATHER_CANCEL};
    print("the first failure cancels", leat_gather(calls, 3, &cancel), calls, 3);

    const struct leat_gather_options wait = {.on_error = LEAT_GATHER_WAIT, .parallel_max = 2};
    print("all may finish, two at a time", leat_gather(calls, 3, &wait), calls, 3);
    return 0;
}

int main(void)
{
    const int error = leat_run(run, NULL, NULL);
    if (error)
        fprintf(stderr, "gather: %s\n", leat_error_text(error));
    return error ? 1 : 0;
}
