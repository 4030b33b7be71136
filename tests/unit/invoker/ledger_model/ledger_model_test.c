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

/* Where every step costs six times as much, fewer are gone. */
#if defined(__SANITIZE_ADDRESS__)
enum { SMALL = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { SMALL = 1 };
#else
enum { SMALL = 0 };
#endif
#else
enum { SMALL = 0 };
#endif

static void nothing_is_lost_or_run_twice_whenever_a_process_dies(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 2, .capacity = SMALL ? 1 : 2, .crashes = 1, .coarse = SMALL});
}

static void nor_when_two_die(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = SMALL ? 1 : 2, .capacity = 2, .crashes = 2, .coarse = true});
}

static void nor_with_more_messages(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = SMALL ? 2 : 3, .capacity = SMALL ? 2 : 1, .crashes = 1, .coarse = true});
}

static void nor_around_an_orderly_end(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = SMALL ? 1 : 2,
                               .capacity = 1,
                               .crashes = 1,
                               .stops = 1,
                               .coarse = true,
                               .confirms = true});
}

/* After a crash such a one loses what was taken (its offset is committed), and runs again what was
 * started and not committed; after an orderly end, it lacks only what lies before something
 * started. */
static void successor_without_the_journal_repeats_nothing_after_an_orderly_end(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 2,
                               .capacity = SMALL ? 1 : 2,
                               .crashes = 1,
                               .stops = 1,
                               .other = true,
                               .coarse = true});
}

/* Rolled back, and forward again. */
static void what_others_did_in_between_is_neither_repeated_nor_missed(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 2, .capacity = SMALL ? 1 : 2, .crashes = 1, .visits = 1, .coarse = true});
}

static void nor_is_it_after_an_orderly_end(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 2, .capacity = SMALL ? 1 : 2, .stops = 1, .visits = 1, .coarse = true});
}

static void others_may_come_twice(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 1, .capacity = 1, .crashes = 2, .visits = 2, .coarse = true});
}

static void others_may_have_had_a_new_topic(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 1,
                               .new_messages = 1,
                               .at_once = true,
                               .capacity = 1,
                               .crashes = 1,
                               .visits = 1,
                               .coarse = true});
}

static void new_topic_is_read_from_its_beginning_after_a_crash(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 1, .new_messages = SMALL ? 1 : 2, .capacity = 1, .crashes = 1, .coarse = true});
}

static void even_where_it_ends_at_what_the_journal_knows(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 2,
                               .new_messages = 1,
                               .at_once = true,
                               .capacity = 1,
                               .crashes = !SMALL,
                               .coarse = true});
}

static void new_topic_is_read_from_its_beginning_after_an_orderly_end(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 1,
                               .new_messages = SMALL ? 1 : 2,
                               .capacity = 1,
                               .stops = 1,
                               .coarse = true,
                               .confirms = true});
}

static void retry_on_crash_runs_once_more_for_each_crash_at_most(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 2, .capacity = 2, .crashes = 1, .retries = true, .coarse = true});
}

/* ---- what holds of what is forwarded ---- */

static void what_is_forwarded_ends_once_whenever_the_origin_dies(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 1,
                               .capacity = 1,
                               .crashes = SMALL ? 1 : 2,
                               .coarse = true,
                               .forwards = 1,
                               .peer_dies = true});
}

static void also_beside_what_runs_here(void **state)
{
    (void)state;
    holds(&(struct model_conf){
        .messages = 2, .capacity = SMALL ? 1 : 2, .crashes = 1, .coarse = true, .forwards = 1});
}

static void also_around_an_orderly_end_of_the_origin(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 1,
                               .capacity = 1,
                               .crashes = !SMALL,
                               .stops = 1,
                               .coarse = true,
                               .confirms = true,
                               .forwards = 1,
                               .peer_dies = !SMALL});
}

static void also_when_others_come_in_between(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 1,
                               .capacity = 1,
                               .crashes = 1,
                               .visits = 1,
                               .coarse = true,
                               .forwards = 1,
                               .peer_dies = true});
}

