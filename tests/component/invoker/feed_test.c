/* The feed against a broker that the test plays, and against the in-process bus. */
#include "tests/support/cmocka_all.h"

#include "common/bus/local_bus.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/feed.h"
#include "tests/support/fake_bus.h"
#include "tests/support/turns.h"

enum { WAIT_MS = 20000, MAX_SEEN = 1024, UNBOUNDED = 1 << 20 };

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct fake_bus bus;
    struct cw_bus *local; /* instead of bus */
    struct inv_feed *feed;
    size_t capacity, max_bytes;
    bool journal, keep_fails;
    bool looks_on_arrival;
    size_t arrived;
    unsigned kept, looks;
    int64_t kept_at, told_at;
    int64_t foreign_end;  /* a topic that ends there is another one; 0: none */
    int64_t begin, known; /* what the journal says */
    bool restart;         /* the next message turns out to be of another topic */
    bool left, leave_failed;
    bool credit_at_once, credit_later;
    struct cw_defer credits;
    size_t owed, owed_bytes;
    size_t seen_count, wanted;
    int64_t seen[MAX_SEEN];
    char last[16];
    size_t last_bytes;
};

static void give_credits(void *arg)
{
    struct world *w = arg;

    for (; w->owed; w->owed--, w->owed_bytes = 0)
        inv_feed_credit(w->feed, w->owed_bytes);
}

static void on_message(void *arg, struct cw_slice payload, int64_t offset, int64_t received_us)
{
    struct world *w = arg;

    assert_true(w->seen_count < MAX_SEEN);
    assert_true(inv_feed_handed_out(w->feed) <= w->capacity);
    assert_in_range(received_us, 1, cw_loop_mono_us(w->loop));
    w->seen[w->seen_count++] = offset;
    w->last_bytes = payload.n;
    (void)snprintf(w->last, sizeof(w->last), "%.*s", payload.n < 15 ? (int)payload.n : 15,
                   payload.p);
    if (w->restart) {
        w->restart = false;
        inv_feed_credit(w->feed, payload.n);
        inv_feed_restart(w->feed);
    } else if (w->credit_at_once) {
        inv_feed_credit(w->feed, payload.n);
    } else if (w->credit_later) {
        w->owed++;
        w->owed_bytes += payload.n;
        cw_defer_post(&w->credits);
    }
}

static int64_t begin_from(void *arg, const struct cw_bus_position *commit, int64_t *known)
{
    struct world *w = arg;

    assert_int_equal(commit->offset, w->bus.position.offset);
    assert_string_equal(commit->note, w->bus.position.note);
    *known = w->known;
    return w->begin;
}

static int keep(void *arg, int64_t offset, struct cw_err *err)
{
    struct world *w = arg;

    w->kept++;
    w->kept_at = offset;
    return w->keep_fails ? cw_fail(err, CW_UNAVAILABLE, "fake disk") : 0;
}

static void on_committed(void *arg, int64_t offset)
{
    struct world *w = arg;

    w->told_at = offset;
}

static bool ends(void *arg, int64_t end)
{
    struct world *w = arg;

    w->looks++;
    return end == w->foreign_end;
}

static void on_left(void *arg, const struct cw_err *err)
{
    struct world *w = arg;

    w->left = true;
    w->leave_failed = err != NULL;
}

/* Those with an even offset are dealt with at once. */
static bool on_arrival(void *arg, struct cw_slice payload, int64_t offset)
{
    struct world *w = arg;

    assert_int_equal(payload.n, 1);
    assert_true(w->bus.committed <= offset);
    w->arrived++;
    return offset % 2 == 0;
}

static struct inv_feed *make_feed(struct world *w, struct cw_err *err)
{
    return inv_feed_new(
        &(struct inv_feed_conf){
            .loop = w->loop,
            .bus = w->local ? w->local : &w->bus.base,
            .metrics = w->metrics,
            .topic = "invoker0",
            .capacity = w->capacity,
            .max_bytes = w->max_bytes,
            .on_message = on_message,
            .begin = w->journal ? begin_from : NULL,
            .keep = w->journal || w->looks_on_arrival ? keep : NULL,
            .on_arrival = w->looks_on_arrival ? on_arrival : NULL,
            .committed = w->journal ? on_committed : NULL,
            .ends = w->journal ? ends : NULL,
            .note = w->journal ? "cwhisk 1" : NULL,
            .arg = w,
        },
        err);
}

static void begin_without_feed(struct world *w, size_t capacity, size_t max_bytes)
{
    *w = (struct world){
        .loop = cw_loop_new(NULL, NULL),
        .metrics = cw_metrics_new(),
        .capacity = capacity,
        .max_bytes = max_bytes,
    };
    cw_defer_init(&w->credits, w->loop, give_credits, w);
    fake_bus_init(&w->bus, w->loop);
}

