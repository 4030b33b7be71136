/* Lines of a json file: whatever they are, the result is an array of strings within its bounds. */
#include <stdint.h>
#include <stdlib.h>

#include "common/json/raw.h"
#include "invoker/logs/log_lines.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_result(struct inv_log_lines *l)
{
    struct cw_slice json = inv_log_lines_finish(l), value;
    struct cw_raw_iter it;

    require(!l->json.failed);
    require(cw_raw_check(json, 2, &value, NULL) == 0);
    it = cw_raw_iter(json);
    while (cw_raw_next_element(&it, &value))
        require(cw_raw_type(value) == CW_RAW_STRING);
}

/* The first two bytes choose the limit. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum inv_log_verdict verdict = INV_LOG_MORE;
    struct inv_log_lines l;
    const char *p = (const char *)data + 2, *end = (const char *)data + size;

    if (size < 2)
        return 0;
    inv_log_lines_init(&l, 1 + data[0] * 64 + data[1]);
    while (p < end && verdict == INV_LOG_MORE) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((nl ? nl : end) - p);

        verdict = inv_log_lines_add(&l, cw_slice(p, n));
        p += n + 1;
    }
    require(l.sentinels <= 2);
    require(verdict == INV_LOG_TRUNCATED || (verdict == INV_LOG_DONE) == (l.sentinels == 2));
    if (verdict != INV_LOG_DONE)
        inv_log_lines_note(&l, "note", 0);
    check_result(&l);
    inv_log_lines_done(&l);
    return 0;
}