static void also_when_the_topic_is_made_again(void **state)
{
    (void)state;
    holds(&(struct model_conf){.messages = 1,
                               .new_messages = 1,
                               .at_once = true,
                               .capacity = 1,
                               .crashes = !SMALL,
                               .coarse = true,
                               .forwards = 1,
                               .peer_dies = !SMALL});
}

/* ---- what would be noticed ---- */

#define LOST "an activation is never answered"
#define TWICE "it ran twice"
#define IN_VAIN "it is answered as interrupted, and nobody can have begun with it"

static void started_must_be_written_before_run_is_sent(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 1, .capacity = 1, .crashes = 1}, MISTAKE_START_LATE,
            TWICE);
}

static void journal_must_be_kept_before_a_commit(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 1, .capacity = 1, .crashes = 1}, MISTAKE_COMMIT_FIRST,
            LOST);
}

static void ids_must_tell_topics_apart(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 1, .new_messages = 2, .capacity = 1, .coarse = true},
            MISTAKE_BLIND, LOST);
}

static void sent_acks_must_not_count_as_delivered(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 1, .capacity = 1, .crashes = 1}, MISTAKE_ACK_IS_ENOUGH,
            LOST);
}

static void what_is_left_must_not_be_forgotten_before_the_broker_confirms(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 2, .capacity = 2, .crashes = 1, .stops = 1},
            MISTAKE_LEAVE_EARLY, IN_VAIN);
}

static void journal_must_be_kept_before_the_rest_is_left(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 2, .capacity = 2, .crashes = 1, .stops = 1},
            MISTAKE_LEAVE_UNKEPT, LOST);
}

static void commit_must_not_be_set_before_the_topic_is_known(void **state)
{
    (void)state;
    notices(
        (struct model_conf){
            .messages = 2, .new_messages = 2, .capacity = 1, .stops = 1, .coarse = true},
        MISTAKE_LEAVE_BLIND, LOST);
}

/* ---- and of what others do ---- */

static const struct model_conf IN_BETWEEN = {
    .messages = 2, .capacity = 2, .crashes = 1, .visits = 1, .coarse = true};

static void groups_commit_must_be_asked_for(void **state)
{
    (void)state;
    notices(IN_BETWEEN, MISTAKE_UNASKED, TWICE);
}

static void commits_must_say_who_made_them(void **state)
{
    (void)state;
    notices(IN_BETWEEN, MISTAKE_ANONYMOUS, IN_VAIN);
}

static void own_commits_must_be_recognised(void **state)
{
    (void)state;
    notices(IN_BETWEEN, MISTAKE_UNSIGNED, IN_VAIN);
}

static void journal_must_know_of_a_commit_before_it_is_sent(void **state)
{
    (void)state;
    notices(IN_BETWEEN, MISTAKE_COMMIT_UNNOTED, IN_VAIN);
}

static void commit_must_not_be_believed_before_the_broker_confirms(void **state)
{
    (void)state;
    notices(IN_BETWEEN, MISTAKE_COMMIT_BELIEVED, IN_VAIN);
}

static void journal_must_know_of_the_commit_that_leaves_the_rest(void **state)
{
    struct model_conf conf = IN_BETWEEN;

    (void)state;
    conf.stops = 1;
    notices(conf, MISTAKE_LEAVE_UNNOTED, IN_VAIN);
}

static void end_of_the_topic_must_be_looked_at(void **state)
{
    (void)state;
    notices((struct model_conf){.messages = 2,
                                .new_messages = 1,
                                .at_once = true,
                                .capacity = 1,
                                .crashes = 1,
                                .coarse = true},
            MISTAKE_NO_LOOK, LOST);
}

/* ---- and of what is forwarded ---- */

#define WAITS "the end of what is away is waited for in vain"

static const struct model_conf FORWARDED = {
    .messages = 1, .capacity = 1, .crashes = 2, .coarse = true, .forwards = 1};

