/* common/bus/local_bus.h -- struct cw_bus inside one process: same order, offsets and back-pressure
 * as Kafka with one partition per topic. Topics exist when ensured or first published to. For tests
 * and standalone. Thread: loop. */
#pragma once

#include "common/bus/bus.h"

/* max_message_bytes as for Kafka. */
struct cw_bus *cw_local_bus_new(struct cw_loop *loop, int64_t max_message_bytes);
