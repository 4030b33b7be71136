/* What containers say of themselves, from those that tell the truth to those that never end. */
#include "tests/support/cmocka_all.h"

#include <unistd.h>

#include "common/cgroup/usage_probe.h"
#include "common/loop/loop.h"
#include "tests/support/scripted_action.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TOKEN "0123456789abcdef0123456789abcdef"
#define ANSWER                                                                                     \
    "cwhisk-probe/1 source=proc cpu_ns=5000000 memory_bytes=1000 peak_bytes=3000 pids=4\n"

enum { LIMIT = 4096, WAIT_MS = 20000, MAX_SCRIPTS = 3 };

struct fixture {
    struct cw_loop *loop;
    struct cw_usage_probes *set;
    struct scripted_action *peer;
    struct cw_usage_probe *probe;
    const char *says[MAX_SCRIPTS]; /* connection by connection; NULL: hangs without a word */
    unsigned faults, fresh;
    char fault[256];
    struct cw_usage seen;
    bool inside;
};

static void on_fault(void *arg, const char *id, const char *text)
{
    struct fixture *f = arg;

    assert_false(f->inside);
    assert_string_equal(id, ID);
    (void)snprintf(f->fault, sizeof(f->fault), "%s", text);
    f->faults++;
}

static void on_fresh(void *arg, void *owner)
{
    struct fixture *f = arg;

    assert_false(f->inside);
    assert_ptr_equal(owner, f);
    f->fresh++;
}

static void script(struct scripted_conn *conn, void *arg)
{
    const struct fixture *f = arg;
    unsigned i = scripted_index(conn);
    const char *text = f->says[i < MAX_SCRIPTS ? i : MAX_SCRIPTS - 1];

    if (text)
        scripted_send(conn, text);
    if (!text || strcmp(text, ANSWER) == 0)
        scripted_hang(conn);
}

static void make_set(struct fixture *f, int64_t timeout_ms)
{
    f->set = cw_usage_probes_new(&(struct cw_usage_probes_conf){.loop = f->loop,
                                                                .interval_ms = 1,
                                                                .timeout_ms = timeout_ms,
                                                                .on_fault = on_fault,
                                                                .on_fresh = on_fresh,
                                                                .arg = f});
}

static int setup(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));

    f->loop = cw_loop_new(NULL, NULL);
    assert_non_null(f->loop);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    cw_usage_probe_close(f->probe);
    cw_usage_probes_free(f->set);
    scripted_action_free(f->peer);
    cw_loop_free(f->loop);
    free(f);
    return 0;
}

static void start(struct fixture *f, int64_t timeout_ms)
{
    make_set(f, timeout_ms);
    f->peer = scripted_action_new(script, f);
    f->probe = cw_usage_probe_open(f->set, f, ID, "127.0.0.1", scripted_action_port(f->peer), TOKEN,
                                   LIMIT);
}

static bool sample(struct fixture *f)
{
    bool answered;

    f->inside = true;
    answered = cw_usage_probe_sample(f->probe, &f->seen, NULL);
    f->inside = false;
    return answered;
}

static bool has_sample(void *arg)
{
    return sample(arg);
}

static bool has_fault(void *arg)
{
    return ((struct fixture *)arg)->faults > 0;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void the_last_answer_is_the_sample_and_marked(void **state)
{
    struct fixture *f = *state;

    f->says[0] = ANSWER;
    start(f, WAIT_MS);
    assert_false(sample(f));
    assert_int_equal(f->seen.have, 0);
    assert_true(cw_loop_run_until(f->loop, has_sample, f, WAIT_MS));
    assert_true(f->seen.untrusted);
    assert_int_equal(f->seen.have, CW_USAGE_CPU | CW_USAGE_MEMORY | CW_USAGE_PIDS | CW_USAGE_PEAK);
    assert_int_equal(f->seen.cpu_ns, 5000000);
    assert_int_equal(f->seen.working_set_bytes, 1000);
    assert_int_equal(f->seen.peak_bytes, 3000);
    assert_int_equal(f->seen.pids, 4);
    assert_int_equal(f->faults, 0);
}

static void claims_beyond_what_is_possible_are_bounded_and_told_once(void **state)
{
    struct fixture *f = *state;
    uint64_t cores = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);

    f->says[0] = f->says[1] = f->says[2] =
        "cwhisk-probe/1 cpu_ns=4000000000000000000 memory_bytes=4000000000000000000 "
        "peak_bytes=4000000000000000000 pids=1\n";
    start(f, WAIT_MS);
    assert_true(cw_loop_run_until(f->loop, has_sample, f, WAIT_MS));
    assert_int_equal(f->seen.working_set_bytes, LIMIT);
    assert_int_equal(f->seen.memory_bytes, LIMIT);
    assert_int_equal(f->seen.peak_bytes, LIMIT);
    assert_true(f->seen.cpu_ns <= 100 * cores * 1000000000);
    assert_non_null(strstr(f->fault, "which cannot be"));
    for (int i = 0; i < 3; i++) {
        sample(f);
        (void)cw_loop_run_until(f->loop, never, NULL, 10);
    }
    assert_int_equal(f->faults, 1);
}

