/* common/driver/docker_lines.h -- the lines of a stream that comes in pieces.
 *
 * Thread: owner only. */
#pragma once

#include <stdbool.h>

#include "common/base/str.h"

struct docker_lines {
    struct cw_str line; /* not yet ended; `failed` when it is over its maximum */
};

/* line: without its end; too_long: it is not complete. */
typedef void docker_line_fn(void *arg, struct cw_slice line, bool too_long);

void cw_docker_lines_init(struct docker_lines *l, size_t max_line);
void cw_docker_lines_done(struct docker_lines *l);
/* Calls fn for each line that ends in piece. */
void cw_docker_lines_feed(struct docker_lines *l, struct cw_slice piece, docker_line_fn *fn,
                          void *arg);
/* The stream has ended: what came behind the last line end is a line, possibly empty. */
void cw_docker_lines_end(struct docker_lines *l, docker_line_fn *fn, void *arg);
