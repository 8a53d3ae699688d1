/*
 * writer.c: the whole file or none, and nothing left lying about.
 *
 * Each test has a directory of its own below TMPDIR. Nothing here leans on permissions: the tests
 * may run as root, whom permissions do not stop.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp, symlink, setrlimit */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc.h"
#include "writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[256];

/* The name of an entry of this test's directory; valid until the fourth call from now. */
static const char *in(const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static int make_directory(void **state)
{
    const char *parent = getenv("TMPDIR");
    (void)state;
    snprintf(directory, sizeof(directory), "%s/thucchien-writer-XXXXXX", parent ? parent : "/tmp");
    return mkdtemp(directory) ? 0 : -1;
}

static int count_entries(void)
{
    DIR *stream = opendir(directory);
    int count = 0;
    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream));)
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(stream);
    return count;
}

static int remove_directory(void **state)
{
    DIR *stream = opendir(directory);
    (void)state;
    tc_alloc_hook(NULL);
    if (!stream)
        return -1;
    for (struct dirent *entry; (entry = readdir(stream));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            remove(in(entry->d_name));
    closedir(stream);
    return rmdir(directory);
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void expect_file(const char *path, const char *wanted)
{
    char text[256];
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s is not there", path);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    text[size] = '\0';
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, wanted);
}

static void expect_no_file(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), -1);
}

static int save(const char *path, const char *text)
{
    struct tc_writer writer;
    int error = tc_writer_open(&writer, path);
    if (error)
        return error;
    error = tc_writer_write(&writer, text, strlen(text));
    if (!error)
        return tc_writer_commit(&writer, path);
    tc_writer_abort(&writer);
    return error;
}

static void test_new_file(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(tc_writer_open(&writer, in("a.png")), 0);
    assert_int_equal(tc_writer_write(&writer, "one ", 4), 0);
    assert_int_equal(tc_writer_write(&writer, "", 0), 0);
    assert_int_equal(tc_writer_write(&writer, "two", 3), 0);
    expect_no_file(in("a.png"));
    assert_int_equal(count_entries(), 1);
    assert_int_equal(tc_writer_commit(&writer, in("a.png")), 0);
    assert_null(writer.file);
    assert_null(writer.temporary);
    expect_file(in("a.png"), "one two");
    assert_int_equal(count_entries(), 1);
}

static void test_empty_file(void **state)
{
    (void)state;
    assert_int_equal(save(in("a.png"), ""), 0);
    expect_file(in("a.png"), "");
}

/* The old file is there, whole, up to the commit. */
static void test_replaced_file(void **state)
{
    struct tc_writer writer;
    (void)state;
    put(in("a.png"), "old");
    assert_int_equal(tc_writer_open(&writer, in("a.png")), 0);
    assert_int_equal(tc_writer_write(&writer, "new", 3), 0);
    expect_file(in("a.png"), "old");
    assert_int_equal(tc_writer_commit(&writer, in("a.png")), 0);
    expect_file(in("a.png"), "new");
    assert_int_equal(count_entries(), 1);
}

/* The name may be decided once the type is known. */
static void test_name_decided_at_the_end(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(tc_writer_open(&writer, in("a")), 0);
    assert_int_equal(tc_writer_write(&writer, "x", 1), 0);
    assert_int_equal(tc_writer_commit(&writer, in("a.webp")), 0);
    expect_file(in("a.webp"), "x");
    assert_int_equal(count_entries(), 1);
}

static void test_abort(void **state)
{
    struct tc_writer writer;
    (void)state;
    put(in("a.png"), "old");
    assert_int_equal(tc_writer_open(&writer, in("a.png")), 0);
    assert_int_equal(tc_writer_write(&writer, "new", 3), 0);
    tc_writer_abort(&writer);
    assert_null(writer.file);
    assert_null(writer.temporary);
    expect_file(in("a.png"), "old");
    assert_int_equal(count_entries(), 1);
    tc_writer_abort(&writer);
}

static void test_abort_of_none(void **state)
{
    struct tc_writer writer = {NULL, NULL};
    (void)state;
    tc_writer_abort(&writer);
    assert_null(writer.file);
}

