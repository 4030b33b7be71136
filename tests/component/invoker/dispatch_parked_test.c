/* Activations that wait for a busy container of their action, and those that must not wait for them
 * for ever. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "invoker/job.h"
#include "tests/component/invoker/dispatch_world.h"
#include "tests/support/turns.h"

static const int64_t LONG_US = 60 * 1000000, SHORT_US = 20000;

static struct world *begin(scripted_fn *script, int64_t memory_mb, int64_t patience_us)
{
    struct world *w = begin_world_beside(script, memory_mb);

    w->patience_us = patience_us;
    return w;
}

static void end(struct world *w)
{
    atomic_store(&w->go, true);
    end_world(w);
}

static void submit_of(struct world *w, const char *action, unsigned memory_mb, char id)
{
    submit(w, make_action(w, action, 60000, memory_mb, 1), id);
}

/* One container, which runs 'a' until the test says that it may end. */
static void make_busy(struct world *w)
{
    submit_of(w, "one", 256, 'a');
    assert_true(cw_loop_run_until(w->loop, nothing_starts, w, WAIT_MS));
}

static void expect_order(const struct world *w, const char *ids)
{
    char seen[MAX_ENDS + 1] = "";

    for (unsigned i = 0; i < w->end_count; i++)
        seen[i] = w->ends[i].id[0];
    assert_string_equal(seen, ids);
}

static void a_burst_takes_turns_in_the_container_that_is_there(void **state)
{
    struct world *w = begin(runs_when_told, 2048, LONG_US);

    (void)state;
    make_busy(w);
    submit_of(w, "one", 256, 'b');
    assert_int_equal(w->here.busy, 1);
    assert_int_equal(w->here.waiting, 0);
    submit_of(w, "one", 256, 'c');
    assert_int_equal(w->here.waiting, 1);
    assert_true(w->here.may_wait);
    assert_int_equal(waiting(w), 2);
    assert_int_equal(inv_dispatch_jobs(w->dispatch), 3);
    atomic_store(&w->go, true);
    wait_ends(w, 1);
    submit_of(w, "one", 256, 'd'); /* perhaps the container is free this moment: not for this one */
    wait_ends(w, 4);
    expect_order(w, "abcd");
    assert_int_equal(w->driver.created, 1);
    assert_int_equal(waiting(w), 0);
    end(w);
}

static void who_waits_does_not_hold_up_others(void **state)
{
    struct world *w = begin(runs_when_told, 512, LONG_US);

    (void)state;
    make_busy(w);
    submit_of(w, "one", 256, 'b');
    submit_of(w, "two", 256, 'c');
    assert_int_equal(w->driver.created, 2);
    assert_int_equal(waiting(w), 1);
    end(w);
}

static bool second_created(void *arg)
{
    return ((struct world *)arg)->driver.created == 2;
}

static void who_has_waited_long_enough_gets_a_container_of_its_own(void **state)
{
    struct world *w = begin(runs_when_told, 2048, SHORT_US);

    (void)state;
    make_busy(w);
    submit_of(w, "one", 256, 'b');
    assert_int_equal(w->driver.created, 1);
    assert_true(cw_loop_run_until(w->loop, second_created, w, WAIT_MS));
    assert_false(w->here.may_wait);
    assert_int_equal(waiting(w), 0);
    atomic_store(&w->go, true);
    wait_ends(w, 2);
    end(w);
}

static void nobody_waits_for_a_container_that_has_died(void **state)
{
    struct world *w = begin(runs_when_told, 2048, LONG_US);
    char id[65];

    (void)state;
    make_busy(w);
    submit_of(w, "one", 256, 'b');
    (void)snprintf(id, sizeof(id), "%064u", 1);
    inv_dispatch_died(w->dispatch, id, 137);
    assert_true(cw_loop_run_until(w->loop, second_created, w, WAIT_MS));
    assert_int_equal(waiting(w), 0);
    atomic_store(&w->go, true);
    wait_ends(w, 2);
    assert_int_equal(w->ends[1].id[0], 'b');
    assert_int_equal(w->ends[1].status, CW_STATUS_SUCCESS);
    end(w);
}

