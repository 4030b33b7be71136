#include "common/base/mem.h"

#include <stdint.h>
#include <unistd.h>

static void die(void)
{
    static const char MSG[] = "cwhisk: out of memory\n";

    (void)!write(2, MSG, sizeof(MSG) - 1);
    abort();
}

void *cw_alloc(size_t size)
{
    return cw_calloc(1, size);
}

void *cw_calloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);

    if (!p)
        die();
    return p;
}

void *cw_realloc(void *p, size_t size)
{
    p = realloc(p, size ? size : 1);
    if (!p)
        die();
    return p;
}

char *cw_strdup(const char *s)
{
    return s ? cw_memdup(s, strlen(s)) : NULL;
}

char *cw_memdup(const void *p, size_t n)
{
    char *copy;

    if (n == SIZE_MAX)
        die();
    copy = malloc(n + 1);
    if (!copy)
        die();
    if (n)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}
