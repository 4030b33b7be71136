/* Activations that no container here can take, while somebody else could. */
#include "tests/support/cmocka_all.h"

#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "tests/component/invoker/dispatch_world.h"
#include "tests/support/turns.h"

static struct world *begin(int64_t memory_mb, unsigned room_elsewhere)
{
    struct world *w = begin_world_beside(well_behaved, memory_mb);

    w->room_elsewhere = room_elsewhere;
    return w;
}

static void submit_of(struct world *w, const char *action, char id)
{
    submit(w, make_action(w, action, 60000, 256, 1), id);
}

static void a_warm_container_here_is_not_passed_over(void **state)
{
    struct world *w = begin(512, 0);

    (void)state;
    submit_of(w, "one", 'a');
    wait_ends(w, 1);
    assert_int_equal(w->asked_elsewhere, 1); /* before it was created */
    w->room_elsewhere = 1;
    submit_of(w, "one", 'b');
    wait_ends(w, 2);
    assert_int_equal(w->asked_elsewhere, 1);
    end_world(w);
}

static void what_would_need_a_new_container_may_go(void **state)
{
    struct world *w = begin(512, 1);

    (void)state;
    submit_of(w, "one", 'a');
    assert_int_equal(w->gone_elsewhere, 1);
    assert_int_equal(inv_dispatch_jobs(w->dispatch), 0);
    submit_of(w, "one", 'b'); /* and is created here when nobody else wants it */
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_SUCCESS);
    end_world(w);
}

static void what_it_asks_of_the_host_is_told(void **state)
{
    struct world *w = begin(512, 1);
    struct cw_action *a = make_action(w, "one", 60000, 256, 1);

    (void)state;
    a->annotations = cw_slice_of("[{\"key\":\"cwhisk.cpu-guarantee\",\"value\":0.25}]");
    submit(w, a, 'a');
    assert_int_equal(w->gone_elsewhere, 1);
    assert_int_equal(w->here.guarantee_ppm, 250000);
    w->room_elsewhere = 1;
    submit_of(w, "two", 'b');
    assert_int_equal(w->gone_elsewhere, 2);
    assert_int_equal(w->here.guarantee_ppm, 0);
    end_world(w);
}

static void what_waits_here_goes_as_soon_as_there_is_room(void **state)
{
    struct world *w = begin(256, 0);

    (void)state;
    submit_of(w, "one", 'a');
    submit_of(w, "two", 'b');
    submit_of(w, "three", 'c');
    w->room_elsewhere = 1;
    inv_dispatch_look_again(w->dispatch);
    run_turns(w->loop);
    assert_int_equal(w->gone_elsewhere, 1);
    assert_int_equal(w->last_gone, 'b'); /* the first in the row */
    w->room_elsewhere = 0;
    wait_ends(w, 2);
    assert_int_equal(w->ends[1].id[0], 'c');
    end_world(w);
}

static void what_never_fits_here_may_fit_elsewhere(void **state)
{
    struct world *w = begin(128, 1);

    (void)state;
    submit_of(w, "one", 'a');
    assert_int_equal(w->gone_elsewhere, 1);
    submit_of(w, "one", 'b');
    wait_ends(w, 1);
    assert_int_equal(w->ends[0].status, CW_STATUS_DEVELOPER_ERROR);
    end_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_container_here_is_not_passed_over),
        cmocka_unit_test(what_would_need_a_new_container_may_go),
        cmocka_unit_test(what_it_asks_of_the_host_is_told),
        cmocka_unit_test(what_waits_here_goes_as_soon_as_there_is_room),
        cmocka_unit_test(what_never_fits_here_may_fit_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
