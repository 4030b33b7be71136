/* common/base/base64.h -- base64 with and without the url-safe alphabet (RFC 4648). Thread: any. */
#pragma once

#include "common/base/str.h"

struct cw_err;

enum cw_base64_alphabet { CW_BASE64_STANDARD, CW_BASE64_URL };

/* Appends the standard alphabet with padding, without line breaks. */
void cw_base64_encode(struct cw_slice bytes, struct cw_str *out);
/* Appends the bytes. Strict: no white space, no character of the other alphabet; padding is
 * complete or absent. Unused bits of the last character are ignored, as Java's decoder does. On
 * failure nothing has been appended. */
int cw_base64_decode(struct cw_slice text, enum cw_base64_alphabet alphabet, struct cw_str *out,
                     struct cw_err *err) CW_MUST_CHECK;
