/* common/json/doc.h -- jansson with bounds and paths, for documents that need no byte-exactness.
 *
 * Configuration values, the runtimes manifest, answers of the Docker API and of CouchDB. Duplicates
 * are refused, size and depth are capped before parsing. Errors name the path of the offending
 * member. Thread: any. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_err;

static inline void cw_json_decrefp(json_t **p)
{
    json_decref(*p);
}
#define cw_auto_json CW_CLEANUP(cw_json_decrefp)

/* Any JSON value, nested at most CW_RAW_MAX_DEPTH deep, of at most max_bytes (else CW_TOO_LARGE).
 * Refused beyond what the grammar refuses: duplicate keys, numbers that fit neither int64_t nor
 * double, \u0000, escaped lone surrogates. The caller owns the result (json_decref). `what` names
 * the text in errors. */
json_t *cw_json_parse(struct cw_slice text, size_t max_bytes, const char *what,
                      struct cw_err *err) CW_MUST_CHECK;

/* Readers: `path` is the object's own path for messages ("" at the top). Missing: `required`
 * decides between an error and leaving *ret alone. JSON null counts as missing. Results of _string,
 * _object and _array are borrowed from obj. */
int cw_json_get_string(const json_t *obj, const char *path, const char *key, bool required,
                       const char **ret, struct cw_err *err) CW_MUST_CHECK;
int cw_json_get_int(const json_t *obj, const char *path, const char *key, bool required,
                    int64_t min, int64_t max, int64_t *ret, struct cw_err *err) CW_MUST_CHECK;
int cw_json_get_bool(const json_t *obj, const char *path, const char *key, bool required, bool *ret,
                     struct cw_err *err) CW_MUST_CHECK;
int cw_json_get_object(const json_t *obj, const char *path, const char *key, bool required,
                       const json_t **ret, struct cw_err *err) CW_MUST_CHECK;
int cw_json_get_array(const json_t *obj, const char *path, const char *key, bool required,
                      const json_t **ret, struct cw_err *err) CW_MUST_CHECK;
