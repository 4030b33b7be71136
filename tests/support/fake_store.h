/* tests/support/fake_store.h -- a document store that answers what the test says and remembers what
 * was put.
 *
 * Calls complete in the next turn, or when the test releases them. Thread: loop. */
#pragma once

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/store/docstore.h"

struct cw_loop;
struct fake_store;

/* Outcome of one put document; NULL text: accepted. */
typedef enum cw_docstore_put_code fake_put_fn(struct fake_store *s, const char *doc,
                                              size_t batch_size);

struct fake_store {
    struct cw_docstore base;
    struct cw_loop *loop;
    struct cw_list calls;
    bool hold;
    /* reads: the same answer for all; err.code CW_OK means that `document` is given */
    const char *document;
    const char *attachment;
    const char *rows; /* of a view */
    struct cw_err get_err, attachment_err, view_err, check_err;
    /* bulk puts: this error for whole batches that are larger than fail_over (code CW_OK: none) */
    struct cw_err bulk_err;
    size_t fail_over;
    unsigned failures;  /* so often */
    const char *poison; /* only batches with a document that contains this; NULL: any */
    fake_put_fn *put;
    /* what was done */
    unsigned gets, attachment_gets, bulks, views, checks;
    struct cw_str stored; /* accepted documents, one a line */
    size_t stored_count, largest_batch;
    char checked[256]; /* databases, each followed by a blank */
    char last_rev[64], last_attachment[128];
    char last_view[256]; /* "<db> <design>/<view>" and the options that are on */
};

void fake_store_init(struct fake_store *s, struct cw_loop *loop);
void fake_store_done(struct fake_store *s);
/* Held calls complete, later ones are not held. */
void fake_store_release(struct fake_store *s);
