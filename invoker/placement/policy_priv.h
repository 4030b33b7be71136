/* invoker/placement/policy_priv.h -- what the policies share. */
#pragma once

#include "invoker/placement/policy.h"

/* Whether the guarantee asked for fits beside those given. */
bool inv_policy_fits_guarantee(const struct inv_host_view *h, const struct inv_ask *ask);
/* What to say when no host was taken: of the usable hosts, whether any is large enough at all, and
 * whether any has the memory. */
void inv_policy_explain(const struct inv_host_view *hosts, size_t count, const struct inv_ask *ask,
                        struct inv_placement *ret);
/* A well mixed 64-bit value (the finaliser of SplitMix64). */
uint64_t inv_policy_mix(uint64_t value);

/* usable[i]: hosts[i] may be chosen at all. They leave ret->host at -1 when none can take it. */
void inv_policy_hash(const struct inv_host_view *hosts, const bool *usable, size_t count,
                     const struct inv_ask *ask, struct inv_placement *ret);
void inv_policy_hybrid(const struct inv_host_view *hosts, const bool *usable, size_t count,
                       const struct inv_ask *ask, struct inv_placement *ret);
void inv_policy_table2(const struct inv_host_view *hosts, const bool *usable, size_t count,
                       const struct inv_ask *ask, struct inv_placement *ret);
