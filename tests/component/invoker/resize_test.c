/* Limits of containers against a tree of files that answers as a kernel does: what is written to
 * whom, in which order, and what comes of refusals. */
#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/cgroup/control.h"
#include "common/conf/conf.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/resize/resize.h"
#include "invoker/settings.h"
#include "tests/support/fake_driver.h"
#include "tests/support/jobs.h"
#include "tests/support/scratch.h"

#define MB (INT64_C(1) << 20)

enum { WAIT_MS = 20000, ID_LEN = 64, LOG_MAX = 16384 };

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct inv_settings settings;
    struct fake_driver driver;
    struct cw_driver_ops ops; /* the driver's, with an update call */
    struct inv_resize *resize;
    struct cw_control_files files;
    bool v1;
    char root[SCRATCH_MAX];
    char journal[2048]; /* "a:cpu.shares=512 ": writes in their order */
    char updates[256];  /* the engine's: "512 " */
    /* Writes to this file of this container ('*': any) fail so. */
    const char *bad_file;
    char bad_id;
    int bad_errno;
    int64_t used; /* memory of each */
    uint64_t need;
    char gone; /* the group of this container is not there any more */
    int log_fd, log_in;
    unsigned times;
    /* what is waited for */
    const char *controller;
    char id;
    const char *file;
    int64_t value;
};

/* ---- the kernel ---- */

static const char *relative(const struct world *w, const char *path)
{
    return path + strlen(w->root) + 1;
}

/* '-': not of a container. */
static char id_of(const char *path)
{
    const char *at = strstr(path, "docker/");

    return at && strlen(at) > 7 + ID_LEN ? at[7] : '-';
}

/* As mm/memcontrol.c has it: EINVAL for memory above memory+swap, EBUSY below what is used. */
static int memory_rule(struct world *w, const char *path, const char *name, int64_t v)
{
    char text[64], other[256];
    bool sum = strcmp(name, "memory.memsw.limit_in_bytes") == 0;
    int64_t limit;

    if (strcmp(name, "memory.reclaim") == 0) {
        w->used -= v < w->used ? v : w->used;
        return 0;
    }
    if (!sum && strcmp(name, "memory.limit_in_bytes") != 0)
        return 0;
    (void)snprintf(other, sizeof(other), "%.*s%s", (int)(strlen(path) - strlen(name)), path,
                   sum ? "memory.limit_in_bytes" : "memory.memsw.limit_in_bytes");
    assert_true(scratch_get(w->root, other, text, sizeof(text)));
    limit = strtoll(text, NULL, 10);
    if (sum ? v < limit : v > limit)
        return EINVAL;
    return w->used > v ? EBUSY : 0;
}

static int kernel_write(void *arg, const char *path, const char *text)
{
    struct world *w = arg;
    const char *name = strrchr(path, '/') + 1, *at = relative(w, path);
    size_t n = strlen(w->journal);
    char line[80];
    int rc = 0;

    if (access(path, F_OK) != 0 || (w->gone && w->gone == id_of(path)))
        return ENOENT;
    (void)snprintf(w->journal + n, sizeof(w->journal) - n, "%c:%s=%s ", id_of(path), name, text);
    if (w->bad_file && strcmp(w->bad_file, name) == 0 &&
        (w->bad_id == '*' || w->bad_id == id_of(path)))
        rc = w->bad_errno;
    if (rc == 0)
        rc = memory_rule(w, at, name, strtoll(text, NULL, 10));
    (void)snprintf(line, sizeof(line), "%s\n", text);
    if (rc == 0)
        scratch_put(w->root, at, line);
    return rc;
}

