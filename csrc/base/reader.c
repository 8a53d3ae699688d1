/*
 * Reads whole files: see reader.h.
 */
#include "reader.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#ifdef _WIN32
#define stat          _stat64
#define S_ISREG(mode) ((_S_IFMT & (mode)) == _S_IFREG)
#define S_ISDIR(mode) ((_S_IFMT & (mode)) == _S_IFDIR)
#endif

int tc_reader_size(const char *path, uint64_t *size)
{
    struct stat about;
    if (stat(path, &about))
        return errno;
    if (!S_ISREG(about.st_mode))
        return S_ISDIR(about.st_mode) ? EISDIR : EINVAL;
    *size = (uint64_t)about.st_size;
    return 0;
}

int tc_reader_read(const char *path, void *bytes, size_t size)
{
    errno = 0;
    FILE *file = fopen(path, "rb");
    if (!file)
        return errno ? errno : EIO;
    size_t taken = fread(bytes, 1, size, file);
    int error = taken == size ? 0 : errno ? errno : EIO;
    (void)fclose(file);
    return error;
}
