/* An engine's log stream: whatever it is and however it is cut, each message gives one line of
 * valid JSON, and pieces of any size give the same. The first byte chooses the size of pieces. */
#include <stdint.h>
#include <stdlib.h>

#include "common/json/raw.h"
#include "invoker/logs/log_frames.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_message(void *arg, const struct inv_log_message *m)
{
    struct cw_str *out = arg;
    size_t before = out->n;
    struct cw_slice value;

    inv_log_message_encode(m, out);
    require(!out->failed && out->p[out->n - 1] == '\n');
    require(cw_raw_check(cw_slice(out->p + before, out->n - before - 1), 2, &value, NULL) == 0);
    require(memchr(out->p + before, '\n', out->n - before) == out->p + out->n - 1);
}

static void convert(struct cw_slice in, size_t step, struct cw_str *out)
{
    struct inv_log_frames f;

    cw_str_init(out, 64 << 20);
    inv_log_frames_init(&f);
    for (size_t at = 0; at < in.n; at += step)
        inv_log_frames_add(&f, cw_slice(in.p + at, in.n - at < step ? in.n - at : step), on_message,
                           out);
    inv_log_frames_done(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_str whole, pieces;
    struct cw_slice in;

    if (size < 2)
        return 0;
    in = cw_slice((const char *)data + 1, size - 1);
    convert(in, in.n, &whole);
    convert(in, 1 + data[0], &pieces);
    require(cw_slice_eq(cw_str_slice(&whole), cw_str_slice(&pieces)));
    cw_str_done(&whole);
    cw_str_done(&pieces);
    return 0;
}
