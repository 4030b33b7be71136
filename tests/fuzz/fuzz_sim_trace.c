/* A trace for the placement simulator. What is read is in its range and in order. */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "tests/bench/sim_trace.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sim_trace *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct sim_row *row = &t->rows[i];
        const struct sim_function *f;

        require(row->function < t->function_n);
        f = &t->functions[row->function];
        require(i == 0 || row->at_us >= t->rows[i - 1].at_us);
        require(row->run_us >= 1 && row->cpu_millis >= 1);
        require(row->memory_mib >= 1 && row->memory_mib <= f->declared_mib);
        require(f->kind < SIM_KINDS && f->cold_us >= 0);
        require(t->index_of[f->number] == (int32_t)row->function);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_trace t = {0};
    struct cw_err err = {0};
    int status = sim_trace_read(&t, cw_slice((const char *)data, size), &err);

    require((status == 0) == (err.code == CW_OK));
    require(status != 0 || t.n > 0);
    check(&t);
    sim_trace_done(&t);
    return 0;
}
