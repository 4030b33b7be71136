/* Two invokers on one bus: what one forwards the other runs, gives back, or takes with it. */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/bus/local_bus.h"
#include "common/loop/loop.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"
#include "common/obs/metrics.h"
#include "invoker/forward/away.h"
#include "invoker/forward/guests.h"
#include "invoker/job.h"
#include "tests/support/fake_bus.h"
#include "tests/support/jobs.h"
#include "tests/support/turns.h"

#define INSTANCE "{\"instance\":0,\"userMemory\":\"1 B\"}"

enum { ORIGIN_BOOT = 1, PEER_BOOT = 2 };
enum { WAIT_MS = 20000, MAX_GUESTS = 2, GRACE_MS = 1, MESSAGE_MAX = 1 << 20 };

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct cw_bus *bus;
    struct fake_bus fake; /* instead, for the origin */
    struct cw_manifest *manifest;
    struct inv_away *away;
    struct inv_guests *origin, *peer;
    struct inv_job *guests[8];
    size_t guest_count, wanted;
    size_t there, ended, returned, lost;
    int64_t ticket;       /* of the one that ended or came back last */
    size_t kept;          /* journal's flushes */
    bool broken;          /* that fails */
    uint64_t used;        /* peer; 0: none */
    struct inv_job *back; /* given back last */
    char why[128];
};

static void on_there(void *arg, const struct inv_job *job, const struct inv_journal_peer *peer)
{
    struct world *w = arg;

    assert_non_null(job);
    assert_int_equal(peer->id, 1);
    assert_true(peer->boot >= PEER_BOOT);
    w->there++;
}

static void on_ended(void *arg, int64_t ticket, struct inv_job *job)
{
    struct world *w = arg;

    w->ended++;
    w->ticket = ticket;
    inv_job_free(job);
}

static void on_returned(void *arg, int64_t ticket, struct inv_job *job)
{
    struct world *w = arg;

    w->returned++;
    w->ticket = ticket;
    inv_job_free(w->back);
    w->back = job;
}

static void on_lost(void *arg, struct inv_job *job, const char *text)
{
    struct world *w = arg;

    w->lost++;
    (void)snprintf(w->why, sizeof(w->why), "%s", text);
    inv_job_free(job);
}

static void on_use(void *arg, uint64_t peer, bool used)
{
    ((struct world *)arg)->used = used ? peer : 0;
}

static void on_guest(void *arg, struct inv_job *job)
{
    struct world *w = arg;

    w->guests[w->guest_count++] = job;
}

static void on_report(void *arg, const struct cw_peer_message *report)
{
    struct world *w = arg;

    inv_away_report(w->away, report);
}

static int keep(void *arg, struct cw_err *err)
{
    struct world *w = arg;

    if (w->broken)
        return cw_fail(err, CW_INTERNAL, "no space");
    w->kept++;
    return 0;
}

static void no_guest(void *arg, struct inv_job *job)
{
    (void)arg, (void)job;
    fail_msg("the origin was sent an activation");
}

static void no_report(void *arg, const struct cw_peer_message *report)
{
    (void)arg, (void)report;
    fail_msg("the peer was sent a report");
}

static struct inv_guests *make_guests(struct world *w, struct cw_bus *bus, const char *topic,
                                      uint64_t boot, bool is_peer)
{
    return inv_guests_new(
        &(struct inv_guests_conf){
            .loop = w->loop,
            .bus = bus,
            .metrics = w->metrics,
            .topic = topic,
            .boot = boot,
            .capacity = MAX_GUESTS,
            .max_bytes = MESSAGE_MAX,
            .on_guest = is_peer ? on_guest : no_guest,
            .on_report = is_peer ? no_report : on_report,
            .keep = keep,
            .arg = w,
        },
        NULL);
}

static void make_away(struct world *w, struct cw_bus *bus)
{
    w->away = inv_away_new(&(struct inv_away_conf){
        .loop = w->loop,
        .bus = bus,
        .metrics = w->metrics,
        .topic = "cwhisk0",
        .instance = CW_SLICE(INSTANCE),
        .max_bytes = MESSAGE_MAX,
        .time_std_ms = 60000,
        .time_max_ms = 300000,
        .gone_grace_ms = GRACE_MS,
        .on_there = on_there,
        .on_ended = on_ended,
        .on_returned = on_returned,
        .on_lost = on_lost,
        .on_use = on_use,
        .arg = w,
    });
}

