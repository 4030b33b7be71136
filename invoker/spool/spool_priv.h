/* invoker/spool/spool_priv.h -- what the spool's files share: spool.c (writing, settling),
 * spool_read.c, spool_open.c.
 *
 * Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "invoker/spool/spool.h"
#include "invoker/spool/spool_index.h"
#include "invoker/spool/spool_reader.h"

struct segment {
    struct cw_link link;
    uint64_t number;
    uint64_t next; /* sequence number behind its last record */
    int64_t size;  /* of the file */
    int64_t end;   /* of what is in it; 0: not even the header */
    bool inherited, indexed;
    bool unreadable; /* the file stays: somebody else may be able to */
};

struct inv_spool {
    const struct cw_disk *disk;
    char *dir, *name;
    size_t segment_bytes;
    bool sync;
    struct cw_list segments; /* by number */
    struct cw_list kept;     /* inherited, settled, of the index */
    uint64_t next_number, next, low, marked;
    bool
        pinned; /* a segment could not be read: a successor that can must not take it for settled */
    uint64_t pin; /* so this is what it is told instead of low */
    size_t bytes, left;
    /* writing */
    struct segment *active; /* the last one, or NULL */
    int fd;                 /* of the active one */
    /* reading */
    struct spool_reader reader;
    struct segment *reading; /* NULL: the one that is begun next */
    int64_t read_at;         /* in it, where the reader is not open */
    uint64_t read_seq;
    /* looking up */
    struct spool_index index;
    bool forgotten;
};

/* free() it. */
char *spool_path(const struct inv_spool *s, uint64_t number);
/* NULL: there is none. */
struct segment *spool_first(const struct inv_spool *s);
struct segment *spool_after(const struct inv_spool *s, const struct segment *seg);
/* What a successor is told to be settled. */
uint64_t spool_told_low(const struct inv_spool *s);
/* Its file is left where it is. */
void spool_give_up(struct inv_spool *s, struct segment *seg);
/* Reading goes on there. seg NULL: in the one that is begun next. */
void spool_read_from(struct inv_spool *s, struct segment *seg, int64_t at);
/* Removes segments, from the oldest, of which nothing is needed. */
void spool_drop_settled(struct inv_spool *s);
