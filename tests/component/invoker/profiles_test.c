/* Profiles on a kv of this process, with a wall clock that the test sets, and in a file. */
#include "invoker/profiles_priv.h"

#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/kv/local_kv.h"
#include "common/model/action_doc.h"
#include "common/obs/metrics.h"
#include "invoker/monitor/monitor.h"
#include "tests/component/kv/kv_suite.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/scratch.h"
#include "tests/support/turns.h"

enum { EPOCH_MS = 1000, EPOCH = 5000 };

struct test_clock {
    struct cw_clock base;
    int64_t wall_us, ahead_us;
};

struct world {
    struct test_clock clock;
    struct cw_loop *loop;
    struct cw_kv *kv;
    struct cw_metrics *metrics;
    struct inv_profiles *a, *b; /* of two invokers */
    char folder[SCRATCH_MAX], path[SCRATCH_MAX + 16];
};

static int64_t mono_us(const struct cw_clock *c)
{
    return 1000000 + ((const struct test_clock *)c)->ahead_us;
}

static int64_t wall_us(const struct cw_clock *c)
{
    return ((const struct test_clock *)c)->wall_us;
}

static struct inv_profiles *make(struct world *w, struct cw_kv *kv, const char *path)
{
    return inv_profiles_new(&(struct inv_profiles_conf){.loop = w->loop,
                                                        .kv = kv,
                                                        .path = path,
                                                        .epoch_ms = EPOCH_MS,
                                                        .metrics = w->metrics,
                                                        .total_mb = 1024,
                                                        .share_millis = 4000});
}

static int setup(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    w->clock.base = (struct cw_clock){wall_us, mono_us};
    w->clock.wall_us = INT64_C(1000) * EPOCH * EPOCH_MS;
    w->loop = cw_loop_new(&w->clock.base, NULL);
    w->kv = cw_local_kv_new(w->loop, 0);
    w->metrics = cw_metrics_new();
    scratch_make(w->folder);
    (void)snprintf(w->path, sizeof(w->path), "%s/profiles", w->folder);
    w->a = make(w, w->kv, NULL);
    w->b = make(w, w->kv, NULL);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    inv_profiles_free(w->a);
    inv_profiles_free(w->b);
    cw_kv_free(w->kv);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
    scratch_remove(w->folder);
    free(w);
    return 0;
}

static struct cw_action action_of(const char *path, const char *kind, unsigned char code)
{
    struct cw_action a = {.path = path, .kind = kind, .limits = {.memory_mb = 256}};

    memset(a.hash, code, sizeof(a.hash));
    return a;
}

/* So many runs of that use. */
static void run(struct inv_profiles *p, const struct cw_action *a, int times, unsigned millicores,
                unsigned mib)
{
    const struct inv_run_report report = {.action = a,
                                          .usage = {.wall_ns = 1000000000,
                                                    .cpu_ns = (uint64_t)millicores * 1000000,
                                                    .ws_sampled_bytes = (uint64_t)mib << 20,
                                                    .peak_bytes = (uint64_t)1 << 40}};

    for (int i = 0; i < times; i++)
        inv_profiles_add(p, &report);
}

/* What is pending is written; both see it after that. */
static void share(struct world *w)
{
    inv_profiles_flush(w->a);
    inv_profiles_flush(w->b);
    run_turns(w->loop);
}

static struct inv_need need_of(struct inv_profiles *p, const struct cw_action *a)
{
    struct inv_need n;

    inv_profiles_need(p, a, INV_TRUST_ALL, &n);
    return n;
}

struct wish {
    struct inv_profiles *p;
    const struct cw_action *action;
    double runs;
};

static bool knows(void *arg)
{
    const struct wish *wish = arg;
    struct inv_need n = need_of(wish->p, wish->action);

    return n.n_action > wish->runs - 0.01 && n.n_action < wish->runs + 0.01;
}

static void wait_runs(struct world *w, struct inv_profiles *p, const struct cw_action *a,
                      double runs)
{
    struct wish wish = {p, a, runs};

    if (!cw_loop_run_until(w->loop, knows, &wish, 10000))
        fail_msg("%f runs are known, not %f", (double)need_of(p, a).n_action, runs);
}

static void assert_near(double value, double expected)
{
    if (value < expected * 0.9 || value > expected * 1.1)
        fail_msg("%f is not about %f", value, expected);
}

