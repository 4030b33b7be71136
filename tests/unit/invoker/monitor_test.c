#include "tests/support/cmocka_all.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/manifest.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/monitor/monitor.h"
#include "invoker/placement/need.h"
#include "tests/support/cgroup_recorded.h"
#include "tests/support/cgroup_tree.h"
#include "tests/support/jobs.h"
#include "tests/support/scratch.h"
#include "tests/support/turns.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16
#define OTHER HEX16 HEX16 HEX16 "fedcba9876543210"
#define GROUP "docker/" ID

enum { WITHIN_MS = 30000, MIB = 1 << 20, LIMIT = 256 * MIB, LOG_BYTES = 4096, RUNS = 1000 };

struct world {
    struct cw_clock clock;
    int64_t skipped_us; /* monotonic time is the machine's and this */
    char root[SCRATCH_MAX];
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct cw_manifest *manifest;
    struct cw_action *action;
    struct inv_monitor *monitor;
    unsigned runs;
    struct inv_run_usage last;
    char last_action[128], last_namespace[64];
    bool in_call; /* one of the monitor's */
    unsigned budgets;
    int log_fds[2];
    char log[LOG_BYTES];
};

static void on_run(void *arg, const struct inv_run_report *run)
{
    struct world *w = arg;

    assert_false(w->in_call);
    w->runs++;
    w->last = run->usage;
    (void)snprintf(w->last_action, sizeof(w->last_action), "%s %s %s", run->action->path,
                   run->action->kind, run->container_id);
    (void)snprintf(w->last_namespace, sizeof(w->last_namespace), "%s", run->namespace_name);
}

static void on_budget(void *arg)
{
    struct world *w = arg;

    assert_false(w->in_call);
    w->budgets++;
}

static bool need_of(void *arg, const struct cw_action *action, struct inv_need *ret);

static int64_t wall_us(const struct cw_clock *c)
{
    (void)c;
    return cw_clock_system()->wall_us(cw_clock_system());
}

static int64_t mono_us(const struct cw_clock *c)
{
    return cw_clock_system()->mono_us(cw_clock_system()) + ((const struct world *)c)->skipped_us;
}

static void start_monitor_for(struct world *w, int64_t interval_ms, size_t top_actions)
{
    inv_monitor_free(w->monitor);
    w->monitor = inv_monitor_new(&(struct inv_monitor_conf){
        .loop = w->loop,
        .metrics = w->metrics,
        .cgroup_root = w->root,
        .proc = "/proc",
        .interval_ms = interval_ms,
        .top_actions = top_actions,
        .on_run = on_run,
        .on_budget = on_budget,
        .need = need_of,
        .arg = w,
    });
}

static void start_monitor(struct world *w, int64_t interval_ms)
{
    start_monitor_for(w, interval_ms, 0);
}

static int make_world(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    assert_int_equal(pipe2(w->log_fds, O_CLOEXEC | O_NONBLOCK), 0);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = w->log_fds[1]});
    scratch_make(w->root);
    w->clock = (struct cw_clock){wall_us, mono_us};
    w->loop = cw_loop_new(&w->clock, NULL);
    w->metrics = cw_metrics_new();
    w->manifest = test_manifest();
    w->action = test_action(w->manifest, "hello", 60000, 256, 10, 1);
    start_monitor(w, 3600000);
    *state = w;
    return 0;
}

static int free_world(void **state)
{
    struct world *w = *state;

    inv_monitor_free(w->monitor);
    cw_action_unref(w->action);
    cw_manifest_free(w->manifest);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
    scratch_remove(w->root);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = 1});
    close(w->log_fds[0]);
    close(w->log_fds[1]);
    free(w);
    return 0;
}

static const char *logged(struct world *w)
{
    ssize_t n = read(w->log_fds[0], w->log, sizeof(w->log) - 1);

    w->log[n > 0 ? n : 0] = '\0';
    return w->log;
}

static void put(struct world *w, const char *controller, const char *name, const char *text)
{
    cgroup_tree_put(w->root, controller, GROUP, name, text);
}

static void put_number(struct world *w, const char *controller, const char *name, uint64_t v)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)v);
    put(w, controller, name, text);
}

/* hierarchies: "cpuacct", "*" */
static void remove_group(struct world *w, const char *hierarchies)
{
    char command[256];

    (void)snprintf(command, sizeof(command), "rm -r '%s'/%s", w->root, hierarchies);
    assert_int_equal(system(command), 0);
}