static int kernel_read(void *arg, const char *path, char *text, size_t size)
{
    struct world *w = arg;
    const char *name = strrchr(path, '/') + 1;

    if (strncmp(path, w->root, strlen(w->root)) != 0 || (w->gone && w->gone == id_of(path)))
        return ENOENT;
    if (strcmp(name, "memory.current") == 0 || strcmp(name, "memory.usage_in_bytes") == 0)
        return (void)snprintf(text, size, "%" PRId64 "\n", w->used), 0;
    return scratch_get(w->root, relative(w, path), text, size) ? 0 : ENOENT;
}

static void put(struct world *w, const char *controller, char id, const char *file,
                const char *text)
{
    char path[256], folder[ID_LEN + 1];

    memset(folder, id, ID_LEN);
    folder[ID_LEN] = '\0';
    (void)snprintf(path, sizeof(path), "%s%s%s/%s%s%s", w->v1 ? controller : "", w->v1 ? "/" : "",
                   "docker", id ? folder : "", id ? "/" : "", file);
    scratch_put(w->root, path, text);
}

static void make_group(struct world *w, char id)
{
    put(w, "cpu", id, "cgroup.procs", "");
    put(w, "memory", id, "cgroup.procs", "");
    put(w, "cpu", id, w->v1 ? "cpu.shares" : "cpu.weight", w->v1 ? "128\n" : "5\n");
    if (w->v1) {
        put(w, "cpu", id, "cpu.cfs_period_us", "100000\n");
        put(w, "cpu", id, "cpu.cfs_quota_us", "-1\n");
        put(w, "memory", id, "memory.limit_in_bytes", "268435456\n");
        put(w, "memory", id, "memory.memsw.limit_in_bytes", "268435456\n");
        return;
    }
    put(w, "", id, "cpu.max", "max 100000\n");
    put(w, "", id, "memory.max", "268435456\n");
    put(w, "", id, "memory.high", "max\n");
    put(w, "", id, "memory.low", "0\n");
    put(w, "", id, "memory.reclaim", "");
    put(w, "", id, "io.bfq.weight", "default 100\n");
}

static int64_t value_of(struct world *w, const char *controller, char id, const char *file)
{
    char path[256], folder[ID_LEN + 1], text[64];

    memset(folder, id, ID_LEN);
    folder[ID_LEN] = '\0';
    (void)snprintf(path, sizeof(path), "%s%sdocker/%s%s%s", w->v1 ? controller : "",
                   w->v1 ? "/" : "", id ? folder : "", id ? "/" : "", file);
    if (!scratch_get(w->root, path, text, sizeof(text)))
        return -2;
    return strncmp(text, "max", 3) == 0 ? -1 : strtoll(text, NULL, 10);
}

static int64_t weight_of(struct world *w, char id)
{
    return value_of(w, "cpu", id, w->v1 ? "cpu.shares" : "cpu.weight");
}

/* ---- the engine ---- */

static struct cw_driver_call *engine_update(struct cw_driver *d, const char *id,
                                            const struct cw_driver_limits *limits,
                                            cw_driver_done_fn *fn, void *arg)
{
    struct fake_driver *f = (struct fake_driver *)d;
    struct world *w = CW_CONTAINER_OF(f, struct world, driver);
    size_t n = strlen(w->updates);

    (void)snprintf(w->updates + n, sizeof(w->updates) - n, "%c=%u/%u ", id[0], limits->cpu_shares,
                   (unsigned)limits->memory_mb);
    return d->ops->remove(d, id, fn, arg); /* takes a turn, and succeeds */
}

/* ---- a test's world ---- */

static uint64_t memory_need(void *arg, void *owner)
{
    (void)owner;
    return ((struct world *)arg)->need;
}

static struct inv_resize *new_resize(struct world *w)
{
    return inv_resize_new(&(struct inv_resize_conf){
        .loop = w->loop,
        .driver = &w->driver.base,
        .metrics = w->metrics,
        .settings = &w->settings,
        .files = &w->files,
        .sysfs = w->root,
        .memory_need = memory_need,
        .arg = w,
    });
}