static void begin(struct world *w, size_t capacity, size_t max_bytes)
{
    struct cw_err err = {0};

    begin_without_feed(w, capacity, max_bytes);
    w->feed = make_feed(w, &err);
    if (!w->feed)
        fail_msg("%s", err.msg);
    w->bus.sub.on_assigned(w->feed, true);
}

static void begin_with_journal(struct world *w, size_t capacity, int64_t from, int64_t known)
{
    struct cw_err err = {0};

    begin_without_feed(w, capacity, UNBOUNDED);
    w->journal = true;
    w->begin = from;
    w->known = known;
    w->feed = make_feed(w, &err);
    if (!w->feed)
        fail_msg("%s", err.msg);
    w->bus.sub.on_assigned(w->feed, true);
}

static void end(struct world *w)
{
    cw_defer_cancel(&w->credits);
    inv_feed_free(w->feed);
    cw_bus_free(w->local);
    cw_bus_free(&w->bus.base);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
}

static bool enough(void *arg)
{
    struct world *w = arg;

    return w->seen_count >= w->wanted;
}

static void wait_seen(struct world *w, size_t count)
{
    w->wanted = count;
    if (!cw_loop_run_until(w->loop, enough, w, WAIT_MS))
        fail_msg("%zu of %zu messages were handed out", w->seen_count, count);
}

/* Messages first..last with one-character payloads. */
static void deliver(struct world *w, int64_t first, int64_t last)
{
    for (int64_t offset = first; offset <= last; offset++) {
        char text = (char)('a' + offset);

        fake_bus_deliver(&w->bus, offset, cw_slice(&text, 1));
    }
}

static void expect_seen(const struct world *w, int64_t first, int64_t last)
{
    assert_int_equal(w->seen_count, last - first + 1);
    for (size_t i = 0; i < w->seen_count; i++)
        assert_int_equal(w->seen[i], first + (int64_t)i);
}

/* ---- tests ---- */

static void subscribes_with_the_group_and_client_id_of_stock(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 2, UNBOUNDED);
    assert_string_equal(w.bus.sub.topic, "invoker0");
    assert_string_equal(w.bus.sub.group, "invoker0");
    assert_string_equal(w.bus.sub.client_id, "consumer-invoker0");
    end(&w);
    assert_int_equal(w.bus.unsubscribed, 1);
}

static void refused_subscription_is_an_error(void **state)
{
    struct world w;
    struct cw_err err = {0};

    (void)state;
    begin_without_feed(&w, 2, UNBOUNDED);
    w.bus.refuse_subscription = true;
    assert_null(make_feed(&w, &err));
    assert_int_equal(err.code, CW_UNAVAILABLE);
    assert_string_equal(err.msg, "fake refusal");
    end(&w);
}

static void message_is_handed_out_only_after_its_commit(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 2, UNBOUNDED);
    w.bus.hold_commits = true;
    deliver(&w, 7, 7);
    run_turns(w.loop);
    assert_int_equal(w.bus.commits, 1);
    assert_int_equal(w.seen_count, 0);
    assert_int_equal(inv_feed_queued(w.feed), 1);
    fake_bus_release(&w.bus);
    wait_seen(&w, 1);
    assert_int_equal(w.bus.committed, 8);
    assert_string_equal(w.last, "h");
    assert_int_equal(inv_feed_queued(w.feed), 0);
    assert_int_equal(inv_feed_handed_out(w.feed), 1);
    end(&w);
}

static void what_is_dealt_with_on_arrival_is_kept_committed_and_not_handed_out(void **state)
{
    struct cw_err err = {0};
    struct world w;

    (void)state;
    begin_without_feed(&w, 1, UNBOUNDED);
    w.looks_on_arrival = w.keep_fails = true;
    w.feed = make_feed(&w, &err);
    assert_non_null(w.feed);
    w.bus.sub.on_assigned(w.feed, true);
    deliver(&w, 0, 2);
    assert_int_equal(w.arrived, 3); /* whatever is full */
    assert_int_equal(inv_feed_queued(w.feed), 1);
    run_turns(w.loop);
    assert_int_equal(w.bus.commits, 0);
    assert_int_equal(w.seen_count, 0);
    w.keep_fails = false;
    wait_seen(&w, 1);
    assert_true(w.kept > 0);
    assert_int_equal(w.bus.committed, 3);
    expect_seen(&w, 1, 1);
    end(&w);
}

static void empty_message_is_handed_out_too(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 2, UNBOUNDED);
    w.last_bytes = 99;
    fake_bus_deliver(&w.bus, 0, cw_slice(NULL, 0));
    wait_seen(&w, 1);
    assert_int_equal(w.last_bytes, 0);
    end(&w);
}

