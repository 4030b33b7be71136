/* invoker/janitor/owners.h -- are the invokers of the cluster, whose containers are on our engine,
 * still there?
 *
 * Asks Kafka who is in their groups, for an invoker that is at work is in its group, wherever it
 * runs. One is gone when its group has been empty at each look for some time; where the brokers do
 * not say, it is not known. Thread: loop. */
#pragma once

#include <stdint.h>

#include "invoker/janitor/rules.h"

struct cw_bus;
struct cw_loop;
struct inv_owners;

/* topic_prefix: before "invoker<id>", the group's name; copied. */
struct inv_owners *inv_owners_new(struct cw_loop *loop, struct cw_bus *bus,
                                  const char *topic_prefix, int64_t gone_after_ms);
/* After the bus: it may still tell something. Accepts NULL. */
void inv_owners_free(struct inv_owners *o);
/* What is known of the invoker with this id, as its containers are labelled with it; it is asked
 * for in the next look. NULL and what is no number: not known. */
enum inv_owner_seen inv_owners_seen(struct inv_owners *o, const char *instance);
/* Asks for all that inv_owners_seen was called for since the last look; others are forgotten. */
void inv_owners_look(struct inv_owners *o);
