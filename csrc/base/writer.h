/*
 * Files that are there whole or not at all: bytes go to a temporary file beside the one that is
 * meant, which takes its place in one step at the end, when the disk has them. Who reads the file
 * sees the old one or the new one, never half a picture; not after a power cut either.
 *
 * The bytes may be paid for. Where the file cannot get its name, they can be kept: under another
 * name beside it, else among the system's temporary files. What a process that was killed has left
 * in a directory gets a name that is seen, `unfinished-1.part`, when the next file is begun there.
 *
 * A device or a pipe gets the bytes as they are, all at once, at the end: see device.h.
 */
#ifndef TC_WRITER_H
#define TC_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tc_writer_option {
    TC_WRITER_REPLACE = 1,  /* a file of that name is replaced, a device is written to */
    TC_WRITER_NO_FLUSH = 2, /* do not wait until the disk has it */
};

/* A file on its way. All zero is none. */
struct tc_writer {
    char *temporary; /* its name for now; NULL when none is open */
    char *path;      /* the name that it is to have; once that is settled, the one that it has */
    int file;
    unsigned options;
    int error; /* why it is in another directory, 0 where it is not */
    uint64_t size, flushed;
};

/* The name of a file without its directories. */
const char *tc_base_name(const char *path);

/*
 * Begins a file that is to be `path`, or has another name in the same directory in the end.
 * Returns 0 or an errno; no file is open then.
 */
int tc_writer_open(struct tc_writer *writer, const char *path, unsigned options);

/* The same among the system's temporary files: `path` did not work, for the reason `error`. */
int tc_writer_open_elsewhere(struct tc_writer *writer, const char *path, int error);

/*
 * Could a file be put there, now? Nothing is left behind. Returns 0 or an errno. The second looks
 * at the name alone, which is cheap: for names that follow one that was checked. Both give EEXIST
 * where there is a file that is not to be replaced.
 */
int tc_writer_check(const char *path, unsigned options);
int tc_writer_check_name(const char *path, unsigned options);

/* Adds bytes. Returns 0 or an errno; the file then is as it was. */
int tc_writer_write(struct tc_writer *writer, const void *bytes, size_t size);

/* Adds as many of the bytes as there is room for. */
void tc_writer_fill(struct tc_writer *writer, const void *bytes, size_t size);

/* Goes on in the directory of temporary files, with `size` bytes more, as they cannot be written
 * where the file is, for the reason `error`. Returns 0 or an errno; the file then is as it was. */
int tc_writer_move(struct tc_writer *writer, int error, const void *bytes, size_t size);

/*
 * Ends the file and gives it the name `path`, once the disk has it. A file that was there leaves it
 * its mode; a symbolic link stays, what it points to is replaced, and one that points to nothing is
 * an error. A device waits up to `patience` seconds each time nobody reads on. Returns 0, or an
 * errno: then nothing has changed, the temporary file is still open, and EEXIST, of a file that is
 * not to be replaced, can be answered with another name.
 */
int tc_writer_commit(struct tc_writer *writer, const char *path, double patience);

/*
 * Ends a file that cannot get its name, for the reason `error`, and keeps it under one that nobody
 * has, as `path` says then: a.png is a-rescued-1.png. One that is not whole (`error` is 0) is
 * a.png.part. Where not even that can be, it stays under its temporary name. `ext` is its true
 * extension for a name that has none, or NULL. Returns 0 or an errno; then it is gone.
 */
int tc_writer_keep(struct tc_writer *writer, int error, const char *ext);

/* Removes the temporary file, if there is one, and frees what the writer has. */
void tc_writer_abort(struct tc_writer *writer);

/* The reason in words. */
const char *tc_writer_reason(int error);

#endif