static void those_that_come_during_a_commit_share_the_next_one(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 8, UNBOUNDED);
    w.bus.hold_commits = true;
    deliver(&w, 0, 1); /* of one turn: one commit */
    run_turns(w.loop);
    assert_int_equal(w.bus.commits, 1);
    deliver(&w, 2, 3);
    fake_bus_release(&w.bus);
    wait_seen(&w, 2);
    run_turns(w.loop);
    assert_int_equal(w.bus.committed, 2);
    assert_int_equal(w.bus.commits, 2);
    assert_int_equal(w.seen_count, 2);
    fake_bus_release(&w.bus);
    wait_seen(&w, 4);
    assert_int_equal(w.bus.committed, 4);
    assert_int_equal(w.bus.commits, 2);
    expect_seen(&w, 0, 3);
    end(&w);
}

static void credits_bound_what_is_with_the_handler(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 3, UNBOUNDED);
    deliver(&w, 0, 6);
    run_turns(w.loop);
    assert_int_equal(w.seen_count, 3);
    assert_int_equal(inv_feed_handed_out(w.feed), 3);
    for (size_t n = 4; n <= 7; n++) {
        inv_feed_credit(w.feed, 1);
        assert_int_equal(w.seen_count, n - 1); /* not inside the call */
        run_turns(w.loop);
        assert_int_equal(w.seen_count, n);
    }
    expect_seen(&w, 0, 6);
    end(&w);
}

static void credits_too_many_do_not_add_up(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 2, UNBOUNDED);
    for (int i = 0; i < 5; i++)
        inv_feed_credit(w.feed, 100);
    assert_int_equal(inv_feed_handed_out(w.feed), 0);
    deliver(&w, 0, 5);
    run_turns(w.loop);
    assert_int_equal(w.seen_count, 2);
    end(&w);
}

static void credit_given_while_being_handed_out_counts(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 1, UNBOUNDED);
    w.credit_at_once = true;
    w.bus.hold_commits = true;
    deliver(&w, 0, 0);
    run_turns(w.loop);
    fake_bus_release(&w.bus);
    deliver(&w, 1, 9);
    wait_seen(&w, 1);
    run_turns(w.loop);
    fake_bus_release(&w.bus);
    wait_seen(&w, 10);
    expect_seen(&w, 0, 9);
    assert_int_equal(inv_feed_handed_out(w.feed), 0);
    end(&w);
}

static void bytes_bound_what_is_with_the_handler(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 8, 10);
    for (int64_t offset = 0; offset < 3; offset++)
        fake_bus_deliver(&w.bus, offset, CW_SLICE("123456"));
    run_turns(w.loop);
    assert_int_equal(w.seen_count, 2); /* 6 are under 10, 12 are not */
    inv_feed_credit(w.feed, 6);
    run_turns(w.loop);
    assert_int_equal(w.seen_count, 3);
    end(&w);
}

static void message_over_the_bound_goes_alone(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 8, 10);
    fake_bus_deliver(&w.bus, 0, CW_SLICE("longer than all that may be"));
    fake_bus_deliver(&w.bus, 1, CW_SLICE("b"));
    run_turns(w.loop);
    assert_int_equal(w.seen_count, 1);
    inv_feed_credit(w.feed, w.last_bytes);
    wait_seen(&w, 2);
    assert_string_equal(w.last, "b");
    end(&w);
}

static void credit_for_too_few_bytes_does_not_stall(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 8, 10);
    fake_bus_deliver(&w.bus, 0, CW_SLICE("1234567890"));
    fake_bus_deliver(&w.bus, 1, CW_SLICE("b"));
    run_turns(w.loop);
    assert_int_equal(w.seen_count, 1);
    inv_feed_credit(w.feed, 0);
    wait_seen(&w, 2);
    end(&w);
}

static void taking_pauses_over_the_count_and_resumes(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 2, UNBOUNDED);
    deliver(&w, 0, 1);
    run_turns(w.loop); /* both are with the handler */
    deliver(&w, 2, 3);
    run_turns(w.loop);
    assert_false(w.bus.paused);
    deliver(&w, 4, 4);
    assert_true(w.bus.paused);
    assert_int_equal(w.bus.pauses, 1);
    inv_feed_credit(w.feed, 1);
    run_turns(w.loop);
    assert_int_equal(inv_feed_queued(w.feed), 2);
    assert_false(w.bus.paused);
    assert_int_equal(w.bus.resumes, 1);
    end(&w);
}

static void taking_pauses_over_the_bytes_and_resumes(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 8, 10);
    w.bus.hold_commits = true;
    fake_bus_deliver(&w.bus, 0, CW_SLICE("1234567890"));
    assert_false(w.bus.paused);
    fake_bus_deliver(&w.bus, 1, CW_SLICE("1"));
    assert_true(w.bus.paused);
    w.bus.hold_commits = false;
    fake_bus_release(&w.bus);
    run_turns(w.loop);
    assert_false(w.bus.paused);
    end(&w);
}

