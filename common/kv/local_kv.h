/* common/kv/local_kv.h -- the kv of one process, with the same rules (see kv.h). Always up.
 *
 * Bounded: beyond max_hashes the one goes that would expire first, those that never do last. */
#pragma once

#include "common/base/mem.h"

struct cw_kv;
struct cw_loop;

/* max_hashes 0: 65536. */
struct cw_kv *cw_local_kv_new(struct cw_loop *loop, size_t max_hashes);
