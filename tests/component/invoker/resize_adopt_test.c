/* Limits of containers in a control group of the test's own, whose files refuse what the test
 * wants, and with an engine that has an update call, or none. */
#include "invoker/resize/resize.h"

#include <errno.h>
#include <stdio.h>

#include <jansson.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/cgroup/control.h"
#include "common/driver/container_driver.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/settings.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/jobs.h"
#include "tests/support/scratch.h"
#include "tests/support/turns.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16

enum { WAIT_MS = 10000, MEMORY_MB = 256 };

struct world {
    char root[SCRATCH_MAX];
    struct inv_settings settings;
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct cw_control_files files;
    bool read_only;
    struct cw_driver driver;
    struct cw_driver_ops ops;
    struct cw_driver_limits asked; /* of the engine, last */
    unsigned updates;
    bool engine_refuses;
    struct cw_defer answer;
    cw_driver_done_fn *fn;
    void *fn_arg;
    struct inv_resize *resize;
    struct inv_member *member;
    int adopted; /* 0: no word; 1: done; -1: refused */
};

/* ---- the kernel, and an engine ---- */

static int write_file(void *arg, const char *path, const char *text)
{
    const struct world *w = arg;

    return w->read_only ? EROFS : CW_CONTROL_KERNEL.write(CW_CONTROL_KERNEL.arg, path, text);
}

static int read_file(void *arg, const char *path, char *text, size_t size)
{
    (void)arg;
    return CW_CONTROL_KERNEL.read(CW_CONTROL_KERNEL.arg, path, text, size);
}

static void answer(void *arg)
{
    struct world *w = arg;
    struct cw_err err;

    (void)cw_fail(&err, CW_INTERNAL, "docker: update: no");
    w->fn(w->fn_arg, w->engine_refuses ? &err : NULL);
}

static struct cw_driver_call *update(struct cw_driver *d, const char *id,
                                     const struct cw_driver_limits *limits, cw_driver_done_fn *fn,
                                     void *arg)
{
    struct world *w = CW_CONTAINER_OF(d, struct world, driver);

    assert_string_equal(id, ID);
    w->asked = *limits;
    w->updates++;
    w->fn = fn;
    w->fn_arg = arg;
    cw_defer_post(&w->answer);
    return (struct cw_driver_call *)&w->answer;
}

static void cancel(struct cw_driver *d, struct cw_driver_call *call)
{
    (void)call;
    cw_defer_cancel(&CW_CONTAINER_OF(d, struct world, driver)->answer);
}

static void on_adopted(void *arg, void *owner, bool done)
{
    struct world *w = arg;

    assert_ptr_equal(owner, w);
    w->adopted = done ? 1 : -1;
}

/* ---- one container ---- */

static void file(const struct world *w, const char *name, const char *text)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/docker/" ID "/%s",
                   strncmp(name, "cpu", 3) == 0 ? "cpu" : "memory", name);
    scratch_put(w->root, path, text);
}

static int64_t quota(const struct world *w)
{
    char text[32] = "";

    assert_true(scratch_get(w->root, "cpu/docker/" ID "/cpu.cfs_quota_us", text, sizeof(text)));
    return text[0] == '-' ? -1 : strtoll(text, NULL, 10); /* what was there before is longer */
}

static void begin(struct world *w, const struct inv_wishes *wishes)
{
    struct cw_container_spec spec = {
        .name = "wsk0_1_guest_a", .memory_mb = MEMORY_MB, .cpu_shares = 128, .cpus = 0};

    w->resize = inv_resize_new(&(struct inv_resize_conf){.loop = w->loop,
                                                         .driver = &w->driver,
                                                         .metrics = w->metrics,
                                                         .settings = &w->settings,
                                                         .files = &w->files,
                                                         .sysfs = w->root,
                                                         .on_adopted = on_adopted,
                                                         .arg = w});
    w->member = inv_resize_add(w->resize, w, wishes, &spec);
    inv_resize_created(w->member, ID);
}

static int setup(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));
    char root[128];

    scratch_make(w->root);
    (void)snprintf(root, sizeof(root), "CWHISK_CGROUP_ROOT=%s", w->root);
    scratch_put(w->root, "cpu/cpu.shares", "1024\n");
    file(w, "cpu.shares", "128\n");
    file(w, "cpu.cfs_period_us", "100000\n");
    file(w, "cpu.cfs_quota_us", "-1\n");
    file(w, "memory.limit_in_bytes", "268435456\n");
    file(w, "memory.usage_in_bytes", "1048576\n");
    test_settings((const char *const[]){root, NULL}, &w->settings);
    w->loop = cw_loop_new(NULL, NULL);
    w->metrics = cw_metrics_new();
    w->files = (struct cw_control_files){write_file, read_file, w};
    w->ops = (struct cw_driver_ops){.name = "test", .update = update, .cancel = cancel};
    w->driver.ops = &w->ops;
    cw_defer_init(&w->answer, w->loop, answer, w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    inv_resize_remove(w->member);
    inv_resize_free(w->resize);
    cw_defer_cancel(&w->answer);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
    cw_conf_free(inv_settings_table(), &w->settings);
    scratch_remove(w->root);
    free(w);
    return 0;
}

static bool has_word(void *arg)
{
    return ((struct world *)arg)->adopted != 0;
}

/* By the engine. */
static void adopts_later(struct world *w, const struct inv_wishes *wishes, uint32_t memory_mb)
{
    w->adopted = 0;
    assert_int_equal(inv_resize_adopt(w->member, wishes, memory_mb), INV_ADOPT_PENDING);
    assert_true(cw_loop_run_until(w->loop, has_word, w, WAIT_MS));
}