static void new_assignment_stays_paused_while_full(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 1, UNBOUNDED);
    inv_feed_hold(w.feed, true);
    deliver(&w, 0, 1);
    run_turns(w.loop);
    assert_int_equal(w.bus.pauses, 1);
    w.bus.sub.on_assigned(w.feed, false); /* both are committed: they stay ours */
    w.bus.paused = false;                 /* a new assignment begins unpaused */
    w.bus.sub.on_assigned(w.feed, true);
    assert_true(w.bus.paused);
    assert_int_equal(inv_feed_queued(w.feed), 2);
    end(&w);
}

static void failed_commit_is_tried_again_in_order(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 8, UNBOUNDED);
    w.bus.commit_failures = 1;
    w.bus.hold_commits = true;
    deliver(&w, 0, 2);
    run_turns(w.loop);
    w.bus.hold_commits = false;
    fake_bus_release(&w.bus);
    run_turns(w.loop);
    assert_int_equal(w.bus.commits, 1); /* not at once */
    assert_int_equal(w.seen_count, 0);
    deliver(&w, 3, 3);
    assert_int_equal(w.bus.commits, 1); /* waits for the new try */
    wait_seen(&w, 4);
    assert_int_equal(w.bus.commits, 2);
    assert_int_equal(w.bus.committed, 4);
    expect_seen(&w, 0, 3);
    end(&w);
}

static void revoked_partition_drops_what_is_not_committed(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 8, UNBOUNDED);
    w.bus.hold_commits = true;
    deliver(&w, 0, 0);
    run_turns(w.loop);
    deliver(&w, 1, 2); /* 0 is being committed */
    w.bus.sub.on_assigned(w.feed, false);
    assert_int_equal(inv_feed_queued(w.feed), 1);
    fake_bus_release(&w.bus);
    run_turns(w.loop);
    assert_int_equal(w.bus.commits, 1);
    expect_seen(&w, 0, 0);
    w.bus.hold_commits = false;
    w.bus.sub.on_assigned(w.feed, true);
    deliver(&w, 1, 2); /* read again */
    wait_seen(&w, 3);
    expect_seen(&w, 0, 2);
    end(&w);
}

static void commit_that_fails_after_a_revocation_is_given_up(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 8, UNBOUNDED);
    w.bus.hold_commits = true;
    w.bus.commit_failures = 1;
    deliver(&w, 0, 1);
    run_turns(w.loop);
    w.bus.sub.on_assigned(w.feed, false);
    w.bus.sub.on_assigned(w.feed, true);
    deliver(&w, 0, 1); /* from the old offset, before the commit's answer */
    run_turns(w.loop);
    w.bus.hold_commits = false;
    fake_bus_release(&w.bus);
    wait_seen(&w, 2);
    run_turns(w.loop);
    expect_seen(&w, 0, 1); /* each once */
    assert_int_equal(w.bus.committed, 2);
    assert_int_equal(w.bus.commits, 2);
    end(&w);
}

static void commit_under_a_new_assignment_is_tried_again(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 8, UNBOUNDED);
    w.bus.hold_commits = true;
    deliver(&w, 0, 0);
    run_turns(w.loop);
    w.bus.sub.on_assigned(w.feed, false);
    w.bus.sub.on_assigned(w.feed, true);
    fake_bus_release(&w.bus);
    wait_seen(&w, 1);
    w.bus.hold_commits = false;
    w.bus.commit_failures = 1;
    deliver(&w, 1, 1);
    wait_seen(&w, 2);
    assert_int_equal(w.bus.commits, 3);
    assert_int_equal(w.bus.committed, 2);
    end(&w);
}

static void pause_ends_when_a_revocation_makes_room(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 1, UNBOUNDED);
    w.bus.hold_commits = true;
    deliver(&w, 0, 2);
    assert_true(w.bus.paused);
    w.bus.sub.on_assigned(w.feed, false);
    assert_false(w.bus.paused);
    end(&w);
}

static void stop_keeps_what_is_committed_and_drops_the_rest(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 1, UNBOUNDED);
    deliver(&w, 0, 1);
    run_turns(w.loop);
    w.bus.hold_commits = true;
    deliver(&w, 2, 2); /* 0 with the handler, 1 committed, 2 in a commit, 3 not */
    run_turns(w.loop);
    deliver(&w, 3, 3);
    inv_feed_stop(w.feed);
    assert_true(w.bus.paused);
    assert_int_equal(inv_feed_queued(w.feed), 2);
    deliver(&w, 4, 4); /* was on its way already */
    assert_int_equal(inv_feed_queued(w.feed), 2);
    fake_bus_release(&w.bus);
    run_turns(w.loop);
    w.credit_at_once = true;
    inv_feed_credit(w.feed, 1);
    wait_seen(&w, 3);
    run_turns(w.loop);
    expect_seen(&w, 0, 2);
    assert_int_equal(w.bus.committed, 3);
    assert_int_equal(inv_feed_queued(w.feed), 0);
    assert_true(w.bus.paused);
    end(&w);
}