/* ---- cases ---- */

static void without_evidence_the_declared_is_needed(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/new", "nodejs:20", 1);
    struct inv_need n = need_of(w->a, &a);

    assert_int_equal(n.memory_bytes, 256 << 20);
    assert_int_equal(n.cpu_millis, 1000); /* 256 of 1024 MiB buy a quarter of 4 cores */
    assert_int_equal(n.memory_bound, INV_NEED_NO_EVIDENCE);
    inv_profiles_set_share(w->a, 2000);
    assert_int_equal(need_of(w->a, &a).cpu_millis, 500);
}

static void what_was_seen_is_needed(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/steady", "nodejs:20", 1);
    struct inv_need n;

    run(w->a, &a, 1000, 300, 40);
    n = need_of(w->a, &a);
    assert_near((double)n.memory_bytes / 1048576, 42);
    assert_near(n.cpu_millis, 310);
    assert_true(n.n_action > 999 && n.n_action < 1001);
}

static void no_run_of_any_invoker_is_lost(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/both", "nodejs:20", 1);

    for (int i = 0; i < 10; i++) {
        run(w->a, &a, 7, 100, 40);
        run(w->b, &a, 5, 900, 80);
        share(w);
    }
    wait_runs(w, w->a, &a, 120);
    wait_runs(w, w->b, &a, 120);
    assert_near((double)need_of(w->a, &a).memory_bytes, (double)need_of(w->b, &a).memory_bytes);
}

static void kind_and_code_tell_of_actions_that_never_ran(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/one", "nodejs:20", 1);
    struct cw_action same_code = action_of("other/two", "nodejs:20", 1);
    struct cw_action same_kind = action_of("other/three", "nodejs:20", 3);

    run(w->a, &a, 1000, 100, 30);
    assert_near((double)need_of(w->a, &same_code).memory_bytes / 1048576, 32);
    assert_true(need_of(w->a, &same_kind).memory_bytes < 64 << 20);
    assert_true(need_of(w->a, &same_kind).n_image == 0);
}

static void an_action_is_remembered_before_it_runs(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/asked", "nodejs:20", 1);
    struct inv_need n;

    assert_false(inv_profiles_knows(w->a, a.path));
    assert_false(inv_profiles_look(w->a, &a, &n));
    inv_profiles_remember(w->a, &a);
    assert_true(inv_profiles_knows(w->a, a.path));
    assert_false(inv_profiles_knows(w->a, "guest/aske"));
    assert_true(inv_profiles_look(w->a, &a, &n));
    assert_int_equal(n.memory_bytes, 256 << 20);
}

static void old_evidence_weighs_less_and_goes(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/old", "nodejs:20", 1);

    run(w->a, &a, 100, 100, 30);
    share(w);
    w->clock.wall_us += INT64_C(1000) * EPOCH_MS;
    assert_near(need_of(w->a, &a).n_action, 75);
    w->clock.wall_us += INT64_C(1000) * EPOCH_MS;
    assert_near(need_of(w->a, &a).n_action, 56.25);
    w->clock.wall_us += INT64_C(1000) * EPOCH_MS * INV_PROFILE_EPOCHS;
    assert_true(need_of(w->a, &a).n_action == 0);
}

static void a_changed_function_is_learned_again(void **state)
{
    struct world *w = *state;
    struct cw_action before = action_of("guest/changed", "nodejs:20", 1);
    struct cw_action after = action_of("guest/changed", "nodejs:20", 2);

    run(w->a, &before, 200, 100, 200);
    for (int epoch = 0; epoch < INV_PROFILE_EPOCHS; epoch++) {
        w->clock.wall_us += INT64_C(1000) * EPOCH_MS;
        run(w->a, &after, 200, 100, 20);
    }
    assert_near((double)need_of(w->a, &after).memory_bytes / 1048576, 21);
}

