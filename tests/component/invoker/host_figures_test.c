/* What peers are told of this host is what dispatch, pool and load are in. */
#include "invoker/host_figures.h"

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "invoker/host_load.h"
#include "invoker/host_state.h"
#include "invoker/machine.h"
#include "invoker/placement/policy.h"
#include "tests/component/invoker/dispatch_world.h"
#include "tests/support/cmocka_all.h"

enum { POOL_MB = 512, NEED_MILLIS = 300 };
static const int64_t MIB = 1024 * 1024;

static struct world *begin(void)
{
    struct world *w = begin_world(runs_when_told);

    inv_dispatch_free(w->dispatch);
    w->settings.user_memory_bytes = POOL_MB * MIB;
    w->load = inv_load_new();
    w->cpu_millis = NEED_MILLIS;
    make_dispatch(w);
    return w;
}

static void end(struct world *w)
{
    struct inv_load *load = w->load;

    atomic_store(&w->go, true);
    end_world(w);
    inv_load_free(load);
}

/* As a peer reads what is published. */
static struct inv_host_view published(struct world *w, size_t queued)
{
    struct inv_host_state state = {
        .boot = 1, .seq = 2, .topic = "cwhisk3", .instance = "{\"instance\":3}", .view = {.id = 3}};
    struct cw_kv_field fields[INV_HOST_FIELDS];
    struct inv_host_state read;
    struct cw_err err = {0};
    struct cw_kv_hash hash = {.found = true, .fields = fields};
    struct cw_arena arena;

    inv_host_figures(&(struct inv_host_sources){.dispatch = w->dispatch,
                                                .load = w->load,
                                                .queued = queued,
                                                .lag = 17,
                                                .set = INV_SET_MANAGED},
                     &state.view);
    cw_arena_init(&arena);
    hash.count = inv_host_state_encode(&state, &arena, fields);
    if (inv_host_state_decode(3, &hash, &arena, &read, &err) != 0)
        fail_msg("%s", err.msg);
    cw_arena_done(&arena);
    assert_int_equal(inv_host_usable(&read.view, false), INV_USABLE);
    return read.view;
}

static void submit_of(struct world *w, const char *action, char id, const char *annotations)
{
    struct cw_action *a = make_action(w, action, 60000, 256, 1);

    if (annotations)
        a->annotations = cw_slice_of(annotations);
    submit(w, a, id);
}

static void an_empty_host_says_what_it_has(void **state)
{
    struct world *w = begin();
    struct inv_host_view v = published(w, 0);

    (void)state;
    assert_int_equal(v.cpu_total_millis, inv_machine_cpu_millis());
    assert_int_equal(v.memory_total_bytes, POOL_MB * MIB);
    assert_int_equal(v.memory_reserved_bytes, 0);
    assert_int_equal(v.cpu_reserved_millis, 0);
    assert_int_equal(v.running + v.starting + v.idle + v.queued, 0);
    assert_int_equal(v.mean_run_us, 0);
    assert_int_equal(v.lag, 17);
    assert_int_equal(v.set, INV_SET_MANAGED);
    assert_false(v.draining);
    end(w);
}

static void what_starts_runs_waits_and_rests_is_told(void **state)
{
    struct world *w = begin();
    struct inv_host_view v;

    (void)state;
    submit_of(w, "one", 'a', "[{\"key\":\"cwhisk.cpu-guarantee\",\"value\":0.25}]");
    submit_of(w, "two", 'b', NULL);
    submit_of(w, "three", 'c', NULL);
    v = published(w, 5);
    assert_int_equal(v.starting, 2);
    assert_int_equal(v.running, 2);
    assert_int_equal(v.queued, 1 + 5);
    assert_int_equal(v.cpu_reserved_millis, 2 * NEED_MILLIS);
    assert_int_equal(v.memory_reserved_bytes, POOL_MB * MIB);
    assert_int_equal(v.memory_idle_bytes, 0);
    assert_int_equal(v.cpu_guaranteed * 1000 + 0.5, 300); /* and 0.1 is held back, not 0.05 */
    assert_true(cw_loop_run_until(w->loop, nothing_starts, w, WAIT_MS));
    v = published(w, 0);
    assert_int_equal(v.starting, 0);
    assert_int_equal(v.running, 2);
    atomic_store(&w->go, true);
    wait_ends(w, 3);
    v = published(w, 0);
    assert_int_equal(v.running + v.queued, 0);
    assert_int_equal(v.cpu_reserved_millis, 0);
    assert_int_equal(v.idle, 2); /* one of the first two made room for the third */
    assert_int_equal(v.memory_idle_bytes, POOL_MB * MIB);
    assert_true(v.mean_run_us > 0);
    end(w);
}

