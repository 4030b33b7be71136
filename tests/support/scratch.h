/* tests/support/scratch.h -- a folder of the test's own under /tmp.
 *
 * Thread: any. */
#pragma once

enum { SCRATCH_MAX = 64 };

/* Aborts when there cannot be one. */
void scratch_make(char folder[SCRATCH_MAX]);
/* With all that is in it. */
void scratch_remove(const char *folder);