static void cpu_time_that_goes_back_counts_as_none(void **state)
{
    struct fixture *f = *state;

    f->says[0] = "cwhisk-probe/1 cpu_ns=900 memory_bytes=1 pids=1\n";
    f->says[1] = "cwhisk-probe/1 cpu_ns=100 memory_bytes=2 pids=1\n";
    f->says[2] = "cwhisk-probe/1 cpu_ns=150 memory_bytes=3 pids=1\n";
    start(f, WAIT_MS);
    while (!sample(f) || f->seen.memory_bytes < 3)
        (void)cw_loop_run_until(f->loop, never, NULL, 2);
    assert_int_equal(f->seen.cpu_ns, 950);
}

static void assert_told(struct fixture *f, const char *says, const char *expected)
{
    f->says[0] = f->says[1] = f->says[2] = says;
    start(f, 200);
    assert_false(sample(f));
    assert_true(cw_loop_run_until(f->loop, has_fault, f, WAIT_MS));
    if (!strstr(f->fault, expected))
        fail_msg("\"%s\" is not in \"%s\"", expected, f->fault);
    /* It is left alone now, and nothing more is told. */
    for (int i = 0; i < 3; i++) {
        assert_false(sample(f));
        (void)cw_loop_run_until(f->loop, never, NULL, 10);
    }
    assert_int_equal(f->faults, 1);
    assert_int_equal(scripted_action_connections(f->peer), 1);
}

static void garbage_is_told(void **state)
{
    assert_told(*state, "HTTP/1.1 400 Bad Request\r\n", "is no answer");
}

static void an_answer_without_an_end_is_told(void **state)
{
    char *endless = malloc(65537);

    memset(endless, 'a', 65536);
    endless[65536] = '\0';
    assert_told(*state, endless, "an answer without an end");
    free(endless);
}

static void silence_is_told(void **state)
{
    assert_told(*state, NULL, "no answer within 200 ms");
}

static void an_end_without_an_answer_is_told(void **state)
{
    assert_told(*state, "", "probe: 127.0.0.1 port "); /* closed, or reset */
}

static void two_answers_to_one_question_are_told(void **state)
{
    assert_told(*state, ANSWER ANSWER, "more than one answer");
}

static void a_port_where_nobody_listens_is_told(void **state)
{
    struct fixture *f = *state;

    make_set(f, WAIT_MS);
    f->peer = scripted_action_new_closed(NULL, NULL);
    f->probe = cw_usage_probe_open(f->set, f, ID, "127.0.0.1", scripted_action_port(f->peer), TOKEN,
                                   LIMIT);
    assert_false(sample(f));
    assert_true(cw_loop_run_until(f->loop, has_fault, f, WAIT_MS));
    assert_non_null(strstr(f->fault, "Connection refused"));
}

static void an_address_that_is_none_is_told(void **state)
{
    struct fixture *f = *state;

    make_set(f, WAIT_MS);
    f->probe = cw_usage_probe_open(f->set, f, ID, "nowhere", 1, TOKEN, LIMIT);
    assert_false(sample(f));
    assert_true(cw_loop_run_until(f->loop, has_fault, f, WAIT_MS));
}

static void frozen_containers_are_not_asked(void **state)
{
    struct fixture *f = *state;

    start(f, 50);
    (void)sample(f); /* asked, and frozen before it answers */
    cw_usage_probe_rest(f->probe, true);
    for (int i = 0; i < 3; i++) {
        assert_false(sample(f));
        (void)cw_loop_run_until(f->loop, never, NULL, 40);
    }
    assert_int_equal(f->faults, 0);
    cw_usage_probe_rest(f->probe, false);
    f->says[0] = f->says[1] = f->says[2] = ANSWER;
    assert_true(cw_loop_run_until(f->loop, has_sample, f, WAIT_MS));
}

static bool is_fresh(void *arg)
{
    return ((struct fixture *)arg)->fresh > 0;
}

static void who_waits_for_a_fresh_answer_is_told_of_it(void **state)
{
    struct fixture *f = *state;

    f->says[0] = ANSWER;
    start(f, WAIT_MS);
    assert_true(cw_usage_probe_refresh(f->probe));
    assert_int_equal(f->fresh, 0);
    assert_true(cw_loop_run_until(f->loop, is_fresh, f, WAIT_MS));
    assert_true(sample(f));
    assert_int_equal(f->fresh, 1);
}

static void who_waits_for_an_answer_that_will_not_come_is_told_too(void **state)
{
    struct fixture *f = *state;

    start(f, 50);
    assert_true(cw_usage_probe_refresh(f->probe));
    assert_true(cw_loop_run_until(f->loop, is_fresh, f, WAIT_MS));
    assert_int_equal(f->faults, 1);
    assert_false(cw_usage_probe_refresh(f->probe)); /* it is left alone now */
    cw_usage_probe_rest(f->probe, true);
    assert_false(cw_usage_probe_refresh(f->probe));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_last_answer_is_the_sample_and_marked),
        CASE(claims_beyond_what_is_possible_are_bounded_and_told_once),
        CASE(cpu_time_that_goes_back_counts_as_none),
        CASE(garbage_is_told),
        CASE(an_answer_without_an_end_is_told),
        CASE(silence_is_told),
        CASE(an_end_without_an_answer_is_told),
        CASE(two_answers_to_one_question_are_told),
        CASE(a_port_where_nobody_listens_is_told),
        CASE(an_address_that_is_none_is_told),
        CASE(frozen_containers_are_not_asked),
        CASE(who_waits_for_a_fresh_answer_is_told_of_it),
        CASE(who_waits_for_an_answer_that_will_not_come_is_told_too),
    };

    return cmocka_run_group_tests_name("usage_probe", tests, NULL, NULL);
}