/* What fits by these figures fits the host's own rule, too. */
static void what_no_guarantee_may_take_counts_as_promised(void **state)
{
    struct world *w = begin();
    struct inv_host_view v;
    struct inv_placement placed;
    struct inv_ask ask = {.cpu_guarantee = 0.55, .memory_bytes = 1};

    (void)state;
    inv_dispatch_free(w->dispatch);
    w->settings.cpu_reserve = 0.2;
    make_dispatch(w);
    submit_of(w, "one", 'a', "[{\"key\":\"cwhisk.cpu-guarantee\",\"value\":0.25}]");
    v = published(w, 0);
    inv_policy_place(INV_POLICY_HYBRID, &v, 1, &ask, &placed); /* 0.25 + 0.55 = 1 - 0.2 */
    assert_int_equal(placed.host, 0);
    ask.cpu_guarantee = 0.56;
    inv_policy_place(INV_POLICY_HYBRID, &v, 1, &ask, &placed);
    assert_int_equal(placed.host, -1);
    atomic_store(&w->go, true);
    wait_ends(w, 1);
    end(w);
}

static void what_makes_no_sense_is_refused_by_name(void **state)
{
    static const struct {
        const char *field, *value, *said;
    } CASES[] = {
        {"cpuTotal", "0", "cpuTotal"},
        {"cpuTotal", "-4000", "cpuTotal"},
        {"cpuTotal", "9223372036854775807", "cpuTotal"},
        {"memoryTotal", "0", "memoryTotal"},
        {"memoryTotal", "-1", "memoryTotal"},
        {"memoryUsed", "-1", "memoryUsed"},
        {"memoryIdle", "2", "memoryIdle: 2, more than memoryReserved"},
        {"meanRunUs", "1e3", "meanRunUs"},
        {"running", "4294967296", "running"},
        {"lag", "", "lag"},
        {"promised", "1000001", "promised"},
        {"promised", "nan", "promised"},
        {"set", "both", "set"},
        {"draining", "2", "draining"},
        {"alone", "2", "alone"},
        {"v", "2", "version"},
        {"topic", "../x y", "topic"},
        {"instance", "[]", "instance"},
    };
    const struct inv_host_state said = {
        .boot = 1,
        .seq = 1,
        .topic = "cwhisk3",
        .instance = "{}",
        .view = {.cpu_total_millis = 1, .memory_total_bytes = 1, .memory_reserved_bytes = 1}};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_kv_field fields[INV_HOST_FIELDS];
        struct cw_kv_hash hash = {.found = true, .fields = fields};
        struct inv_host_state read;
        struct cw_err err = {0};
        struct cw_arena arena;

        cw_arena_init(&arena);
        hash.count = inv_host_state_encode(&said, &arena, fields);
        assert_int_equal(inv_host_state_decode(3, &hash, &arena, &read, &err), 0);
        for (size_t f = 0; f < hash.count; f++)
            if (cw_slice_is(fields[f].name, CASES[i].field))
                fields[f].value = cw_slice_of(CASES[i].value);
        assert_int_equal(inv_host_state_decode(3, &hash, &arena, &read, &err), -1);
        if (!strstr(err.msg, CASES[i].said))
            fail_msg("%s = %s: %s", CASES[i].field, CASES[i].value, err.msg);
        cw_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_host_says_what_it_has),
        cmocka_unit_test(what_no_guarantee_may_take_counts_as_promised),
        cmocka_unit_test(what_makes_no_sense_is_refused_by_name),
        cmocka_unit_test(what_starts_runs_waits_and_rests_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
