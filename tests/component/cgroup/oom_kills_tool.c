/* oom_kills_tool ROOT ID COUNT: waits, at most 60 s, until the container's count is this. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cgroup/usage.h"

enum { TRIES = 600, PAUSE_US = 100000 };

int main(int argc, char **argv)
{
    int64_t expected = argc == 4 ? strtol(argv[3], NULL, 10) : 0, count = -1;
    struct cw_usage_source *source;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: oom_kills_tool ROOT ID COUNT\n");
        return 2;
    }
    source = cw_usage_source_new(argv[1], "/proc", NULL);
    for (int i = 0; i < TRIES && count != expected; i++) {
        count = cw_usage_oom_kills(source, argv[2]);
        if (count != expected)
            (void)usleep(PAUSE_US);
    }
    cw_usage_source_free(source);
    if (count == expected)
        return 0;
    (void)fprintf(stderr, "oom_kills_tool: the count is %" PRId64 ", expected %" PRId64 "\n", count,
                  expected);
    return 1;
}