static struct inv_watched *watch(struct world *w)
{
    struct inv_watched *c;

    cgroup_tree_v1(w->root, GROUP);
    c = inv_monitor_watch(w->monitor, ID, "wsk0_1_guest_hello", LIMIT);
    assert_non_null(c);
    inv_monitor_adopt(c, "guest", w->action);
    return c;
}

static struct inv_meter *begin(struct world *w, struct inv_watched *c)
{
    struct inv_meter *meter = inv_monitor_begin(c);

    run_turns(w->loop);
    return meter;
}

static void end(struct world *w, struct inv_meter *meter, bool oom)
{
    w->in_call = true;
    inv_monitor_end(meter, oom);
    w->in_call = false;
    run_turns(w->loop);
}

struct finding {
    struct inv_container_usage c;
    bool found;
};

static void compare_id(void *arg, const struct inv_container_usage *c)
{
    struct finding *f = arg;

    if (strcmp(c->id, ID) != 0)
        return;
    f->c = *c;
    f->found = true;
}

static struct finding find(struct world *w)
{
    struct finding f = {0};

    inv_monitor_each(w->monitor, compare_id, &f);
    return f;
}

static void add_up(void *arg, const struct inv_container_usage *c)
{
    struct inv_used *sum = arg;

    sum->cpu_millis += c->cpu_millis;
    sum->memory_bytes += (int64_t)c->usage.memory_bytes;
}

/* Nobody here has a probe. */
static void assert_sums(struct world *w)
{
    struct inv_used sum = {0}, used = inv_monitor_used(w->monitor);

    inv_monitor_each(w->monitor, add_up, &sum);
    assert_int_equal(used.cpu_millis, sum.cpu_millis);
    assert_int_equal(used.memory_bytes, sum.memory_bytes);
}

static struct inv_container_usage known(struct world *w)
{
    struct finding f = find(w);

    assert_sums(w);
    assert_true(f.found);
    return f.c;
}

/* ---- runs ---- */

static void run_is_measured_and_told(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);
    struct inv_meter *meter = begin(w, c);

    put_number(w, "cpuacct", "cpuacct.usage", 3014729871ULL + 70000000);
    put_number(w, "memory", "memory.usage_in_bytes", 20 * MIB);
    put_number(w, "memory", "memory.max_usage_in_bytes", 30 * MIB);
    put(w, "cpu", "cpu.stat", "nr_periods 40\nnr_throttled 31\nthrottled_time 2369597133\n");
    end(w, meter, false);
    assert_int_equal(w->runs, 1);
    assert_int_equal(w->last.cpu_ns, 70000000);
    assert_true(w->last.wall_ns < UINT64_C(60000000000));
    assert_int_equal(w->last.ws_sampled_bytes, 20 * MIB - 1048576);
    assert_int_equal(w->last.peak_bytes, 30 * MIB);
    assert_int_equal(w->last.throttled_ns, 10);
    assert_int_equal(w->last.oom_kills, 0);
    assert_int_equal(w->last.samples, 1);
    assert_true(w->last.peak_of_run);
    assert_false(w->last.overlapped);
    assert_false(w->last.partial);
    assert_string_equal(w->last_action, "guest/hello nodejs:20 " ID);
    assert_string_equal(w->last_namespace, "guest");
    inv_monitor_forget(c);
}

static void time_between_runs_is_nobodys(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);

    end(w, begin(w, c), false);
    assert_int_equal(w->last.cpu_ns, 0);
    put_number(w, "cpuacct", "cpuacct.usage", 4000000000);
    end(w, begin(w, c), false);
    assert_int_equal(w->runs, 2);
    assert_int_equal(w->last.cpu_ns, 0);
    inv_monitor_forget(c);
}

static void run_that_follows_at_once_begins_where_the_last_ended(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);
    struct inv_meter *first = begin(w, c), *second;

    put_number(w, "cpuacct", "cpuacct.usage", 4000000000);
    inv_monitor_end(first, false);
    second = inv_monitor_begin(c);
    run_turns(w->loop);
    assert_int_equal(w->runs, 1);
    assert_int_equal(w->last.cpu_ns, 4000000000 - 3014729871);
    assert_false(w->last.overlapped);
    put_number(w, "cpuacct", "cpuacct.usage", 4000000001);
    end(w, second, false);
    assert_int_equal(w->last.cpu_ns, 1);
    assert_false(w->last.overlapped);
    inv_monitor_forget(c);
}

