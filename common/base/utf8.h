/* common/base/utf8.h -- where one UTF-8 sequence ends. Thread: any (no state). */
#pragma once

#include <stddef.h>

/* Bytes (1..4) of the well-formed sequence at p, of which n > 0 bytes may be read; 0 when the bytes
 * there are none: over-long forms, surrogates, values beyond U+10FFFF and cut sequences. */
size_t cw_utf8_seq(const char *p, size_t n);