static void begin_log(struct world *w)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    w->log_fd = fds[0];
    w->log_in = fds[1];
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = w->log_in});
}

static struct world *make_world(bool v1, const char *squeeze_after)
{
    struct world *w = cw_alloc(sizeof(*w));
    char root[SCRATCH_MAX + 32], squeeze[64];

    scratch_make(w->root);
    w->v1 = v1;
    w->used = 40 * MB;
    w->files = (struct cw_control_files){kernel_write, kernel_read, w};
    (void)snprintf(root, sizeof(root), "CWHISK_CGROUP_ROOT=%s", w->root);
    (void)snprintf(squeeze, sizeof(squeeze), "CWHISK_SQUEEZE_AFTER=%s", squeeze_after);
    test_settings((const char *const[]){root, squeeze, NULL}, &w->settings);
    w->loop = cw_loop_new(cw_clock_system(), NULL);
    w->metrics = cw_metrics_new();
    fake_driver_init(&w->driver, w->loop);
    w->ops = *w->driver.base.ops;
    w->driver.base.ops = &w->ops;
    scratch_put(w->root, v1 ? "cpu/cpu.shares" : "cgroup.controllers", "1024\n");
    if (!v1)
        put(w, "", 0, "memory.low", "0\n");
    begin_log(w);
    w->resize = new_resize(w);
    return w;
}

static int begin_v1(void **state)
{
    *state = make_world(true, "0");
    return 0;
}

static int begin_v2(void **state)
{
    *state = make_world(false, "0");
    return 0;
}

static int begin_v2_squeezing(void **state)
{
    *state = make_world(false, "1 ms");
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    inv_resize_free(w->resize);
    cw_driver_free(&w->driver.base);
    cw_metrics_free(w->metrics);
    cw_conf_free(inv_settings_table(), &w->settings);
    cw_loop_free(w->loop);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = STDOUT_FILENO});
    (void)close(w->log_fd);
    (void)close(w->log_in);
    scratch_remove(w->root);
    free(w);
    return 0;
}

/* As an engine that can change limits. */
static void let_engine_update(struct world *w)
{
    w->ops.update = engine_update;
}

/* Before it is created: others make room. shares: what it would have without guarantees. */
static struct inv_member *add(struct world *w, char id, uint32_t guarantee_ppm,
                              struct cw_container_spec *spec)
{
    const struct inv_wishes wishes = {.guarantee_ppm = guarantee_ppm};
    char name[8] = {'c', '-', id, '\0'};

    *spec = (struct cw_container_spec){.name = name, .memory_mb = 256, .cpu_shares = 128};
    return inv_resize_add(w->resize, w, &wishes, spec);
}

static struct inv_member *make(struct world *w, char id, uint32_t guarantee_ppm)
{
    struct cw_container_spec spec;
    struct inv_member *m = add(w, id, guarantee_ppm, &spec);
    char whole[ID_LEN + 1], shares[32];

    memset(whole, id, ID_LEN);
    whole[ID_LEN] = '\0';
    make_group(w, id);
    (void)snprintf(shares, sizeof(shares), "%u\n", spec.cpu_shares);
    if (w->v1)
        put(w, "cpu", id, "cpu.shares", shares);
    inv_resize_created(m, whole);
    return m;
}

static void forget(struct world *w)
{
    w->journal[0] = '\0';
}

static void fail_writes(struct world *w, char id, const char *file, int sys_errno)
{
    w->bad_id = id;
    w->bad_file = file;
    w->bad_errno = sys_errno;
}

/* How often it was said since the last question. */
static unsigned told(struct world *w, const char *what)
{
    char text[LOG_MAX];
    ssize_t n = read(w->log_fd, text, sizeof(text) - 1);
    unsigned count = 0;

    text[n > 0 ? n : 0] = '\0';
    for (const char *at = text; (at = strstr(at, what)); at++)
        count++;
    return count;
}

