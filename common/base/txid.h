/* common/base/txid.h -- the transaction id that follows one request through all components.
 *
 * On the wire it is a JSON array that must be echoed (common/model/transid.h decodes it); this
 * struct is what logs and records need of it. Source: openwhisk
 * CS/common/TransactionId.scala. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_tx {
    const char *id;      /* this transaction */
    const char *root_id; /* outermost ancestor; equals id when there is no parent */
    int64_t start_ms;    /* epoch, by the clock of the machine that made the id */
    bool has_parent;
    bool extra_logging;
    struct cw_slice raw; /* the array to echo */
};

/* For work of our own that no request started, as stock names it. */
static inline struct cw_tx cw_tx_named(const char *id, int64_t start_ms)
{
    return (struct cw_tx){.id = id, .root_id = id, .start_ms = start_ms};
}