static void commit_that_fails_after_the_stop_is_given_up(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 4, UNBOUNDED);
    w.bus.hold_commits = true;
    w.bus.commit_failures = 1;
    deliver(&w, 0, 1);
    run_turns(w.loop);
    inv_feed_stop(w.feed);
    fake_bus_release(&w.bus);
    run_turns(w.loop);
    assert_int_equal(w.seen_count, 0);
    assert_int_equal(inv_feed_queued(w.feed), 0);
    assert_int_equal(w.bus.commits, 1);
    end(&w);
}

static void stop_ends_the_retries_of_a_commit(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 4, UNBOUNDED);
    w.bus.commit_failures = 1;
    deliver(&w, 0, 1);
    run_turns(w.loop);
    assert_int_equal(inv_feed_queued(w.feed), 2);
    inv_feed_stop(w.feed);
    assert_int_equal(inv_feed_queued(w.feed), 0);
    end(&w);
}

static void held_feed_hands_nothing_out(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 4, UNBOUNDED);
    inv_feed_hold(w.feed, true);
    deliver(&w, 0, 2);
    run_turns(w.loop);
    assert_int_equal(w.bus.committed, 3); /* taking goes on */
    assert_int_equal(w.seen_count, 0);
    inv_feed_hold(w.feed, true);
    inv_feed_hold(w.feed, false);
    assert_int_equal(w.seen_count, 0); /* not inside the call */
    wait_seen(&w, 3);
    expect_seen(&w, 0, 2);
    end(&w);
}

static void lag_is_what_was_not_taken(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 4, UNBOUNDED);
    w.bus.end_offset = 10;
    assert_int_equal(inv_feed_lag(w.feed), -1); /* nothing read yet */
    deliver(&w, 3, 3);
    assert_int_equal(inv_feed_lag(w.feed), 6);
    w.bus.end_offset = -1;
    assert_int_equal(inv_feed_lag(w.feed), -1);
    w.bus.end_offset = 2; /* stale */
    assert_int_equal(inv_feed_lag(w.feed), 0);
    end(&w);
}

static void age_of_messages_is_measured(void **state)
{
    struct world w;
    struct cw_histogram *delay;

    (void)state;
    begin(&w, 4, UNBOUNDED);
    deliver(&w, 0, 2);
    delay = cw_metrics_histogram(w.metrics, "histogram_kafka_invoker0_delay_start_seconds", NULL,
                                 NULL, NULL, 0);
    assert_int_equal(cw_histogram_count(delay), 3);
    end(&w);
}

static void feed_can_go_in_the_middle_of_a_commit(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 4, UNBOUNDED);
    w.bus.hold_commits = true;
    deliver(&w, 0, 1);
    run_turns(w.loop);
    inv_feed_free(CW_STEAL(w.feed));
    run_turns(w.loop);
    assert_int_equal(w.seen_count, 0);
    end(&w);
}

/* ---- with a journal ---- */

static void with_a_journal_nothing_waits_for_its_commit(void **state)
{
    struct world w;

    (void)state;
    begin_with_journal(&w, 8, -1, -1);
    assert_int_equal(w.bus.seeks, 0);
    w.bus.hold_commits = true;
    deliver(&w, 0, 2);
    wait_seen(&w, 3);
    run_turns(w.loop);
    assert_int_equal(w.kept, 1); /* before the commit */
    assert_int_equal(w.bus.commits, 1);
    fake_bus_release(&w.bus);
    run_turns(w.loop);
    assert_int_equal(w.bus.committed, 3);
    assert_int_equal(w.bus.commits, 1);
    end(&w);
}

static void only_what_was_handed_out_is_committed(void **state)
{
    struct world w;

    (void)state;
    begin_with_journal(&w, 2, -1, -1);
    deliver(&w, 0, 4);
    run_turns(w.loop);
    assert_int_equal(w.seen_count, 2);
    assert_int_equal(w.bus.committed, 2);
    inv_feed_credit(w.feed, 1);
    run_turns(w.loop);
    assert_int_equal(w.bus.committed, 3);
    end(&w);
}

static void reading_begins_where_the_journal_says_and_no_commit_goes_back(void **state)
{
    struct world w;

    (void)state;
    begin_with_journal(&w, 8, 3, 6);
    assert_int_equal(w.bus.sought, 3);
    deliver(&w, 3, 4);
    wait_seen(&w, 2);
    run_turns(w.loop);
    assert_int_equal(w.bus.committed, 6);
    deliver(&w, 5, 7);
    wait_seen(&w, 5);
    run_turns(w.loop);
    assert_int_equal(w.bus.committed, 8);
    end(&w);
}

static bool committed_enough(void *arg)
{
    struct world *w = arg;

    return w->bus.committed >= (int64_t)w->wanted;
}