static bool has_value(void *arg)
{
    struct world *w = arg;

    return value_of(w, w->controller, w->id, w->file) == w->value;
}

static void wait_value(struct world *w, const char *controller, char id, const char *file,
                       int64_t value)
{
    w->controller = controller;
    w->id = id;
    w->file = file;
    w->value = value;
    assert_true(cw_loop_run_until(w->loop, has_value, w, WAIT_MS));
}

static void assert_page(struct world *w, const char *has)
{
    cw_auto_str struct cw_str out;

    cw_str_init(&out, 1 << 20);
    inv_resize_render(w->resize, &out);
    if (!strstr(out.p, has))
        fail_msg("%s is not in %s", has, out.p);
}

/* ---- CPU ---- */

static void others_are_lowered_before_the_newcomer_is_made(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0), *b = make(w, 'b', 0), *c;
    struct cw_container_spec spec;

    forget(w);
    c = add(w, 'c', 500000, &spec);
    assert_string_equal(w->journal, "a:cpu.shares=2240 b:cpu.shares=2240 "); /* 7/8 of a half */
    assert_int_equal(spec.cpu_shares, 5120);
    inv_resize_remove(c);
    inv_resize_remove(b);
    inv_resize_remove(a);
}

static void guaranteed_weight_stays_whoever_comes_and_goes(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 500000), *b, *c;
    int64_t part = w->v1 ? 5120 : 500;

    assert_int_equal(weight_of(w, 'a'), part);
    b = make(w, 'b', 0);
    c = make(w, 'c', 200000);
    assert_int_equal(weight_of(w, 'a'), part);
    assert_int_equal(weight_of(w, 'c'), part * 2 / 5);
    assert_true(weight_of(w, 'b') <= part * 3 / 5);
    inv_resize_remove(c);
    assert_int_equal(weight_of(w, 'a'), part);
    forget(w);
    inv_resize_remove(a);
    assert_string_equal(w->journal, w->v1 ? "b:cpu.shares=128 " : "b:cpu.weight=12 ");
    inv_resize_remove(b);
}

static void guarantees_above_the_whole_are_not_given(void **state)
{
    struct world *w = *state;
    const struct inv_wishes wishes = {.guarantee_ppm = 600000};
    struct inv_member *a = make(w, 'a', 600000), *b;

    assert_int_equal(inv_resize_fits(w->resize, &wishes), INV_CPU_FULL);
    assert_int_equal(inv_resize_missing_ppm(w->resize, &wishes), 300000);
    assert_int_equal(inv_resize_most_ppm(w->resize), 900000);
    b = make(w, 'b', 600000); /* who did not ask */
    assert_int_equal(told(w, "does not fit beside 0.6"), 1);
    assert_int_equal(inv_member_guarantee(b), 0);
    assert_int_equal(weight_of(w, 'b'), 2);
    assert_int_equal(weight_of(w, 'a'), 6144);
    inv_resize_remove(b);
    inv_resize_remove(a);
}

static void group_that_vanished_is_left_alone_and_the_others_are_written(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0), *b = make(w, 'b', 0), *c;

    fail_writes(w, 'a', "cpu.shares", ENODEV); /* between opening and writing */
    (void)told(w, "\n");
    c = make(w, 'c', 500000);
    assert_int_equal(weight_of(w, 'b'), 2240);
    assert_int_equal(weight_of(w, 'c'), 5120);
    assert_int_equal(told(w, "c-a"), 0); /* its end is told elsewhere */
    forget(w);
    inv_resize_remove(c);
    assert_null(strstr(w->journal, "a:")); /* nor is it tried again */
    inv_resize_remove(b);
    inv_resize_remove(a);
}

static void folder_that_vanished_is_no_failure(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0), *c;

    (void)told(w, "\n");
    w->gone = 'a';
    c = make(w, 'c', 500000);
    assert_int_equal(told(w, "c-a"), 0);
    assert_page(w, "\"guaranteed\":0.500000");
    inv_resize_remove(c);
    inv_resize_remove(a);
}