struct released {
    char ids[16];
    size_t n;
};

static bool all(void *arg, const struct inv_job *job)
{
    (void)arg;
    assert_int_equal(job->at[INV_AT_PLACED], 0);
    assert_null(job->parked);
    return true;
}

static void note_released(void *arg, struct inv_job *job)
{
    struct released *r = arg;

    r->ids[r->n++] = job->msg->activation_id[0];
    inv_job_free(job);
}

static void a_stop_finds_those_that_wait_not_started_and_in_order(void **state)
{
    struct world *w = begin(runs_when_told, 512, LONG_US);
    struct released r = {0};

    (void)state;
    make_busy(w);
    submit_of(w, "one", 256, 'b');
    submit_of(w, "one", 256, 'c');
    submit_of(w, "two", 512, 'd'); /* no room */
    submit_of(w, "one", 256, 'e');
    assert_int_equal(waiting(w), 4);
    inv_dispatch_release(w->dispatch, all, note_released, &r);
    assert_string_equal(r.ids, "bcde");
    assert_int_equal(waiting(w), 0);
    assert_int_equal(inv_dispatch_jobs(w->dispatch), 1);
    atomic_store(&w->go, true);
    wait_ends(w, 1);
    end(w);
}

static void a_drain_runs_those_that_wait_all_the_same(void **state)
{
    struct world *w = begin(runs_when_told, 512, LONG_US);

    (void)state;
    make_busy(w);
    submit_of(w, "one", 256, 'b');
    inv_dispatch_drain(w->dispatch, true);
    submit_of(w, "one", 256, 'c');
    atomic_store(&w->go, true);
    wait_ends(w, 3);
    end(w);
}

static void killed_ones_are_answered(void **state)
{
    struct world *w = begin(runs_when_told, 512, LONG_US);

    (void)state;
    make_busy(w);
    submit_of(w, "one", 256, 'b');
    inv_dispatch_kill(w->dispatch, "test");
    assert_int_equal(w->ends[0].id[0], 'b');
    assert_int_equal(w->ends[0].how, INV_END_ABORTED);
    end(w);
}

/* The bound: before what waits for room only those run that came before it, however many of their
 * action come after. */
static void a_large_one_waits_for_those_before_it_only(void **state)
{
    struct world *w = begin(runs_when_told, 512, LONG_US);

    (void)state;
    make_busy(w);
    submit_of(w, "one", 256, 'b');
    submit_of(w, "two", 512, 'c');
    submit_of(w, "one", 256, 'd');
    submit_of(w, "one", 256, 'e');
    atomic_store(&w->go, true);
    wait_ends(w, 3);
    for (char id = '1'; id <= '9'; id++)
        submit_of(w, "one", 256, id);
    wait_ends(w, 14);
    for (int i = 0; i < 3; i++)
        assert_int_equal(w->ends[i].id[0], "abc"[i]);
    end(w);
}

static void a_warm_container_on_a_full_host_gives_way_to_a_better_one(void **state)
{
    struct world *w = begin(well_behaved, 512, 0);

    (void)state;
    submit_of(w, "one", 256, 'a');
    wait_ends(w, 1);
    w->full = true;
    submit_of(w, "one", 256, 'b'); /* nobody wants it */
    wait_ends(w, 2);
    assert_int_equal(w->here.warm, 1);
    w->room_elsewhere = 1;
    submit_of(w, "one", 256, 'c');
    assert_int_equal(w->last_gone, 'c');
    w->room_elsewhere = 1;
    w->full = false;
    submit_of(w, "one", 256, 'd');
    wait_ends(w, 3);
    assert_int_equal(w->room_elsewhere, 1);
    assert_int_equal(w->driver.created, 1);
    end(w);
}

