#include "tests/support/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void scratch_make(char folder[SCRATCH_MAX])
{
    (void)snprintf(folder, SCRATCH_MAX, "/tmp/cw-test-XXXXXX");
    if (!mkdtemp(folder)) {
        perror(folder);
        abort();
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void scratch_remove(const char *folder)
{
    (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