static void value_that_the_kernel_refuses_is_told_once(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0), *b, *c;

    fail_writes(w, 'a', "cpu.shares", EINVAL);
    (void)told(w, "\n");
    b = make(w, 'b', 300000);
    c = make(w, 'c', 300000);
    assert_int_equal(told(w, "cpu-weight stays"), 1);
    assert_int_equal(weight_of(w, 'c'), 3072);
    assert_page(w, "\"failures\":1");
    inv_resize_remove(c);
    inv_resize_remove(b);
    inv_resize_remove(a);
}

static bool engine_has_updated(void *arg)
{
    return strcmp(((struct world *)arg)->updates, "a=4480/0 ") == 0;
}

static void where_files_can_be_read_only_the_engine_is_asked(void **state)
{
    struct world *w = *state;
    struct inv_member *a, *c;

    let_engine_update(w);
    a = make(w, 'a', 0);
    fail_writes(w, '*', "cpu.shares", EROFS);
    c = make(w, 'c', 500000);
    assert_true(cw_loop_run_until(w->loop, engine_has_updated, w, WAIT_MS));
    assert_int_equal(told(w, "Read-only file system"), 1);
    inv_resize_remove(c);
    inv_resize_remove(a);
}

static void without_an_engine_that_can_it_is_said_that_guarantees_may_be_undercut(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0), *c;

    fail_writes(w, '*', "cpu.shares", EROFS);
    c = make(w, 'c', 500000);
    assert_int_equal(weight_of(w, 'a'), 128);
    assert_int_equal(told(w, "Read-only file system"), 1);
    inv_resize_remove(c);
    inv_resize_remove(a);
}

static void what_somebody_else_wrote_is_seen_and_written_again(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 500000);
    const char *file = w->v1 ? "cpu.shares" : "cpu.weight";

    (void)told(w, "\n");
    put(w, "cpu", 'a', file, "100\n");
    wait_value(w, "cpu", 'a', file, w->v1 ? 5120 : 500);
    assert_int_equal(told(w, "was changed to 100 by somebody else"), 1);
    assert_page(w, "\"reasserted\":1");
    inv_resize_remove(a);
}

/* ---- other revisions ---- */

static void memory_and_swap_are_written_in_the_order_that_the_kernel_takes(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0);
    const struct inv_wishes none = {0};

    forget(w);
    assert_int_equal(inv_resize_adopt(a, &none, 512), INV_ADOPT_DONE);
    assert_string_equal(w->journal,
                        "a:memory.memsw.limit_in_bytes=536870912 a:memory.limit_in_bytes=536870912 "
                        "a:cpu.shares=512 ");
    forget(w);
    assert_int_equal(inv_resize_adopt(a, &none, 128), INV_ADOPT_DONE);
    assert_string_equal(w->journal,
                        "a:memory.limit_in_bytes=134217728 a:memory.memsw.limit_in_bytes=134217728 "
                        "a:cpu.shares=128 ");
    forget(w);
    assert_int_equal(inv_resize_adopt(a, &none, 128), INV_ADOPT_DONE);
    assert_string_equal(w->journal, "");
    inv_resize_remove(a);
}

static void memory_that_is_used_is_not_taken_and_nothing_else_changes(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0);
    const struct inv_wishes none = {0};

    w->used = 200 * MB;
    (void)told(w, "\n");
    assert_int_equal(inv_resize_adopt(a, &none, 128), INV_ADOPT_REFUSED);
    assert_int_equal(value_of(w, "memory", 'a', "memory.limit_in_bytes"), 256 * MB);
    assert_int_equal(value_of(w, "memory", 'a', "memory.memsw.limit_in_bytes"), 256 * MB);
    assert_int_equal(weight_of(w, 'a'), 128);
    assert_int_equal(told(w, "memory stays"), 1);
    w->used = 40 * MB; /* later it can be had */
    assert_int_equal(inv_resize_adopt(a, &none, 128), INV_ADOPT_DONE);
    inv_resize_remove(a);
}

