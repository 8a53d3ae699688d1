/*
 * reader.c: a file whole, or an errno; and no waiting for what may never come.
 *
 * Each test has a directory of its own below TMPDIR. Nothing here leans on permissions: the tests
 * may run as root, whom permissions do not stop.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp, symlink, mkfifo */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[256];

/* The path of the one entry that a test's directory has, or of one inside of it. */
static const char *in(const char *name)
{
    static char paths[2][512];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static int make_directory(void **state)
{
    const char *parent = getenv("TMPDIR");
    (void)state;
    snprintf(directory, sizeof(directory), "%s/thucchien-reader-XXXXXX", parent ? parent : "/tmp");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    static const char *const names[] = {"file", "link", "pipe"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        remove(in(names[i]));
    return rmdir(directory);
}

static void put(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Every byte value, over and over: none of them ends a file, and none is translated. */
static unsigned char *make_bytes(size_t size)
{
    unsigned char *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i + i / 256);
    return bytes;
}

static void expect_round_trip(size_t size)
{
    uint64_t told = 1;
    unsigned char *bytes = make_bytes(size), *read = malloc(size + 1);
    assert_non_null(read);
    put(in("file"), bytes, size);
    read[size] = 0xaa;
    assert_int_equal(tc_reader_size(in("file"), &told), 0);
    assert_true(told == size);
    assert_int_equal(tc_reader_read(in("file"), read, size), 0);
    assert_memory_equal(read, bytes, size);
    assert_int_equal(read[size], 0xaa);
    free(bytes);
    free(read);
}

static void test_whole_files(void **state)
{
    static const size_t sizes[] = {0, 1, 255, 256, 4095, 4096, 4097, 65536, 3000000};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        expect_round_trip(sizes[i]);
}

/* Its end is where it was when its size was asked: what was appended meanwhile is not read. */
static void test_file_that_grew(void **state)
{
    char text[4] = "???";
    (void)state;
    put(in("file"), "abcdef", 6);
    assert_int_equal(tc_reader_read(in("file"), text, 3), 0);
    assert_string_equal(text, "abc");
}

static void test_file_that_shrank(void **state)
{
    char text[10];
    (void)state;
    put(in("file"), "abc", 3);
    assert_int_equal(tc_reader_read(in("file"), text, sizeof(text)), EIO);
    put(in("file"), "", 0);
    assert_int_equal(tc_reader_read(in("file"), text, sizeof(text)), EIO);
}

static void test_link(void **state)
{
    uint64_t size = 0;
    char text[4] = "";
    (void)state;
    put(in("file"), "abc", 3);
    assert_int_equal(symlink("file", in("link")), 0);
    assert_int_equal(tc_reader_size(in("link"), &size), 0);
    assert_true(size == 3);
    assert_int_equal(tc_reader_read(in("link"), text, 3), 0);
    assert_string_equal(text, "abc");
}

static void expect_no_size(const char *path, int error)
{
    uint64_t size = 77;
    int got = tc_reader_size(path, &size);
    if (got != error)
        fail_msg("%s: %s instead of %s", path, strerror(got), strerror(error));
    assert_true(size == 77);
}

static void test_no_file(void **state)
{
    char byte;
    (void)state;
    expect_no_size(in("none"), ENOENT);
    expect_no_size("", ENOENT);
    assert_int_equal(tc_reader_read(in("none"), &byte, 1), ENOENT);
    put(in("file"), "x", 1);
    expect_no_size(in("file/none"), ENOTDIR);
    assert_int_equal(symlink("nowhere", in("link")), 0);
    expect_no_size(in("link"), ENOENT);
}

static void test_directory(void **state)
{
    char byte;
    (void)state;
    expect_no_size(directory, EISDIR);
    assert_int_equal(tc_reader_read(directory, &byte, 1), EISDIR);
}

/* Opening a pipe would wait for a writer that may never come, and a device may have no end. */
static void test_no_regular_file(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in("pipe"), 0600), 0);
    expect_no_size(in("pipe"), EINVAL);
    expect_no_size("/dev/zero", EINVAL);
    expect_no_size("/dev/null", EINVAL);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_whole_files),      IN_DIRECTORY(test_file_that_grew),
        IN_DIRECTORY(test_file_that_shrank), IN_DIRECTORY(test_link),
        IN_DIRECTORY(test_no_file),          IN_DIRECTORY(test_directory),
        IN_DIRECTORY(test_no_regular_file),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