static void overlapping_runs_share_and_say_so(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);
    struct inv_meter *first = begin(w, c), *second = begin(w, c);

    put_number(w, "cpuacct", "cpuacct.usage", 4000000000);
    end(w, first, false);
    assert_true(w->last.overlapped);
    assert_false(w->last.peak_of_run);
    assert_int_equal(w->last.cpu_ns, 4000000000 - 3014729871);
    end(w, second, false);
    assert_true(w->last.overlapped);
    assert_int_equal(w->runs, 2);
    end(w, begin(w, c), false);
    assert_false(w->last.overlapped);
    inv_monitor_forget(c);
}

static void run_that_was_not_run_is_not_told(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);

    inv_monitor_drop(inv_monitor_begin(c));
    inv_monitor_drop(begin(w, c));
    end(w, inv_monitor_begin(c), false); /* in the turn in which it began */
    assert_int_equal(w->runs, 0);
    assert_int_equal(known(w).jobs, 0);
    inv_monitor_forget(c);
}

static void kill_for_memory_is_counted(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);
    struct inv_meter *meter = begin(w, c);

    put(w, "memory", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
    put_number(w, "memory", "memory.max_usage_in_bytes", LIMIT);
    end(w, meter, false);
    assert_int_equal(w->last.oom_kills, 3);
    meter = begin(w, c);
    put_number(w, "memory", "memory.max_usage_in_bytes", LIMIT);
    remove_group(w, "*"); /* with the container */
    end(w, meter, true);
    assert_int_equal(w->runs, 2);
    assert_int_equal(w->last.oom_kills, 1);
    assert_true(w->last.partial);
    assert_int_equal(w->last.peak_bytes, LIMIT);
    assert_null(known(w).group);
    end(w, begin(w, c), false); /* nothing is known of it */
    assert_int_equal(w->runs, 2);
    inv_monitor_forget(c);
}

static void run_is_told_though_its_container_is_forgotten_at_once(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);
    struct inv_meter *meter = begin(w, c);

    inv_monitor_end(meter, false);
    inv_monitor_forget(c);
    assert_false(find(w).found);
    run_turns(w->loop);
    assert_int_equal(w->runs, 1);
}

static void null_is_nothing(void **state)
{
    struct world *w = *state;

    assert_null(inv_monitor_watch(NULL, ID, "x", LIMIT));
    inv_monitor_adopt(NULL, "guest", w->action);
    inv_monitor_state(NULL, "paused", true);
    assert_null(inv_monitor_begin(NULL));
    inv_monitor_end(NULL, false);
    inv_monitor_drop(NULL);
    inv_monitor_forget(NULL);
    inv_monitor_free(NULL);
}

static void not_all_of_very_many_runs_are_measured(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);
    struct cw_counter *skipped =
        cw_metrics_counter(w->metrics, "cwhisk_monitor_runs_skipped_total", NULL, NULL);
    struct inv_meter *meters[RUNS];

    for (int i = 0; i < RUNS; i++)
        meters[i] = inv_monitor_begin(c); /* all in one window */
    run_turns(w->loop);
    for (int i = 0; i < RUNS; i++)
        inv_monitor_end(meters[i], false);
    run_turns(w->loop);
    assert_int_equal(known(w).runs, RUNS);
    assert_true(w->runs >= 100);
    assert_int_equal(w->runs + cw_counter_value(skipped), RUNS);
    inv_monitor_forget(c);
}

/* ---- looks in between ---- */

static bool saw_big_memory(void *arg)
{
    return known(arg).usage.memory_bytes == 200 * (uint64_t)MIB;
}

static void largest_working_set_of_a_run_is_kept(void **state)
{
    struct world *w = *state;
    struct inv_watched *c;
    struct inv_meter *meter;

    start_monitor(w, 1);
    c = watch(w);
    meter = begin(w, c);
    put_number(w, "memory", "memory.usage_in_bytes", 200 * (uint64_t)MIB);
    assert_true(cw_loop_run_until(w->loop, saw_big_memory, w, WITHIN_MS));
    put_number(w, "memory", "memory.usage_in_bytes", 10 * MIB);
    end(w, meter, false);
    assert_int_equal(w->last.ws_sampled_bytes, 200 * (uint64_t)MIB - 1048576);
    assert_true(w->last.samples >= 2);
    assert_int_equal(w->last.peak_bytes, 200 * (uint64_t)MIB - 1048576); /* not below */
    inv_monitor_forget(c);
}

