/* tests/support/scratch.h -- a folder of the test's own under /tmp.
 *
 * Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SCRATCH_MAX = 64 };

/* Aborts when there cannot be one. */
void scratch_make(char folder[SCRATCH_MAX]);
/* With all that is in it. */
void scratch_remove(const char *folder);
/* The same around a test of cmocka's, whose *state is the folder. */
int scratch_begin(void **state);
int scratch_end(void **state);
/* Writes a file in it, making all folders above. Aborts when it cannot. */
void scratch_put(const char *folder, const char *relative, const char *text);
/* Its first bytes; false: there is no such file. */
bool scratch_get(const char *folder, const char *relative, char *text, size_t size);
