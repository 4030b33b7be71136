/* What is known about one activation, and what of it goes into its record. */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"
#include "invoker/job.h"
#include "tests/support/jobs.h"

struct fixture {
    struct cw_manifest *manifest;
    struct cw_action *action; /* a reference of the fixture's */
    struct inv_job *job;
};

static int set_up(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));

    f->manifest = test_manifest();
    f->action = test_action(f->manifest, "hello", 60000, 256, 10, 1);
    f->job = test_job(&(struct test_message){.id = 'a', .transid = "[\"t\",1000]"},
                      cw_action_ref(f->action));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    inv_job_free(f->job);
    cw_action_unref(f->action);
    cw_manifest_free(f->manifest);
    free(f);
    return 0;
}

static struct cw_activation_record record_of(const struct inv_job *job)
{
    struct cw_activation_record r;

    memset(&r, 0xff, sizeof(r)); /* every field is written */
    inv_job_record(job, 5555, &r);
    return r;
}

static void forget_action(struct inv_job *job)
{
    cw_action_unref(job->action);
    job->action = NULL;
}

static void new_job_has_no_outcome(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->job->at[INV_AT_TAKEN], 1);
    assert_int_equal(f->job->init_ms, -1);
    assert_int_equal(f->job->outcome.size, -1);
    assert_int_equal(f->job->outcome.result.n, 0);
    assert_int_equal(f->job->logs.n, 0);
    assert_false(f->job->answered);
    inv_job_free(NULL);
}

static void failed_job_begins_and_ends_now(void **state)
{
    struct fixture *f = *state;
    struct cw_activation_record r;

    cw_str_addz(&f->job->outcome.result, "{\"old\":1}");
    f->job->outcome.size = 9;
    f->job->init_ms = 3;
    inv_job_fail(f->job, CW_STATUS_DEVELOPER_ERROR, "it \"broke\"", 4000);
    r = record_of(f->job);
    assert_int_equal(r.status, CW_STATUS_DEVELOPER_ERROR);
    assert_true(cw_slice_is(r.result, "{\"error\":\"it \\\"broke\\\"\"}"));
    assert_int_equal(r.size, -1);
    assert_int_equal(r.start_ms, 4000);
    assert_int_equal(r.end_ms, 4000);
    assert_int_equal(r.duration_ms, 0);
    assert_int_equal(f->job->wait_ms, 3000); /* since the controller took it */
    assert_int_equal(f->job->init_ms, -1);
    assert_false(r.excused);
    assert_false(f->job->excused);
}

static void waiting_is_never_negative(void **state)
{
    struct fixture *f = *state;

    inv_job_waited(f->job, 900); /* the clock was set back, or the controller's is ahead */
    assert_int_equal(f->job->wait_ms, 0);
    inv_job_waited(f->job, 1500);
    assert_int_equal(f->job->wait_ms, 500);
}

static void stopped_job_is_excused(void **state)
{
    struct fixture *f = *state;
    struct cw_activation_record r;

    inv_job_stop(f->job, 4000);
    r = record_of(f->job);
    assert_int_equal(r.status, CW_STATUS_WHISK_ERROR);
    assert_true(r.excused);
    assert_true(cw_slice_is(r.result,
                            "{\"error\":\"The invoker stopped before the action was finished.\"}"));
}

static void restart_forgets_the_attempt_and_keeps_the_job(void **state)
{
    struct fixture *f = *state;
    struct inv_job *job = f->job;

    for (int i = 0; i < INV_MOMENTS; i++)
        job->at[i] = 100 + i;
    job->init_ms = 5;
    job->timeout = true;
    job->outcome.status = CW_STATUS_DEVELOPER_ERROR;
    job->outcome.size = 7;
    cw_str_addz(&job->outcome.result, "{}");
    cw_str_addz(&job->logs, "[\"x\"]");
    inv_job_restart(job);
    assert_int_equal(job->reschedules, 1);
    assert_int_equal(job->init_ms, -1);
    assert_false(job->timeout);
    assert_int_equal(job->outcome.status, CW_STATUS_SUCCESS);
    assert_int_equal(job->outcome.size, -1);
    assert_int_equal(job->outcome.result.n, 0);
    assert_int_equal(job->logs.n, 0);
    for (int i = 0; i <= INV_AT_FETCHED; i++)
        assert_int_equal(job->at[i], 100 + i);
    for (int i = INV_AT_PLACED; i < INV_MOMENTS; i++)
        assert_int_equal(job->at[i], 0);
    assert_ptr_equal(job->action, f->action);
    inv_job_restart(job);
    assert_int_equal(job->reschedules, 2);
}

static void logs_are_collected_when_the_action_has_a_limit(void **state)
{
    struct fixture *f = *state;

    assert_true(inv_job_collects_logs(f->job));
    f->job->action->limits.logs_mb = 0;
    assert_false(inv_job_collects_logs(f->job));
    forget_action(f->job);
    assert_false(inv_job_collects_logs(f->job));
}

