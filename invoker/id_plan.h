/* invoker/id_plan.h -- the id of an invoker that only has a name: what is in ZooKeeper's nodes, and
 * which id follows from it.
 *
 * Layout of OpenWhisk (invoker.md 1.1): /invokers/idAssignment/mapping/<name> holds a minimal
 * big-endian two's-complement integer, /invokers/idAssignment/counter a 4-byte big-endian one.
 * Pure. Thread: any. */
#pragma once

#include <stdint.h>

#include "common/base/str.h"

struct cw_err;

enum {
    INV_ID_MAX = 1000000,
    INV_ID_BYTES = 4,        /* that an id takes at most */
    INV_ID_COUNTER_BYTES = 4 /* that the counter always takes */
};

/* The shortest form: 127 is 7F, 128 is 00 80. Returns the number of bytes. id is 0..INV_ID_MAX. */
size_t inv_id_encode(int64_t id, uint8_t out[INV_ID_BYTES]);
/* Any length, as stock reads it; -1 when it is not 0..INV_ID_MAX. */
int64_t inv_id_decode(struct cw_slice bytes);

void inv_id_counter_encode(int64_t count, uint8_t out[INV_ID_COUNTER_BYTES]);
/* Empty is 0, as Curator reads it; -1 when it is no counter. */
int64_t inv_id_counter_decode(struct cw_slice bytes);

/* ids: of all assigned names (-1: unreadable; reordered here), count of them. As stock, the next
 * one is the number of names; where that is taken (overwritten ids leave holes) the lowest free
 * one, since two invokers with one id destroy each other's containers. */
int64_t inv_id_next(int64_t *ids, size_t count);

/* A name that can be a node: CW_INVALID naming the option and what is accepted. */
int inv_id_check_name(const char *name, struct cw_err *err) CW_MUST_CHECK;

/* "host:port,host:port/chroot" as ZooKeeper's C client takes it: ports added (2181, as the Java
 * client does), IPv6 brackets and blanks taken off. CW_INVALID in stock's words. */
int inv_id_hosts(const char *text, struct cw_str *out, struct cw_err *err) CW_MUST_CHECK;
