/* cwhisk probe: the static program of that name, beside this one or in PATH. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/roles.h"

#define PROGRAM "cwhisk-probe"

enum { NO_PROGRAM = 127 };

/* execve returns only if it cannot. */
static void become_neighbour(char **argv, char **environment)
{
    char path[PATH_MAX + sizeof(PROGRAM)];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;

    if (!slash)
        return;
    memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
    (void)execve(path, argv, environment);
}

int role_probe(int argc, char **argv, char **environment)
{
    (void)argc;
    become_neighbour(argv, environment);
    (void)execvpe(PROGRAM, argv, environment);
    (void)fprintf(stderr,
                  "cwhisk probe: " PROGRAM
                  " (a program of its own: docker/probe) is neither beside "
                  "this one nor in PATH: %s\n",
                  strerrordesc_np(errno));
    return NO_PROGRAM;
}
