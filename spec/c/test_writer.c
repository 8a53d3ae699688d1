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

#include "base/alloc.h"
#include "base/device.h"
#include "base/writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[256], parent[200];

/* The name of an entry of this test's directory; valid until the fourth call from now. */
static const char *in(const char *name)
{
    static char paths[4][600];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static int make_directory(void **state)
{
    const char *given = getenv("TMPDIR");
    (void)state;
    if (!*parent)
        snprintf(parent, sizeof(parent), "%s", given ? given : "/tmp");
    snprintf(directory, sizeof(directory), "%s/thucchien-writer-XXXXXX", parent);
    return setenv("TMPDIR", parent, 1) || !mkdtemp(directory) ? -1 : 0;
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

/* Ends a file that is to be `path`, and is. */
static void end(struct tc_writer *writer, const char *path)
{
    char wanted[600];
    snprintf(wanted, sizeof(wanted), "%s", path);
    assert_int_equal(tc_writer_commit(writer, path, 1), 0);
    assert_string_equal(writer->path, wanted);
    assert_null(writer->temporary);
    tc_writer_abort(writer);
}

/* Begins a file with a text in it. */
static void begin(struct tc_writer *writer, const char *path, unsigned options, const char *text)
{
    assert_int_equal(tc_writer_open(writer, path, options), 0);
    assert_int_equal(tc_writer_write(writer, text, strlen(text)), 0);
}

static int save(const char *path, const char *text)
{
    struct tc_writer writer;
    int error = tc_writer_open(&writer, path, TC_WRITER_REPLACE);
    if (error)
        return error;
    error = tc_writer_write(&writer, text, strlen(text));
    if (!error)
        error = tc_writer_commit(&writer, path, 1);
    tc_writer_abort(&writer);
    return error;
}

static void test_new_file(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(tc_writer_open(&writer, in("a.png"), TC_WRITER_REPLACE), 0);
    assert_int_equal(tc_writer_write(&writer, "one ", 4), 0);
    assert_int_equal(tc_writer_write(&writer, "", 0), 0);
    assert_int_equal(tc_writer_write(&writer, "two", 3), 0);
    expect_no_file(in("a.png"));
    assert_int_equal(count_entries(), 1);
    end(&writer, in("a.png"));
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
    assert_int_equal(tc_writer_open(&writer, in("a.png"), TC_WRITER_REPLACE), 0);
    assert_int_equal(tc_writer_write(&writer, "new", 3), 0);
    expect_file(in("a.png"), "old");
    end(&writer, in("a.png"));
    expect_file(in("a.png"), "new");
    assert_int_equal(count_entries(), 1);
}

/* The name may be decided once the type is known. */
static void test_name_decided_at_the_end(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(tc_writer_open(&writer, in("a"), TC_WRITER_REPLACE), 0);
    assert_int_equal(tc_writer_write(&writer, "x", 1), 0);
    end(&writer, in("a.webp"));
    expect_file(in("a.webp"), "x");
    assert_int_equal(count_entries(), 1);
}

static void test_abort(void **state)
{
    struct tc_writer writer;
    (void)state;
    put(in("a.png"), "old");
    assert_int_equal(tc_writer_open(&writer, in("a.png"), TC_WRITER_REPLACE), 0);
    assert_int_equal(tc_writer_write(&writer, "new", 3), 0);
    tc_writer_abort(&writer);
    assert_null(writer.temporary);
    expect_file(in("a.png"), "old");
    assert_int_equal(count_entries(), 1);
    tc_writer_abort(&writer);
}

static void test_abort_of_none(void **state)
{
    struct tc_writer writer = {0};
    (void)state;
    tc_writer_abort(&writer);
    assert_null(writer.temporary);
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
    assert_int_equal(tc_writer_open(&writer, in("link.png"), TC_WRITER_REPLACE), ENOENT);
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
    assert_int_equal(tc_writer_open(&writer, in("none/a.png"), TC_WRITER_REPLACE), ENOENT);
    assert_null(writer.temporary);
    tc_writer_abort(&writer);
}

static void test_file_as_directory(void **state)
{
    struct tc_writer writer;
    (void)state;
    put(in("file"), "x");
    assert_int_equal(tc_writer_open(&writer, in("file/a.png"), TC_WRITER_REPLACE), ENOTDIR);
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
    assert_int_equal(tc_writer_open(&one, in("a.png"), TC_WRITER_REPLACE), 0);
    assert_int_equal(tc_writer_open(&other, in("a.png"), TC_WRITER_REPLACE), 0);
    assert_string_not_equal(one.temporary, other.temporary);
    assert_int_equal(tc_writer_write(&one, "one", 3), 0);
    assert_int_equal(tc_writer_write(&other, "other", 5), 0);
    end(&one, in("a.png"));
    expect_file(in("a.png"), "one");
    end(&other, in("a.png"));
    expect_file(in("a.png"), "other");
    assert_int_equal(count_entries(), 1);
}

/* Many in the same microseconds must not meet. */
static void test_many_writers_at_once(void **state)
{
    struct tc_writer writers[50];
    (void)state;
    for (int i = 0; i < 50; i++)
        assert_int_equal(tc_writer_open(&writers[i], in("a.png"), TC_WRITER_REPLACE), 0);
    assert_int_equal(count_entries(), 50);
    for (int i = 0; i < 50; i++)
        tc_writer_abort(&writers[i]);
    assert_int_equal(count_entries(), 0);
}

static void *no_memory(void *old, size_t size)
{
    (void)old, (void)size;
    return NULL;
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
    assert_int_equal(tc_writer_open(&writer, in("a.png"), TC_WRITER_REPLACE), 0);
    assert_int_equal(tc_writer_write(&writer, bytes, sizeof(bytes)), EFBIG);
    tc_writer_abort(&writer);
    expect_file(in("a.png"), "old");
    assert_int_equal(count_entries(), 1);
}

/* What came before stays as it was, so that the same bytes can be written elsewhere. */
static void test_write_that_fails_half_way(void **state)
{
    static char bytes[600];
    struct stat status;
    struct tc_writer writer;
    (void)state;
    memset(bytes, 'b', sizeof(bytes));
    assert_int_equal(tc_writer_open(&writer, in("b.png"), TC_WRITER_REPLACE), 0);
    assert_int_equal(tc_writer_write(&writer, bytes, sizeof(bytes)), 0);
    assert_int_equal(tc_writer_write(&writer, bytes, sizeof(bytes)), EFBIG);
    assert_int_equal(tc_writer_write(&writer, bytes, 100), 0);
    end(&writer, in("b.png"));
    assert_int_equal(stat(in("b.png"), &status), 0);
    assert_int_equal(status.st_size, 700);
    assert_int_equal(count_entries(), 2);
}

static void test_limit_just_reached(void **state)
{
    static char bytes[1000];
    struct tc_writer writer;
    (void)state;
    assert_int_equal(tc_writer_open(&writer, in("b.png"), TC_WRITER_REPLACE), 0);
    assert_int_equal(tc_writer_write(&writer, bytes, sizeof(bytes)), 0);
    end(&writer, in("b.png"));
    assert_int_equal(count_entries(), 2);
}

/* ---- names that are taken ---- */

static void test_taken_name(void **state)
{
    struct tc_writer writer;
    (void)state;
    begin(&writer, in("a.png"), 0, "new");
    put(in("a.png"), "somebody's");
    assert_int_equal(tc_writer_commit(&writer, in("a.png"), 1), EEXIST);
    end(&writer, in("a-2.png"));
    expect_file(in("a.png"), "somebody's");
    expect_file(in("a-2.png"), "new");
    assert_int_equal(count_entries(), 2);
}

/* A pipe of that name is no pipe to be written to, then. */
static void test_name_taken_by_a_pipe(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(mkfifo(in("a.png"), 0600), 0);
    assert_int_equal(tc_writer_check(in("a.png"), 0), EEXIST);
    begin(&writer, in("a.png"), 0, "new");
    assert_int_equal(tc_writer_commit(&writer, in("a.png"), 1), EEXIST);
    end(&writer, in("a-2.png"));
    assert_int_equal(count_entries(), 2);
}

static void test_name_taken_by_a_link(void **state)
{
    struct tc_writer writer;
    (void)state;
    begin(&writer, in("a.png"), 0, "new");
    assert_int_equal(symlink("nowhere", in("a.png")), 0);
    assert_int_equal(tc_writer_commit(&writer, in("a.png"), 1), EEXIST);
    tc_writer_abort(&writer);
    assert_int_equal(count_entries(), 1);
}

/* Many processes want one name: one gets it, and no picture is lost. */
static void test_race_for_a_name(void **state)
{
    enum { PROCESSES = 8 };
    int won = 0, status;
    (void)state;
    for (int i = 0; i < PROCESSES; i++) {
        if (fork())
            continue;
        struct tc_writer writer;
        if (tc_writer_open(&writer, in("a.png"), 0) || tc_writer_write(&writer, "x", 1))
            _exit(2);
        int error = tc_writer_commit(&writer, in("a.png"), 1);
        tc_writer_abort(&writer);
        _exit(error == 0 ? 0 : error == EEXIST ? 1 : 2);
    }
    while (wait(&status) > 0) {
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        won += WEXITSTATUS(status) == 0;
    }
    assert_int_equal(won, 1);
    assert_int_equal(count_entries(), 1);
}

static void test_check(void **state)
{
    char name[300] = "";
    (void)state;
    put(in("a.png"), "old");
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    assert_int_equal(tc_writer_check(in("a.png"), TC_WRITER_REPLACE), 0);
    assert_int_equal(tc_writer_check(in("a.png"), 0), EEXIST);
    assert_int_equal(tc_writer_check_name(in("a.png"), 0), EEXIST);
    assert_int_equal(tc_writer_check(in(name), TC_WRITER_REPLACE), ENAMETOOLONG);
    assert_int_equal(tc_writer_check_name(in(name), 0), ENAMETOOLONG);
    assert_int_equal(tc_writer_check(in("none/a.png"), TC_WRITER_REPLACE), ENOENT);
    assert_int_equal(tc_writer_check(directory, TC_WRITER_REPLACE), EISDIR);
    assert_int_equal(tc_writer_check(in("."), TC_WRITER_REPLACE), EISDIR);
    assert_int_equal(tc_writer_check("/dev/full", TC_WRITER_REPLACE),
                     0); /* nothing is written yet */
    assert_int_equal(tc_writer_check("/dev/fd/9999", TC_WRITER_REPLACE), EBADF);
    assert_int_equal(count_entries(), 1);
}

/* A backslash is a letter like others here. */
static void test_backslash(void **state)
{
    (void)state;
    assert_int_equal(save(in("a\\b.png"), "new"), 0);
    expect_file(in("a\\b.png"), "new");
    assert_string_equal(tc_base_name("x/a\\b"), "a\\b");
}

/* ---- what is asked of the system ---- */

/* These stand before the C library's: what was asked, in order, and what fails. */
static char asked[64];
static int fsync_error, link_error;

static void note(char what)
{
    size_t size = strlen(asked);
    if (size + 1 < sizeof(asked))
        asked[size] = what;
}

int fsync(int file)
{
    struct stat about;
    assert_int_equal(fstat(file, &about), 0);
    note(S_ISDIR(about.st_mode) ? 'D' : 'F');
    errno = fsync_error;
    return fsync_error ? -1 : fdatasync(file);
}

int rename(const char *from, const char *to)
{
    note('R');
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int link(const char *from, const char *to)
{
    note('L');
    errno = link_error;
    return link_error ? -1 : linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int forget_asked(void **state)
{
    memset(asked, 0, sizeof(asked));
    fsync_error = link_error = 0;
    return make_directory(state);
}

static int stop_failing(void **state)
{
    fsync_error = link_error = 0;
    return remove_directory(state);
}

/* The disk has the bytes before they have the name, and then the name. */
static void test_order(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(save(in("a.png"), "new"), 0);
    assert_string_equal(asked, "FRD");
    memset(asked, 0, sizeof(asked));
    begin(&writer, in("b.png"), 0, "new");
    end(&writer, in("b.png"));
    assert_string_equal(asked, "FLD");
    memset(asked, 0, sizeof(asked));
    begin(&writer, in("b.png"), 0, "new"); /* a name that is taken costs nothing */
    assert_int_equal(tc_writer_commit(&writer, in("b.png"), 1), EEXIST);
    tc_writer_abort(&writer);
    assert_string_equal(asked, "");
    begin(&writer, in("b.png"), TC_WRITER_REPLACE | TC_WRITER_NO_FLUSH, "new");
    end(&writer, in("b.png"));
    assert_string_equal(asked, "R");
}

static void test_no_hard_links(void **state)
{
    struct tc_writer writer;
    (void)state;
    link_error = EPERM;
    begin(&writer, in("a.png"), 0, "one");
    end(&writer, in("a.png"));
    begin(&writer, in("a.png"), 0, "two");
    assert_int_equal(tc_writer_commit(&writer, in("a.png"), 1), EEXIST);
    assert_int_equal(tc_writer_keep(&writer, EEXIST, "png"), 0);
    tc_writer_abort(&writer);
    expect_file(in("a.png"), "one");
    expect_file(in("a-rescued-1.png"), "two");
    assert_int_equal(count_entries(), 2);
}

/* A disk that takes bytes, and does not keep them: they are still there to be read. */
static void test_failing_disk(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(mkdir(in("tmp"), 0700), 0);
    assert_int_equal(setenv("TMPDIR", in("tmp"), 1), 0);
    begin(&writer, in("a.png"), TC_WRITER_REPLACE, "new");
    fsync_error = EIO;
    assert_int_equal(tc_writer_commit(&writer, in("a.png"), 1), EIO);
    fsync_error = 0;
    assert_int_equal(tc_writer_keep(&writer, EIO, "png"), 0);
    assert_string_equal(writer.path, in("tmp/a-rescued-1.png"));
    tc_writer_abort(&writer);
    expect_file(in("tmp/a-rescued-1.png"), "new");
    assert_int_equal(count_entries(), 1);
    assert_int_equal(remove(in("tmp/a-rescued-1.png")), 0);
    fsync_error = EINVAL; /* a file system that cannot be asked */
    assert_int_equal(save(in("b.png"), "new"), 0);
    assert_int_equal(remove(in("b.png")), 0);
}

/* ---- files that cannot get their name ---- */

static void test_kept(void **state)
{
    struct tc_writer writer;
    (void)state;
    put(in("a-rescued-1.png"), "old");
    begin(&writer, in("a.png"), TC_WRITER_REPLACE, "new");
    assert_int_equal(tc_writer_keep(&writer, EBUSY, "png"), 0);
    assert_string_equal(writer.path, in("a-rescued-2.png"));
    tc_writer_abort(&writer);
    expect_file(in("a-rescued-1.png"), "old");
    expect_file(in("a-rescued-2.png"), "new");
    assert_int_equal(count_entries(), 2);
}

static void test_kept_without_extension(void **state)
{
    struct tc_writer writer;
    (void)state;
    begin(&writer, in("a"), TC_WRITER_REPLACE, "new");
    assert_int_equal(tc_writer_keep(&writer, EBUSY, "webp"), 0);
    tc_writer_abort(&writer);
    expect_file(in("a-rescued-1.webp"), "new");
}

static void test_kept_though_cut(void **state)
{
    struct tc_writer writer;
    (void)state;
    for (int i = 0; i < 2; i++) {
        begin(&writer, in("a.png"), TC_WRITER_REPLACE, i ? "two" : "one");
        assert_int_equal(tc_writer_keep(&writer, 0, NULL), 0);
        assert_string_equal(writer.path, in(i ? "a.png-2.part" : "a.png.part"));
        tc_writer_abort(&writer);
    }
    expect_file(in("a.png.part"), "one");
    expect_file(in("a.png-2.part"), "two");
    assert_int_equal(count_entries(), 2);
}

static void test_kept_under_a_shorter_name(void **state)
{
    struct tc_writer writer;
    char name[256];
    (void)state;
    memset(name, 'n', 255);
    name[255] = '\0';
    begin(&writer, in(name), TC_WRITER_REPLACE, "one");
    assert_int_equal(tc_writer_keep(&writer, EBUSY, "png"), 0);
    tc_writer_abort(&writer);
    begin(&writer, in(name), TC_WRITER_REPLACE, "two");
    assert_int_equal(tc_writer_keep(&writer, 0, NULL), 0);
    tc_writer_abort(&writer);
    expect_file(in("picture-rescued-1.png"), "one");
    expect_file(in("picture.part"), "two");
}

/* A directory in which nothing can be renamed, and one that is gone. */
static void test_kept_elsewhere(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(mkdir(in("place"), 0700), 0);
    assert_int_equal(mkdir(in("tmp"), 0700), 0);
    assert_int_equal(setenv("TMPDIR", in("tmp"), 1), 0);
    begin(&writer, in("place/a.png"), TC_WRITER_REPLACE, "new");
    assert_int_equal(remove(writer.temporary), 0);
    assert_int_equal(rmdir(in("place")), 0);
    assert_int_equal(tc_writer_commit(&writer, in("place/a.png"), 1), ENOENT);
    assert_int_equal(tc_writer_keep(&writer, ENOENT, "png"), 0);
    assert_string_equal(writer.path, in("tmp/a-rescued-1.png"));
    tc_writer_abort(&writer);
    expect_file(in("tmp/a-rescued-1.png"), "new");
    assert_int_equal(remove(in("tmp/a-rescued-1.png")), 0);
}

/* The directory of temporary files does not take it either, and the file is gone. */
static void test_kept_nowhere(void **state)
{
    struct tc_writer writer;
    (void)state;
    begin(&writer, in("a.png"), TC_WRITER_REPLACE, "new");
    assert_int_equal(remove(writer.temporary), 0);
    tc_alloc_hook(no_memory);
    assert_int_not_equal(tc_writer_keep(&writer, EBUSY, "png"), 0);
    tc_alloc_hook(NULL);
    assert_null(writer.temporary);
    assert_null(writer.path);
}

/* Without memory for a name it stays under the one that it has. */
static void test_kept_as_it_is(void **state)
{
    struct tc_writer writer;
    (void)state;
    begin(&writer, in("a.png"), TC_WRITER_REPLACE, "new");
    tc_alloc_hook(no_memory);
    assert_int_equal(tc_writer_keep(&writer, EBUSY, "png"), 0);
    tc_alloc_hook(NULL);
    assert_string_equal(writer.path, in(".thucchien-00.part"));
    tc_writer_abort(&writer);
    expect_file(in(".thucchien-00.part"), "new");
}

static void test_moved(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(mkdir(in("tmp"), 0700), 0);
    assert_int_equal(setenv("TMPDIR", in("tmp"), 1), 0);
    begin(&writer, in("a.png"), TC_WRITER_REPLACE, "one ");
    assert_int_equal(tc_writer_move(&writer, ENOSPC, "t", 1), 0);
    assert_int_equal(count_entries(), 1);
    assert_int_equal(tc_writer_write(&writer, "wo", 2), 0);
    assert_int_equal(tc_writer_commit(&writer, in("a.png"), 1), ENOSPC);
    assert_int_equal(tc_writer_keep(&writer, ENOSPC, "png"), 0);
    assert_string_equal(writer.path, in("tmp/a-rescued-1.png"));
    tc_writer_abort(&writer);
    expect_file(in("tmp/a-rescued-1.png"), "one two");
    assert_int_equal(remove(in("tmp/a-rescued-1.png")), 0);
}

/* ---- files that a process left ---- */

/* Runs a process that writes two files, one of them empty, and is killed. */
static void leave_behind(const char *text)
{
    int status;
    pid_t child = fork();
    if (!child) {
        struct tc_writer writer, other;
        if (tc_writer_open(&other, in("b.png"), TC_WRITER_REPLACE) ||
            tc_writer_open(&writer, in("a.png"), TC_WRITER_REPLACE) ||
            tc_writer_write(&writer, text, strlen(text)))
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void test_leftovers(void **state)
{
    (void)state;
    leave_behind("one");
    expect_file(in(".thucchien-00.part"), "");
    expect_file(in(".thucchien-01.part"), "one");
    leave_behind("two");
    expect_file(in("unfinished-1.part"), "one");
    leave_behind("");
    expect_file(in("unfinished-2.part"), "two");
    assert_int_equal(save(in("b.png"), "new"), 0);
    expect_file(in("b.png"), "new");
    assert_int_equal(count_entries(), 3);
}

static void test_files_in_use_are_no_leftovers(void **state)
{
    struct tc_writer writer;
    (void)state;
    begin(&writer, in("a.png"), TC_WRITER_REPLACE, "slow");
    leave_behind("left");
    assert_int_equal(save(in("b.png"), "new"), 0);
    end(&writer, in("a.png"));
    expect_file(in("a.png"), "slow");
    expect_file(in("unfinished-1.part"), "left");
    assert_int_equal(count_entries(), 3);
}

/* Somebody else's things under such a name are let be. */
static void test_foreign_leftovers(void **state)
{
    (void)state;
    put(in("secret"), "secret");
    assert_int_equal(symlink("secret", in(".thucchien-00.part")), 0);
    assert_int_equal(mkfifo(in(".thucchien-01.part"), 0600), 0);
    assert_int_equal(link(in("secret"), in(".thucchien-02.part")), 0);
    assert_int_equal(save(in("a.png"), "new"), 0);
    expect_file(in("a.png"), "new");
    expect_file(in("secret"), "secret");
    expect_no_file(in(".thucchien-02.part")); /* which is no loss */
    assert_int_equal(count_entries(), 4);
}

/* ---- pipes ---- */

static void test_pipe_without_reader(void **state)
{
    struct tc_writer writer;
    (void)state;
    assert_int_equal(mkdir(in("tmp"), 0700), 0);
    assert_int_equal(setenv("TMPDIR", in("tmp"), 1), 0);
    assert_int_equal(mkfifo(in("pipe"), 0600), 0);
    assert_int_equal(tc_writer_check(in("pipe"), TC_WRITER_REPLACE), 0);
    begin(&writer, in("pipe"), TC_WRITER_REPLACE, "new");
    assert_int_equal(tc_writer_commit(&writer, in("pipe"), 1), ENXIO);
    assert_int_equal(tc_writer_keep(&writer, ENXIO, "png"), 0);
    assert_string_equal(writer.path, in("tmp/pipe-rescued-1.png"));
    tc_writer_abort(&writer);
    expect_file(in("tmp/pipe-rescued-1.png"), "new");
    assert_int_equal(remove(in("tmp/pipe-rescued-1.png")), 0);
    assert_int_equal(count_entries(), 2);
}

/* Who has a pipe open and reads nothing, and who leaves: neither holds up or ends this process. */
static void test_reader_that_stops(void **state)
{
    static char bytes[1 << 20];
    struct tc_writer writer;
    (void)state;
    assert_int_equal(mkfifo(in("pipe"), 0600), 0);
    int end_of_it = open(in("pipe"), O_RDONLY | O_NONBLOCK);
    assert_int_equal(tc_writer_open(&writer, in("pipe"), TC_WRITER_REPLACE), 0);
    assert_int_equal(tc_writer_write(&writer, bytes, sizeof(bytes)), 0);
    assert_int_equal(tc_writer_commit(&writer, in("pipe"), 0.02), ETIMEDOUT);
    int device;
    assert_int_equal(tc_device_open(in("pipe"), &device), 0);
    assert_int_equal(close(end_of_it), 0);
    assert_int_equal(tc_device_write(device, "x", 1, 1), EPIPE);
    assert_int_equal(tc_device_close(device), 0);
    assert_int_equal(tc_writer_commit(&writer, in("pipe"), 1), ENXIO);
    tc_writer_abort(&writer);
}

/* Standard output may be a file; that stays, and what was in it. */
static void test_own_file(void **state)
{
    char name[32];
    (void)state;
    put(in("out"), "before ");
    int file = open(in("out"), O_WRONLY | O_APPEND);
    snprintf(name, sizeof(name), "/dev/fd/%d", file);
    assert_int_equal(save(name, "behind"), 0);
    assert_int_equal(close(file), 0);
    expect_file(in("out"), "before behind");
    assert_int_equal(count_entries(), 1);
}

/* ---- no memory ---- */

static int fail_at, calls;

static void *failing(void *old, size_t size)
{
    return ++calls == fail_at ? NULL : realloc(old, size);
}

/* Some of it is for what can be left out. */
static void test_no_memory(void **state)
{
    int failures = 0;
    (void)state;
    tc_alloc_hook(failing);
    calls = 1;
    for (fail_at = 1; calls >= fail_at - 1; fail_at++) {
        put(in("a.png"), "old");
        calls = 0;
        int error = save(in("a.png"), "new");
        assert_true(error == 0 || error == ENOMEM);
        expect_file(in("a.png"), error ? "old" : "new");
        assert_int_equal(count_entries(), 1);
        failures += error != 0;
    }
    assert_true(failures > 2);
}

#define TEST(name)    cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
#define ASKED(name)   cmocka_unit_test_setup_teardown(name, forget_asked, stop_failing)
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
        TEST(test_taken_name),
        TEST(test_name_taken_by_a_pipe),
        TEST(test_name_taken_by_a_link),
        TEST(test_race_for_a_name),
        TEST(test_check),
        TEST(test_backslash),
        ASKED(test_order),
        ASKED(test_no_hard_links),
        ASKED(test_failing_disk),
        TEST(test_kept),
        TEST(test_kept_without_extension),
        TEST(test_kept_though_cut),
        TEST(test_kept_under_a_shorter_name),
        TEST(test_kept_elsewhere),
        TEST(test_kept_nowhere),
        TEST(test_kept_as_it_is),
        TEST(test_moved),
        TEST(test_leftovers),
        TEST(test_files_in_use_are_no_leftovers),
        TEST(test_foreign_leftovers),
        TEST(test_pipe_without_reader),
        TEST(test_reader_that_stops),
        TEST(test_own_file),
        LIMITED(test_failing_write),
        LIMITED(test_write_that_fails_half_way),
        LIMITED(test_limit_just_reached),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
