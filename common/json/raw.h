/* common/json/raw.h -- JSON as byte-exact slices.
 *
 * What users pass and return (0.1, 1e400, 12345678901234567890, key order, white space) must travel
 * as the bytes it arrived in, so messages and documents are checked once and then cut into slices;
 * nothing is re-encoded. cw_raw_check validates a whole text (RFC 8259 grammar, UTF-8, depth);
 * every other function here takes values out of a checked text and cannot run past it. Thread: any
 * (no state). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_arena;
struct cw_err;

enum { CW_RAW_MAX_DEPTH = 1000 }; /* as deep as stock's reader goes */

enum cw_raw_type {
    CW_RAW_NULL,
    CW_RAW_BOOL,
    CW_RAW_NUMBER,
    CW_RAW_STRING,
    CW_RAW_ARRAY,
    CW_RAW_OBJECT,
};

/* Checks that text is exactly one JSON value (white space around it allowed) of at most max_depth
 * nested arrays/objects (0: none; CW_RAW_MAX_DEPTH at most); *ret_value (ret_value may be NULL) is
 * that value without surrounding white space. A byte order mark is refused; escaped surrogates
 * without their other half are not. Errors are CW_INVALID and name the byte offset. Iterative:
 * depth costs no stack. */
int cw_raw_check(struct cw_slice text, unsigned max_depth, struct cw_slice *ret_value,
                 struct cw_err *err) CW_MUST_CHECK;

/* Of a non-empty checked value. */
enum cw_raw_type cw_raw_type(struct cw_slice value);
bool cw_raw_is_true(struct cw_slice value);

/* Members of an object / elements of an array in order. `key` includes its quotes. Any other value
 * has none. */
struct cw_raw_iter {
    const char *p, *end;
};
struct cw_raw_iter cw_raw_iter(struct cw_slice object_or_array);
bool cw_raw_next_member(struct cw_raw_iter *it, struct cw_slice *key, struct cw_slice *value);
bool cw_raw_next_element(struct cw_raw_iter *it, struct cw_slice *value);

/* Is this quoted string, unescaped, equal to text? No allocation. */
bool cw_raw_string_is(struct cw_slice quoted, const char *text);
/* The member's value; of equal keys the last one, as most readers do. false when absent or not an
 * object. */
bool cw_raw_get(struct cw_slice object, const char *key, struct cw_slice *ret_value);
/* Appends the unescaped text (UTF-8; a lone surrogate becomes U+FFFD). */
void cw_raw_unescape(struct cw_slice quoted, struct cw_str *out);
/* The same into an arena, NUL-terminated; *ret_len (may be NULL) tells the length, since \u0000 is
 * legal. */
char *cw_raw_string(struct cw_slice quoted, struct cw_arena *arena, size_t *ret_len);
/* Of a number, however it is spelled: what Java's BigDecimal.longValue gives (the fraction is cut
 * off, of what is too large the low 64 bits are taken), and whether there is no fraction. */
int64_t cw_raw_long(struct cw_slice number);
bool cw_raw_is_whole(struct cw_slice number);
/* Number of UTF-16 units of UTF-8 text (stock counts response sizes so). */
size_t cw_utf16_units(struct cw_slice utf8);
/* Copies text with each invalid UTF-8 sequence replaced by U+FFFD, as Java's decoder does; true
 * when something was replaced. When text is already valid nothing is appended to out. */
bool cw_utf8_repair(struct cw_slice text, struct cw_str *out);
/* Copies JSON text with each escaped surrogate that lacks its other half replaced by a question
 * mark, as Java's encoder does it; true when something was replaced. When there is nothing to
 * replace, nothing is appended to out. */
bool cw_raw_mend_surrogates(struct cw_slice text, struct cw_str *out);
/* Is text valid UTF-8? */
bool cw_utf8_valid(struct cw_slice text);

/* ---- table-driven decoding of an object's members ---- */

enum cw_field_type {
    CW_FIELD_RAW,    /* struct cw_slice: any value as it stands */
    CW_FIELD_OBJECT, /* struct cw_slice, must be an object */
    CW_FIELD_ARRAY,  /* struct cw_slice, must be an array */
    CW_FIELD_STRING, /* const char *: unescaped into the arena; \u0000 refused; length within
                        min..max bytes */
    CW_FIELD_QUOTED, /* struct cw_slice: a string with its quotes, not unescaped */
    CW_FIELD_INT,    /* int64_t within min..max; 1.0 and 1e3 are refused */
    CW_FIELD_WHOLE,  /* int64_t within min..max: any spelling of a whole number (1.0, 1e3), of which
                        the low 32 bits count as in Java */
    CW_FIELD_NUMBER, /* struct cw_slice, must be a number */
    CW_FIELD_BOOL,   /* bool */
};

enum {
    CW_FIELD_REQUIRED = 1,
    CW_FIELD_NULLABLE = 2, /* JSON null counts as absent (and satisfies REQUIRED) */
};

struct cw_field {
    const char *name;
    enum cw_field_type type;
    unsigned flags;
    size_t offset;     /* of the target in the output struct */
    size_t has_offset; /* of a bool set when present; 0 = none (never the first member) */
    int64_t min, max;  /* INT, WHOLE: value; STRING: bytes (max 0 = 65536) */
};

/* Decodes the members named in fields; others are ignored; absent ones leave the target as it was.
 * Of equal members the last one counts, whatever the others are (as stock's reader has it). A wrong
 * type, a missing required member or a range violation is an error that names the path:
 * "content.limits.memory: expected integer in 1..4096". object must be a checked value. At most 64
 * fields. */
int cw_raw_decode(struct cw_slice object, const struct cw_field *fields, size_t count, void *out,
                  struct cw_arena *arena, const char *path, struct cw_err *err) CW_MUST_CHECK;