static void test_symbolic_link(void **state)
{
    struct stat status;
    (void)state;
    put(in("real.png"), "old");
    assert_int_equal(symlink("real.png", in("link.png")), 0);
    assert_int_equal(save(in("link.png"), "new"), 0);
    assert_int_equal(lstat(in("link.png"), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    expect_file(in("real.png"), "new");
    expect_file(in("link.png"), "new");
    assert_int_equal(count_entries(), 2);
}

static void test_chain_of_links(void **state)
{
    struct stat status;
    (void)state;
    put(in("real.png"), "old");
    assert_int_equal(symlink("real.png", in("one")), 0);
    assert_int_equal(symlink("one", in("two")), 0);
    assert_int_equal(save(in("two"), "new"), 0);
    assert_int_equal(lstat(in("one"), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    expect_file(in("real.png"), "new");
    assert_int_equal(count_entries(), 3);
}

static void test_link_to_nothing(void **state)
{
    struct tc_writer writer;
    struct stat status;
    (void)state;
    assert_int_equal(symlink("nowhere", in("link.png")), 0);
    assert_int_equal(tc_writer_open(&writer, in("link.png")), ENOENT);
    assert_int_equal(lstat(in("link.png"), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(count_entries(), 1);
}

static void test_mode_stays(void **state)
{
    struct stat status;
    (void)state;
    put(in("secret.png"), "old");
    assert_int_equal(chmod(in("secret.png"), 0600), 0);
    assert_int_equal(save(in("secret.png"), "new"), 0);
    assert_int_equal(stat(in("secret.png"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

/* A pipe is written to and stays one. The reading end is open before the writer opens the other. */
static void test_pipe(void **state)
{
    struct stat status;
    char text[8] = "";
    (void)state;
    assert_int_equal(mkfifo(in("pipe"), 0600), 0);
    int end = open(in("pipe"), O_RDONLY | O_NONBLOCK);
    assert_true(end >= 0);
    assert_int_equal(save(in("pipe"), "new"), 0);
    assert_int_equal(read(end, text, sizeof(text)), 3);
    assert_string_equal(text, "new");
    close(end);
    assert_int_equal(stat(in("pipe"), &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
    assert_int_equal(count_entries(), 1);
}

static void test_longest_name(void **state)
{
    char name[256];
    (void)state;
    memset(name, 'n', 255);
    name[255] = '\0';
    assert_int_equal(save(in(name), "new"), 0);
    expect_file(in(name), "new");
}

static void test_no_such_directory(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(tc_writer_open(&writer, in("none/a.png")), ENOENT);
    assert_null(writer.file);
    assert_null(writer.temporary);
    tc_writer_abort(&writer);
}

static void test_file_as_directory(void **state)
{
    struct tc_writer writer;
    (void)state;
    put(in("file"), "x");
    assert_int_equal(tc_writer_open(&writer, in("file/a.png")), ENOTDIR);
    assert_null(writer.temporary);
    expect_file(in("file"), "x");
    assert_int_equal(count_entries(), 1);
}

/* At the latest the commit says so. Either way nothing stays. */
static void test_directory_as_target(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in("pictures"), 0700), 0);
    assert_int_not_equal(save(in("pictures"), "new"), 0);
    assert_int_equal(count_entries(), 1);
    assert_int_not_equal(save(in("pictures/"), "new"), 0);
    assert_int_equal(count_entries(), 1);
    assert_int_equal(rmdir(in("pictures")), 0);
}

static void test_empty_name(void **state)
{
    char before[512];
    (void)state;
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(directory), 0);
    int error = save("", "new");
    int left = count_entries();
    assert_int_equal(chdir(before), 0);
    assert_int_equal(error, ENOENT);
    assert_int_equal(left, 0);
}

static void test_relative_name(void **state)
{
    char before[512];
    (void)state;
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(directory), 0);
    int error = save("a.png", "new");
    assert_int_equal(chdir(before), 0);
    assert_int_equal(error, 0);
    expect_file(in("a.png"), "new");
    assert_int_equal(count_entries(), 1);
}

static void test_two_writers_at_once(void **state)
{
    struct tc_writer one, other;
    (void)state;
    assert_int_equal(tc_writer_open(&one, in("a.png")), 0);
    assert_int_equal(tc_writer_open(&other, in("a.png")), 0);
    assert_string_not_equal(one.temporary, other.temporary);
    assert_int_equal(tc_writer_write(&one, "one", 3), 0);
    assert_int_equal(tc_writer_write(&other, "other", 5), 0);
    assert_int_equal(tc_writer_commit(&one, in("a.png")), 0);
    expect_file(in("a.png"), "one");
    assert_int_equal(tc_writer_commit(&other, in("a.png")), 0);
    expect_file(in("a.png"), "other");
    assert_int_equal(count_entries(), 1);
}

/* Many in the same microseconds must not meet. */
static void test_many_writers_at_once(void **state)
{
    struct tc_writer writers[50];
    (void)state;
    for (int i = 0; i < 50; i++)
        assert_int_equal(tc_writer_open(&writers[i], in("a.png")), 0);
    assert_int_equal(count_entries(), 50);
    for (int i = 0; i < 50; i++)
        tc_writer_abort(&writers[i]);
    assert_int_equal(count_entries(), 0);
}

/* ---- a disk that is full ---- */

static struct rlimit unlimited;

static int limit_file_size(void **state)
{
    struct rlimit limit;
    if (make_directory(state) || getrlimit(RLIMIT_FSIZE, &unlimited))
        return -1;
    signal(SIGXFSZ, SIG_IGN);
    limit = unlimited;
    limit.rlim_cur = 1000;
    put(in("a.png"), "old");
    return setrlimit(RLIMIT_FSIZE, &limit);
}

static int lift_limit(void **state)
{
    return setrlimit(RLIMIT_FSIZE, &unlimited) || remove_directory(state) ? -1 : 0;
}

static void test_failing_write(void **state)
{
    static char bytes[1 << 20];
    struct tc_writer writer;
    (void)state;
    assert_int_equal(tc_writer_open(&writer, in("a.png")), 0);
    assert_int_equal(tc_writer_write(&writer, bytes, sizeof(bytes)), EFBIG);
    tc_writer_abort(&writer);
    expect_file(in("a.png"), "old");
    assert_int_equal(count_entries(), 1);
}

/* Bytes that still were in a buffer: the last moment to see that they do not fit. */
static void test_failure_at_the_end(void **state)
{
    static char bytes[1500];
    struct tc_writer writer;
    (void)state;
    assert_int_equal(tc_writer_open(&writer, in("a.png")), 0);
    assert_int_equal(tc_writer_write(&writer, bytes, sizeof(bytes)), 0);
    assert_int_equal(tc_writer_commit(&writer, in("a.png")), EFBIG);
    assert_null(writer.file);
    assert_null(writer.temporary);
    expect_file(in("a.png"), "old");
    assert_int_equal(count_entries(), 1);
}

static void test_limit_just_reached(void **state)
{
    static char bytes[1000];
    struct tc_writer writer;
    (void)state;
    assert_int_equal(tc_writer_open(&writer, in("b.png")), 0);
    assert_int_equal(tc_writer_write(&writer, bytes, sizeof(bytes)), 0);
    assert_int_equal(tc_writer_commit(&writer, in("b.png")), 0);
    assert_int_equal(count_entries(), 2);
}

/* ---- no memory ---- */

static int fail_at, calls;

static void *failing(void *old, size_t size)
{
    return ++calls == fail_at ? NULL : realloc(old, size);
}

static void test_no_memory(void **state)
{
    (void)state;
    put(in("a.png"), "old");
    tc_alloc_hook(failing);
    for (fail_at = 1;; fail_at++) {
        calls = 0;
        int error = save(in("a.png"), "new");
        if (calls < fail_at) {
            assert_int_equal(error, 0);
            break;
        }
        assert_int_equal(error, ENOMEM);
        expect_file(in("a.png"), "old");
        assert_int_equal(count_entries(), 1);
    }
    assert_true(fail_at > 2);
    expect_file(in("a.png"), "new");
}

#define TEST(name)    cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
#define LIMITED(name) cmocka_unit_test_setup_teardown(name, limit_file_size, lift_limit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_file),
        TEST(test_empty_file),
        TEST(test_replaced_file),
        TEST(test_name_decided_at_the_end),
        TEST(test_abort),
        TEST(test_abort_of_none),
        TEST(test_symbolic_link),
        TEST(test_chain_of_links),
        TEST(test_link_to_nothing),
        TEST(test_mode_stays),
        TEST(test_pipe),
        TEST(test_longest_name),
        TEST(test_no_such_directory),
        TEST(test_file_as_directory),
        TEST(test_directory_as_target),
        TEST(test_empty_name),
        TEST(test_relative_name),
        TEST(test_two_writers_at_once),
        TEST(test_many_writers_at_once),
        LIMITED(test_failing_write),
        LIMITED(test_failure_at_the_end),
        LIMITED(test_limit_just_reached),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