static void record_of_a_run_tells_all(void **state)
{
    struct fixture *f = *state;
    struct inv_job *job = f->job;
    struct cw_activation_record r;

    job->ended_in_container = true;
    job->start_ms = 2000;
    job->end_ms = 2042;
    job->wait_ms = 7;
    job->init_ms = 11;
    job->timeout = true;
    job->outcome.status = CW_STATUS_APPLICATION_ERROR;
    job->outcome.size = 13;
    cw_str_addz(&job->outcome.result, "{\"error\":1}");
    job->msg->cause = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    job->msg->action.binding = "bob/utils";
    r = record_of(job);
    assert_string_equal(r.namespace_name, "guest");
    assert_string_equal(r.name, "hello");
    assert_string_equal(r.subject, "guest");
    assert_string_equal(r.activation_id, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_string_equal(r.cause, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    assert_string_equal(r.version, "0.0.1");
    assert_int_equal(r.start_ms, 2000);
    assert_int_equal(r.end_ms, 2042);
    assert_int_equal(r.duration_ms, 42);
    assert_int_equal(r.status, CW_STATUS_APPLICATION_ERROR);
    assert_true(cw_slice_is(r.result, "{\"error\":1}"));
    assert_int_equal(r.size, 13);
    assert_string_equal(r.path, "guest/hello");
    assert_string_equal(r.kind, "nodejs:20");
    assert_string_equal(r.binding, "bob/utils");
    assert_true(r.is_run);
    assert_true(cw_slice_eq(r.limits_raw, f->action->limits_raw));
    assert_int_equal(r.memory_mb, 256);
    assert_true(r.timeout);
    assert_int_equal(r.wait_ms, 7);
    assert_int_equal(r.init_ms, 11);
    assert_int_equal(r.updated_ms, 5555);
}

static void record_of_what_never_ran_has_no_run_annotations(void **state)
{
    struct fixture *f = *state;
    struct cw_activation_record r;

    f->job->init_ms = 11;
    f->job->timeout = true;
    r = record_of(f->job);
    assert_false(r.is_run);
    assert_string_equal(r.kind, "unknown");
    assert_int_equal(r.init_ms, -1);
    assert_false(r.timeout);
    assert_null(r.cause);
    assert_null(r.binding);
    assert_int_equal(r.limits_raw.n, 0);
}

static void record_of_a_predecessor_tells_how_it_ended(void **state)
{
    struct fixture *f = *state;
    struct cw_activation_record r;

    assert_true(inv_job_recover(
        f->job, CW_SLICE("{\"_id\":\"guest/x\",\"start\":100,\"end\":130,\"response\":{"
                         "\"statusCode\":1,\"result\":{\"error\":0.10},\"size\":15}}")));
    r = record_of(f->job);
    assert_int_equal(r.status, CW_STATUS_APPLICATION_ERROR);
    assert_true(cw_slice_is(r.result, "{\"error\":0.10}"));
    assert_int_equal(r.start_ms, 100);
    assert_int_equal(r.end_ms, 130);
    assert_int_equal(r.size, 15);
    assert_true(r.excused); /* whatever it was is no sign of our health */
    assert_true(inv_job_recover(f->job, CW_SLICE("{\"start\":1,\"end\":2,\"response\":{"
                                                 "\"statusCode\":0}}")));
    r = record_of(f->job);
    assert_int_equal(r.result.n, 0);
    assert_int_equal(r.size, -1);
}

static void what_is_no_record_changes_nothing(void **state)
{
    static const char *const NONE[] = {
        "",
        "[]",
        "{",
        "{\"start\":1,\"end\":2}",
        "{\"start\":1,\"end\":2,\"response\":{\"statusCode\":4}}",
        "{\"start\":1,\"end\":2,\"response\":{\"statusCode\":\"0\"}}",
        "{\"start\":\"1\",\"end\":2,\"response\":{\"statusCode\":0}}",
        "{\"start\":1,\"response\":{\"statusCode\":0}}",
    };
    struct fixture *f = *state;

    inv_job_fail(f->job, CW_STATUS_DEVELOPER_ERROR, "as before", 7);
    for (size_t i = 0; i < CW_ARRAY_LEN(NONE); i++)
        assert_false(inv_job_recover(f->job, cw_slice_of(NONE[i])));
    assert_int_equal(record_of(f->job).status, CW_STATUS_DEVELOPER_ERROR);
    assert_false(record_of(f->job).excused);
}

static void version_comes_from_whoever_knows_it(void **state)
{
    struct fixture *f = *state;

    f->job->action->version = "0.0.9";
    f->job->msg->action.version = "0.0.5";
    assert_string_equal(record_of(f->job).version, "0.0.9"); /* what ran */
    forget_action(f->job);
    assert_string_equal(record_of(f->job).version, "0.0.5"); /* what was asked for */
    f->job->msg->action.version = NULL;
    assert_string_equal(record_of(f->job).version, "0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(new_job_has_no_outcome, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failed_job_begins_and_ends_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting_is_never_negative, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_job_is_excused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(restart_forgets_the_attempt_and_keeps_the_job, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(logs_are_collected_when_the_action_has_a_limit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(record_of_a_run_tells_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(record_of_what_never_ran_has_no_run_annotations, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(record_of_a_predecessor_tells_how_it_ended, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_record_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(version_comes_from_whoever_knows_it, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
