/* The input is a text of HOCON. Whatever it is: pairs or an error with a position, and never a pair
 * behind the end. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/conf/hocon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
    struct cw_slice text;
    size_t pairs, includes;
};

static int on_value(void *arg, const char *path, const char *value, unsigned line,
                    struct cw_err *err)
{
    struct sink *s = arg;

    (void)err;
    if (++s->pairs > 10000 || strlen(path) > 4096 || strlen(value) > 1 << 20 || line == 0)
        __builtin_trap();
    return 0;
}

static const char *outside(void *arg, const char *path)
{
    (void)arg;
    return *path == 'E' ? "outside" : NULL;
}

/* The text includes itself a few times. */
static int on_include(void *arg, const struct cw_hocon_include *inc, struct cw_arena *arena,
                      struct cw_slice *ret, struct cw_err *err)
{
    struct sink *s = arg;

    (void)arena, (void)err;
    if (inc->kind == CW_HOCON_INCLUDE_ANY && s->includes++ < 3)
        *ret = s->text;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sink s = {.text = cw_slice((const char *)data, size)};
    const struct cw_hocon_hooks hooks = {
        .below = outside, .include = on_include, .value = on_value, .arg = &s};
    struct cw_err err = {0};

    if (cw_hocon_read(s.text, &hooks, &err) != 0 && (err.code == CW_OK || !strchr(err.msg, ':')))
        __builtin_trap();
    return 0;
}
