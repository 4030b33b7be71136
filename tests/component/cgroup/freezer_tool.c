/* freezer_tool ROOT ID freeze|both|release: freezes (waits for it, at most 10 s), then thaws; or
 * thaws what another has frozen. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/cgroup/freezer.h"

enum { TRIES = 1000, PAUSE_US = 10000 };

static int freeze(struct cw_freezer *f, const char *id)
{
    for (int i = 0; i < TRIES; i++) {
        int rc = cw_freezer_freeze(f, id);

        if (rc != 0)
            return rc > 0 ? 0 : 1;
        (void)usleep(PAUSE_US);
    }
    return 1;
}

/* By the process that froze it. */
static int freeze_and_thaw(struct cw_freezer *f, const char *id)
{
    struct cw_err err = {0};

    return freeze(f, id) == 0 && cw_freezer_thaw(f, id, &err) == 1 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct cw_freezer *f;
    int status = 2;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: freezer_tool ROOT ID freeze|both|release\n");
        return 2;
    }
    f = cw_freezer_new(argv[1], NULL);
    if (strcmp(argv[3], "freeze") == 0) {
        status = freeze(f, argv[2]);
    } else if (strcmp(argv[3], "both") == 0) {
        status = freeze_and_thaw(f, argv[2]);
    } else if (strcmp(argv[3], "release") == 0) {
        cw_freezer_release(f, argv[2]);
        status = 0;
    }
    cw_freezer_free(f);
    return status;
}
