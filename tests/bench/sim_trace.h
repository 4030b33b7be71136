/* tests/bench/sim_trace.h -- activations to be replayed, read from CSV.
 *
 * The first line names the columns, the others are whole numbers, rising in at_us:
 *   at_us         arrival, from the beginning of the trace
 *   function      0..99999; a function's first line says its kind, declared memory and cold start
 *   kind          0..15: its runtime
 *   declared_mib  1..1048576: the limit its owner has set
 *   cold_us       what creating and initialising its container takes on an empty host
 *   run_us        1..: what the run takes, warm, on an empty host
 *   cpu_millis    1..64000: CPU that the run uses, in thousandths of a core
 *   memory_mib    1..: its peak; what is above declared_mib counts as declared_mib */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_err;

#define SIM_TRACE_HEADER "at_us,function,kind,declared_mib,cold_us,run_us,cpu_millis,memory_mib"

enum { SIM_FUNCTIONS_MAX = 100000, SIM_KINDS = 16, SIM_ROWS_MAX = 20000000 };

struct sim_row {
    int64_t at_us;
    int64_t run_us;
    uint32_t function; /* index into functions */
    uint32_t cpu_millis;
    uint32_t memory_mib;
};

struct sim_function {
    uint32_t number; /* as in the file */
    uint32_t kind;
    uint32_t declared_mib;
    int64_t cold_us;
};

struct sim_trace {
    struct sim_row *rows;
    size_t n, cap;
    struct sim_function *functions; /* in order of their first line */
    size_t function_n, function_cap;
    int32_t *index_of; /* by number; -1: not seen */
};

/* Reads a whole file's text. 0, or -1 with *err naming line and column; either way release with
 * sim_trace_done. */
int sim_trace_read(struct sim_trace *t, struct cw_slice text, struct cw_err *err);
/* Accepts a zeroed one. */
void sim_trace_done(struct sim_trace *t);
