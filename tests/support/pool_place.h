/* tests/support/pool_place.h -- a decision of the pool while containers can be created. */
#pragma once

#include "invoker/pool/pool.h"

static inline struct inv_decision pool_place(struct inv_pool *p, const struct inv_pool_need *need)
{
    struct inv_decision d;

    inv_pool_place_existing(p, need, &d);
    if (d.choice == INV_CHOICE_WAIT && !need->warm_only)
        inv_pool_place_new(p, need, &d);
    return d;
}
