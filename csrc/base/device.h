/*
 * Writing to devices and pipes. They get their bytes directly: a finished file cannot replace them
 * in one step, and what was written cannot be taken back.
 *
 * Nothing here waits for ever for the other side, unless the caller asks for that. If the reader of
 * a pipe goes away, SIGPIPE does not end this process.
 */
#ifndef TC_DEVICE_H
#define TC_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Is `path` a device, a pipe, or one of this process's own open files (/dev/stdout, /dev/fd/3)?
 * Such an open file is written to and not replaced, even if it is an ordinary file: its position
 * and its contents stay.
 */
bool tc_device_is(const char *path);

/* Could it be opened for writing? Opens nothing to find out: when a pipe is closed again, its
 * reader believes that it has read everything. Returns 0 or an errno. */
int tc_device_check(const char *path);

/* Opens it for writing. Returns 0 or an errno; ENXIO for a pipe that nobody reads from. */
int tc_device_open(const char *path, int *device);

/* Writes all bytes. Each time the other side stops reading, waits for it up to `patience` seconds
 * (HUGE_VAL: for ever). Returns 0 or an errno; ETIMEDOUT if it did not read on in that time. */
int tc_device_write(int device, const void *bytes, size_t size, double patience);

/* Returns 0 or an errno. */
int tc_device_close(int device);

#endif
