#include "tests/support/cmocka_all.h"

#include "common/base/str.h"
#include "common/model/activation_message.h"
#include "invoker/job.h"
#include "invoker/trace.h"
#include "tests/support/jobs.h"

struct world {
    struct inv_trace *trace;
    struct cw_str text;
};

static void begin(struct world *w, size_t capacity)
{
    w->trace = inv_trace_new(capacity);
    cw_str_init(&w->text, 1 << 20);
}

static void end(struct world *w)
{
    inv_trace_free(w->trace);
    cw_str_done(&w->text);
}

/* An activation whose id is so many times this digit. */
static uint64_t add(struct world *w, char id, int64_t received_us, int64_t ended_us)
{
    struct inv_job *job = test_job(&(struct test_message){.id = id}, NULL);
    uint64_t ticket;

    memset(job->at, 0, sizeof(job->at));
    job->at[INV_AT_RECEIVED] = received_us;
    job->at[INV_AT_ENDED] = ended_us;
    ticket = inv_trace_add(w->trace, job);
    inv_job_free(job);
    return ticket;
}

static const char *shown(struct world *w)
{
    cw_str_reset(&w->text);
    inv_trace_render(w->trace, &w->text);
    return w->text.p;
}

#define HEAD                                                                                       \
    "activation,received,taken,fetched,placed,created,init_sent,inited,run_sent,written,replied,"  \
    "run_done,result,logs_done,ended\n"
#define ID(digit) digit digit digit digit digit digit digit digit
#define LINE(digit, received, ended)                                                               \
    ID(digit digit digit digit) "," received ",,,,,,,,,,,,," ended "\n"

static void moments_are_shown_in_order_and_missing_ones_are_empty(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 4);
    assert_string_equal(shown(&w), HEAD);
    (void)add(&w, 'a', 12, 3456);
    (void)add(&w, 'b', 7, 0);
    assert_string_equal(shown(&w), HEAD LINE("a", "12", "3456") LINE("b", "7", ""));
    end(&w);
}

static void the_oldest_make_room(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 2);
    for (char id = 'a'; id <= 'e'; id++)
        (void)add(&w, id, 1, 2);
    assert_string_equal(shown(&w), HEAD LINE("d", "1", "2") LINE("e", "1", "2"));
    end(&w);
}

static void an_end_that_comes_later_is_filled_in_while_it_is_kept(void **state)
{
    struct world w;
    uint64_t tickets[3];

    (void)state;
    begin(&w, 2);
    for (int i = 0; i < 3; i++)
        tickets[i] = add(&w, (char)('a' + i), 1, 2);
    inv_trace_ended(w.trace, tickets[0], 99); /* its place is another's by now */
    inv_trace_ended(w.trace, tickets[1], 50);
    assert_string_equal(shown(&w), HEAD LINE("b", "1", "50") LINE("c", "1", "2"));
    end(&w);
}

static void no_trace_keeps_nothing(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 1);
    inv_trace_free(w.trace);
    w.trace = NULL;
    assert_int_equal(add(&w, 'a', 1, 2), 0);
    inv_trace_ended(w.trace, 1, 5);
    assert_string_equal(shown(&w), HEAD);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_shown_in_order_and_missing_ones_are_empty),
        cmocka_unit_test(the_oldest_make_room),
        cmocka_unit_test(an_end_that_comes_later_is_filled_in_while_it_is_kept),
        cmocka_unit_test(no_trace_keeps_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
