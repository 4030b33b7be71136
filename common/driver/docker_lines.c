#include "common/driver/docker_lines.h"

void cw_docker_lines_init(struct docker_lines *l, size_t max_line)
{
    cw_str_init(&l->line, max_line);
}

void cw_docker_lines_done(struct docker_lines *l)
{
    cw_str_done(&l->line);
}

void cw_docker_lines_end(struct docker_lines *l, docker_line_fn *fn, void *arg)
{
    fn(arg, cw_str_slice(&l->line), l->line.failed);
    cw_str_reset(&l->line);
}

void cw_docker_lines_feed(struct docker_lines *l, struct cw_slice piece, docker_line_fn *fn,
                          void *arg)
{
    while (piece.n) {
        const char *eol = memchr(piece.p, '\n', piece.n);
        size_t n = eol ? (size_t)(eol - piece.p) : piece.n;

        cw_str_add(&l->line, piece.p, n);
        if (!eol)
            return;
        cw_docker_lines_end(l, fn, arg);
        piece = cw_slice(eol + 1, piece.n - n - 1);
    }
}
