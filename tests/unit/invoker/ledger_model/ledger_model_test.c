/* Every order of what can happen between Kafka, journal, containers, acks and records, with a crash
 * at every point and inside every write: nothing is lost, nothing runs twice. */
#include "tests/support/cmocka_all.h"

#include "tests/unit/invoker/ledger_model/model_explore.h"

static void holds(const struct model_conf *conf)
{
    struct model_report report;

    model_explore(conf, &report);
    print_message("%zu states, %zu steps, %zu ways to end\n", report.states, report.steps,
                  report.ends);
    if (report.why)
        fail_msg("after\n%s", report.trace.p);
    assert_true(report.ends > 0);
    cw_str_done(&report.trace);
}

/* The model makes this mistake, and is found out. */
static void notices(struct model_conf conf, enum model_mistake mistake, const char *why)
{
    struct model_report report;

    conf.mistake = mistake;
    model_explore(&conf, &report);
    assert_non_null(report.why);
    print_message("%s", report.trace.p);
    assert_string_equal(report.why, why);
    cw_str_done(&report.trace);
}

/* ---- what holds ---- */

static void nothing_is_lost_or_run_twice_whenever_two_processes_die(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 2, .capacity = 2, .crashes = 2});
}

static void nor_with_more_messages(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 3, .capacity = 2, .crashes = 1, .coarse = true});
}

static void nor_around_an_orderly_end(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 2, .capacity = 2, .crashes = 1, .stops = 1, .coarse = true});
}

/* After a crash such a one loses what was taken (its offset is committed), and runs again what was
 * started and not committed; after an orderly end, it lacks only what lies before something
 * started. */
static void successor_without_the_journal_repeats_nothing_after_an_orderly_end(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 2, .capacity = 2, .crashes = 1, .stops = 1, .other = true});
}

static void nor_does_one_with_it_that_comes_back_after_that(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 2, .capacity = 2, .stops = 1, .other = true, .back = true, .confirms = true});
}

static void new_topic_is_read_from_its_beginning_after_a_crash(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 1, .new_messages = 2, .capacity = 1, .crashes = 1, .coarse = true});
}

static void new_topic_is_read_from_its_beginning_after_an_orderly_end(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 2,
                               .new_messages = 2,
                               .capacity = 1,
                               .stops = 1,
                               .coarse = true,
                               .confirms = true});
}

static void retry_on_crash_runs_once_more_for_each_crash_at_most(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 2, .capacity = 2, .crashes = 1, .retries = true});
}

/* ---- what would be noticed ---- */

static void started_must_be_written_before_run_is_sent(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 1, .capacity = 1, .crashes = 1}, MISTAKE_START_LATE,
            "it ran twice");
}

static void journal_must_be_kept_before_a_commit(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 1, .capacity = 1, .crashes = 1}, MISTAKE_COMMIT_FIRST,
            "an activation is never answered");
}

static void ids_must_tell_topics_apart(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 1, .new_messages = 2, .capacity = 1, .coarse = true},
            MISTAKE_BLIND, "an activation is never answered");
}

static void sent_acks_must_not_count_as_delivered(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 1, .capacity = 1, .crashes = 1}, MISTAKE_ACK_IS_ENOUGH,
            "an activation is never answered");
}

static void what_is_left_must_not_be_forgotten_before_the_broker_confirms(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 2, .capacity = 2, .crashes = 1, .stops = 1},
            MISTAKE_LEAVE_EARLY, "an activation is never answered");
}

static void journal_must_be_kept_before_the_rest_is_left(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 2, .capacity = 2, .crashes = 1, .stops = 1},
            MISTAKE_LEAVE_UNKEPT, "an activation is never answered");
}

static void commit_must_not_be_set_before_the_topic_is_known(void **state)
{
    (void)state;
    notices(
        (struct model_conf){
            .messages = 2, .new_messages = 2, .capacity = 1, .stops = 1, .coarse = true},
        MISTAKE_LEAVE_BLIND, "an activation is never answered");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_run_twice_whenever_two_processes_die),
        cmocka_unit_test(nor_with_more_messages),
        cmocka_unit_test(nor_around_an_orderly_end),
        cmocka_unit_test(successor_without_the_journal_repeats_nothing_after_an_orderly_end),
        cmocka_unit_test(nor_does_one_with_it_that_comes_back_after_that),
        cmocka_unit_test(new_topic_is_read_from_its_beginning_after_a_crash),
        cmocka_unit_test(new_topic_is_read_from_its_beginning_after_an_orderly_end),
        cmocka_unit_test(retry_on_crash_runs_once_more_for_each_crash_at_most),
        cmocka_unit_test(started_must_be_written_before_run_is_sent),
        cmocka_unit_test(journal_must_be_kept_before_a_commit),
        cmocka_unit_test(ids_must_tell_topics_apart),
        cmocka_unit_test(sent_acks_must_not_count_as_delivered),
        cmocka_unit_test(what_is_left_must_not_be_forgotten_before_the_broker_confirms),
        cmocka_unit_test(journal_must_be_kept_before_the_rest_is_left),
        cmocka_unit_test(commit_must_not_be_set_before_the_topic_is_known),
    };

    return cmocka_run_group_tests_name("ledger_model", tests, NULL, NULL);
}