struct after {
    struct world *w;
    int64_t since_us;
};

static bool was_looked_at_again(void *arg)
{
    struct after *a = arg;

    return known(a->w).sampled_us > a->since_us;
}

static bool host_was_read(void *arg)
{
    return inv_monitor_host(((struct world *)arg)->monitor)->sampled_us > 0;
}

static void what_all_use_together_is_kept_as_they_come_and_go(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w), *other;

    assert_int_equal(inv_monitor_used(w->monitor).memory_bytes, 7507968);
    cgroup_tree_v1(w->root, "docker/" OTHER);
    other = inv_monitor_watch(w->monitor, OTHER, "wsk0_2_guest_hello", LIMIT);
    assert_int_equal(inv_monitor_used(w->monitor).memory_bytes, 2 * 7507968);
    w->skipped_us += 1000000;
    put_number(w, "cpuacct", "cpuacct.usage", 3014729871ULL + 500000000);
    put_number(w, "memory", "memory.usage_in_bytes", 8 * MIB);
    end(w, begin(w, c), false);
    assert_in_range(inv_monitor_used(w->monitor).cpu_millis, 1, 500);
    assert_int_equal(inv_monitor_used(w->monitor).memory_bytes, 7507968 + 8 * MIB);
    assert_sums(w);
    inv_monitor_state(c, "paused", true);
    assert_int_equal(inv_monitor_used(w->monitor).cpu_millis, 0);
    assert_int_equal(inv_monitor_used(w->monitor).memory_bytes, 7507968 + 8 * MIB);
    assert_sums(w);
    inv_monitor_forget(c);
    assert_int_equal(inv_monitor_used(w->monitor).memory_bytes, 7507968);
    assert_sums(w);
    inv_monitor_forget(other);
    run_turns(w->loop);
    assert_int_equal(inv_monitor_used(w->monitor).memory_bytes, 0);
    assert_sums(w);
}

/* ---- those that use no CPU ---- */

struct skip {
    struct world *w;
    int64_t until_us;
};

static bool is_sampled(void *arg)
{
    struct skip *s = arg;

    return known(s->w).sampled_us >= s->until_us;
}

/* Anonymous memory, as it is known once so much time has passed; the kernel says `now`. */
static uint64_t anon_after(struct world *w, int64_t seconds, uint64_t now)
{
    struct skip s = {.w = w};
    char text[128];

    (void)snprintf(text, sizeof(text), "total_rss %llu\ntotal_cache 0\ntotal_inactive_file 0\n",
                   (unsigned long long)now);
    put(w, "memory", "memory.stat", text);
    w->skipped_us += seconds * 1000000;
    s.until_us = cw_loop_mono_us(w->loop);
    assert_true(cw_loop_run_until(w->loop, is_sampled, &s, WITHIN_MS));
    return known(w).usage.anon_bytes;
}

static void who_uses_no_cpu_is_looked_at_less_closely(void **state)
{
    struct world *w = *state;
    uint64_t before;

    start_monitor(w, 10);
    (void)watch(w);
    before = known(w).usage.anon_bytes;
    assert_int_equal(anon_after(w, 5, MIB), before);
    assert_int_equal(anon_after(w, 11, MIB), MIB);
    put_number(w, "cpuacct", "cpuacct.usage", 4000000000);
    assert_int_equal(anon_after(w, 5, 2 * MIB), 2 * MIB);
    assert_int_equal(anon_after(w, 1, 2 * MIB), 2 * MIB); /* and all else */
    assert_int_equal(anon_after(w, 5, 3 * MIB), 2 * MIB);
}

static void whose_cpu_cannot_be_seen_is_looked_at_as_if_it_used_some(void **state)
{
    struct world *w = *state;

    start_monitor(w, 10);
    cgroup_tree_v1(w->root, GROUP);
    remove_group(w, "cpuacct");
    assert_non_null(inv_monitor_watch(w->monitor, ID, "wsk0_1_guest_hello", LIMIT));
    assert_false(known(w).usage.have & CW_USAGE_CPU);
    assert_int_equal(anon_after(w, 5, MIB), MIB);
    assert_int_equal(anon_after(w, 5, 2 * MIB), 2 * MIB);
}

