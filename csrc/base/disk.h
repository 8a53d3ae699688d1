/*
 * What the writer asks of the system. Files are descriptors, open for reading and writing. Whatever
 * returns an int that is no descriptor returns 0 or an errno.
 */
#ifndef TC_DISK_H
#define TC_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Those of a file that only its owner may read, and of one that the umask decides about. */
enum { TC_DISK_PRIVATE = 0600, TC_DISK_PUBLIC = 0666 };

bool tc_disk_is_separator(char character);

/* Is there anything of that name? A link to nothing is. */
bool tc_disk_exists(const char *path);

bool tc_disk_is_directory(const char *path);

/* Could there be a file of that name, as far as the name goes? */
int tc_disk_look_up(const char *path);

/* The file that `path` means, if it is a link, or a copy of `path`; for tc_free. NULL and an error
 * for a link to nothing, among others. */
char *tc_disk_follow_links(const char *path, int *error);

/* The directories for temporary files, the first choice first; NULL behind the last. */
const char *tc_disk_temporary_directory(unsigned which);

/*
 * Makes a file, which must not be there yet, and marks it as in use as long as it is open and its
 * process lives.
 */
int tc_disk_create(const char *path, int mode, int *file);

/*
 * Opens a file that tc_disk_create made, and that is in nobody's use any more; `*size` is how much
 * is in it that is under no other name. False where there is none.
 */
bool tc_disk_adopt(const char *path, int *file, uint64_t *size);

/* Is `path` still the name of the open file? */
bool tc_disk_is_name_of(const char *path, int file);

void tc_disk_close(int file);

void tc_disk_remove(const char *path);

/* Appends all of it, or nothing; the file has `size` bytes before. */
int tc_disk_append(int file, uint64_t size, const void *bytes, size_t more);

int tc_disk_read(int file, uint64_t at, void *bytes, size_t size);

/* Does the error say that the disk does not take the bytes, whatever they are called? */
bool tc_disk_refused(int error);

/* Has the system begin to write to the disk, so that little is left to wait for at the end. */
void tc_disk_start_flush(int file, uint64_t from, uint64_t size);

/* Waits until the disk has the file. */
int tc_disk_flush(int file);

/* The same for the first `size` bytes of `path`, a directory: for what its files are called. */
void tc_disk_flush_directory(const char *path, size_t size);

/*
 * Renames an open file. `replace`: it takes the place of what has the name, and its mode; without,
 * EEXIST when anything has the name, even since a moment ago.
 */
int tc_disk_rename(int *file, const char *from, const char *to, bool replace);

#endif