static void fields_of_old_epochs_leave_kv(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/trim", "nodejs:20", 1);
    struct kv_answer answer;

    run(w->a, &a, 1, 100, 30);
    share(w);
    w->clock.wall_us += INT64_C(1000) * EPOCH_MS * INV_PROFILE_EPOCHS;
    run(w->a, &a, 1, 100, 30);
    share(w);
    assert_non_null(
        strstr(kv_get_text(w->loop, w->kv, "profile:action:guest/trim", &answer), "5000m"));
    wait_runs(w, w->b, &a, 1);
    run_turns(w->loop);
    (void)kv_get_text(w->loop, w->kv, "profile:action:guest/trim", &answer);
    assert_null(strstr(answer.text, "5000m"));
    assert_non_null(strstr(answer.text, "5012m"));
}

static void garbage_in_kv_is_passed_over(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/garbage", "nodejs:20", 1);
    const struct cw_kv_field fields[] = {{CW_SLICE("5000m40"), CW_SLICE("3")},
                                         {CW_SLICE("5000m400"), CW_SLICE("3")},
                                         {CW_SLICE("x"), CW_SLICE("3")},
                                         {CW_SLICE("5000c1"), CW_SLICE("-3")},
                                         {CW_SLICE("9999m40"), CW_SLICE("3")}};
    struct kv_answer answer = {0};

    cw_kv_put(
        w->kv,
        &(struct cw_kv_put){.key = "profile:action:guest/garbage", .fields = fields, .count = 5},
        kv_answer_done, &answer, NULL);
    kv_wait(w->loop, &answer);
    wait_runs(w, w->a, &a, 3);
}

static void a_killed_run_needs_at_least_its_limit(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/killed", "nodejs:20", 1);
    const struct inv_run_report report = {.action = &a,
                                          .usage = {.wall_ns = 1000,
                                                    .cpu_ns = 1000,
                                                    .ws_sampled_bytes = 50 << 20,
                                                    .oom_kills = 1,
                                                    .partial = true}};

    for (int i = 0; i < 100; i++)
        inv_profiles_add(w->a, &report);
    assert_true(need_of(w->a, &a).memory_bytes > 250 << 20);
}

static void what_was_not_seen_to_the_end_is_not_counted(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/gone", "nodejs:20", 1);
    struct inv_run_report report = {
        .action = &a, .usage = {.wall_ns = 1000, .ws_sampled_bytes = 1 << 20, .partial = true}};

    inv_profiles_add(w->a, &report);
    report.usage.partial = false;
    report.usage.wall_ns = 0;
    inv_profiles_add(w->a, &report);
    assert_true(need_of(w->a, &a).n_action == 0);
}

/* A container that claims little would be let in where there is no room; one that claims much would
 * keep others out. */
static void what_containers_tell_of_themselves_is_no_ground_for_admission(void **state)
{
    struct world *w = *state;
    struct cw_action liar = action_of("guest/liar", "nodejs:20", 1);
    struct cw_action other = action_of("guest/other", "nodejs:20", 2);
    struct inv_run_report report = {.action = &liar,
                                    .usage = {.wall_ns = 1000000000,
                                              .cpu_ns = 1000000,
                                              .ws_sampled_bytes = 1 << 20,
                                              .untrusted = true}};
    struct inv_need need;

    for (int i = 0; i < 100; i++)
        inv_profiles_add(w->a, &report);
    inv_profiles_need(w->a, &liar, INV_TRUST_KERNEL, &need);
    assert_int_equal(need.memory_bytes, (uint64_t)256 << 20);
    assert_int_equal(need.memory_bound, INV_NEED_NO_EVIDENCE);
    assert_true(need_of(w->a, &liar).memory_bytes < 16 << 20);
    report.usage.ws_sampled_bytes = (uint64_t)1 << 40;
    for (int i = 0; i < 1000; i++)
        inv_profiles_add(w->a, &report);
    assert_true(need_of(w->a, &liar).memory_bytes <= (uint64_t)256 << 20);
    run(w->a, &other, 100, 50, 32); /* the kernel's, of the same kind */
    inv_profiles_need(w->a, &other, INV_TRUST_KERNEL, &need);
    assert_true(need.memory_bytes < 64 << 20);
    share(w);
    inv_profiles_need(w->b, &liar, INV_TRUST_KERNEL, &need); /* asks for what is shared */
    run_turns(w->loop);
    inv_profiles_need(w->b, &liar, INV_TRUST_KERNEL, &need);
    assert_true(need.n_action == 0);
}

