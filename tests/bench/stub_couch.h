/* tests/bench/stub_couch.h -- the two requests of an invoker that reach CouchDB at full load.
 *
 * GET /db/namespace%2Fname is an action of that name with its code inline, whatever the name:
 * python:3.11 if that ends in -python, else nodejs:20; POST /db/_bulk_docs accepts every document
 * and counts them. Thread: one. */
#pragma once

#include <stdint.h>

#include "tests/bench/stub_http.h"

struct stub_couch {
    uint64_t reads, batches, records;
};

/* A stub_handler_fn; arg: struct stub_couch. */
void stub_couch_handle(void *arg, const struct stub_request *req, struct stub_reply *reply);
