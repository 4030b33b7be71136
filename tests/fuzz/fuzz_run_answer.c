/* The first byte chooses how the call ended and what status it had, the rest is the body. Every
 * answer becomes a JSON object or array within the bound, or nothing after a successful /init. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/json/raw.h"
#include "common/model/action_call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(void (*interpret)(const struct cw_call_answer *, struct cw_call_result *),
                  const struct cw_call_answer *a, bool may_be_empty)
{
    struct cw_call_result r;
    struct cw_slice value;

    cw_str_init(&r.result, a->body.n * 3 + 1024);
    interpret(a, &r);
    if (r.result.failed)
        abort();
    if (!(may_be_empty && r.status == CW_STATUS_SUCCESS && r.result.n == 0) &&
        (cw_raw_check(cw_str_slice(&r.result), CW_RAW_MAX_DEPTH, &value, NULL) ||
         cw_raw_type(value) < CW_RAW_ARRAY))
        abort();
    if (r.status > CW_STATUS_WHISK_ERROR || r.size < -1)
        abort();
    cw_str_done(&r.result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_call_answer a = {.timeout_ms = 60000, .content_length = 10, .max_response = 5};

    if (!size)
        return 0;
    a.end = (enum cw_call_end)(data[0] % 5);
    a.status = data[0] & 0x10 ? 502 : 200;
    a.truncated = data[0] & 0x20;
    a.body = cw_slice((const char *)data + 1, size - 1);
    check(cw_init_interpret, &a, true);
    check(cw_run_interpret, &a, false);
    return 0;
}