static int begin(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    *w = (struct world){
        .loop = cw_loop_new(NULL, NULL),
        .metrics = cw_metrics_new(),
        .manifest = test_manifest(),
    };
    w->bus = cw_local_bus_new(w->loop, 2 * MESSAGE_MAX);
    make_away(w, w->bus);
    w->origin = make_guests(w, w->bus, "cwhisk0", ORIGIN_BOOT, false);
    w->peer = make_guests(w, w->bus, "cwhisk1", PEER_BOOT, true);
    assert_non_null(w->origin);
    assert_non_null(w->peer);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    inv_guests_free(w->origin);
    inv_guests_free(w->peer);
    cw_bus_free(w->bus);
    inv_away_free(w->away);
    for (size_t i = 0; i < w->guest_count; i++)
        inv_job_free(w->guests[i]);
    inv_job_free(w->back);
    cw_manifest_free(w->manifest);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
    free(w);
    return 0;
}

static struct inv_job *job_of(struct world *w, char id)
{
    return test_job(&(struct test_message){.id = id},
                    test_action(w->manifest, "hello", 1000, 256, 10, 1));
}

static const struct inv_away_peer PEER = {.process = {1, PEER_BOOT}, .topic = "cwhisk1"};

static void send(struct world *w, char id)
{
    assert_true(inv_away_send(w->away, job_of(w, id), &PEER));
}

static bool has_guests(void *arg)
{
    struct world *w = arg;

    return w->guest_count == w->wanted;
}

static void await_guests(struct world *w, size_t n)
{
    w->wanted = n;
    assert_true(cw_loop_run_until(w->loop, has_guests, w, WAIT_MS));
}

static bool is_nothing_away(void *arg)
{
    struct world *w = arg;

    return inv_away_count(w->away) == 0;
}

static void await_all_back(struct world *w)
{
    assert_true(cw_loop_run_until(w->loop, is_nothing_away, w, WAIT_MS));
}

/* ---- cases ---- */

