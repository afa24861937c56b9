/* SPDX-License-Identifier: MIT */
/* Intrusive lists: order, removal in any place, moving whole lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    char name;
    struct list_node node;
};

/* The names in the list, read in both directions. */
static void assert_names(const struct list_node *head, const char *names)
{
    const size_t count = strlen(names);
    size_t at = 0;
    LIST_FOR_EACH (node, head) {
        assert_true(at < count);
        assert_int_equal(CONTAINER_OF(node, struct item, node)->name, names[at++]);
    }
    assert_int_equal(at, count);
    for (const struct list_node *node = head->previous; node != head; node = node->previous)
        assert_int_equal(CONTAINER_OF(node, struct item, node)->name, names[--at]);
    assert_int_equal(at, 0);
    assert_true(list_is_empty(head) == (count == 0));
}

static struct item items[5];

static int setup(void **state)
{
    for (size_t i = 0; i < 5; i++) {
        items[i].name = (char)('a' + i);
        list_init(&items[i].node);
    }
    return 0;
}

static void order(void **state)
{
    struct list_node head;
    list_init(&head);
    assert_names(&head, "");
    list_push_back(&head, &items[1].node);
    list_push_back(&head, &items[2].node);
    list_push_front(&head, &items[0].node);
    list_insert_before(&items[2].node, &items[4].node);
    assert_names(&head, "abec");
}

static void removal(void **state)
{
    struct list_node head;
    list_init(&head);
    for (size_t i = 0; i < 5; i++)
        list_push_back(&head, &items[i].node);
    list_remove(&items[2].node);
    list_remove(&items[2].node); /* in no list: nothing happens */
    assert_names(&head, "abde");
    list_remove(&items[0].node);
    list_remove(&items[4].node);
    assert_names(&head, "bd");
    assert_ptr_equal(list_take_front(&head), &items[1].node);
    assert_true(list_is_empty(&items[1].node));
    assert_ptr_equal(list_take_front(&head), &items[3].node);
    assert_null(list_take_front(&head));
    assert_names(&head, "");
}

static void moving_whole_lists(void **state)
{
    struct list_node to, from;
    list_init(&to);
    list_init(&from);
    list_take_all(&to, &from);
    assert_names(&to, "");
    list_push_back(&from, &items[0].node);
    list_push_back(&from, &items[1].node);
    list_take_all(&to, &from);
    assert_names(&to, "ab");
    assert_names(&from, "");
    list_take_all(&to, &from);
    assert_names(&to, "ab");
    list_push_back(&from, &items[2].node);
    list_take_all(&to, &from);
    assert_names(&to, "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(order, setup),
        cmocka_unit_test_setup(removal, setup),
        cmocka_unit_test_setup(moving_whole_lists, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