static void nothing_is_committed_that_the_journal_did_not_keep(void **state)
{
    struct world w;

    (void)state;
    begin_with_journal(&w, 8, -1, -1);
    w.keep_fails = true;
    deliver(&w, 0, 1);
    wait_seen(&w, 2);
    run_turns(w.loop);
    assert_int_equal(w.kept, 1);
    assert_int_equal(w.bus.commits, 0);
    w.keep_fails = false;
    deliver(&w, 2, 2);
    wait_seen(&w, 3);
    inv_feed_stop(w.feed); /* goes on trying: the journal's work is ours */
    w.wanted = 3;
    assert_true(cw_loop_run_until(w.loop, committed_enough, &w, WAIT_MS));
    assert_int_equal(w.bus.commits, 1);
    end(&w);
}

static void another_topic_is_read_from_the_groups_commit(void **state)
{
    struct world w;

    (void)state;
    begin_with_journal(&w, 8, 3, 6);
    w.restart = true;
    deliver(&w, 0, 2);
    wait_seen(&w, 1);
    run_turns(w.loop);
    assert_int_equal(w.seen_count, 1); /* what was fetched is read again */
    assert_int_equal(w.bus.seeks, 2);
    assert_int_equal(w.bus.sought, CW_BUS_COMMITTED);
    assert_int_equal(w.bus.commits, 0);
    deliver(&w, 0, 2);
    wait_seen(&w, 4);
    run_turns(w.loop);
    assert_int_equal(w.bus.committed, 3); /* the journal's offsets are forgotten */
    end(&w);
}

/* What it says of the group is there for the journal; see begin_from. */
static void commit_is_told_to_the_journal_before_and_after(void **state)
{
    struct world w;

    (void)state;
    begin_with_journal(&w, 8, -1, -1);
    assert_string_equal(w.bus.sub.note, "cwhisk 1");
    w.bus.hold_commits = true;
    deliver(&w, 4, 4);
    wait_seen(&w, 1);
    run_turns(w.loop);
    assert_int_equal(w.kept_at, 5);
    assert_int_equal(w.told_at, 0);
    w.bus.hold_commits = false;
    fake_bus_release(&w.bus);
    run_turns(w.loop);
    assert_int_equal(w.told_at, 5);
    w.bus.sub.on_assigned(w.feed, false);
    w.bus.position = (struct cw_bus_position){7, "somebody"};
    w.bus.sub.on_assigned(w.feed, true);
    end(&w);
}

/* The answer to one that was sent before does not mean that no other is under way. */
static void commit_that_comes_while_leaving_is_not_told(void **state)
{
    struct world w;

    (void)state;
    begin_with_journal(&w, 8, -1, -1);
    w.bus.hold_commits = true;
    deliver(&w, 0, 0);
    wait_seen(&w, 1);
    run_turns(w.loop);
    inv_feed_stop(w.feed);
    inv_feed_leave(w.feed, 1, on_left);
    fake_bus_release(&w.bus);
    run_turns(w.loop);
    assert_true(w.left);
    assert_int_equal(w.told_at, 0);
    end(&w);
}

static bool restarted(void *arg)
{
    const struct world *w = arg;

    return w->bus.sought == CW_BUS_COMMITTED;
}

static void topic_that_ends_too_early_is_read_from_the_groups_commit(void **state)
{
    struct world w;

    (void)state;
    begin_with_journal(&w, 8, 3, 6);
    w.foreign_end = 3;
    w.bus.end_offset = 4; /* of the topic that was */
    w.wanted = 1;
    assert_false(cw_loop_run_until(w.loop, restarted, &w, 700));
    assert_int_equal(w.looks, 1);
    w.bus.end_offset = 3;
    assert_true(cw_loop_run_until(w.loop, restarted, &w, WAIT_MS));
    end(&w);
}

/* The commit is whoever's it is now. */
static void nothing_is_left_of_what_is_not_ours_any_more(void **state)
{
    struct world w;
    unsigned commits;

    (void)state;
    for (int journal = 0; journal < 2; journal++) {
        if (journal)
            begin_with_journal(&w, 3, -1, -1);
        else
            begin(&w, 3, UNBOUNDED);
        deliver(&w, 0, 2);
        run_turns(w.loop);
        w.bus.sub.on_assigned(w.feed, false);
        inv_feed_stop(w.feed);
        commits = w.bus.commits;
        inv_feed_leave(w.feed, 1, on_left);
        run_turns(w.loop);
        assert_true(w.leave_failed);
        assert_int_equal(w.bus.commits, commits);
        end(&w);
    }
}

static void revoked_partition_drops_all_that_was_not_handed_out(void **state)
{
    struct world w;

    (void)state;
    begin_with_journal(&w, 2, -1, -1);
    deliver(&w, 0, 3);
    run_turns(w.loop);
    w.bus.sub.on_assigned(w.feed, false);
    assert_int_equal(inv_feed_queued(w.feed), 0);
    w.begin = 0;
    w.known = 2;
    w.bus.sub.on_assigned(w.feed, true);
    assert_int_equal(w.bus.sought, 0);
    end(&w);
}