static void memory_and_quota_that_somebody_else_wrote_are_set_again(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0);
    const struct inv_wishes half = {.cpu_millis = 500};
    const char *quota = w->v1 ? "cpu.cfs_quota_us" : "cpu.max";
    const char *limit = w->v1 ? "memory.limit_in_bytes" : "memory.max";

    assert_int_equal(inv_resize_adopt(a, &half, 128), INV_ADOPT_DONE);
    assert_int_equal(value_of(w, "cpu", 'a', quota), 50000);
    put(w, "memory", 'a', limit, "67108864\n");
    put(w, "cpu", 'a', quota, "100000\n");
    wait_value(w, "memory", 'a', limit, 128 * MB);
    wait_value(w, "cpu", 'a', quota, 50000);
    assert_page(w, "\"reasserted\":2");
    inv_resize_remove(a);
}

static void guarantee_that_does_not_fit_leaves_all_as_it_was(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 600000), *b = make(w, 'b', 0);
    const struct inv_wishes wishes = {.guarantee_ppm = 500000};
    int64_t before = weight_of(w, 'b');

    forget(w);
    assert_int_equal(inv_resize_adopt(b, &wishes, 256), INV_ADOPT_REFUSED);
    assert_string_equal(w->journal, "");
    assert_int_equal(inv_member_guarantee(b), 0);
    assert_int_equal(weight_of(w, 'b'), before);
    inv_resize_remove(b);
    inv_resize_remove(a);
}

/* ---- block I/O ---- */

static void block_io_weight_without_a_scheduler_that_heeds_it_is_told(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0);
    const struct inv_wishes wishes = {.io_weight = 300};

    (void)told(w, "\n");
    assert_int_equal(inv_resize_adopt(a, &wishes, 256), INV_ADOPT_DONE);
    assert_int_equal(told(w, "no disk is scheduled by BFQ"), 1);
    assert_int_equal(inv_resize_adopt(a, &wishes, 256), INV_ADOPT_DONE);
    assert_int_equal(told(w, "BFQ"), 0);
    inv_resize_remove(a);
}

static void block_io_weight_is_written_where_bfq_schedules(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0);
    const struct inv_wishes wishes = {.io_weight = 300};

    scratch_put(w->root, "block/vda/queue/scheduler", "mq-deadline [bfq] none\n");
    assert_int_equal(inv_resize_adopt(a, &wishes, 256), INV_ADOPT_DONE);
    assert_int_equal(value_of(w, "", 'a', "io.bfq.weight"), 300);
    inv_resize_remove(a);
}

/* ---- memory ---- */

static void memory_of_a_container_at_work_is_protected_until_it_is_idle(void **state)
{
    struct world *w = *state;
    struct inv_member *a, *b;

    w->need = 60 * MB + 1;
    a = make(w, 'a', 0);
    b = make(w, 'b', 0);
    wait_value(w, "", 'a', "memory.low", 61 * MB);
    wait_value(w, "", 0, "memory.low",
               122 * MB); /* the group above: or it would count for nothing */
    assert_page(w, "\"memoryLow\":63963136");
    inv_resize_idle(a);
    wait_value(w, "", 'a', "memory.low", 0);
    wait_value(w, "", 0, "memory.low", 61 * MB);
    inv_resize_busy(a);
    w->need = 1 << 30; /* at most the limit */
    wait_value(w, "", 'a', "memory.low", 256 * MB);
    inv_resize_remove(b);
    inv_resize_remove(a);
    inv_resize_free(CW_STEAL(w->resize));
    assert_int_equal(value_of(w, "", 0, "memory.low"), 0);
}