static void a_guest_carries_its_origins_id_and_ends_when_ack_and_record_are_safe(void **state)
{
    struct world *w = *state;
    struct inv_job *job;

    send(w, 'a');
    await_guests(w, 1);
    job = w->guests[0];
    assert_int_equal(w->used, PEER.process.id);
    assert_int_equal(w->there, 1);
    assert_true(inv_guests_owns(job->ticket));
    assert_string_equal(job->guest->instance, INSTANCE);
    assert_int_equal(job->guest->instance_len, strlen(INSTANCE));
    assert_string_equal(job->msg->activation_id, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    inv_guests_acked(w->peer, job->ticket);
    run_turns(w->loop);
    assert_int_equal(inv_guests_open(w->peer), 1);
    assert_int_equal(w->ended, 0);
    inv_guests_stored(w->peer, job->ticket);
    await_all_back(w);
    assert_int_equal(w->ended, 1);
    assert_int_equal(w->used, 0);
    assert_int_equal(inv_guests_open(w->peer), 0);
}

static void a_guest_for_an_earlier_process_goes_back(void **state)
{
    struct world *w = *state;

    assert_true(inv_away_send(w->away, job_of(w, 'a'),
                              &(struct inv_away_peer){{1, PEER_BOOT + 1}, "cwhisk1"}));
    await_all_back(w);
    assert_int_equal(w->returned, 1);
    assert_int_equal(w->guest_count, 0);
}

static void one_too_many_goes_back_and_reports_still_come(void **state)
{
    struct world *w = *state;

    for (char id = 'a'; id < 'a' + MAX_GUESTS + 1; id++)
        send(w, id);
    await_guests(w, MAX_GUESTS);
    run_turns(w->loop);
    assert_int_equal(w->returned, 1);
    assert_string_equal(w->back->msg->activation_id, "cccccccccccccccccccccccccccccccc");
}

static void while_refused_all_go_back(void **state)
{
    struct world *w = *state;

    inv_guests_refuse(w->peer, true);
    send(w, 'a');
    await_all_back(w);
    assert_int_equal(w->returned, 1);
    inv_guests_refuse(w->peer, false);
    send(w, 'b');
    await_guests(w, 1);
}

static void a_guest_that_was_not_started_can_be_given_back_later(void **state)
{
    struct world *w = *state;

    send(w, 'a');
    await_guests(w, 1);
    inv_guests_return(w->peer, w->guests[0]);
    w->guest_count = 0;
    await_all_back(w);
    assert_int_equal(w->returned, 1);
    assert_int_equal(inv_guests_open(w->peer), 0);
}

static void what_came_back_or_from_elsewhere_stays(void **state)
{
    struct world *w = *state;
    struct inv_job *again;

    send(w, 'a');
    await_guests(w, 1);
    assert_false(inv_away_send(w->away, w->guests[0], &PEER));
    again = job_of(w, 'a'); /* its message came twice */
    assert_false(inv_away_send(w->away, again, &PEER));
    inv_job_free(again);
    inv_guests_return(w->peer, w->guests[0]);
    w->guest_count = 0;
    await_all_back(w);
    assert_false(inv_away_send(w->away, w->back, &PEER));
}

static bool lives(void *arg, const struct inv_journal_peer *peer)
{
    assert_int_equal(peer->id, PEER.process.id);
    return *(const uint64_t *)arg == peer->boot;
}

/* That process, and no other, is there. */
static void check(struct world *w, uint64_t boot)
{
    inv_away_check(w->away, lives, &boot);
}

static void a_dead_peers_are_lost_after_a_grace(void **state)
{
    struct world *w = *state;

    send(w, 'a');
    await_guests(w, 1);
    check(w, ORIGIN_BOOT);
    assert_int_equal(w->lost, 0);
    await_all_back(w);
    assert_int_equal(w->lost, 1);
    assert_non_null(strstr(w->why, "interrupted"));
    inv_guests_acked(w->peer, w->guests[0]->ticket); /* it lived after all: no matter */
    inv_guests_stored(w->peer, w->guests[0]->ticket);
    run_turns(w->loop);
    assert_int_equal(w->ended, 0);
}

static void a_peer_that_shows_up_again_keeps_what_it_has(void **state)
{
    struct world *w = *state;

    send(w, 'a');
    await_guests(w, 1);
    check(w, ORIGIN_BOOT);
    check(w, PEER_BOOT);
    inv_guests_acked(w->peer, w->guests[0]->ticket);
    inv_guests_stored(w->peer, w->guests[0]->ticket);
    run_turns(w->loop);
    assert_int_equal(w->ended, 1);
    assert_int_equal(w->lost, 0);
}

static void unreadable_messages_cost_nothing(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 200; i++) /* more than there are credits */
        cw_bus_publish(w->bus, "cwhisk1", CW_SLICE("{\"cwhisk\":{\"v\":9}}"), NULL, NULL);
    send(w, 'a');
    await_guests(w, 1);
    assert_int_equal(cw_counter_value(cw_metrics_counter(
                         w->metrics, "cwhisk_guests_unreadable_total", NULL, NULL)),
                     200);
}

static double unreadable(struct world *w)
{
    return cw_counter_value(
        cw_metrics_counter(w->metrics, "cwhisk_guests_unreadable_total", NULL, NULL));
}

/* Whoever can write to our topic cannot make us write to any other. */
static void a_forged_reply_topic_is_refused_and_nothing_is_written_there(void **state)
{
    static const char *const TOPICS[] = {"completed0", "invoker0", "cwhisk", "cwhisk0x",
                                         "other.cwhisk0"};
    struct world *w = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(TOPICS); i++) {
        cw_auto_free char *text = test_message_text(&(struct test_message){.id = 'b'});
        cw_auto_str struct cw_str out;

        cw_str_init(&out, MESSAGE_MAX);
        assert_true(cw_peer_forward_encode(
            &(struct cw_peer_message){
                .to_boot = PEER_BOOT, .reply_topic = TOPICS[i], .instance = CW_SLICE(INSTANCE)},
            cw_slice_of(text), &out));
        cw_bus_publish(w->bus, "cwhisk1", cw_str_slice(&out), NULL, NULL);
    }
    send(w, 'a');
    await_guests(w, 1);
    assert_int_equal(unreadable(w), CW_ARRAY_LEN(TOPICS));
    assert_int_equal(w->guests[0]->msg->activation_id[0], 'a');
}

