/*
 * Devices and pipes: see device.h.
 */
#ifndef _WIN32
#define _XOPEN_SOURCE 700
#endif

#include "device.h"

#include "clock.h"
#include "sigpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifdef _WIN32
#include <io.h>

/* The console's names; MoveFile would refuse to replace them. */
bool tc_device_is(const char *path)
{
    static const char *const names[] = {"CON", "NUL", "CONOUT$", "PRN"};
    bool found = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        found = found || !_stricmp(path, names[i]);
    return found;
}

int tc_device_check(const char *path)
{
    (void)path;
    return 0;
}

int tc_device_open(const char *path, int *device)
{
    *device = _open(path, _O_WRONLY | _O_BINARY);
    return *device < 0 ? errno : 0;
}

int tc_device_write(int device, const void *bytes, size_t size, double patience)
{
    const char *at = bytes;
    (void)patience;
    while (size) {
        int written = _write(device, at, size < 65536 ? (unsigned)size : 65536);
        if (written <= 0)
            return written ? errno : EIO;
        at += written;
        size -= (size_t)written;
    }
    return 0;
}

int tc_device_close(int device)
{
    return _close(device) ? errno : 0;
}
#else
#include <limits.h>
#include <poll.h>
#include <unistd.h>

/* When poll() reports POLLOUT, a write of so many bytes does not wait. */
#ifndef PIPE_BUF
#define PIPE_BUF 512
#endif

/* The descriptor of this process's open file that `path` names, or -1. */
static int own_file(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    if (!strcmp(path, "/dev/stdout"))
        return STDOUT_FILENO;
    if (!strcmp(path, "/dev/stderr"))
        return STDERR_FILENO;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        size_t size = strlen(folders[i]), digits = 0;
        if (!strncmp(path, folders[i], size))
            digits = strspn(path + size, "0123456789");
        if (digits && digits < 7 && !path[size + digits])
            return atoi(path + size);
    }
    return -1;
}

bool tc_device_is(const char *path)
{
    struct stat there;
    return own_file(path) >= 0 ||
           (stat(path, &there) == 0 && !S_ISREG(there.st_mode) && !S_ISDIR(there.st_mode));
}

int tc_device_check(const char *path)
{
    int own = own_file(path);
    if (own >= 0) {
        int flags = fcntl(own, F_GETFL);
        return flags < 0 ? errno : (flags & O_ACCMODE) == O_RDONLY ? EBADF : 0;
    }
    return access(path, W_OK) ? errno : 0;
}

/* A descriptor of this process is duplicated, and shares its position and flags with the new one.
 * Anything else is opened without waiting for a reader. */
int tc_device_open(const char *path, int *device)
{
    int own = own_file(path);
    *device = own >= 0 ? fcntl(own, F_DUPFD_CLOEXEC, 0)
                       : open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return *device < 0 ? errno : 0;
}

/* Waits until the device can take bytes. Returns 0 or an errno. */
static int wait_for_room(int device, double until)
{
    struct pollfd writable = {device, POLLOUT, 0};
    for (;;) {
        double seconds = until - tc_clock_now();
        int milliseconds = seconds > 3600 ? 3600 * 1000
                           : seconds > 0  ? (int)(seconds * 1e3) + 1
                                          : 0;
        int ready = poll(&writable, 1, milliseconds);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR && errno != EAGAIN)
            return errno;
        if (ready == 0 && seconds <= 0)
            return ETIMEDOUT;
    }
}

static int write_all(int device, const char *bytes, size_t size, double patience)
{
    while (size) {
        int error = wait_for_room(device, tc_clock_now() + patience);
        if (error)
            return error;
        ssize_t written = write(device, bytes, size < PIPE_BUF ? size : PIPE_BUF);
        if (written == 0)
            return EIO;
        if (written < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return errno;
        bytes += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

int tc_device_write(int device, const void *bytes, size_t size, double patience)
{
    struct tc_sigpipe guard;
    tc_sigpipe_block(&guard);
    int error = write_all(device, bytes, size, patience);
    tc_sigpipe_restore(&guard);
    return error;
}

int tc_device_close(int device)
{
    return close(device) ? errno : 0;
}
#endif
