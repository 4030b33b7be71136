/* A probe's answer, from a container that may lie: what is read is in its range, and what can be
 * written again reads the same. */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/model/probe_wire.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(const struct cw_probe_figures *f)
{
    const int64_t most = INT64_C(1) << 62;

    require(f->source <= CW_PROBE_PROC);
    require(f->cpu_ns >= 0 && f->cpu_ns <= most);
    require(f->memory_bytes >= 0 && f->memory_bytes <= most);
    require(f->pids >= 0 && f->pids <= most);
    require(f->peak_bytes >= -1 && f->peak_bytes <= most);
    require(f->throttled_ns >= -1 && f->throttled_ns <= most);
    require(f->oom_kills >= -1 && f->oom_kills <= most);
    require(f->time_ns >= -1 && f->time_ns <= most);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_slice line = cw_slice((const char *)data, size);
    struct cw_probe_figures read, again;
    struct cw_err err = {0};
    char text[CW_PROBE_ANSWER_MAX], twice[CW_PROBE_ANSWER_MAX];
    size_t n;

    if (cw_probe_parse_answer(line, &read, &err) != 0) {
        require(err.code == CW_INVALID && err.msg[0]);
        return 0;
    }
    check_range(&read);
    n = cw_probe_put_answer(text, &read);
    require(n > 1 && n < sizeof(text) && text[n - 1] == '\n' && text[n] == '\0');
    require(cw_probe_parse_answer(cw_slice(text, n - 1), &again, NULL) == 0);
    require(cw_probe_put_answer(twice, &again) == n && memcmp(text, twice, n) == 0);
    return 0;
}
