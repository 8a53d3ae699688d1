/*
 * measure COMMAND ...: runs it, then prints the user and system CPU of it and its children in
 * microseconds and the peak of resident memory in KiB, on a line by themselves.
 *
 * A program of its own because Linux counts what a process held before its exec into its peak: a
 * child of a Python driver never had less than that driver. This one holds next to nothing.
 */
#define _DEFAULT_SOURCE /* wait4 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long long microseconds(struct timeval time)
{
    return (long long)time.tv_sec * 1000000 + time.tv_usec;
}

int main(int argc, char **argv)
{
    struct rusage usage;
    int status;
    if (argc < 2) {
        fprintf(stderr, "usage: measure COMMAND ...\n");
        return 2;
    }
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) < 0) {
        perror("measure");
        return 1;
    }
    printf("%lld %ld\n", microseconds(usage.ru_utime) + microseconds(usage.ru_stime),
           usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