static void protection_that_others_gave_the_group_above_is_left(void **state)
{
    struct world *w = *state;
    struct inv_member *a;

    put(w, "", 0, "memory.low", "1073741824\n");
    w->need = 64 * MB;
    a = make(w, 'a', 0);
    wait_value(w, "", 'a', "memory.low", 64 * MB);
    inv_resize_remove(a);
    inv_resize_free(CW_STEAL(w->resize));
    assert_int_equal(value_of(w, "", 0, "memory.low"), 1 << 30);
    assert_null(strstr(w->journal, "-:memory.low"));
}

static bool said_so(void *arg)
{
    struct world *w = arg;

    w->times += told(w, "is not protected from now on");
    return w->times > 0;
}

static void memory_that_cannot_be_protected_is_told_once(void **state)
{
    struct world *w = *state;
    struct inv_member *a, *b;

    fail_writes(w, '*', "memory.low", EROFS);
    a = make(w, 'a', 0);
    b = make(w, 'b', 0);
    assert_true(cw_loop_run_until(w->loop, said_so, w, WAIT_MS));
    assert_int_equal(w->times, 1);
    assert_null(strstr(w->journal, "b:memory.low"));
    inv_resize_remove(b);
    inv_resize_remove(a);
}

static bool is_squeezed(void *arg)
{
    struct world *w = arg;
    cw_auto_str struct cw_str out;

    cw_str_init(&out, 1 << 20);
    inv_resize_render(w->resize, &out);
    return strstr(out.p, "\"squeezes\":1") != NULL;
}

static void idle_container_is_squeezed_to_the_last_page_once(void **state)
{
    struct world *w = *state;
    struct inv_member *a = make(w, 'a', 0);

    inv_resize_idle(a);
    assert_true(cw_loop_run_until(w->loop, is_squeezed, w, WAIT_MS));
    assert_int_equal(w->used, 0);
    assert_page(w, "\"squeezedBytes\":41943040");
    assert_int_equal(value_of(w, "", 'a', "memory.max"), 256 * MB);
    inv_resize_busy(a);
    inv_resize_remove(a);
}

#define V1(test) cmocka_unit_test_setup_teardown(test, begin_v1, end)
#define V2(test) cmocka_unit_test_setup_teardown(test, begin_v2, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        V1(others_are_lowered_before_the_newcomer_is_made),
        V1(guaranteed_weight_stays_whoever_comes_and_goes),
        V2(guaranteed_weight_stays_whoever_comes_and_goes),
        V1(guarantees_above_the_whole_are_not_given),
        V1(group_that_vanished_is_left_alone_and_the_others_are_written),
        V1(folder_that_vanished_is_no_failure),
        V1(value_that_the_kernel_refuses_is_told_once),
        V1(where_files_can_be_read_only_the_engine_is_asked),
        V1(without_an_engine_that_can_it_is_said_that_guarantees_may_be_undercut),
        V1(what_somebody_else_wrote_is_seen_and_written_again),
        V2(what_somebody_else_wrote_is_seen_and_written_again),
        V1(memory_and_swap_are_written_in_the_order_that_the_kernel_takes),
        V1(memory_that_is_used_is_not_taken_and_nothing_else_changes),
        V1(memory_and_quota_that_somebody_else_wrote_are_set_again),
        V2(memory_and_quota_that_somebody_else_wrote_are_set_again),
        V1(guarantee_that_does_not_fit_leaves_all_as_it_was),
        V2(block_io_weight_without_a_scheduler_that_heeds_it_is_told),
        V2(block_io_weight_is_written_where_bfq_schedules),
        V2(memory_of_a_container_at_work_is_protected_until_it_is_idle),
        V2(protection_that_others_gave_the_group_above_is_left),
        V2(memory_that_cannot_be_protected_is_told_once),
        cmocka_unit_test_setup_teardown(idle_container_is_squeezed_to_the_last_page_once,
                                        begin_v2_squeezing, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