static void what_is_left_is_read_by_the_next_one(void **state)
{
    struct world w;

    (void)state;
    for (int journal = 0; journal < 2; journal++) {
        if (journal)
            begin_with_journal(&w, 3, -1, -1);
        else
            begin(&w, 3, UNBOUNDED);
        deliver(&w, 0, 5);
        run_turns(w.loop);
        inv_feed_stop(w.feed);
        inv_feed_leave(w.feed, 1, on_left);
        assert_false(w.left);
        w.credit_at_once = true;
        inv_feed_credit(w.feed, 1);
        run_turns(w.loop);
        assert_true(w.left);
        assert_false(w.leave_failed);
        assert_int_equal(w.bus.committed, 1);
        assert_int_equal(w.seen_count, 3);
        assert_int_equal(inv_feed_queued(w.feed), 0);
        end(&w);
    }
}

static void journal_is_kept_before_the_rest_is_left(void **state)
{
    struct world w;
    unsigned kept;

    (void)state;
    begin_with_journal(&w, 1, -1, -1);
    deliver(&w, 0, 2);
    run_turns(w.loop);
    inv_feed_stop(w.feed);
    kept = w.kept;
    inv_feed_leave(w.feed, 0, on_left);
    assert_int_equal(w.kept, kept + 1);
    run_turns(w.loop);
    assert_true(w.left);
    assert_false(w.leave_failed);
    assert_int_equal(w.bus.committed, 0);
    end(&w);
}

static void nothing_is_left_with_a_journal_that_cannot_be_written(void **state)
{
    struct world w;
    int64_t committed;

    (void)state;
    begin_with_journal(&w, 1, -1, -1);
    deliver(&w, 0, 2);
    run_turns(w.loop);
    committed = w.bus.committed;
    inv_feed_stop(w.feed);
    w.keep_fails = true;
    inv_feed_leave(w.feed, 0, on_left);
    run_turns(w.loop);
    assert_true(w.leave_failed);
    assert_int_equal(w.bus.committed, committed);
    end(&w);
}

static void commit_stays_where_nothing_was_handed_out_with_a_journal(void **state)
{
    struct world w;

    (void)state;
    begin_with_journal(&w, 1, 3, 6);
    inv_feed_hold(w.feed, true);
    deliver(&w, 3, 4);
    run_turns(w.loop);
    inv_feed_stop(w.feed);
    inv_feed_leave(w.feed, -1, on_left);
    run_turns(w.loop);
    assert_true(w.left);
    assert_false(w.leave_failed);
    assert_int_equal(w.bus.commits, 0);
    assert_int_equal(inv_feed_queued(w.feed), 0);
    end(&w);
}

static void what_cannot_be_left_is_handed_out(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 3, UNBOUNDED);
    deliver(&w, 0, 4);
    run_turns(w.loop);
    inv_feed_stop(w.feed);
    w.bus.commit_failures = 1;
    w.credit_at_once = true;
    inv_feed_leave(w.feed, 1, on_left);
    inv_feed_credit(w.feed, 1);
    wait_seen(&w, 5);
    assert_true(w.leave_failed);
    expect_seen(&w, 0, 4);
    end(&w);
}

static void leaving_when_nothing_was_handed_out_gives_all_back(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 3, UNBOUNDED);
    inv_feed_hold(w.feed, true);
    deliver(&w, 7, 9);
    run_turns(w.loop);
    assert_int_equal(w.bus.committed, 10);
    inv_feed_stop(w.feed);
    inv_feed_leave(w.feed, -1, on_left);
    run_turns(w.loop);
    assert_int_equal(w.bus.committed, 7);
    end(&w);
    begin(&w, 3, UNBOUNDED);
    inv_feed_stop(w.feed);
    inv_feed_leave(w.feed, -1, on_left); /* nothing at all */
    assert_true(w.left);
    assert_int_equal(w.bus.commits, 0);
    end(&w);
}

static void begin_local(struct world *w, size_t capacity, size_t max_bytes)
{
    begin_without_feed(w, capacity, max_bytes);
    w->local = cw_local_bus_new(w->loop, UNBOUNDED);
    w->feed = make_feed(w, NULL);
    assert_non_null(w->feed);
}

static void publish_numbers(struct world *w, int from, int to)
{
    for (int i = from; i < to; i++) {
        char text[16];
        int n = snprintf(text, sizeof(text), "%d", i);

        cw_bus_publish(w->local, "invoker0", cw_slice(text, (size_t)n), NULL, NULL);
    }
}

