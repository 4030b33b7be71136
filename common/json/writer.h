/* common/json/writer.h -- compact JSON onto a struct cw_str.
 *
 * Commas are placed by the writer; nesting is the caller's duty (asserted in debug builds). Raw
 * values are copied byte for byte. Check str->failed once at the end. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

enum { CW_JSON_MAX_NESTING = 32 };

struct cw_json_writer {
    struct cw_str *out;
    unsigned depth;
    bool comma;
};

void cw_json_begin(struct cw_json_writer *w, struct cw_str *out);
void cw_json_object(struct cw_json_writer *w);
void cw_json_object_end(struct cw_json_writer *w);
void cw_json_array(struct cw_json_writer *w);
void cw_json_array_end(struct cw_json_writer *w);
/* The next value belongs to this key. */
void cw_json_key(struct cw_json_writer *w, const char *key);
/* Escapes quote, backslash and control characters; text must be UTF-8. NULL text writes null. */
void cw_json_string(struct cw_json_writer *w, const char *text);
void cw_json_string_slice(struct cw_json_writer *w, struct cw_slice text);
void cw_json_int(struct cw_json_writer *w, int64_t v);
void cw_json_bool(struct cw_json_writer *w, bool v);
void cw_json_null(struct cw_json_writer *w);
/* A complete JSON value, verbatim; not empty. */
void cw_json_raw(struct cw_json_writer *w, struct cw_slice value);

/* key + value in one. A NULL string and an empty raw value are left out altogether. */
void cw_json_kv_string(struct cw_json_writer *w, const char *key, const char *text);
void cw_json_kv_int(struct cw_json_writer *w, const char *key, int64_t v);
void cw_json_kv_bool(struct cw_json_writer *w, const char *key, bool v);
void cw_json_kv_raw(struct cw_json_writer *w, const char *key, struct cw_slice value);
