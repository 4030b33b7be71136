/* common/conf/hocon.h -- HOCON text as flat (path, value) pairs.
 *
 * What people write in configuration files of OpenWhisk: JSON and everything that HOCON adds to it
 * -- dotted and quoted keys, '=' and ':', no separator before '{', '+=', comments, newlines for
 * commas, unquoted and triple-quoted strings, concatenation of values ("10 minutes", lists,
 * objects), merging of objects, ${path}, ${?path} and include. A list becomes path.0, path.1...;
 * null takes a value back; an empty list or object gives no pair. Not done: numerically indexed
 * objects standing for lists, and paths of an included text relative to the place of a nested
 * include (they count from the root).
 *
 * A path in ${} is looked for in `above` (settings that beat this text), in the text itself, then
 * in `below` (defaults, environment). A value that refers to itself means what it was before.
 *
 * Bounded: 1 MiB of text and of values, depth 64, 10000 pairs, paths of 4096 bytes, 32
 * includes. Errors begin with "line:column: ", both from 1, columns in bytes. Thread: any. */
#pragma once

#include <stdbool.h>

#include "common/base/str.h"

struct cw_arena;
struct cw_err;

enum cw_hocon_include_kind {
    CW_HOCON_INCLUDE_ANY, /* include "name" */
    CW_HOCON_INCLUDE_FILE,
    CW_HOCON_INCLUDE_URL,
    CW_HOCON_INCLUDE_CLASSPATH,
};

struct cw_hocon_include {
    enum cw_hocon_include_kind kind;
    const char *name; /* borrowed for the call */
    bool required;    /* include required(...) */
};

struct cw_hocon_hooks {
    /* Value of a dotted path, or NULL; borrowed until cw_hocon_read returns. Either may be NULL. */
    const char *(*above)(void *arg, const char *path);
    const char *(*below)(void *arg, const char *path);
    /* The text to read in place of an include statement, allocated in arena; the empty slice for
     * none. -1 ends the reading with *err. NULL: includes give nothing. */
    int (*include)(void *arg, const struct cw_hocon_include *inc, struct cw_arena *arena,
                   struct cw_slice *ret, struct cw_err *err);
    /* A pair, in the order of the text (merged objects: of first mention). line is where the value
     * stands in its text. -1 ends the reading with *err. */
    int (*value)(void *arg, const char *path, const char *value, unsigned line, struct cw_err *err);
    void *arg;
};

int cw_hocon_read(struct cw_slice text, const struct cw_hocon_hooks *hooks,
                  struct cw_err *err) CW_MUST_CHECK;