static void paused_container_is_not_looked_at(void **state)
{
    struct world *w = *state;
    struct inv_watched *c;
    struct after a = {.w = w};

    start_monitor(w, 1);
    c = watch(w);
    a.since_us = known(w).sampled_us;
    assert_true(cw_loop_run_until(w->loop, was_looked_at_again, &a, WITHIN_MS));
    inv_monitor_state(c, "paused", true);
    a.since_us = known(w).sampled_us;
    assert_false(cw_loop_run_until(w->loop, was_looked_at_again, &a, 30)); /* thirty intervals */
    assert_string_equal(known(w).state, "paused");
    assert_int_equal(known(w).cpu_millis, 0);
    inv_monitor_state(c, "running", false);
    assert_true(cw_loop_run_until(w->loop, was_looked_at_again, &a, WITHIN_MS));
    inv_monitor_forget(c);
}

static void host_is_read(void **state)
{
    struct world *w = *state;

    assert_true(cw_loop_run_until(w->loop, host_was_read, w, WITHIN_MS));
    assert_true(inv_monitor_host(w->monitor)->now.memory_total_bytes > 0);
    assert_true(inv_monitor_host(w->monitor)->now.cores > 0);
}

/* ---- where nothing can be seen ---- */

static bool told_of_budget(void *arg)
{
    return ((struct world *)arg)->budgets > 0;
}

static void budget_that_the_first_container_shows_is_told(void **state)
{
    struct world *w = *state;
    const struct cw_usage_budget *budget = &inv_monitor_host(w->monitor)->budget;

    assert_int_equal(budget->memory_bytes, -1);
    cgroup_tree_put(w->root, "cpu", "docker", "cpu.cfs_quota_us", "30000\n");
    cgroup_tree_put(w->root, "cpu", "docker", "cpu.cfs_period_us", "100000\n");
    cgroup_tree_put(w->root, "memory", "docker", "memory.limit_in_bytes", "1048576\n");
    w->in_call = true;
    (void)watch(w);
    w->in_call = false;
    assert_int_equal(w->budgets, 0);
    assert_true(cw_loop_run_until(w->loop, told_of_budget, w, WITHIN_MS));
    assert_int_equal(budget->cpu_millis, 300);
    assert_int_equal(budget->memory_bytes, MIB);
    assert_int_equal(w->budgets, 1);
}

static void container_out_of_sight_is_known_all_the_same(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = inv_monitor_watch(w->monitor, ID, "name", LIMIT);
    struct inv_watched *other = inv_monitor_watch(w->monitor, "short", "other", LIMIT);

    assert_non_null(strstr(logged(w), "cgroup of container " ID ": none below "));
    assert_non_null(strstr(w->log, "cwhisk.cgroup-root"));
    assert_null(strstr(w->log, "container short"));
    inv_monitor_adopt(c, "guest", w->action);
    inv_monitor_state(c, "paused", true);
    inv_monitor_state(c, "running", false);
    end(w, begin(w, c), false);
    assert_int_equal(w->runs, 0);
    assert_int_equal(known(w).runs, 1);
    assert_int_equal(known(w).usage.have, 0);
    inv_monitor_forget(c);
    inv_monitor_forget(other);
}

static void interval_of_zero_measures_nothing(void **state)
{
    struct world *w = *state;
    struct inv_watched *c;

    start_monitor(w, 0);
    c = watch(w);
    end(w, begin(w, c), false);
    assert_int_equal(w->runs, 0);
    assert_int_equal(known(w).usage.have, 0);
    assert_string_equal(logged(w), "");
    inv_monitor_forget(c);
}

/* ---- what is shown ---- */

static json_t *page(struct world *w)
{
    cw_auto_str struct cw_str text;
    json_t *doc;

    cw_str_init(&text, MIB);
    inv_monitor_render(w->monitor, &text);
    doc = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(doc);
    return doc;
}

static int64_t int_at(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    assert_true(json_is_integer(v));
    return json_integer_value(v);
}