static void one_that_would_be_too_large_with_its_envelope_stays(void **state)
{
    struct world *w = *state;
    cw_auto_free char *content = cw_alloc(MESSAGE_MAX);
    struct inv_job *job;
    size_t spaces;

    job = job_of(w, 'a');
    spaces = MESSAGE_MAX - job->msg->text.n; /* it is as large as can be without an envelope */
    inv_job_free(job);
    memset(content, ' ', spaces);
    memcpy(content + spaces, "{}", 3);
    job = test_job(&(struct test_message){.id = 'a', .content = content},
                   test_action(w->manifest, "hello", 1000, 256, 10, 1));
    assert_int_equal(job->msg->text.n, MESSAGE_MAX);
    assert_false(inv_away_send(w->away, job, &PEER));
    assert_int_equal(inv_away_count(w->away), 0);
    assert_int_equal(w->used, 0);
    inv_job_free(job);
    send(w, 'b');
    await_guests(w, 1);
}

static void what_the_broker_never_takes_comes_back(void **state)
{
    struct world *w = *state;

    inv_away_free(w->away);
    fake_bus_init(&w->fake, w->loop);
    make_away(w, &w->fake.base);
    w->fake.failures = 1;
    (void)cw_fail(&w->fake.failure, CW_TOO_LARGE, "fake broker");
    send(w, 'a');
    await_all_back(w);
    assert_int_equal(w->returned, 1);
    cw_bus_free(&w->fake.base);
}

static void at_the_end_what_is_away_is_lost_with_the_reason_given(void **state)
{
    struct world *w = *state;

    send(w, 'a');
    send(w, 'b');
    inv_away_kill(w->away, "over");
    assert_int_equal(w->lost, 2);
    assert_string_equal(w->why, "over");
    run_turns(w->loop);
}

/* ---- what a predecessor forwarded ---- */

enum { TICKET = 77 };

static void expect(struct world *w, char id)
{
    char text[CW_ACTIVATION_ID_LEN + 1];

    (void)memset(text, id, CW_ACTIVATION_ID_LEN);
    text[CW_ACTIVATION_ID_LEN] = '\0';
    inv_away_expect(w->away, TICKET, text, &PEER.process);
}

/* Its message, read again. */
static struct inv_job *read_again(struct world *w, char id)
{
    struct inv_job *job = test_job(&(struct test_message){.id = id}, NULL);

    (void)w;
    job->ticket = TICKET;
    return job;
}

static void report(struct world *w, enum cw_peer_purpose purpose, char id)
{
    char ids[1][CW_ACTIVATION_ID_LEN + 1] = {""};

    (void)memset(ids[0], id, CW_ACTIVATION_ID_LEN);
    inv_away_report(w->away, &(struct cw_peer_message){
                                 .purpose = purpose,
                                 .ids = (const char(*)[CW_ACTIVATION_ID_LEN + 1]) ids,
                                 .id_count = 1,
                             });
}

static void a_predecessors_ends_by_its_report_after_its_message_was_read_again(void **state)
{
    struct world *w = *state;
    struct inv_job *job;

    expect(w, 'a');
    assert_int_equal(w->used, PEER.process.id);
    assert_int_equal(inv_away_count(w->away), 0);
    job = read_again(w, 'a');
    assert_true(inv_away_adopt(w->away, job));
    assert_int_equal(inv_away_count(w->away), 1);
    check(w, PEER_BOOT);
    run_turns(w->loop);
    assert_int_equal(w->lost, 0);
    report(w, CW_PEER_ENDED, 'a');
    assert_int_equal(w->ended, 1);
    assert_int_equal(w->ticket, TICKET);
    assert_int_equal(w->used, 0);
}

static void or_before(void **state)
{
    struct world *w = *state;
    struct inv_job *job;

    expect(w, 'a');
    expect(w, 'b');
    report(w, CW_PEER_ENDED, 'a');
    assert_int_equal(w->ended, 1);
    assert_int_equal(w->ticket, TICKET);
    report(w, CW_PEER_RETURNED, 'b');
    assert_int_equal(w->returned, 1);
    assert_null(w->back);
    job = read_again(w, 'a'); /* the journal would have told that it is done */
    assert_false(inv_away_adopt(w->away, job));
    inv_job_free(job);
}

