/* control_tool ROOT ID: changes the limits of a container that runs, one after the other, and
 * checks what the kernel made of it. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/cgroup/control.h"

#define MB (INT64_C(1) << 20)

static int failures;

static void expect(const char *what, bool ok, const int64_t *got, const struct cw_err *err)
{
    if (ok)
        return;
    failures++;
    (void)fprintf(stderr, "control_tool: %s: %" PRId64 " %s\n", what, *got, err->msg);
}

static void check(struct cw_control *c)
{
    struct cw_control_change change = {0};
    struct cw_err err = {0};
    int64_t won = 0;

    expect("weight",
           cw_control_is_set(cw_control_set_weight(c, 500, &change, &err)) &&
               cw_control_weight(c) == 500,
           &change.after, &err);
    expect("quota",
           cw_control_is_set(cw_control_set_quota(c, 50000, CW_CPU_PERIOD_US, &change, &err)) &&
               cw_control_quota(c) == 50000,
           &change.after, &err);
    expect("more memory",
           cw_control_is_set(cw_control_set_memory(c, 64 * MB, 0, &change, &err)) &&
               cw_control_memory_limit(c) == 64 * MB,
           &change.after, &err);
    expect("less memory",
           cw_control_is_set(cw_control_set_memory(c, 48 * MB, 0, &change, &err)) &&
               cw_control_memory_limit(c) == 48 * MB,
           &change.after, &err);
    expect("memory in use",
           cw_control_set_memory(c, 4096, 0, &change, &err) == CW_CONTROL_BUSY &&
               cw_control_memory_limit(c) == 48 * MB,
           &change.after, &err);
    expect("protected", cw_control_is_set(cw_control_set_protected(c, MB, &change, &err)),
           &change.after, &err);
    (void)cw_control_reclaim(c, 64 * MB, &won, &err);
    expect("limit after a squeeze", cw_control_memory_limit(c) == 48 * MB && won >= 0, &won, &err);
    expect("I/O weight without a scheduler for it",
           cw_control_set_io_weight(c, "/sys", 200, &change, &err) == CW_CONTROL_UNSUPPORTED,
           &change.after, &err);
}

int main(int argc, char **argv)
{
    struct cw_cgroup_finder *finder;
    struct cw_control *c;
    struct cw_err err = {0};

    if (argc != 3) {
        (void)fprintf(stderr, "usage: control_tool ROOT ID\n");
        return 2;
    }
    finder = cw_cgroup_finder_new(argv[1], NULL, &CW_CONTROL_MARKS);
    c = cw_control_new(argv[1], finder, argv[2], &CW_CONTROL_KERNEL, &err);
    if (c)
        check(c);
    else
        expect("group", false, &(int64_t){0}, &err);
    cw_control_free(c);
    cw_cgroup_finder_free(finder);
    return failures != 0;
}
