/* What a placement decision costs: each policy over a cluster of made-up hosts, each decision for
 * another action, some of the hosts dead, draining, full or of the other set. Times are of the
 * processor: what else runs on the machine does not count. Prints a Markdown table; status 1 when
 * a p99 is over the goal.
 *
 * usage: placement_bench [DECISIONS]      default 20000 for each row */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "invoker/placement/policy.h"

enum {
    DEFAULT_DECISIONS = 20000,
    MOST_DECISIONS = 10000000,
    MOST_HOSTS = 4000,
    GOAL_HOSTS = 1000,
    GOAL_P99_NS = 50000
};

static const int64_t MIB = 1024 * 1024;

static uint64_t draw(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (*state >> 33) % below;
}

static void fill(struct inv_host_view *hosts, size_t n)
{
    uint64_t seed = 1;

    for (size_t i = 0; i < n; i++) {
        int64_t reserved = (int64_t)draw(&seed, 60 * 1024) * MIB;

        hosts[i] = (struct inv_host_view){
            .id = i,
            .cpu_total_millis = 16000,
            .cpu_used_millis = (int64_t)draw(&seed, 16000),
            .cpu_reserved_millis = (int64_t)draw(&seed, 20000),
            .memory_total_bytes = 64 * 1024 * MIB,
            .memory_used_bytes = reserved,
            .memory_reserved_bytes = reserved,
            .memory_idle_bytes = reserved / 2,
            .idle = (uint32_t)draw(&seed, 100),
            .warm = draw(&seed, 10) == 0 ? 2 : 0,
            .running = (uint32_t)draw(&seed, 40),
            .queued = (uint32_t)draw(&seed, 3),
            .dead = draw(&seed, 50) == 0,
            .draining = draw(&seed, 50) == 0,
            .set = draw(&seed, 10) == 0 ? INV_SET_BLACKBOX : INV_SET_MANAGED,
        };
    }
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* false: decides too slowly. */
static bool measure(enum inv_policy policy, const struct inv_host_view *hosts, size_t n,
                    int64_t *took_ns, size_t decisions)
{
    int64_t sum = 0;
    size_t placed = 0;
    uint64_t seed = 7;

    for (size_t i = 0; i < decisions; i++) {
        struct inv_ask ask = {.cpu_millis = (uint32_t)draw(&seed, 1000),
                              .memory_bytes = (128 + draw(&seed, 512)) * (uint64_t)MIB,
                              .action_key = draw(&seed, UINT32_MAX),
                              .home_hash = (uint32_t)draw(&seed, UINT32_MAX),
                              .seed = i};
        struct inv_placement p;
        struct timespec before, after;

        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        inv_policy_place(policy, hosts, n, &ask, &p);
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        took_ns[i] = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
        sum += took_ns[i];
        placed += p.host >= 0;
    }
    qsort(took_ns, decisions, sizeof(*took_ns), by_size);
    (void)printf("| %s | %zu | %.1f | %.1f | %.1f | %.0f | %.0f%% |\n", inv_policy_name(policy), n,
                 (double)took_ns[decisions / 2] / 1000,
                 (double)took_ns[decisions * 99 / 100] / 1000,
                 (double)took_ns[decisions - 1] / 1000, (double)decisions * 1e9 / (double)sum,
                 100.0 * (double)placed / (double)decisions);
    if (n > GOAL_HOSTS || took_ns[decisions * 99 / 100] < GOAL_P99_NS)
        return true;
    (void)fprintf(stderr, "placement_bench: MISSED: %s at %zu hosts: p99 %.1f us (< %d us)\n",
                  inv_policy_name(policy), n, (double)took_ns[decisions * 99 / 100] / 1000,
                  GOAL_P99_NS / 1000);
    return false;
}

int main(int argc, char **argv)
{
    static const size_t SIZES[] = {8, 100, 1000, MOST_HOSTS};
    struct cw_err err = {0};
    int64_t decisions = DEFAULT_DECISIONS;
    cw_auto_free int64_t *took_ns = NULL;
    cw_auto_free struct inv_host_view *hosts = NULL;
    bool reached = true;

    if (argc > 2 || (argc == 2 && cw_parse_i64(cw_slice_of(argv[1]), "DECISIONS", 1, MOST_DECISIONS,
                                               &decisions, &err) != 0)) {
        (void)fprintf(stderr, "usage: placement_bench [DECISIONS] %s\n", err.msg);
        return 2;
    }
    took_ns = cw_calloc((size_t)decisions, sizeof(*took_ns));
    hosts = cw_calloc(MOST_HOSTS, sizeof(*hosts));
    fill(hosts, MOST_HOSTS);
    (void)printf("| policy | hosts | p50 µs | p99 µs | most µs | decisions/s | placed |\n"
                 "|---|---|---|---|---|---|---|\n");
    for (size_t s = 0; s < CW_ARRAY_LEN(SIZES); s++)
        for (int policy = 0; policy < INV_POLICIES; policy++)
            reached &=
                measure((enum inv_policy)policy, hosts, SIZES[s], took_ns, (size_t)decisions);
    return reached ? 0 : 1;
}
