/* invoker/store_check.h -- can the databases be used with the user that is configured?
 *
 * Asked at the start and again, with growing pauses, until each has answered once. What is wrong is
 * logged when it changes, naming database and user; it never keeps the invoker from starting, since
 * the store may come later. Thread: loop. */
#pragma once

#include <stdint.h>

#include "common/base/mem.h"

struct cw_docstore;
struct cw_loop;
struct inv_store_check;

enum { INV_STORE_CHECK_DBS = 3 };

struct inv_store_check_conf {
    struct cw_loop *loop;
    struct cw_docstore *store;
    const char *user;
    const char *dbs[INV_STORE_CHECK_DBS]; /* NULL or "": none */
    int64_t retry_ms;                     /* the first pause, which doubles; 0: a second */
};

/* Begins to ask. conf is copied, what it points to borrowed. */
struct inv_store_check *inv_store_check_new(const struct inv_store_check_conf *conf);
/* Accepts NULL. */
void inv_store_check_free(struct inv_store_check *c);
/* The first database that has not answered well yet; NULL: all have. */
const char *inv_store_check_missing(const struct inv_store_check *c);
