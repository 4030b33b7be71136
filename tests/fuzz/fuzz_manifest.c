/* The input is a runtimes manifest; up to the first NUL it is an image reference instead. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/model/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_part(struct cw_str *s, struct cw_slice part, char after)
{
    cw_str_adds(s, part);
    if (part.n && after)
        cw_str_addc(s, after);
}

/* The pieces put together again are the text. */
static void check_reference(struct cw_slice text)
{
    cw_auto_str struct cw_str s;
    struct cw_image_ref r;

    cw_str_init(&s, 4096);
    if (cw_image_split(text, &r, NULL))
        return;
    add_part(&s, r.registry, '/');
    add_part(&s, r.prefix, '/');
    cw_str_adds(&s, r.name);
    if (r.tag.n)
        cw_str_addc(&s, ':');
    cw_str_adds(&s, r.tag);
    if (!cw_slice_eq(cw_str_slice(&s), text))
        abort();
}

static void check_runtime(const struct cw_manifest *m, const struct cw_runtime *r)
{
    cw_auto_str struct cw_str s;

    cw_str_init(&s, 1 << 24);
    cw_image_print(&r->image, "registry", &s);
    if (s.n == 0 || !cw_manifest_kind(m, cw_slice_of(r->kind)))
        abort();
    (void)cw_manifest_is_native_blackbox(m, s.p);
    for (size_t i = 0; i < r->stem_cell_count; i++)
        if (r->stem_cells[i].initial_count < 1 || r->stem_cells[i].memory_mb < 1)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *nul = size ? memchr(text, '\0', size) : NULL;
    struct cw_err err = {0};
    struct cw_manifest *m;

    if (nul)
        check_reference(cw_slice(text, (size_t)(nul - text)));
    if (nul)
        size -= (size_t)(nul + 1 - text), text = nul + 1;
    if (!(m = cw_manifest_parse(cw_slice(text, size), &err)))
        return err.msg[0] ? 0 : (abort(), 0);
    for (size_t i = 0; i < cw_manifest_count(m); i++)
        check_runtime(m, cw_manifest_at(m, i));
    cw_manifest_free(m);
    return 0;
}
