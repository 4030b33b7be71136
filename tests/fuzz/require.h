/* tests/fuzz/require.h -- what must hold for any input; a crash says what did not. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define require(condition) require_that(condition, __FILE__, __LINE__, #condition)

static inline void require_that(bool ok, const char *file, int line, const char *condition)
{
    if (ok)
        return;
    (void)fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}