static const struct inv_wishes NONE = {0}, HALF = {.cpu_millis = 500}, ONE = {.cpu_millis = 1000};

/* ---- tests ---- */

static void a_quota_is_given_by_file(void **state)
{
    struct world *w = *state;

    begin(w, &NONE);
    assert_int_equal(inv_resize_adopt(w->member, &HALF, MEMORY_MB), INV_ADOPT_DONE);
    assert_int_equal(quota(w), 50000);
    assert_int_equal(inv_resize_adopt(w->member, &NONE, MEMORY_MB), INV_ADOPT_DONE);
    assert_int_equal(quota(w), -1);
    assert_int_equal(w->updates, 0);
}

static void a_quota_is_given_by_the_engine_where_there_are_no_files(void **state)
{
    struct world *w = *state;

    w->settings.resize_by = INV_RESIZE_ENGINE;
    begin(w, &NONE);
    adopts_later(w, &HALF, MEMORY_MB);
    assert_int_equal(w->adopted, 1);
    assert_int_equal(w->asked.cpu_millis, 500);
    assert_int_equal(w->asked.memory_mb, 0); /* as it is */
    assert_int_equal(inv_resize_adopt(w->member, &HALF, MEMORY_MB), INV_ADOPT_DONE);
    adopts_later(w, &ONE, 2 * MEMORY_MB);
    assert_int_equal(w->asked.cpu_millis, 1000);
    assert_int_equal(w->asked.memory_mb, 2 * MEMORY_MB);
}

static void an_engine_does_not_take_a_quota_away(void **state)
{
    struct world *w = *state;

    w->settings.resize_by = INV_RESIZE_ENGINE;
    begin(w, &HALF);
    assert_int_equal(inv_resize_adopt(w->member, &NONE, MEMORY_MB), INV_ADOPT_REFUSED);
    assert_int_equal(w->asked.cpu_millis, 0);
}

static void what_the_engine_refuses_is_no_limit(void **state)
{
    struct world *w = *state;

    w->settings.resize_by = INV_RESIZE_ENGINE;
    w->engine_refuses = true;
    begin(w, &NONE);
    adopts_later(w, &HALF, MEMORY_MB);
    assert_int_equal(w->adopted, -1);
    w->engine_refuses = false;
    adopts_later(w, &HALF, MEMORY_MB); /* not taken for given */
    assert_int_equal(w->adopted, 1);
}

static void files_that_are_read_only_are_left_to_the_engine(void **state)
{
    struct world *w = *state;

    w->read_only = true;
    begin(w, &NONE);
    adopts_later(w, &HALF, 2 * MEMORY_MB);
    assert_int_equal(w->adopted, 1);
    assert_int_equal(w->asked.cpu_millis, 500);
    assert_int_equal(w->asked.memory_mb, 2 * MEMORY_MB);
    assert_int_equal(quota(w), -1);
}

static void read_only_files_and_no_engine_mean_another_container(void **state)
{
    struct world *w = *state;

    w->read_only = true;
    w->ops.update = NULL;
    begin(w, &NONE);
    assert_int_equal(inv_resize_adopt(w->member, &HALF, MEMORY_MB), INV_ADOPT_REFUSED);
    assert_int_equal(inv_resize_adopt(w->member, &HALF, MEMORY_MB), INV_ADOPT_REFUSED);
}

static void a_weight_of_block_io_is_asked_of_the_engine(void **state)
{
    struct world *w = *state;

    w->settings.resize_by = INV_RESIZE_ENGINE;
    begin(w, &(struct inv_wishes){.io_weight = 300});
    run_turns(w->loop);
    assert_int_equal(w->updates, 1);
    assert_int_equal(w->asked.blkio_weight, 300);
    assert_int_equal(w->adopted, 0); /* nobody waits for it */
    adopts_later(w, &NONE, MEMORY_MB);
    assert_int_equal(w->asked.blkio_weight, 100); /* as usual */
}

static void all_that_is_written_can_be_read_back(void **state)
{
    struct world *w = *state;
    cw_auto_str struct cw_str out;
    json_t *doc, *kernel;

    scratch_put(w->root, "block/sda/queue/scheduler", "none [bfq]\n");
    scratch_put(w->root, "blkio/docker/" ID "/blkio.bfq.weight", "100\n");
    begin(w, &NONE);
    assert_int_equal(inv_resize_adopt(w->member,
                                      &(struct inv_wishes){.cpu_millis = 500, .io_weight = 300},
                                      MEMORY_MB),
                     INV_ADOPT_DONE);
    cw_str_init(&out, 65536);
    inv_resize_render(w->resize, &out);
    doc = json_loads(out.p, 0, NULL);
    assert_non_null(doc);
    kernel = json_object_get(json_array_get(json_object_get(doc, "containers"), 0), "kernel");
    assert_int_equal(json_integer_value(json_object_get(kernel, "cpuQuotaUs")), 50000);
    assert_int_equal(json_integer_value(json_object_get(kernel, "ioWeight")), 300);
    assert_int_equal(json_integer_value(json_object_get(kernel, "memoryLimit")), 268435456);
    json_decref(doc);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_quota_is_given_by_file),
        CASE(a_quota_is_given_by_the_engine_where_there_are_no_files),
        CASE(an_engine_does_not_take_a_quota_away),
        CASE(what_the_engine_refuses_is_no_limit),
        CASE(files_that_are_read_only_are_left_to_the_engine),
        CASE(read_only_files_and_no_engine_mean_another_container),
        CASE(a_weight_of_block_io_is_asked_of_the_engine),
        CASE(all_that_is_written_can_be_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
