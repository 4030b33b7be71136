/* Small texts from outside: base64, sizes and durations, transaction ids.
 * What is read is in its range, and what can be written again reads the same. */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/base/quantity.h"
#include "common/json/raw.h"
#include "common/model/transid.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 20 };

static void check_base64(struct cw_slice text)
{
    cw_auto_str struct cw_str coded, back;

    cw_str_init(&coded, OUT_MAX);
    cw_str_init(&back, OUT_MAX);
    cw_base64_encode(text, &coded);
    require(cw_base64_decode(cw_str_slice(&coded), CW_BASE64_STANDARD, &back, NULL) == 0);
    require(cw_slice_eq(cw_str_slice(&back), text));
    for (int alphabet = CW_BASE64_STANDARD; alphabet <= CW_BASE64_URL; alphabet++) {
        cw_str_reset(&back);
        if (cw_base64_decode(text, (enum cw_base64_alphabet)alphabet, &back, NULL) == 0)
            require(!back.failed && back.n <= text.n / 4 * 3 + 3);
        else
            require(back.n == 0);
    }
}

static void check_quantities(struct cw_slice text)
{
    struct cw_err err = {0};
    int64_t n = 0;

    for (int dialect = CW_SIZE_HOCON; dialect <= CW_SIZE_JSON; dialect++) {
        if (cw_parse_size(text, (enum cw_size_dialect)dialect, &n, &err) == 0)
            require(n >= 0);
        else
            require(err.code != CW_OK && err.msg[0]);
    }
    if (cw_parse_duration(text, &n, &err) != 0)
        require(err.msg[0] != 0);
    if (cw_parse_i64(text, "number", -10, 10, &n, NULL) == 0)
        require(n >= -10 && n <= 10);
}

/* The id that is echoed is an array, and reads as the id that was read. */
static void check_transid(struct cw_slice text)
{
    struct cw_slice value;
    struct cw_arena arena;
    struct cw_tx tx, again;

    if (cw_raw_check(text, CW_RAW_MAX_DEPTH, &value, NULL) != 0)
        return;
    cw_arena_init(&arena);
    cw_transid_decode(value, 1234, &arena, &tx);
    require(tx.id && tx.root_id && cw_raw_check(tx.raw, CW_RAW_MAX_DEPTH, &value, NULL) == 0);
    require(cw_raw_type(value) == CW_RAW_ARRAY);
    cw_transid_decode(value, 1234, &arena, &again);
    require(strcmp(tx.id, again.id) == 0 && strcmp(tx.root_id, again.root_id) == 0);
    require(tx.start_ms == again.start_ms && tx.has_parent == again.has_parent);
    require(tx.extra_logging == again.extra_logging && cw_slice_eq(tx.raw, again.raw));
    cw_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_slice text = cw_slice((const char *)data, size);

    check_base64(text);
    check_quantities(text);
    check_transid(text);
    return 0;
}
