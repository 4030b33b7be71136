/* common/base/quantity.h -- sizes and durations as people write them.
 *
 * Two dialects of sizes exist on purpose: in configuration (HOCON) "256MB" means powers of 1000
 * while k, m, g and KiB, MiB, GiB mean powers of 1024; in JSON texts (instance ids, stem cells,
 * limits of namespaces) KB, MB, GB are powers of 1024. Fractions ("1.5g", "0.5 s") are exact and
 * rounded down. Errors say what was wrong with the text; naming the setting and the accepted range
 * is the caller's part. Thread: any. */
#pragma once

#include <stdint.h>

#include "common/base/str.h"

struct cw_err;

enum cw_size_dialect {
    CW_SIZE_HOCON, /* unit optional (bytes); kB..EB, k..E, Ki.., KiB.., kilobytes, kibibytes */
    CW_SIZE_JSON,  /* unit required: B K KB M MB G GB, any case */
};
/* White space around the text and between number and unit is allowed. 0..INT64_MAX bytes. */
int cw_parse_size(struct cw_slice text, enum cw_size_dialect dialect, int64_t *ret_bytes,
                  struct cw_err *err) CW_MUST_CHECK;
/* "10 minutes", "5m", "100 ms", "1 day"; a plain number is ms; "Inf" (also +Inf, PlusInf,
 * Duration.Inf) gives INT64_MAX. */
int cw_parse_duration(struct cw_slice text, int64_t *ret_ms, struct cw_err *err) CW_MUST_CHECK;