static void page_tells_of_containers_and_host(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w), *fresh;
    json_t *doc, *first, *second;

    fresh = inv_monitor_watch(w->monitor, "none", "wsk0_2_prewarm", LIMIT);
    inv_monitor_state(c, "ready", false);
    assert_true(cw_loop_run_until(w->loop, host_was_read, w, WITHIN_MS));
    end(w, begin(w, c), false);
    doc = page(w);
    first = json_array_get(json_object_get(doc, "containers"), 0);
    second = json_array_get(json_object_get(doc, "containers"), 1);
    assert_string_equal(json_string_value(json_object_get(first, "id")), ID);
    assert_string_equal(json_string_value(json_object_get(first, "state")), "ready");
    assert_string_equal(json_string_value(json_object_get(first, "action")), "guest/hello");
    assert_int_equal(int_at(first, "memoryLimit"), LIMIT);
    assert_int_equal(int_at(first, "memoryUsed"), 7507968 - 1048576);
    assert_int_equal(int_at(first, "runs"), 1);
    assert_true(int_at(first, "idleMs") >= 0);
    assert_int_equal(int_at(json_object_get(first, "usage"), "pids"), 3);
    assert_int_equal(int_at(json_object_get(first, "usage"), "ioReadBytes"), 5096);
    assert_null(json_object_get(json_object_get(first, "usage"), "userNs")); /* version 2's */
    assert_int_equal(int_at(json_object_get(first, "lastRun"), "cpuNs"), 0);
    assert_string_equal(json_string_value(json_object_get(second, "name")), "wsk0_2_prewarm");
    assert_null(json_object_get(second, "usage"));
    assert_null(json_object_get(second, "lastRun"));
    assert_true(int_at(json_object_get(doc, "host"), "memoryTotal") > 0);
    json_decref(doc);
    inv_monitor_forget(c);
    inv_monitor_forget(fresh);
}

static void assert_metric(struct world *w, const char *line)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, MIB);
    inv_monitor_refresh(w->monitor);
    cw_metrics_render(w->metrics, &text);
    if (!strstr(text.p, line))
        fail_msg("no \"%s\" in:\n%s", line, text.p);
}

static void metrics_are_by_kind(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);
    struct inv_meter *meter = begin(w, c);

    put_number(w, "cpuacct", "cpuacct.usage", 3514729871);
    end(w, meter, false);
    assert_metric(w, "cwhisk_run_cpu_seconds_sum{kind=\"nodejs:20\"} 0.5\n");
    assert_metric(w, "cwhisk_run_working_set_bytes_bucket{kind=\"nodejs:20\",le=\"8388608\"} 1\n");
    assert_metric(w, "cwhisk_containers{kind=\"nodejs:20\"} 1\n");
    assert_metric(w, "cwhisk_container_memory_bytes{kind=\"nodejs:20\"} 7507968\n");
    assert_metric(w, "cwhisk_container_memory_limit_bytes{kind=\"nodejs:20\"} 268435456\n");
    assert_metric(w, "cwhisk_monitor_descriptors 10\n");
    inv_monitor_forget(c);
    run_turns(w->loop);
    assert_metric(w, "cwhisk_containers{kind=\"nodejs:20\"} 0\n");
    assert_metric(w, "cwhisk_monitor_descriptors 5\n"); /* the host's */
    inv_monitor_refresh(NULL);
}

static void assert_no_metric(struct world *w, const char *part)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, MIB);
    inv_monitor_refresh(w->monitor);
    cw_metrics_render(w->metrics, &text);
    if (strstr(text.p, part))
        fail_msg("\"%s\" in:\n%s", part, text.p);
}

static void containers_are_counted_by_state(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);

    inv_monitor_state(c, "running", false);
    assert_metric(w, "cwhisk_containers_by_state{kind=\"nodejs:20\",state=\"running\"} 1\n");
    inv_monitor_state(c, "ready", false);
    assert_metric(w, "cwhisk_containers_by_state{kind=\"nodejs:20\",state=\"running\"} 0\n");
    assert_metric(w, "cwhisk_containers_by_state{kind=\"nodejs:20\",state=\"ready\"} 1\n");
    inv_monitor_forget(c);
}

/* Of hello 100 MiB, of anything else nothing is known. */
static bool need_of(void *arg, const struct cw_action *action, struct inv_need *ret)
{
    (void)arg;
    if (strcmp(action->path, "guest/hello") != 0)
        return false;
    *ret = (struct inv_need){.cpu_millis = 250, .memory_bytes = 100 * MIB};
    return true;
}

static struct inv_watched *watch_more(struct world *w, const char *id, struct cw_action *action)
{
    struct inv_watched *c = inv_monitor_watch(w->monitor, id, id, LIMIT);

    inv_monitor_adopt(c, "guest", action);
    return c;
}

