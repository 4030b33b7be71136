/* common/model/transid.h -- wire form of transaction ids (openwhisk kafka.md 4.1).
 *
 * [id, startMs], [id, startMs, extraLogging], [id, startMs, parent], [id, startMs, extraLogging,
 * parent]. What is echoed (cw_tx.raw) is the id as stock writes what it has read: as received for
 * all that controllers send; a false, a parent that is none and a fraction of a millisecond are
 * left out; an unparsable id becomes ["sid_unknown", now]. Thread: any. */
#pragma once

#include "common/base/txid.h"

struct cw_arena;

/* Never fails: what is not understood becomes sid_unknown (start = fallback_start_ms). value: a
 * checked JSON value; *ret lives as long as it and the arena. Parents nested deeper than 16 are cut
 * off. start_ms is kept within +-2^53; raw has it whole. */
void cw_transid_decode(struct cw_slice value, int64_t fallback_start_ms, struct cw_arena *arena,
                       struct cw_tx *ret);