static void everything_comes_through_in_order_with_few_credits(void **state)
{
    struct world w;

    (void)state;
    begin_local(&w, 4, 40);
    w.credit_later = true;
    publish_numbers(&w, 0, 500);
    wait_seen(&w, 250);
    publish_numbers(&w, 500, 1000);
    wait_seen(&w, 1000);
    run_turns(w.loop);
    expect_seen(&w, 0, 999);
    assert_string_equal(w.last, "999");
    assert_int_equal(inv_feed_handed_out(w.feed), 0);
    assert_int_equal(inv_feed_lag(w.feed), 0);
    end(&w);
}

static bool nothing_queued(void *arg)
{
    return inv_feed_queued(((struct world *)arg)->feed) == 0;
}

static void successor_reads_on_where_a_stopped_feed_ended(void **state)
{
    struct world w;

    (void)state;
    begin_local(&w, 2, UNBOUNDED);
    w.credit_later = true;
    publish_numbers(&w, 0, 100);
    wait_seen(&w, 30);
    inv_feed_stop(w.feed);
    assert_true(cw_loop_run_until(w.loop, nothing_queued, &w, WAIT_MS));
    run_turns(w.loop);
    assert_true(w.seen_count < 100);
    inv_feed_free(w.feed);
    w.feed = make_feed(&w, NULL);
    wait_seen(&w, 100);
    run_turns(w.loop);
    expect_seen(&w, 0, 99); /* none lost, none twice */
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_journal_nothing_waits_for_its_commit),
        cmocka_unit_test(only_what_was_handed_out_is_committed),
        cmocka_unit_test(reading_begins_where_the_journal_says_and_no_commit_goes_back),
        cmocka_unit_test(nothing_is_committed_that_the_journal_did_not_keep),
        cmocka_unit_test(another_topic_is_read_from_the_groups_commit),
        cmocka_unit_test(commit_is_told_to_the_journal_before_and_after),
        cmocka_unit_test(commit_that_comes_while_leaving_is_not_told),
        cmocka_unit_test(topic_that_ends_too_early_is_read_from_the_groups_commit),
        cmocka_unit_test(nothing_is_left_of_what_is_not_ours_any_more),
        cmocka_unit_test(revoked_partition_drops_all_that_was_not_handed_out),
        cmocka_unit_test(what_is_left_is_read_by_the_next_one),
        cmocka_unit_test(journal_is_kept_before_the_rest_is_left),
        cmocka_unit_test(nothing_is_left_with_a_journal_that_cannot_be_written),
        cmocka_unit_test(commit_stays_where_nothing_was_handed_out_with_a_journal),
        cmocka_unit_test(what_cannot_be_left_is_handed_out),
        cmocka_unit_test(leaving_when_nothing_was_handed_out_gives_all_back),
        cmocka_unit_test(subscribes_with_the_group_and_client_id_of_stock),
        cmocka_unit_test(refused_subscription_is_an_error),
        cmocka_unit_test(message_is_handed_out_only_after_its_commit),
        cmocka_unit_test(what_is_dealt_with_on_arrival_is_kept_committed_and_not_handed_out),
        cmocka_unit_test(empty_message_is_handed_out_too),
        cmocka_unit_test(those_that_come_during_a_commit_share_the_next_one),
        cmocka_unit_test(credits_bound_what_is_with_the_handler),
        cmocka_unit_test(credits_too_many_do_not_add_up),
        cmocka_unit_test(credit_given_while_being_handed_out_counts),
        cmocka_unit_test(bytes_bound_what_is_with_the_handler),
        cmocka_unit_test(message_over_the_bound_goes_alone),
        cmocka_unit_test(credit_for_too_few_bytes_does_not_stall),
        cmocka_unit_test(taking_pauses_over_the_count_and_resumes),
        cmocka_unit_test(taking_pauses_over_the_bytes_and_resumes),
        cmocka_unit_test(new_assignment_stays_paused_while_full),
        cmocka_unit_test(failed_commit_is_tried_again_in_order),
        cmocka_unit_test(revoked_partition_drops_what_is_not_committed),
        cmocka_unit_test(commit_that_fails_after_a_revocation_is_given_up),
        cmocka_unit_test(commit_under_a_new_assignment_is_tried_again),
        cmocka_unit_test(pause_ends_when_a_revocation_makes_room),
        cmocka_unit_test(stop_keeps_what_is_committed_and_drops_the_rest),
        cmocka_unit_test(commit_that_fails_after_the_stop_is_given_up),
        cmocka_unit_test(stop_ends_the_retries_of_a_commit),
        cmocka_unit_test(held_feed_hands_nothing_out),
        cmocka_unit_test(lag_is_what_was_not_taken),
        cmocka_unit_test(age_of_messages_is_measured),
        cmocka_unit_test(feed_can_go_in_the_middle_of_a_commit),
        cmocka_unit_test(everything_comes_through_in_order_with_few_credits),
        cmocka_unit_test(successor_reads_on_where_a_stopped_feed_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
