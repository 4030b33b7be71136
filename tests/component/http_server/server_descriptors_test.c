/* On its own, because valgrind closes what is accepted over the limit, which a kernel never does.
 */
#include "tests/support/cmocka_all.h"

#include <sys/resource.h>

#include "tests/component/http_server/server_world.h"

static bool later(void *arg)
{
    return *(bool *)arg;
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static void lack_of_descriptors_only_delays_a_client(void **state)
{
    struct fixture f;
    struct rlimit old, none;
    struct cw_timer timer;
    struct peer p;
    bool failed = false;

    (void)state;
    start(&f, world_on_request, 0, 0);
    peer_open(&p, &f);
    peer_send(&p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    cw_timer_init(&timer, f.loop, set_flag, &failed);
    cw_timer_set_ms(&timer, 20);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_true(cw_loop_run_until(f.loop, later, &failed, PATIENCE_MS));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(f.requests, 0);
    wait_answer(&f, &p, "hello");
    cw_timer_done(&timer);
    peer_close(&p);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lack_of_descriptors_only_delays_a_client),
    };

    return cmocka_run_group_tests_name("server_descriptors", tests, NULL, NULL);
}
