#include "tests/support/scratch.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static void make_folders_above(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
}

void scratch_put(const char *folder, const char *relative, const char *text)
{
    char path[PATH_MAX];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, relative);
    make_folders_above(path);
    f = fopen(path, "we");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0) {
        perror(path);
        abort();
    }
}

bool scratch_get(const char *folder, const char *relative, char *text, size_t size)
{
    char path[PATH_MAX];
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, relative);
    f = fopen(path, "re");
    if (!f)
        return false;
    n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return true;
}

int scratch_begin(void **state)
{
    char *folder = malloc(SCRATCH_MAX);

    if (!folder)
        abort();
    scratch_make(folder);
    *state = folder;
    return 0;
}

int scratch_end(void **state)
{
    scratch_remove(*state);
    free(*state);
    return 0;
}
