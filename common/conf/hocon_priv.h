/* common/conf/hocon_priv.h -- the tree between hocon_parse.c (text to tree) and hocon.c (tree to
 * pairs). All of it lives in one arena. */
#pragma once

#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/conf/hocon.h"

enum {
    HOCON_TEXT_MAX = 1 << 20,
    HOCON_DEPTH_MAX = 64,
    HOCON_PAIRS_MAX = 10000,
    HOCON_NODES_MAX = 200000,
    HOCON_STEPS_MAX = 500000,
    HOCON_MADE_MAX = 16 << 20, /* bytes of texts put together */
    HOCON_PATH_MAX = 4096,
    HOCON_PARTS_MAX = 64, /* of one path */
    HOCON_INCLUDES_MAX = 32,
};

enum hocon_type {
    HOCON_STRING, /* numbers and booleans too: their text */
    HOCON_NULL,
    HOCON_OBJECT,
    HOCON_LIST,
    /* The rest becomes one of the above when it is resolved: */
    HOCON_SUBST,  /* ${path} */
    HOCON_CONCAT, /* pieces, blanks between them included */
    HOCON_APPEND, /* += child */
};

enum hocon_state { HOCON_NEW, HOCON_BUSY, HOCON_DONE };

struct hocon_node {
    enum hocon_type type;
    enum hocon_state state;
    unsigned line, column;
    struct cw_slice text;      /* STRING */
    bool blank;                /* STRING: only the white space between two pieces */
    bool bare;                 /* STRING: unquoted, so it may be null */
    bool optional;             /* SUBST */
    struct cw_slice *names;    /* OBJECT: of the children; SUBST: the path */
    struct hocon_node **kids;  /* OBJECT, LIST, CONCAT, APPEND */
    size_t count, cap;         /* of names and kids */
    struct hocon_node *prior;  /* what stood in the same place before, as far as it still matters */
    struct hocon_node *result; /* when DONE; NULL: undefined */
};

struct hocon {
    struct cw_arena arena;
    const struct cw_hocon_hooks *hooks;
    size_t nodes, steps, made, includes;
    bool located; /* an include is named in the error */
    bool over;    /* a bound was reached in hocon_push */
    unsigned depth;
    struct hocon_node *root;
    struct cw_err *err;
};

/* A place and what is wrong there; -1. */
#define HOCON_FAIL(h, line, column, fmt, ...)                                                      \
    cw_fail((h)->err, CW_INVALID, "%u:%u: " fmt, (line), (column), ##__VA_ARGS__)

/* NULL, with the error set, when there are too many. */
struct hocon_node *hocon_node(struct hocon *h, enum hocon_type type, unsigned line,
                              unsigned column) CW_MUST_CHECK;
/* Over the bounds: sets h->over instead. */
void hocon_push(struct hocon *h, struct hocon_node *parent, struct cw_slice name,
                struct hocon_node *kid);
/* The place of a name in an object, or NULL. */
struct hocon_node **hocon_field(const struct hocon_node *object, struct cw_slice name);
/* object.name = value as the text says it: later values win, objects merge. */
void hocon_set(struct hocon *h, struct hocon_node *object, struct cw_slice name,
               struct hocon_node *value);

/* hocon_parse.c: the text's members into h->root. */
int hocon_parse(struct hocon *h, struct cw_slice text) CW_MUST_CHECK;
