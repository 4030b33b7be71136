/* common/model/content_hash.h -- SHA-256 over the meaning of JSON, not over its spelling.
 *
 * Equal for values that stock would call equal: order of members, escapes in strings, white space
 * and the spelling of numbers (1.0, 1, 10e-1) do not matter; order of array elements does.
 * Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_content_hash;

enum { CW_CONTENT_HASH_LEN = 32 };

struct cw_content_hash *cw_content_hash_new(void);
/* Accepts NULL. */
void cw_content_hash_free(struct cw_content_hash *h);
/* Each adds one item; items cannot run into each other. */
void cw_content_hash_text(struct cw_content_hash *h, const char *text); /* NULL: "absent" */
void cw_content_hash_int(struct cw_content_hash *h, int64_t v);
/* A checked value. n == 0: "absent". */
void cw_content_hash_json(struct cw_content_hash *h, struct cw_slice value);
/* Checked array of {"key":…,"value":…,…} objects whose order does not matter; of equal keys the
 * last one counts. */
void cw_content_hash_parameters(struct cw_content_hash *h, struct cw_slice array);
/* The same without those whose key begins with this. */
void cw_content_hash_parameters_but(struct cw_content_hash *h, struct cw_slice array,
                                    const char *prefix);
void cw_content_hash_end(struct cw_content_hash *h, unsigned char ret[CW_CONTENT_HASH_LEN]);