static void what_only_others_are_large_enough_for_waits_for_them_and_holds_up_nobody(void **state)
{
    struct world *w = begin(well_behaved, 256, 0);

    (void)state;
    w->later = true;
    submit_of(w, "large", 512, 'a');
    submit_of(w, "one", 256, 'b');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].id[0], 'b');
    w->room_elsewhere = 1;
    inv_dispatch_look_again(w->dispatch);
    run_turns(w->loop);
    assert_int_equal(w->last_gone, 'a');
    submit_of(w, "large", 512, 'c');
    assert_int_equal(waiting(w), 1);
    w->later = false; /* they have gone */
    inv_dispatch_look_again(w->dispatch);
    wait_ends(w, 2);
    assert_int_equal(w->ends[1].status, CW_STATUS_DEVELOPER_ERROR);
    assert_non_null(strstr(w->ends[1].result, "512 MB of memory, more than the 256 MB"));
    end(w);
}

/* ---- whoever waits for room has nobody placed before it that came after it ---- */

enum { COME = 60, SMALL = 4 };

struct stream {
    unsigned submitted;
    bool waits[COME]; /* for room */
};

static void check_order(struct world *w, const struct inv_job *job)
{
    struct stream *s = w->arg;

    for (int64_t before = 0; before < job->offset; before++)
        if (s->waits[before])
            fail_msg("%d was placed before %d", (int)job->offset, (int)before);
    s->waits[job->offset] = false;
}

static unsigned draw(unsigned *seed, unsigned below)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 16) % below;
}

static void submit_some(struct world *w, struct stream *s, unsigned *seed)
{
    static const char *const NAMES[] = {"a", "b", "c", "d"};
    bool large = draw(seed, 8) == 0;
    const char *name = large ? "large" : NAMES[draw(seed, SMALL)];
    struct cw_action *action = make_action(w, name, 60000, large ? 512 : 128, 1);
    struct inv_job *job =
        test_job(&(struct test_message){.id = 'f', .action = action->name}, action);
    unsigned n = s->submitted++;
    size_t before = waiting(w);

    job->offset = n;
    job->at[INV_AT_TAKEN] = n + 1;
    inv_dispatch_submit(w->dispatch, job);
    s->waits[n] = large && waiting(w) > before; /* there is no busy one that it could wait for */
}

static void nobody_starves_in_a_stream(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 6; seed++) {
        struct world *w = begin(well_behaved, 512, seed % 2 ? LONG_US : 0);
        unsigned drawn = seed;
        struct stream s = {0};

        w->arg = &s;
        w->placed = check_order;
        while (s.submitted < COME) {
            for (unsigned n = 1 + draw(&drawn, 6); n && s.submitted < COME; n--)
                submit_some(w, &s, &drawn);
            for (unsigned turns = draw(&drawn, 4); turns; turns--)
                run_turns(w->loop);
        }
        wait_ends(w, COME);
        assert_int_equal(waiting(w), 0);
        end(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_takes_turns_in_the_container_that_is_there),
        cmocka_unit_test(who_waits_does_not_hold_up_others),
        cmocka_unit_test(who_has_waited_long_enough_gets_a_container_of_its_own),
        cmocka_unit_test(nobody_waits_for_a_container_that_has_died),
        cmocka_unit_test(a_stop_finds_those_that_wait_not_started_and_in_order),
        cmocka_unit_test(a_drain_runs_those_that_wait_all_the_same),
        cmocka_unit_test(killed_ones_are_answered),
        cmocka_unit_test(a_large_one_waits_for_those_before_it_only),
        cmocka_unit_test(a_warm_container_on_a_full_host_gives_way_to_a_better_one),
        cmocka_unit_test(what_only_others_are_large_enough_for_waits_for_them_and_holds_up_nobody),
        cmocka_unit_test(nobody_starves_in_a_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
