/* SPDX-License-Identifier: MIT */
/*
 * The stack cache: last in first out, trimmed above its mark, guarded below each stack, and told no
 * when there is no more.
 */
#include "fiber/stack.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

static struct stack *take(struct stack_cache *cache, size_t size)
{
    struct stack *stack = NULL;
    assert_int_equal(stack_take(cache, size, &stack), 0);
    assert_non_null(stack);
    return stack;
}

static void test_last_in_first_out(void **state)
{
    struct stack_cache cache;
    stack_cache_init(&cache);
    struct stack *a = take(&cache, 0), *b = take(&cache, LEAT_STACK_SIZE);
    assert_true(a != b && a->size == LEAT_STACK_SIZE && b->size == LEAT_STACK_SIZE);
    memset(a->low, 1, a->size);
    memset(b->low, 2, b->size);
    assert_int_equal(a->low[a->size - 1], 1);
    stack_give(&cache, a);
    stack_give(&cache, b);
    assert_int_equal(cache.warm_count, 2);
    assert_ptr_equal(take(&cache, 0), b);
    assert_ptr_equal(take(&cache, 0), a);
    assert_int_equal(cache.warm_count, 0);
    stack_give(&cache, a);
    stack_give(&cache, b);
    stack_cache_fini(&cache);
}

static void test_uncommon_sizes(void **state)
{
    struct stack_cache cache;
    stack_cache_init(&cache);
    struct stack *small = take(&cache, 1), *large = take(&cache, 1000001);
    assert_int_equal(small->size, cache.page_size);
    assert_true(large->size >= 1000001 && large->size % cache.page_size == 0);
    memset(large->low, 7, large->size);
    stack_give(&cache, small);
    stack_give(&cache, large);
    assert_int_equal(cache.count, 0);
    assert_int_equal(cache.warm_count, 0);
    struct stack *none = NULL;
    assert_int_equal(stack_take(&cache, SIZE_MAX, &none), -ENOMEM);
    assert_null(none);
    stack_cache_fini(&cache);
}

static size_t resident_pages(const struct stack *stack, size_t page_size)
{
    unsigned char pages[LEAT_STACK_SIZE / 4096];
    size_t count = 0;
    assert_int_equal(mincore(stack->low, stack->size, pages), 0);
    for (size_t i = 0; i < stack->size / page_size; i++)
        count += pages[i] & 1;
    return count;
}

/* Up to the mark all keep their pages; above it the longest idle lose them, and only those. */
static void test_trim(void **state)
{
    enum { COUNT = STACK_WARM_MAX + 1 };
    static struct stack *stacks[COUNT];
    struct stack_cache cache;
    stack_cache_init(&cache);
    for (int i = 0; i < COUNT; i++) {
        stacks[i] = take(&cache, 0);
        stacks[i]->low[stacks[i]->size - 1] = 1;
    }
    for (int i = 0; i < COUNT - 1; i++)
        stack_give(&cache, stacks[i]);
    assert_int_equal(cache.warm_count, STACK_WARM_MAX);
    assert_int_equal(resident_pages(stacks[0], cache.page_size), 1);
    stack_give(&cache, stacks[COUNT - 1]);
    assert_int_equal(cache.warm_count, COUNT - STACK_TRIM_BATCH);
    assert_true(cache.warm_count >= 1024);
    assert_int_equal(resident_pages(stacks[0], cache.page_size), 0);
    assert_int_equal(resident_pages(stacks[STACK_TRIM_BATCH - 1], cache.page_size), 0);
    assert_int_equal(resident_pages(stacks[STACK_TRIM_BATCH], cache.page_size), 1);
    assert_int_equal(resident_pages(stacks[COUNT - 1], cache.page_size), 1);
    /* the cold ones are used again before anything is mapped */
    const size_t mapped = cache.count;
    for (int i = 0; i < COUNT; i++) {
        stacks[i] = take(&cache, 0);
        stacks[i]->low[0] = 1;
    }
    assert_int_equal(cache.count, mapped);
    for (int i = 0; i < COUNT; i++)
        stack_give(&cache, stacks[i]);
    stack_cache_fini(&cache);
}

static void test_limit(void **state)
{
    struct stack_cache cache;
    struct stack *stacks[5], *none = NULL;
    stack_cache_init(&cache);
    cache.count_max = 5;
    for (int i = 0; i < 5; i++)
        stacks[i] = take(&cache, 0);
    assert_int_equal(stack_take(&cache, 0, &none), -ENOMEM);
    assert_int_equal(stack_take(&cache, 4096, &none), -ENOMEM);
    assert_null(none);
    stack_give(&cache, stacks[2]);
    assert_ptr_equal(take(&cache, 0), stacks[2]);
    for (int i = 0; i < 5; i++)
        stack_give(&cache, stacks[i]);
    stack_cache_fini(&cache);
}