static void started_must_be_written_before_it_is_forwarded(void **state)
{
    (void)state;
    notices(FORWARDED, MISTAKE_FORWARD_LATE, TWICE);
}

static void forwarded_must_not_be_written_before_the_broker_has_it(void **state)
{
    (void)state;
    notices(FORWARDED, MISTAKE_FORWARDED_EARLY, WAITS);
}

static void journal_must_be_kept_before_a_report_is_committed(void **state)
{
    (void)state;
    notices(FORWARDED, MISTAKE_REPORT_UNKEPT, WAITS);
}

static void journal_must_know_of_what_came_back(void **state)
{
    (void)state;
    notices(FORWARDED, MISTAKE_RETURN_UNNOTED, WAITS);
}

static void what_came_back_must_not_be_forwarded_again(void **state)
{
    (void)state;
    notices(FORWARDED, MISTAKE_FORWARD_AGAIN, TWICE);
}

static void reports_must_count_before_the_message_is_read_again(void **state)
{
    (void)state;
    notices(FORWARDED, MISTAKE_UNEXPECTED, WAITS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_run_twice_whenever_a_process_dies),
        cmocka_unit_test(nor_when_two_die),
        cmocka_unit_test(nor_with_more_messages),
        cmocka_unit_test(nor_around_an_orderly_end),
        cmocka_unit_test(successor_without_the_journal_repeats_nothing_after_an_orderly_end),
        cmocka_unit_test(what_others_did_in_between_is_neither_repeated_nor_missed),
        cmocka_unit_test(nor_is_it_after_an_orderly_end),
        cmocka_unit_test(others_may_come_twice),
        cmocka_unit_test(others_may_have_had_a_new_topic),
        cmocka_unit_test(new_topic_is_read_from_its_beginning_after_a_crash),
        cmocka_unit_test(even_where_it_ends_at_what_the_journal_knows),
        cmocka_unit_test(new_topic_is_read_from_its_beginning_after_an_orderly_end),
        cmocka_unit_test(retry_on_crash_runs_once_more_for_each_crash_at_most),
        cmocka_unit_test(what_is_forwarded_ends_once_whenever_the_origin_dies),
        cmocka_unit_test(also_beside_what_runs_here),
        cmocka_unit_test(also_around_an_orderly_end_of_the_origin),
        cmocka_unit_test(also_when_others_come_in_between),
        cmocka_unit_test(also_when_the_topic_is_made_again),
        cmocka_unit_test(started_must_be_written_before_run_is_sent),
        cmocka_unit_test(journal_must_be_kept_before_a_commit),
        cmocka_unit_test(ids_must_tell_topics_apart),
        cmocka_unit_test(sent_acks_must_not_count_as_delivered),
        cmocka_unit_test(what_is_left_must_not_be_forgotten_before_the_broker_confirms),
        cmocka_unit_test(journal_must_be_kept_before_the_rest_is_left),
        cmocka_unit_test(commit_must_not_be_set_before_the_topic_is_known),
        cmocka_unit_test(groups_commit_must_be_asked_for),
        cmocka_unit_test(commits_must_say_who_made_them),
        cmocka_unit_test(own_commits_must_be_recognised),
        cmocka_unit_test(journal_must_know_of_a_commit_before_it_is_sent),
        cmocka_unit_test(commit_must_not_be_believed_before_the_broker_confirms),
        cmocka_unit_test(journal_must_know_of_the_commit_that_leaves_the_rest),
        cmocka_unit_test(end_of_the_topic_must_be_looked_at),
        cmocka_unit_test(started_must_be_written_before_it_is_forwarded),
        cmocka_unit_test(forwarded_must_not_be_written_before_the_broker_has_it),
        cmocka_unit_test(journal_must_be_kept_before_a_report_is_committed),
        cmocka_unit_test(journal_must_know_of_what_came_back),
        cmocka_unit_test(what_came_back_must_not_be_forwarded_again),
        cmocka_unit_test(reports_must_count_before_the_message_is_read_again),
    };

    return cmocka_run_group_tests_name("ledger_model", tests, NULL, NULL);
}
