/* invoker/providers.h -- the whisk.spi.* settings that choose parts of stock's invoker.
 *
 * Each names a class; its last part tells which. What we are in place of is accepted, anything else
 * is refused by name: to go on would, for instance, write records where nobody looks. (The log
 * store's is in logs/log_store.h; those of the controllers are not read.) Thread: any. */
#pragma once

#include "common/base/mem.h"

struct cw_err;
struct inv_settings;

/* An empty or absent setting means the sharding protocol's part, whatever stock's version. */
int inv_providers_check(const struct inv_settings *s, struct cw_err *err) CW_MUST_CHECK;
