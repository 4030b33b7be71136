/* common/model/transid.h -- wire form of transaction ids (openwhisk kafka.md 4.1).
 *
 * [id, startMs], [id, startMs, extraLogging], [id, startMs, parent], [id, startMs, extraLogging,
 * parent]. Echoed as received; an unparsable one counts as sid_unknown with its raw bytes kept.
 * Thread: any. */
#pragma once

#include "common/base/txid.h"

struct cw_arena;

/* Never fails: what is not understood becomes sid_unknown (start = fallback_start_ms). value: a
 * checked JSON value that outlives *ret. Parents nested deeper than 16 are not followed for
 * root_id. */
void cw_transid_decode(struct cw_slice value, int64_t fallback_start_ms, struct cw_arena *arena,
                       struct cw_tx *ret);