static void needs_stand_beside_limits_and_use(void **state)
{
    struct world *w = *state;
    struct cw_action *other = test_action(w->manifest, "other", 60000, 256, 10, 1);
    struct inv_watched *c[3];
    json_t *doc, *row;

    start_monitor_for(w, 3600000, 1);
    c[0] = watch(w);
    c[1] = watch_more(w, "one more", w->action);
    c[2] = watch_more(w, "another", other);
    assert_metric(w, "cwhisk_container_memory_limit_bytes{kind=\"nodejs:20\"} 805306368\n");
    assert_metric(w, "cwhisk_container_need_bytes{kind=\"nodejs:20\"} 478150656\n");
    assert_metric(w, "cwhisk_container_need_cpu_cores{kind=\"nodejs:20\"} 0.5\n");
    assert_metric(w, "# TYPE cwhisk_action_need_bytes gauge\n"
                     "cwhisk_action_need_bytes{action=\"guest/hello\"} 209715200\n");
    assert_metric(w, "cwhisk_action_containers{action=\"guest/hello\"} 2\n");
    assert_metric(w, "cwhisk_action_memory_limit_bytes{action=\"guest/hello\"} 536870912\n");
    assert_metric(w, "cwhisk_action_working_set_bytes{action=\"guest/hello\"} 6459392\n");
    assert_metric(w, "cwhisk_action_need_cpu_cores{action=\"guest/hello\"} 0.5\n");
    assert_no_metric(w, "guest/other"); /* the second largest of one */
    doc = page(w);
    row = json_array_get(json_object_get(doc, "containers"), 0);
    assert_int_equal(int_at(row, "memoryNeed"), 100 * MIB);
    assert_int_equal(int_at(row, "cpuNeed"), 250);
    json_decref(doc);
    for (size_t i = 0; i < CW_ARRAY_LEN(c); i++)
        inv_monitor_forget(c[i]);
    run_turns(w->loop);
    assert_no_metric(w, "guest/hello");
    cw_action_unref(other);
}

static void no_metric_names_an_action_by_itself(void **state)
{
    struct world *w = *state;
    struct inv_watched *c = watch(w);

    assert_metric(w, "cwhisk_container_need_bytes{kind=\"nodejs:20\"} 1.048576e+08\n");
    assert_no_metric(w, "cwhisk_action_");
    inv_monitor_forget(c);
}

static void what_is_missing_is_said_once(void **state)
{
    struct world *w = *state;
    struct inv_watched *c;

    cgroup_tree_put(w->root, "cpuacct", GROUP, "cpuacct.usage", V1_CPU);
    c = inv_monitor_watch(w->monitor, ID, "name", LIMIT);
    assert_non_null(strstr(logged(w), "memory.usage_in_bytes: not measured: the group is not in "
                                      "the hierarchy of the controller memory"));
    inv_monitor_adopt(c, "guest", w->action);
    end(w, begin(w, c), false);
    assert_int_equal(w->runs, 1);
    assert_int_equal(w->last.ws_sampled_bytes, 0);
    assert_string_equal(logged(w), "");
    inv_monitor_forget(c);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(run_is_measured_and_told),
        CASE(time_between_runs_is_nobodys),
        CASE(run_that_follows_at_once_begins_where_the_last_ended),
        CASE(overlapping_runs_share_and_say_so),
        CASE(run_that_was_not_run_is_not_told),
        CASE(kill_for_memory_is_counted),
        CASE(run_is_told_though_its_container_is_forgotten_at_once),
        CASE(not_all_of_very_many_runs_are_measured),
        CASE(null_is_nothing),
        CASE(largest_working_set_of_a_run_is_kept),
        CASE(what_all_use_together_is_kept_as_they_come_and_go),
        CASE(who_uses_no_cpu_is_looked_at_less_closely),
        CASE(whose_cpu_cannot_be_seen_is_looked_at_as_if_it_used_some),
        CASE(paused_container_is_not_looked_at),
        CASE(host_is_read),
        CASE(budget_that_the_first_container_shows_is_told),
        CASE(container_out_of_sight_is_known_all_the_same),
        CASE(interval_of_zero_measures_nothing),
        CASE(page_tells_of_containers_and_host),
        CASE(metrics_are_by_kind),
        CASE(containers_are_counted_by_state),
        CASE(needs_stand_beside_limits_and_use),
        CASE(no_metric_names_an_action_by_itself),
        CASE(what_is_missing_is_said_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