static void the_cache_is_bounded(void **state)
{
    struct world *w = *state;
    char path[40];

    for (int i = 0; i < INV_PROFILES_MAX + 100; i++) {
        struct cw_action a = action_of(path, "nodejs:20", 1);

        (void)snprintf(path, sizeof(path), "guest/a%d", i);
        run(w->a, &a, 1, 100, 30);
    }
    assert_true(w->a->entries.count <= INV_PROFILES_MAX);
    assert_non_null(profiles_find(w->a, "profile:kind:nodejs:20"));
    assert_null(profiles_find(w->a, "profile:action:guest/a0"));
}

/* ---- the file ---- */

static void a_restart_does_not_forget(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/kept", "python:3.11", 1);
    struct inv_profiles *p = make(w, NULL, w->path);
    struct inv_need before, after;

    run(p, &a, 50, 700, 90);
    before = need_of(p, &a);
    inv_profiles_free(p);
    p = make(w, NULL, w->path);
    after = need_of(p, &a);
    assert_true(after.n_action == before.n_action && after.n_kind == before.n_kind);
    assert_int_equal(after.memory_bytes, before.memory_bytes);
    assert_int_equal(after.cpu_millis, before.cpu_millis);
    inv_profiles_free(p);
}

static void damaged(struct world *w, const char *text)
{
    struct cw_action a = action_of("guest/kept", "python:3.11", 1);
    struct inv_profiles *p;

    scratch_put(w->folder, "profiles", text);
    p = make(w, NULL, w->path);
    assert_true(need_of(p, &a).n_action == 0);
    inv_profiles_free(p);
}

static void a_damaged_file_is_as_none(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/kept", "python:3.11", 1);
    struct inv_profiles *p = make(w, NULL, w->path);
    char text[4096];

    run(p, &a, 50, 700, 90);
    inv_profiles_free(p);
    assert_true(scratch_get(w->folder, "profiles", text, sizeof(text)));
    strchr(text, '\n')[12]++;
    damaged(w, text);
    damaged(w, "");
    damaged(w, "cwhisk-profiles 2 1000 0000000000000000\n");
    damaged(w, "cwhisk-profiles 1 3600000 0000000000000000\n");
}

static void a_file_that_cannot_be_written_is_no_reason_to_stop(void **state)
{
    struct world *w = *state;
    struct cw_action a = action_of("guest/kept", "python:3.11", 1);
    char path[SCRATCH_MAX + 32];
    struct inv_profiles *p;

    (void)snprintf(path, sizeof(path), "%s/no/such", w->folder);
    p = make(w, NULL, path);
    run(p, &a, 1, 700, 90);
    inv_profiles_free(p);
}

static void a_file_holds_whole_profiles_up_to_its_size(void **state)
{
    struct world *w = *state;
    struct inv_profiles *p = make(w, NULL, w->path), *q;
    char path[900], code;
    struct stat st;

    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    for (int i = 0; i < 1900; i++) {
        struct cw_action a = action_of(path, "nodejs:20", 1);

        code = (char)('a' + i % 26);
        path[i % 800] = code;
        run(p, &a, 1, 100, 30);
    }
    inv_profiles_free(p);
    assert_int_equal(stat(w->path, &st), 0);
    assert_true(st.st_size > 900000 && st.st_size <= 1 << 20);
    q = make(w, NULL, w->path);
    assert_true(q->entries.count > 900);
    inv_profiles_free(q);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(without_evidence_the_declared_is_needed),
        CASE(what_was_seen_is_needed),
        CASE(no_run_of_any_invoker_is_lost),
        CASE(kind_and_code_tell_of_actions_that_never_ran),
        CASE(an_action_is_remembered_before_it_runs),
        CASE(old_evidence_weighs_less_and_goes),
        CASE(a_changed_function_is_learned_again),
        CASE(fields_of_old_epochs_leave_kv),
        CASE(garbage_in_kv_is_passed_over),
        CASE(a_killed_run_needs_at_least_its_limit),
        CASE(what_was_not_seen_to_the_end_is_not_counted),
        CASE(what_containers_tell_of_themselves_is_no_ground_for_admission),
        CASE(the_cache_is_bounded),
        CASE(a_restart_does_not_forget),
        CASE(a_damaged_file_is_as_none),
        CASE(a_file_that_cannot_be_written_is_no_reason_to_stop),
        CASE(a_file_holds_whole_profiles_up_to_its_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
