/* common/model/manifest.h -- RUNTIMES_MANIFEST: kinds, images, stem cells (openwhisk invoker.md 4).
 * Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_err;
struct cw_manifest;

struct cw_stem_cell {
    int64_t initial_count, memory_mb;
    bool reactive;
    int64_t min_count, max_count, ttl_ms, threshold, increment;
};

struct cw_image {
    const char *registry, *prefix, *name, *tag; /* "" where absent; name is never "" */
};

struct cw_runtime {
    const char *family, *kind;
    struct cw_image image;
    bool is_default, deprecated, attached, require_main, sentinelled_logs;
    const struct cw_stem_cell *stem_cells;
    size_t stem_cell_count;
};

/* NULL with *err naming the path on anything invalid. */
struct cw_manifest *cw_manifest_parse(struct cw_slice json, struct cw_err *err) CW_MUST_CHECK;
void cw_manifest_free(struct cw_manifest *m);
/* White space around kind and its case do not matter; "family:default" resolves. NULL: unknown. */
const struct cw_runtime *cw_manifest_kind(const struct cw_manifest *m, struct cw_slice kind);
size_t cw_manifest_count(const struct cw_manifest *m);
const struct cw_runtime *cw_manifest_at(const struct cw_manifest *m, size_t i);
/* Is this user image listed under blackboxes (same registry, prefix, name; a missing tag means
 * latest)? */
bool cw_manifest_is_native_blackbox(const struct cw_manifest *m, const char *image);

/* "registry/prefix/name:tag"; default_registry is used when the image has none ("" or NULL: none).
 */
void cw_image_print(const struct cw_image *image, const char *default_registry, struct cw_str *out);
/* Splits a docker reference as a user writes it. Pieces are slices of text; tag empty when absent.
 */
struct cw_image_ref {
    struct cw_slice registry, prefix, name, tag;
};
int cw_image_split(struct cw_slice text, struct cw_image_ref *ret,
                   struct cw_err *err) CW_MUST_CHECK;
