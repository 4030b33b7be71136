/* docker/runtimes/native/base64.h -- decode the standard alphabet. Thread: any (no state). */
#pragma once

#include "common/base/str.h"

/* Appends the decoded bytes. White space is skipped, padding is optional; -1 on any other byte, on
 * data after the padding or when out is full. */
int ap_base64_decode(struct cw_slice text, struct cw_str *out) CW_MUST_CHECK;
