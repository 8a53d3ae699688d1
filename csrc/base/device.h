/*
 * Devices and pipes, which are written to as they are: what is written there cannot be taken back,
 * and nothing takes its place in one step.
 *
 * Nothing here waits without an end for the other side, unless it is asked to, and a reader that
 * leaves ends nobody's process.
 */
#ifndef TC_DEVICE_H
#define TC_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Is `path` a device, a pipe, or one of this process's own open files (/dev/stdout, /dev/fd/3)?
 * Those keep their place and what is in them even where they are ordinary files.
 */
bool tc_device_is(const char *path);

/* Could it be opened? A pipe is not tried: its reader would take the end of that for its own.
 * Returns 0 or an errno. */
int tc_device_check(const char *path);

/* Opens it for writing. Returns 0 or an errno; ENXIO for a pipe that nobody reads from. */
int tc_device_open(const char *path, int *device);

/* Writes all of it, and waits up to `patience` seconds each time the other side does not read on
 * (HUGE_VAL: as long as it takes). Returns 0 or an errno; ETIMEDOUT when that was too long. */
int tc_device_write(int device, const void *bytes, size_t size, double patience);

/* Returns 0 or an errno. */
int tc_device_close(int device);

#endif
