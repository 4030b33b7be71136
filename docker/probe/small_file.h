/* docker/probe/small_file.h -- files of the kernel that fit into a few pages. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

enum { PB_SMALL_FILE = 8192 };

/* The first PB_SMALL_FILE - 1 bytes of a file in the folder, as a text; false: there is nothing. */
bool pb_read_at(int dir, const char *name, char text[PB_SMALL_FILE]);
/* The same of an open file, from its beginning. */
bool pb_read_fd(int fd, char text[PB_SMALL_FILE]);

/* A text that is a number of 0 or more, and perhaps a line end; -1: it is not. */
int64_t pb_number(struct cw_slice text);
/* The number behind the key at the beginning of a line, with blanks or tabs between; -1: there is
 * no such line, or no number of 0 or more in it. */
int64_t pb_keyed_number(struct cw_slice text, const char *key);
