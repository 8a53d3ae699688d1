/*
 * Writes files so that each appears whole or not at all. The bytes go to a temporary file in the
 * same directory. When all of them are on the disk, it gets its final name in one step. So readers
 * see the old file or the new one and never half a picture, even after a power cut.
 *
 * The bytes may have been paid for. If the file cannot get its name, tc_writer_keep gives it
 * another one in the same directory, or among the system's temporary files. If a process was
 * killed, its temporary file stays. It gets a visible name, `unfinished-1.part`, when the next file
 * is opened in that directory.
 *
 * A device or a pipe gets all its bytes at once, at the end: see device.h.
 */
#ifndef TC_WRITER_H
#define TC_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tc_writer_option {
    TC_WRITER_REPLACE = 1,  /* replace a file of that name, and write to a device */
    TC_WRITER_NO_FLUSH = 2, /* do not wait until the file is on the disk */
};

/* A file that is being written. All zero: there is none. */
struct tc_writer {
    char *temporary; /* its name while it is open, else NULL */
    char *path;      /* the name that it should get; once it is closed, the name that it has */
    int file;
    unsigned options;
    int error;        /* why it could not be written in the directory of `path`, or 0 */
    uint64_t size;    /* bytes so far */
    uint64_t flushed; /* how many of them the system was asked to write to the disk */
};

/* The name of a file without its directories. */
const char *tc_base_name(const char *path);

/*
 * Opens a temporary file, which can get the name `path` at the end, or any other in the same
 * directory. Returns 0 or an errno; after an error no file is open.
 */
int tc_writer_open(struct tc_writer *writer, const char *path, unsigned options);

/* The same in a directory for temporary files, because opening `path` failed with `error`, or
 * because it is a device (`error` is 0). */
int tc_writer_open_elsewhere(struct tc_writer *writer, const char *path, int error);

/*
 * Could a file be written there now? tc_writer_check tries it, and removes what it wrote.
 * tc_writer_check_name looks at the name alone, which is cheap: it is for more names in a directory
 * that was checked. Both return 0 or an errno; EEXIST if a file exists that must not be replaced.
 */
int tc_writer_check(const char *path, unsigned options);
int tc_writer_check_name(const char *path, unsigned options);

/* Appends bytes. Returns 0 or an errno; after an error the file is as it was before. */
int tc_writer_write(struct tc_writer *writer, const void *bytes, size_t size);

/* Appends as many of the bytes as the disk has room for. */
void tc_writer_fill(struct tc_writer *writer, const void *bytes, size_t size);

/* Moves the file to a directory for temporary files and appends `size` bytes there, because writing
 * them here failed with `error`. Returns 0 or an errno; after an error the file is as it was. */
int tc_writer_move(struct tc_writer *writer, int error, const void *bytes, size_t size);

/*
 * Closes the file and gives it the name `path`, once it is on the disk. If it replaces a file, it
 * gets the mode of that one. If `path` is a symbolic link, the link stays and the file that it
 * points to is replaced; if that does not exist, this is an error. Writing to a device takes
 * `patience` as tc_device_write does. Returns 0 or an errno. After an error nothing has changed and
 * the temporary file is still open. So after EEXIST (a file that must not be replaced) the caller
 * can try another name.
 */
int tc_writer_commit(struct tc_writer *writer, const char *path, double patience);

/*
 * Closes a file that cannot get its name because of `error`, and gives it another name that is
 * free. `path` has that name afterwards: for a.png it is a-rescued-1.png, or a.png.part if `error`
 * is 0, which says that the picture is incomplete. If the file cannot be renamed at all, it keeps
 * its temporary name. `ext` is the true extension, for a name that has none, or NULL. Returns 0 or
 * an errno; after an error the file is gone.
 */
int tc_writer_keep(struct tc_writer *writer, int error, const char *ext);

/* Removes the temporary file, if there is one, and frees what the writer has. */
void tc_writer_abort(struct tc_writer *writer);

/* An errno of these functions in words, for a person. */
const char *tc_writer_reason(int error);

#endif
