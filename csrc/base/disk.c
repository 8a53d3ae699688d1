/*
 * Operations on files: see disk.h.
 */
#if defined(__linux__)
#define _GNU_SOURCE /* sync_file_range */
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE /* flock */
#elif !defined(_WIN32)
#define _XOPEN_SOURCE 700
#define __BSD_VISIBLE 1 /* flock */
#endif

#include "disk.h"

#include "alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { MOST_AT_ONCE = 1 << 24 }; /* bytes of one read or write */

#ifdef _WIN32
#include <io.h>
#include <share.h>
#include <windows.h>

bool tc_disk_is_separator(char character)
{
    return character == '/' || character == '\\';
}

bool tc_disk_exists(const char *path)
{
    return GetFileAttributesA(path) != INVALID_FILE_ATTRIBUTES;
}

bool tc_disk_is_directory(const char *path)
{
    DWORD attributes = GetFileAttributesA(path);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

int tc_disk_look_up(const char *path)
{
    return tc_disk_exists(path) || GetLastError() == ERROR_FILE_NOT_FOUND ? 0 : ENOENT;
}

char *tc_disk_follow_links(const char *path, int *error)
{
    char *copy = tc_strndup(path, strlen(path));
    *error = copy ? 0 : ENOMEM;
    return copy;
}

const char *tc_disk_temporary_directory(unsigned which)
{
    static const char *const variables[] = {"TMP", "TEMP", NULL};
    const char *directory = which < 2 ? getenv(variables[which]) : NULL;
    return directory || which > 1 ? directory : ".";
}

int tc_disk_create(const char *path, int mode, int *file)
{
    (void)mode;
    *file =
        _open(path, _O_RDWR | _O_CREAT | _O_EXCL | _O_BINARY | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
    return *file < 0 ? errno : 0;
}

/* Nobody else can open a file that is in use: opening it with _SH_DENYRW fails. It is closed again,
 * because an open file cannot be renamed. */
bool tc_disk_adopt(const char *path, int *file, uint64_t *size)
{
    int alone = -1;
    if (_sopen_s(&alone, path, _O_RDWR | _O_BINARY, _SH_DENYRW, 0))
        return false;
    *size = (uint64_t)_filelengthi64(alone);
    *file = -1;
    _close(alone);
    return true;
}

bool tc_disk_is_name_of(const char *path, int file)
{
    (void)file;
    return tc_disk_exists(path);
}

void tc_disk_close(int file)
{
    if (file >= 0)
        _close(file);
}

void tc_disk_remove(const char *path)
{
    (void)DeleteFileA(path);
}

static long write_some(int file, const void *bytes, size_t size)
{
    return _write(file, bytes, size < MOST_AT_ONCE ? (unsigned)size : MOST_AT_ONCE);
}

static void cut_to(int file, uint64_t size)
{
    (void)_chsize_s(file, (__int64)size);
    (void)_lseeki64(file, (__int64)size, SEEK_SET);
}

static long read_some(int file, uint64_t at, void *bytes, size_t size)
{
    if (_lseeki64(file, (__int64)at, SEEK_SET) < 0)
        return -1;
    return _read(file, bytes, size < MOST_AT_ONCE ? (unsigned)size : MOST_AT_ONCE);
}

void tc_disk_start_flush(int file, uint64_t from, uint64_t size)
{
    (void)file, (void)from, (void)size;
}

int tc_disk_flush(int file)
{
    return _commit(file) ? errno : 0;
}

void tc_disk_flush_directory(const char *path, size_t size)
{
    (void)path, (void)size; /* MOVEFILE_WRITE_THROUGH did it */
}

int tc_disk_rename(int *file, const char *from, const char *to, bool replace)
{
    DWORD flags = MOVEFILE_WRITE_THROUGH | (replace ? MOVEFILE_REPLACE_EXISTING : 0);
    tc_disk_close(*file);
    *file = -1;
    if (MoveFileExA(from, to, flags))
        return 0;
    DWORD error = GetLastError();
    *file = _open(from, _O_RDWR | _O_APPEND | _O_BINARY | _O_NOINHERIT);
    return error == ERROR_ALREADY_EXISTS || error == ERROR_FILE_EXISTS ? EEXIST : EACCES;
}
#else
#include <sys/file.h>
#include <unistd.h>

enum { ABANDONED_AFTER = 24 * 60 * 60 }; /* seconds without a change */

bool tc_disk_is_separator(char character)
{
    return character == '/';
}

bool tc_disk_exists(const char *path)
{
    struct stat there;
    return lstat(path, &there) == 0;
}

bool tc_disk_is_directory(const char *path)
{
    struct stat there;
    return stat(path, &there) == 0 && S_ISDIR(there.st_mode);
}

int tc_disk_look_up(const char *path)
{
    struct stat there;
    return lstat(path, &there) == 0 || errno == ENOENT ? 0 : errno;
}

char *tc_disk_follow_links(const char *path, int *error)
{
    struct stat there;
    bool link = lstat(path, &there) == 0 && S_ISLNK(there.st_mode);
    char *target = link ? realpath(path, NULL) : NULL;
    *error = link && !target ? errno : 0;
    if (*error)
        return NULL;
    char *copy = tc_strndup(target ? target : path, strlen(target ? target : path));
    free(target);
    *error = copy ? 0 : ENOMEM;
    return copy;
}

const char *tc_disk_temporary_directory(unsigned which)
{
    const char *const choices[] = {getenv("TMPDIR"), "/tmp"};
    if (which == 0 && choices[0] && *choices[0])
        return choices[0];
    return which < 2 ? choices[1] : NULL;
}

bool tc_disk_is_name_of(const char *path, int file)
{
    struct stat there, here;
    return lstat(path, &there) == 0 && fstat(file, &here) == 0 && there.st_ino == here.st_ino &&
           there.st_dev == here.st_dev;
}

/* The mark is a lock: the system removes it when the process ends, however it ends. Some file
 * systems have no locks; there the file is not marked. */
int tc_disk_create(const char *path, int mode, int *file)
{
    *file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (*file < 0)
        return errno;
    bool taken = flock(*file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!taken && tc_disk_is_name_of(path, *file))
        return 0;
    tc_disk_close(*file); /* somebody adopted it before it was locked */
    *file = -1;
    return EEXIST;
}

/* Has no process locked the file? Where it cannot be locked: has it not changed for long? */
static bool is_abandoned(int file, const struct stat *about)
{
    if (flock(file, LOCK_EX | LOCK_NB) == 0)
        return true;
    return errno != EWOULDBLOCK && time(NULL) - about->st_mtime > ABANDONED_AFTER;
}

bool tc_disk_adopt(const char *path, int *file, uint64_t *size)
{
    struct stat about;
    *file = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (*file < 0)
        return false;
    if (fstat(*file, &about) == 0 && S_ISREG(about.st_mode) && about.st_uid == geteuid() &&
        is_abandoned(*file, &about) && tc_disk_is_name_of(path, *file)) {
        *size = about.st_nlink > 1 ? 0 : (uint64_t)about.st_size;
        return true;
    }
    tc_disk_close(*file);
    return false;
}

void tc_disk_close(int file)
{
    if (file >= 0)
        (void)close(file);
}

void tc_disk_remove(const char *path)
{
    (void)unlink(path);
}

static long write_some(int file, const void *bytes, size_t size)
{
    return (long)write(file, bytes, size < MOST_AT_ONCE ? size : MOST_AT_ONCE);
}

static void cut_to(int file, uint64_t size)
{
    if (ftruncate(file, (off_t)size) == 0)
        (void)lseek(file, (off_t)size, SEEK_SET);
}

static long read_some(int file, uint64_t at, void *bytes, size_t size)
{
    return (long)pread(file, bytes, size < MOST_AT_ONCE ? size : MOST_AT_ONCE, (off_t)at);
}

void tc_disk_start_flush(int file, uint64_t from, uint64_t size)
{
#ifdef SYNC_FILE_RANGE_WRITE
    (void)sync_file_range(file, (off64_t)from, (off64_t)size, SYNC_FILE_RANGE_WRITE);
#else
    (void)file, (void)from, (void)size;
#endif
}

/* Other errors mean that the file system does not support fsync. They are ignored. */
int tc_disk_flush(int file)
{
    int error = fsync(file) ? errno : 0;
    return tc_disk_refused(error) ? error : 0;
}

/* Errors are ignored: the file has its name, and only a power cut could undo that. */
void tc_disk_flush_directory(const char *path, size_t size)
{
    char *name = tc_strndup(size ? path : ".", size ? size : 1);
    int directory = name ? open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (directory >= 0)
        (void)fsync(directory);
    tc_disk_close(directory);
    tc_free(name);
}

/* Renames a file unless the name is taken. Where there are no hard links, an empty file reserves
 * the name, and is then replaced. */
static int take_name(const char *from, const char *to)
{
    if (link(from, to) == 0) {
        (void)unlink(from);
        return 0;
    }
    if (errno == EEXIST)
        return EEXIST;
    int reserved = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, TC_DISK_PRIVATE);
    if (reserved < 0)
        return errno;
    tc_disk_close(reserved);
    int error = rename(from, to) ? errno : 0;
    if (error)
        (void)unlink(to);
    return error;
}

int tc_disk_rename(int *file, const char *from, const char *to, bool replace)
{
    struct stat there;
    (void)file;
    if (!replace)
        return take_name(from, to);
    if (stat(to, &there) == 0 && S_ISREG(there.st_mode))
        (void)chmod(from, there.st_mode & 07777);
    return rename(from, to) ? errno : 0;
}
#endif

bool tc_disk_refused(int error)
{
#ifdef EDQUOT
    if (error == EDQUOT)
        return true;
#endif
    return error == ENOSPC || error == EIO || error == EFBIG;
}

int tc_disk_append(int file, uint64_t size, const void *bytes, size_t more)
{
    const char *at = bytes;
    while (more) {
        long written = write_some(file, at, more);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            int error = written ? errno : EIO;
            cut_to(file, size);
            return error;
        }
        at += written;
        more -= (size_t)written;
    }
    return 0;
}

int tc_disk_read(int file, uint64_t at, void *bytes, size_t size)
{
    char *to = bytes;
    while (size) {
        long taken = read_some(file, at, to, size);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken <= 0)
            return taken ? errno : EIO;
        to += taken;
        at += (uint64_t)taken;
        size -= (size_t)taken;
    }
    return 0;
}
