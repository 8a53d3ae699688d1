/*
 * buffer.c and alloc.c: growing, and that nothing changes when memory is short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

static void *no_memory(void *old, size_t size)
{
    (void)old;
    (void)size;
    return NULL;
}

static int calls;

static void *counted(void *old, size_t size)
{
    calls++;
    return realloc(old, size);
}

static int restore_memory(void **state)
{
    (void)state;
    tc_alloc_hook(NULL);
    return 0;
}

static void test_append(void **state)
{
    struct tc_buffer buffer = {NULL, 0, 0};
    (void)state;
    for (int i = 0; i < 10000; i++) {
        unsigned char byte = (unsigned char)(i * 7);
        assert_true(tc_buffer_append(&buffer, &byte, 1));
        assert_true(buffer.size == (size_t)i + 1 && buffer.capacity >= buffer.size);
    }
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buffer.data[i], (unsigned char)(i * 7));
    tc_buffer_free(&buffer);
}

static void test_append_nothing(void **state)
{
    struct tc_buffer buffer = {NULL, 0, 0};
    (void)state;
    assert_true(tc_buffer_append(&buffer, NULL, 0));
    assert_true(tc_buffer_append(&buffer, "a", 1));
    assert_true(tc_buffer_append(&buffer, NULL, 0));
    assert_int_equal(buffer.size, 1);
    tc_buffer_free(&buffer);
}

/* A megabyte byte by byte must not copy it a thousand times. */
static void test_growth_is_geometric(void **state)
{
    struct tc_buffer buffer = {NULL, 0, 0};
    (void)state;
    tc_alloc_hook(counted);
    calls = 0;
    for (int i = 0; i < 1 << 20; i++)
        assert_true(tc_buffer_append(&buffer, "x", 1));
    assert_true(calls < 50);
    assert_true(buffer.capacity < 2U << 20);
    tc_buffer_free(&buffer);
}

static void test_reserve(void **state)
{
    struct tc_buffer buffer = {NULL, 0, 0};
    (void)state;
    assert_true(tc_buffer_reserve(&buffer, 1000));
    assert_true(buffer.capacity >= 1000 && buffer.size == 0);
    memset(buffer.data, 'x', 1000);
    unsigned char *data = buffer.data;
    buffer.size = 600;
    assert_true(tc_buffer_reserve(&buffer, 400));
    assert_ptr_equal(buffer.data, data);
    assert_true(tc_buffer_reserve(&buffer, 401));
    assert_true(buffer.capacity >= 1001);
    assert_int_equal(buffer.data[599], 'x');
    tc_buffer_free(&buffer);
}

static void test_no_memory_changes_nothing(void **state)
{
    struct tc_buffer buffer = {NULL, 0, 0};
    (void)state;
    assert_true(tc_buffer_append(&buffer, "abc", 3));
    struct tc_buffer before = buffer;
    tc_alloc_hook(no_memory);
    assert_false(tc_buffer_reserve(&buffer, 1 << 20));
    assert_false(tc_buffer_append(&buffer, "defghijklmnop", 13));
    assert_ptr_equal(buffer.data, before.data);
    assert_int_equal(buffer.size, before.size);
    assert_int_equal(buffer.capacity, before.capacity);
    assert_memory_equal(buffer.data, "abc", 3);
    tc_alloc_hook(NULL);
    assert_true(tc_buffer_append(&buffer, "d", 1));
    assert_memory_equal(buffer.data, "abcd", 4);
    tc_buffer_free(&buffer);
}

/* Sizes that do not fit into a size_t are short memory, not a small block. */
static void test_size_overflow(void **state)
{
    struct tc_buffer buffer = {NULL, 0, 0};
    (void)state;
    tc_alloc_hook(counted);
    assert_true(tc_buffer_append(&buffer, "abc", 3));
    calls = 0;
    assert_false(tc_buffer_reserve(&buffer, SIZE_MAX));
    assert_false(tc_buffer_reserve(&buffer, SIZE_MAX - 2));
    assert_int_equal(calls, 0);
    assert_int_equal(buffer.size, 3);
    tc_buffer_free(&buffer);
}

static void test_freeing(void **state)
{
    struct tc_buffer buffer = {NULL, 0, 0};
    (void)state;
    tc_buffer_free(&buffer);
    assert_true(tc_buffer_append(&buffer, "abc", 3));
    tc_buffer_free(&buffer);
    assert_null(buffer.data);
    assert_true(buffer.size == 0 && buffer.capacity == 0);
    tc_buffer_free(&buffer);
    assert_true(tc_buffer_append(&buffer, "x", 1));
    tc_buffer_free(&buffer);
}

static void test_zeroed_block(void **state)
{
    (void)state;
    unsigned char *block = tc_calloc(100);
    assert_non_null(block);
    for (int i = 0; i < 100; i++)
        assert_int_equal(block[i], 0);
    tc_free(block);
    tc_free(NULL);
    tc_alloc_hook(no_memory);
    assert_null(tc_calloc(100));
}

static void test_copied_text(void **state)
{
    (void)state;
    char *copy = tc_strndup("abc\0def", 5);
    assert_non_null(copy);
    assert_memory_equal(copy, "abc\0d", 6);
    tc_free(copy);
    copy = tc_strndup("", 0);
    assert_string_equal(copy, "");
    tc_free(copy);
    tc_alloc_hook(no_memory);
    assert_null(tc_strndup("abc", 3));
}

static void test_wiping(void **state)
{
    char key[] = "sk-secret";
    (void)state;
    tc_wipe(key + 1, sizeof(key) - 2);
    assert_int_equal(key[0], 's');
    for (size_t i = 1; i < sizeof(key); i++)
        assert_int_equal(key[i], 0);
    tc_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_append_nothing),
        cmocka_unit_test_teardown(test_growth_is_geometric, restore_memory),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test_teardown(test_no_memory_changes_nothing, restore_memory),
        cmocka_unit_test_teardown(test_size_overflow, restore_memory),
        cmocka_unit_test(test_freeing),
        cmocka_unit_test_teardown(test_zeroed_block, restore_memory),
        cmocka_unit_test_teardown(test_copied_text, restore_memory),
        cmocka_unit_test(test_wiping),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
