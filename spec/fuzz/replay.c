/*
 * Runs a fuzz target over files given as arguments, or over the directory CORPUS, without a fuzzer:
 * for `make test`, which reads the TAP that it prints, and for one input in a debugger.
 */
#define _POSIX_C_SOURCE 200809L /* opendir */

#include "fuzz.h"

#include <dirent.h>

#ifndef CORPUS
#define CORPUS "."
#endif

static void run_file(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        perror(name);
        exit(1);
    }
    long size = ftell(file);
    uint8_t *data = exact((size_t)size);
    rewind(file);
    CLAIM(fread(data, 1, (size_t)size, file) == (size_t)size);
    (void)fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
}

/* Runs one input as a test of TAP's; one that does not hold ends the process. */
static void run_test(const char *name, int number)
{
    run_file(name);
    printf("ok %d - %s\n", number, name);
    (void)fflush(stdout);
}

/* Runs every file of the directory. Returns how many there were. */
static int run_directory(const char *name)
{
    char path[512];
    int count = 0;
    DIR *directory = opendir(name);
    CLAIM(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", name, entry->d_name);
        run_test(path, ++count);
    }
    (void)closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run_test(argv[i], i);
    int count = argc > 1 ? argc - 1 : run_directory(CORPUS);
    printf("1..%d\n", count);
    return count ? 0 : 1;
}