/* The kernel has no more: the slab is undone, and what exists stays usable. */
static void test_no_memory(void **state)
{
#if defined(SANITIZE_ASAN) || defined(SANITIZE_TSAN)
    skip(); /* their shadow alone is beyond any limit of address space */
#endif
    struct stack_cache cache;
    stack_cache_init(&cache);
    struct stack *stack = take(&cache, 0), *none = NULL;
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    const struct rlimit tight = {.rlim_cur = 1 << 20, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    const size_t mapped = cache.count;
    const int result = stack_take(&cache, 8 << 20, &none);
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    assert_int_equal(result, -ENOMEM);
    assert_null(none);
    assert_int_equal(cache.count, mapped);
    stack_give(&cache, stack);
    stack_cache_fini(&cache);
}

static void test_high_water(void **state)
{
    struct stack_cache cache;
    stack_cache_init(&cache);
    struct stack *stack = take(&cache, 0);
    assert_int_equal(stack_high_water(stack), 0);
    stack->low[stack->size - 5000] = 1;
    assert_in_range(stack_high_water(stack), 5000, 5000 + sizeof(size_t));
    stack_give(&cache, stack);
    stack_cache_fini(&cache);
}

/* ---- Guard pages ----------------------------------------------------------------------------- */

/* What a child dies of that writes to `address`. */
static int signal_of_write(volatile char *address)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        *address = 1;
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void guards_hold(enum stack_guard guard)
{
    enum { COUNT = STACK_SLAB_COUNT + 1 };
    struct stack *stacks[COUNT];
    struct stack_cache cache;
    stack_cache_init(&cache);
    cache.guard = guard;
    for (int i = 0; i < COUNT; i++)
        stacks[i] = take(&cache, 0);
    for (int i = 0; i < COUNT; i += 4) {
        assert_int_equal(signal_of_write(stacks[i]->low), 0);
        assert_int_equal(signal_of_write(stacks[i]->low + stacks[i]->size - 1), 0);
        assert_int_equal(signal_of_write(stacks[i]->low - 1), SIGSEGV);
        assert_int_equal(signal_of_write(stacks[i]->low - cache.page_size), SIGSEGV);
    }
    for (int i = 0; i < COUNT; i++)
        stack_give(&cache, stacks[i]);
    /* dropping a stack's pages leaves its guard */
    assert_int_equal(madvise(stacks[0]->low, stacks[0]->size, MADV_DONTNEED), 0);
    assert_int_equal(signal_of_write(stacks[0]->low - 1), SIGSEGV);
    stack_cache_fini(&cache);
}

static void test_guards(void **state)
{
    guards_hold(STACK_GUARD_MARK); /* which falls back where the kernel has none */
    guards_hold(STACK_GUARD_PROTECT);
}

static int count_mappings(void)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps))
        count++;
    fclose(maps);
    return count;
}

/* A thousand stacks cost few of vm.max_map_count where the kernel can mark guards. */
static void test_mappings(void **state)
{
    enum { COUNT = 64 * STACK_SLAB_COUNT };
    static struct stack *stacks[COUNT];
    struct stack_cache cache;
    stack_cache_init(&cache);
    const int before = count_mappings();
    for (int i = 0; i < COUNT; i++)
        stacks[i] = take(&cache, 0);
    const int more = count_mappings() - before;
    const enum stack_guard guard = cache.guard;
    for (int i = 0; i < COUNT; i++)
        stack_give(&cache, stacks[i]);
    stack_cache_fini(&cache);
    if (guard == STACK_GUARD_PROTECT)
        skip();
    assert_in_range(more, 0, COUNT / STACK_SLAB_COUNT + 8);
}

/* ---- A fiber that goes too deep -------------------------------------------------------------- */

static __attribute__((noinline)) int dig(volatile int depth)
{
    volatile char ground[512];
    memset((char *)ground, depth, sizeof ground);
    return depth > 1 << 20 ? 0 : dig(depth + 1) + ground[depth % 512];
}

static int too_deep(void *arg)
{
    return dig(0);
}

static void test_overflow(void **state)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        (void)!freopen("/dev/null", "w", stderr); /* the sanitizers' report of it */
        signal(SIGSEGV, SIG_DFL);
        const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
        _exit(leat_run(too_deep, NULL, &options) & 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_in_first_out),
        cmocka_unit_test(test_uncommon_sizes),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_high_water),
        cmocka_unit_test(test_guards),
        cmocka_unit_test(test_mappings),
        cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