static void a_predecessors_comes_back_and_stays(void **state)
{
    struct world *w = *state;

    expect(w, 'a');
    assert_true(inv_away_adopt(w->away, read_again(w, 'a')));
    report(w, CW_PEER_RETURNED, 'a');
    assert_int_equal(w->returned, 1);
    assert_true(w->back->came_back);
    assert_false(inv_away_send(w->away, w->back, &PEER));
    report(w, CW_PEER_RETURNED, 'a'); /* heard again: no matter */
    report(w, CW_PEER_ENDED, 'a');
    assert_int_equal(w->returned, 1);
    assert_int_equal(w->ended, 0);
}

static void a_predecessors_is_lost_with_its_peer_once_there_is_somebody_to_answer(void **state)
{
    struct world *w = *state;

    expect(w, 'a');
    check(w, ORIGIN_BOOT);
    run_turns(w->loop);
    assert_int_equal(w->lost, 0);
    assert_true(inv_away_adopt(w->away, read_again(w, 'a')));
    await_all_back(w);
    assert_int_equal(w->lost, 1);
    assert_non_null(strstr(w->why, "interrupted"));
}

static void what_is_not_read_again_is_forgotten(void **state)
{
    struct world *w = *state;
    struct inv_job *job;

    expect(w, 'a');
    expect(w, 'b');
    assert_true(inv_away_adopt(w->away, read_again(w, 'a')));
    inv_away_forget_expected(w->away);
    assert_int_equal(inv_away_count(w->away), 1);
    job = read_again(w, 'b');
    assert_false(inv_away_adopt(w->away, job));
    inv_job_free(job);
    report(w, CW_PEER_ENDED, 'b');
    assert_int_equal(w->ended, 0);
    inv_away_kill(w->away, "over");
    assert_int_equal(w->lost, 1);
    assert_int_equal(w->used, 0);
}

/* Another process served the id, without the journal: those are not its own. */
static void reports_about_nothing_we_know_are_no_matter(void **state)
{
    struct world *w = *state;

    report(w, CW_PEER_ENDED, 'a');
    report(w, CW_PEER_RETURNED, 'a');
    assert_int_equal(w->ended + w->returned, 0);
    send(w, 'a');
    await_guests(w, 1);
}

/* ---- reports and the journal ---- */

static bool is_committed(void *arg)
{
    return ((struct world *)arg)->fake.committed == 1;
}

static void what_was_reported_is_kept_before_it_is_committed(void **state)
{
    static const char REPORT[] = "{\"cwhisk\":{\"v\":1,\"purpose\":\"ended\",\"ids\":"
                                 "[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}}";
    struct world *w = *state;

    send(w, 'a');
    run_turns(w->loop);
    inv_guests_free(w->origin);
    fake_bus_init(&w->fake, w->loop);
    w->origin = make_guests(w, &w->fake.base, "cwhisk0", ORIGIN_BOOT, false);
    w->broken = true;
    fake_bus_deliver(&w->fake, 0, cw_slice_of(REPORT));
    assert_int_equal(w->ended, 1); /* at once */
    run_turns(w->loop);
    assert_int_equal(w->fake.committed, -1);
    w->broken = false;
    w->kept = 0;
    assert_true(cw_loop_run_until(w->loop, is_committed, w, WAIT_MS));
    assert_true(w->kept > 0);
    inv_guests_free(CW_STEAL(w->origin));
    cw_bus_free(&w->fake.base);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_guest_carries_its_origins_id_and_ends_when_ack_and_record_are_safe),
        T(a_guest_for_an_earlier_process_goes_back),
        T(one_too_many_goes_back_and_reports_still_come),
        T(while_refused_all_go_back),
        T(a_guest_that_was_not_started_can_be_given_back_later),
        T(what_came_back_or_from_elsewhere_stays),
        T(a_dead_peers_are_lost_after_a_grace),
        T(a_peer_that_shows_up_again_keeps_what_it_has),
        T(unreadable_messages_cost_nothing),
        T(a_forged_reply_topic_is_refused_and_nothing_is_written_there),
        T(one_that_would_be_too_large_with_its_envelope_stays),
        T(what_the_broker_never_takes_comes_back),
        T(at_the_end_what_is_away_is_lost_with_the_reason_given),
        T(a_predecessors_ends_by_its_report_after_its_message_was_read_again),
        T(or_before),
        T(a_predecessors_comes_back_and_stays),
        T(a_predecessors_is_lost_with_its_peer_once_there_is_somebody_to_answer),
        T(what_is_not_read_again_is_forgotten),
        T(reports_about_nothing_we_know_are_no_matter),
        T(what_was_reported_is_kept_before_it_is_committed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
