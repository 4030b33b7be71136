/* The input is a line of a JAAS configuration. */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "invoker/jaas.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cw_auto_free char *text = cw_memdup(data, size);
    struct cw_err err = {0};
    struct cw_arena arena;
    struct inv_jaas jaas;

    cw_arena_init(&arena);
    if (inv_jaas_parse(text, &arena, &jaas, &err) != 0) {
        if (!err.msg[0])
            abort();
    } else if (!jaas.module[0] || !jaas.flag[0] || jaas.count > INV_JAAS_MAX_OPTIONS) {
        abort();
    } else if (jaas.count && !inv_jaas_option(&jaas, jaas.options[jaas.count - 1].name)) {
        abort();
    }
    cw_arena_done(&arena);
    return 0;
}
