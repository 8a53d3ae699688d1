/*
 * The operations on files that the writer needs, for POSIX and for Windows. Files are descriptors,
 * open for reading and writing. A function that returns an int returns 0 or an errno.
 */
#ifndef TC_DISK_H
#define TC_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Modes for a new file: only its owner may read it, or the umask decides who may. */
enum { TC_DISK_PRIVATE = 0600, TC_DISK_PUBLIC = 0666 };

bool tc_disk_is_separator(char character);

/* Has anything this name? A symbolic link counts, even one that points to nothing. */
bool tc_disk_exists(const char *path);

bool tc_disk_is_directory(const char *path);

/* Could a file have this name? 0 if one exists or is only missing; else an errno, because the name
 * is too long, say. */
int tc_disk_look_up(const char *path);

/* The path of the file that `path` points to if it is a symbolic link; else a copy of `path`. To be
 * freed with tc_free. NULL if `*error` is set: the link points to nothing, or memory is short. */
char *tc_disk_follow_links(const char *path, int *error);

/* A directory for temporary files. `which` counts from 0, the first choice; NULL after the last. */
const char *tc_disk_temporary_directory(unsigned which);

/*
 * Creates a file, which must not exist yet, and marks it as in use. The mark ends when the file is
 * closed, or when its process ends.
 */
int tc_disk_create(const char *path, int mode, int *file);

/*
 * Opens a file that tc_disk_create made and that is not in use any more. Sets `*size` to its size,
 * or to 0 if the file has another name too, so that nothing is lost with this one. False if there
 * is no such file.
 */
bool tc_disk_adopt(const char *path, int *file, uint64_t *size);

/* Is `path` still the name of the open file? */
bool tc_disk_is_name_of(const char *path, int file);

void tc_disk_close(int file);

void tc_disk_remove(const char *path);

/* Appends `more` bytes to a file of `size` bytes. After an error it has `size` bytes again. */
int tc_disk_append(int file, uint64_t size, const void *bytes, size_t more);

/* Reads `size` bytes from the position `at` on. */
int tc_disk_read(int file, uint64_t at, void *bytes, size_t size);

/* Is it the disk that refuses the bytes: it is full, say? Then another name does not help. */
bool tc_disk_refused(int error);

/* Asks the system to begin writing to the disk, so that tc_disk_flush has less to wait for. */
void tc_disk_start_flush(int file, uint64_t from, uint64_t size);

/* Waits until the file is on the disk. */
int tc_disk_flush(int file);

/* Waits until the names of a directory's files are on the disk. The directory is the first `size`
 * bytes of `path`. */
void tc_disk_flush_directory(const char *path, size_t size);

/*
 * Renames an open file. With `replace`, it replaces a file that has the name, and gets the mode of
 * that one. Otherwise fails with EEXIST if anything has the name, also if it was just created by
 * somebody else. Windows renames no open files: there `*file` is closed, and opened again after an
 * error.
 */
int tc_disk_rename(int *file, const char *from, const char *to, bool replace);

#endif
