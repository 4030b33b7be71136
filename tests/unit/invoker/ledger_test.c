/* What a successor is told of each message, over real files in a scratch directory: processes end
 * without a word between the steps. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/base/disk.h"
#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/ledger.h"
#include "tests/support/scratch.h"
#include "tests/support/turns.h"

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    char dir[SCRATCH_MAX];
    struct inv_ledger *ledger;
    int fulls;
    bool full;
    struct cw_disk disk; /* the machine's, but for write */
    bool broken;
    int64_t tickets[64];
    int64_t commit; /* the group's; -1: none */
};

static struct world *world_of(const struct cw_disk *disk)
{
    return CW_CONTAINER_OF((struct cw_disk *)(uintptr_t)disk, struct world, disk);
}

static ssize_t write_or_fail(const struct cw_disk *disk, int fd, const struct iovec *iov, int count,
                             int64_t at)
{
    const struct cw_disk *real = cw_disk_files();

    return world_of(disk)->broken ? -5 : real->write(real, fd, iov, count, at);
}

static void on_full(void *arg, bool full)
{
    struct world *w = arg;

    w->fulls++;
    w->full = full;
}

static void open_ledger(struct world *w, const char *topic)
{
    struct cw_err err = {0};

    w->ledger = inv_ledger_new(&(struct inv_ledger_conf){.loop = w->loop,
                                                         .metrics = w->metrics,
                                                         .disk = &w->disk,
                                                         .dir = w->dir,
                                                         .topic = topic,
                                                         .on_full = on_full,
                                                         .arg = w});
    if (inv_ledger_open(w->ledger, &err) != 0)
        fail_msg("%s", err.msg);
}

static void begin(struct world *w)
{
    *w = (struct world){.loop = cw_loop_new(NULL, NULL), .metrics = cw_metrics_new(), .commit = -1};
    scratch_make(w->dir);
    w->disk = *cw_disk_files();
    w->disk.write = write_or_fail;
    open_ledger(w, "invoker0");
}

static void end(struct world *w)
{
    inv_ledger_free(w->ledger);
    scratch_remove(w->dir);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
}

/* What is only buffered is gone, as after SIGKILL. */
static void crash(struct world *w)
{
    w->broken = true;
    inv_ledger_free(w->ledger);
    w->broken = false;
    open_ledger(w, "invoker0");
}

static const char *id_of(int64_t offset, char generation)
{
    static char text[33];

    (void)snprintf(text, sizeof(text), "%c%031x", generation, (unsigned)offset);
    return text;
}

static enum inv_verdict take(struct world *w, int64_t offset)
{
    return inv_ledger_take(w->ledger, offset, id_of(offset, 'a'), &w->tickets[offset]);
}

static void start(struct world *w, int64_t offset)
{
    struct cw_err err = {0};

    assert_int_equal(inv_ledger_start(w->ledger, w->tickets[offset], &err), 0);
}

static void finish(struct world *w, int64_t offset)
{
    inv_ledger_stored(w->ledger, w->tickets[offset]);
    inv_ledger_acked(w->ledger, w->tickets[offset]);
}

static void keep(struct world *w)
{
    struct cw_err err = {0};

    assert_int_equal(inv_ledger_keep(w->ledger, w->commit, &err), 0);
}

/* The next commit that is told goes there. */
static void commit(struct world *w, int64_t offset, bool confirmed)
{
    w->commit = offset;
    keep(w);
    if (confirmed)
        inv_ledger_committed(w->ledger, offset);
    run_turns(w->loop);
}

static void begin_after(struct world *w, struct cw_bus_position commit, int64_t offset,
                        int64_t known)
{
    int64_t got;

    assert_int_equal(inv_ledger_begin(w->ledger, &commit, &got), offset);
    assert_int_equal(got, known);
}

/* Nobody but us committed. */
static void begin_at(struct world *w, int64_t offset, int64_t known)
{
    struct cw_bus_position commit = {w->commit, w->commit < 0 ? "" : inv_ledger_note(w->ledger)};

    begin_after(w, commit, offset, known);
}

/* ---- tests ---- */

static void without_a_directory_everything_is_to_run(void **state)
{
    struct world w;
    struct cw_err err = {0};
    int64_t ticket, known;

    (void)state;
    begin(&w);
    inv_ledger_free(w.ledger);
    w.ledger = inv_ledger_new(&(struct inv_ledger_conf){
        .loop = w.loop, .metrics = w.metrics, .dir = "", .topic = "invoker0"});
    assert_int_equal(inv_ledger_open(w.ledger, &err), 0);
    assert_false(inv_ledger_keeps(w.ledger));
    assert_null(inv_ledger_note(w.ledger));
    assert_int_equal(inv_ledger_begin(w.ledger, &(struct cw_bus_position){3, ""}, &known), -1);
    assert_int_equal(known, -1);
    for (int again = 0; again < 2; again++)
        assert_int_equal(inv_ledger_take(w.ledger, 5, id_of(5, 'a'), &ticket), INV_RUN);
    assert_int_equal(ticket, INV_NO_TICKET);
    assert_int_equal(inv_ledger_start(w.ledger, ticket, &err), 0);
    inv_ledger_acked(w.ledger, ticket);
    inv_ledger_stored(w.ledger, ticket);
    assert_int_equal(inv_ledger_undone(w.ledger), 0);
    end(&w);
}

static void successor_runs_answers_or_skips(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    begin_at(&w, -1, -1);
    for (int64_t i = 0; i < 6; i++)
        assert_int_equal(take(&w, i), INV_RUN);
    start(&w, 1);
    start(&w, 2);
    finish(&w, 2);
    start(&w, 4);
    finish(&w, 4);
    keep(&w);
    crash(&w);
    begin_at(&w, 0, 6);
    assert_int_equal(inv_ledger_left(w.ledger), 4);
    assert_int_equal(take(&w, 0), INV_RUN);
    assert_int_equal(take(&w, 1), INV_ANSWER);
    assert_int_equal(take(&w, 2), INV_SKIP);
    assert_int_equal(take(&w, 3), INV_RUN);
    assert_int_equal(take(&w, 4), INV_SKIP);
    assert_int_equal(take(&w, 5), INV_RUN);
    assert_int_equal(take(&w, 6), INV_RUN);
    assert_int_equal(w.tickets[2], INV_NO_TICKET);
    assert_int_equal(inv_ledger_left(w.ledger), 0);
    assert_int_equal(inv_ledger_undone(w.ledger), 5);
    end(&w);
}

/* ---- forwarded ---- */

struct left {
    struct world *w;
    char text[256];
    int64_t tickets[8];
    size_t count;
};

static void on_left(void *arg, int64_t ticket, const char *id, const struct inv_journal_peer *peer)
{
    struct left *left = arg;
    size_t n = strlen(left->text);

    assert_string_equal(id, id_of(inv_ledger_offset(left->w->ledger, ticket), 'a'));
    left->tickets[left->count++] = ticket;
    (void)snprintf(left->text + n, sizeof(left->text) - n, "%s%d at %d/%x", n ? ", " : "",
                   (int)inv_ledger_offset(left->w->ledger, ticket), (int)peer->id,
                   (unsigned)peer->boot);
}

static void forward(struct world *w, int64_t offset)
{
    const struct inv_journal_peer peer = {.id = 7, .boot = 0xb007};

    start(w, offset);
    inv_ledger_forwarded(w->ledger, w->tickets[offset], &peer);
}

static void expect_left(struct world *w, const char *text, struct left *left)
{
    *left = (struct left){.w = w};
    inv_ledger_forwarded_left(w->ledger, on_left, left);
    assert_string_equal(left->text, text);
}

static void successor_is_told_what_was_forwarded_and_waits_for_it(void **state)
{
    struct left left;
    struct world w;

    (void)state;
    begin(&w);
    for (int64_t i = 0; i < 4; i++)
        take(&w, i);
    forward(&w, 0);
    forward(&w, 2);
    forward(&w, 3);
    finish(&w, 3);
    run_turns(w.loop);
    crash(&w);
    expect_left(&w, "0 at 7/b007, 2 at 7/b007", &left);
    begin_at(&w, 0, 4);
    assert_int_equal(take(&w, 0), INV_AWAY);
    assert_int_equal(w.tickets[0], left.tickets[0]);
    assert_int_equal(take(&w, 1), INV_RUN);
    assert_int_equal(take(&w, 2), INV_AWAY);
    finish(&w, 2);
    run_turns(w.loop);
    crash(&w); /* and its successor */
    expect_left(&w, "0 at 7/b007", &left);
    end(&w);
}

static void end_that_is_told_before_the_message_is_read_again_counts(void **state)
{
    struct left left;
    struct world w;

    (void)state;
    begin(&w);
    for (int64_t i = 0; i < 3; i++) {
        take(&w, i);
        forward(&w, i);
    }
    run_turns(w.loop);
    crash(&w);
    expect_left(&w, "0 at 7/b007, 1 at 7/b007, 2 at 7/b007", &left);
    inv_ledger_acked(w.ledger, left.tickets[1]);
    inv_ledger_stored(w.ledger, left.tickets[1]);
    inv_ledger_returned(w.ledger, left.tickets[2]);
    assert_int_equal(inv_ledger_left(w.ledger), 2);
    begin_at(&w, 0, 3);
    assert_int_equal(take(&w, 0), INV_AWAY);
    assert_int_equal(take(&w, 1), INV_SKIP);
    assert_int_equal(take(&w, 2), INV_RUN_HERE);
    assert_int_equal(inv_ledger_left(w.ledger), 0);
    end(&w);
}

/* What is read next need not be what is undone now. */
static void
end_that_is_told_before_the_first_message_does_not_make_the_topic_another_one(void **state)
{
    struct left left;
    struct world w;

    (void)state;
    begin(&w);
    take(&w, 0);
    forward(&w, 0);
    take(&w, 1);
    run_turns(w.loop);
    crash(&w);
    expect_left(&w, "0 at 7/b007", &left);
    begin_at(&w, 0, 2);
    inv_ledger_acked(w.ledger, left.tickets[0]);
    inv_ledger_stored(w.ledger, left.tickets[0]);
    assert_int_equal(take(&w, 0), INV_SKIP);
    assert_int_equal(take(&w, 1), INV_RUN);
    end(&w);
}

static void what_came_back_is_not_forwarded_again_by_any_successor(void **state)
{
    struct left left;
    struct world w;

    (void)state;
    begin(&w);
    take(&w, 0);
    forward(&w, 0);
    inv_ledger_returned(w.ledger, w.tickets[0]);
    for (int again = 0; again < 2; again++) {
        struct cw_err err = {0};

        assert_int_equal(inv_ledger_flush(w.ledger, &err), 0);
        crash(&w);
        expect_left(&w, "", &left);
        begin_at(&w, 0, 1);
        assert_int_equal(take(&w, 0), INV_RUN_HERE);
    }
    start(&w, 0);
    crash(&w);
    begin_at(&w, 0, 1);
    assert_int_equal(take(&w, 0), INV_ANSWER);
    end(&w);
}

/* If it came back it could not be run. */
static void what_was_forwarded_and_perhaps_run_by_others_is_answered(void **state)
{
    struct world w;
    struct left left;

    (void)state;
    begin(&w);
    begin_at(&w, -1, -1);
    for (int64_t i = 0; i < 3; i++)
        take(&w, i);
    forward(&w, 0);
    start(&w, 1);
    commit(&w, 2, false);
    forward(&w, 2);
    run_turns(w.loop);
    crash(&w);
    expect_left(&w, "0 at 7/b007, 2 at 7/b007", &left);
    begin_after(&w, (struct cw_bus_position){3, "somebody else's"}, 0, 3);
    inv_ledger_returned(w.ledger, left.tickets[0]);
    assert_int_equal(take(&w, 0), INV_ANSWER);
    assert_int_equal(take(&w, 1), INV_ANSWER);
    assert_int_equal(take(&w, 2), INV_SKIP); /* that one took it for certain */
    end(&w);
}

static void start_reaches_the_kernel_at_once(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    take(&w, 0);
    start(&w, 0);
    crash(&w);
    begin_at(&w, 0, 1);
    assert_int_equal(take(&w, 0), INV_ANSWER);
    end(&w);
}

static void done_needs_ack_and_record_and_is_written_at_the_end_of_the_turn(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    for (int64_t i = 0; i < 3; i++) {
        take(&w, i);
        start(&w, i);
    }
    inv_ledger_acked(w.ledger, w.tickets[0]);
    inv_ledger_stored(w.ledger, w.tickets[1]);
    finish(&w, 2);
    run_turns(w.loop);
    crash(&w);
    begin_at(&w, 0, 3);
    assert_int_equal(take(&w, 0), INV_ANSWER);
    assert_int_equal(take(&w, 1), INV_ANSWER);
    assert_int_equal(take(&w, 2), INV_SKIP);
    end(&w);
}

static void what_is_in_our_hands_is_not_taken_again(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    take(&w, 0);
    take(&w, 1);
    begin_at(&w, 0, 2); /* assigned again */
    assert_int_equal(take(&w, 0), INV_SKIP);
    assert_int_equal(take(&w, 1), INV_SKIP);
    assert_int_equal(take(&w, 2), INV_RUN);
    end(&w);
}

static void another_topic_of_that_name_is_recognised(void **state)
{
    struct world w;
    int64_t ticket, old;

    (void)state;
    begin(&w);
    for (int64_t i = 0; i < 4; i++)
        take(&w, i);
    keep(&w);
    crash(&w);
    begin_at(&w, 0, 4);
    assert_int_equal(inv_ledger_take(w.ledger, 0, id_of(0, 'b'), &ticket), INV_FOREIGN);
    assert_int_equal(ticket, INV_NO_TICKET);
    assert_int_equal(inv_ledger_undone(w.ledger), 0);
    begin_at(&w, -1, -1);
    for (int64_t i = 0; i < 4; i++)
        assert_int_equal(inv_ledger_take(w.ledger, i, id_of(i, 'b'), &ticket), INV_RUN);
    run_turns(w.loop);
    crash(&w);
    begin_at(&w, 0, 4);
    assert_int_equal(inv_ledger_take(w.ledger, 0, id_of(0, 'b'), &old), INV_RUN);
    end(&w);
}

static void when_all_is_done_the_last_message_tells_the_topic(void **state)
{
    struct world w;
    int64_t ticket;

    (void)state;
    begin(&w);
    for (int64_t i = 0; i < 3; i++) {
        take(&w, i);
        finish(&w, i);
    }
    run_turns(w.loop);
    crash(&w);
    begin_at(&w, 2, 3);
    assert_int_equal(take(&w, 2), INV_SKIP);
    assert_int_equal(take(&w, 3), INV_RUN);
    finish(&w, 3);
    run_turns(w.loop);
    crash(&w);
    begin_at(&w, 3, 4);
    assert_int_equal(inv_ledger_take(w.ledger, 3, id_of(3, 'b'), &ticket), INV_FOREIGN);
    end(&w);
}

static void topic_that_begins_anew_while_it_is_read_is_another_one(void **state)
{
    struct world w;
    int64_t ticket;

    (void)state;
    begin(&w);
    for (int64_t i = 0; i < 4; i++) {
        take(&w, i);
        finish(&w, i);
    }
    run_turns(w.loop);
    assert_int_equal(inv_ledger_take(w.ledger, 0, id_of(0, 'b'), &ticket), INV_FOREIGN);
    for (int64_t i = 0; i < 4; i++)
        assert_int_equal(inv_ledger_take(w.ledger, i, id_of(i, 'b'), &ticket), INV_RUN);
    end(&w);
}

static void tickets_of_another_topic_change_nothing(void **state)
{
    struct world w;
    int64_t old;

    (void)state;
    begin(&w);
    take(&w, 0);
    old = w.tickets[0];
    begin_at(&w, 0, 1);
    assert_int_equal(inv_ledger_take(w.ledger, 0, id_of(0, 'b'), &w.tickets[0]), INV_FOREIGN);
    assert_int_equal(inv_ledger_take(w.ledger, 0, id_of(0, 'b'), &w.tickets[0]), INV_RUN);
    assert_int_equal(inv_ledger_offset(w.ledger, old), -1);
    assert_int_equal(inv_ledger_offset(w.ledger, w.tickets[0]), 0);
    inv_ledger_acked(w.ledger, old);
    inv_ledger_stored(w.ledger, old);
    assert_int_equal(inv_ledger_undone(w.ledger), 1);
    finish(&w, 0);
    assert_int_equal(inv_ledger_undone(w.ledger), 0);
    end(&w);
}

static void what_retention_took_is_given_up_and_the_rest_goes_on(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    for (int64_t i = 0; i < 5; i++)
        take(&w, i);
    start(&w, 4);
    crash(&w);
    begin_at(&w, 0, 5);
    assert_int_equal(take(&w, 3), INV_RUN); /* 0 to 2 are gone */
    assert_int_equal(inv_ledger_undone(w.ledger), 2);
    assert_int_equal(take(&w, 4), INV_ANSWER);
    assert_int_equal(take(&w, 5), INV_RUN);
    end(&w);
}

static void unreadable_messages_have_a_place_too(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    assert_int_equal(inv_ledger_take(w.ledger, 0, NULL, &w.tickets[0]), INV_RUN);
    keep(&w);
    crash(&w);
    begin_at(&w, 0, 1);
    assert_int_equal(inv_ledger_take(w.ledger, 0, NULL, &w.tickets[0]), INV_RUN);
    finish(&w, 0);
    assert_int_equal(inv_ledger_undone(w.ledger), 0);
    end(&w);
}

static void what_is_left_to_others_is_forgotten(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    for (int64_t i = 0; i < 6; i++)
        take(&w, i);
    start(&w, 2);
    finish(&w, 2);
    inv_ledger_leave(w.ledger, 3);
    run_turns(w.loop);
    crash(&w);
    w.commit = 3;
    begin_at(&w, 0, 3);
    assert_int_equal(take(&w, 0), INV_RUN);
    assert_int_equal(take(&w, 1), INV_RUN);
    assert_int_equal(take(&w, 2), INV_SKIP);
    assert_int_equal(take(&w, 3), INV_RUN);
    end(&w);
}

static void journal_that_has_nothing_undone_is_forgotten_once_the_rest_is_left(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    for (int64_t i = 0; i < 4; i++)
        take(&w, i);
    start(&w, 0);
    finish(&w, 1);
    inv_ledger_leave(w.ledger, 2);
    run_turns(w.loop);
    crash(&w);
    begin_at(&w, 0, 2); /* 0 is undone yet */
    assert_int_equal(take(&w, 0), INV_ANSWER);
    finish(&w, 0);
    inv_ledger_leave(w.ledger, 2);
    run_turns(w.loop);
    crash(&w);
    begin_at(&w, -1, -1);
    /* where the topic was made again meanwhile, nothing of it may count as done */
    assert_int_equal(inv_ledger_take(w.ledger, 0, id_of(0, 'b'), &w.tickets[0]), INV_RUN);
    end(&w);
}

static void journal_is_forgotten_with_the_last_answer_after_the_rest_was_left(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    for (int64_t i = 0; i < 3; i++)
        take(&w, i);
    start(&w, 0);
    inv_ledger_leave(w.ledger, 1);
    run_turns(w.loop);
    assert_int_equal(inv_ledger_undone(w.ledger), 1);
    finish(&w, 0);
    run_turns(w.loop);
    crash(&w);
    begin_at(&w, -1, -1);
    end(&w);
}

static void topic_is_in_doubt_until_the_first_message(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    begin_at(&w, -1, -1);
    assert_false(inv_ledger_checks(w.ledger)); /* nothing could be wrong */
    take(&w, 0);
    begin_at(&w, 0, 1);
    assert_true(inv_ledger_checks(w.ledger));
    assert_int_equal(take(&w, 0), INV_SKIP);
    assert_false(inv_ledger_checks(w.ledger));
    end(&w);
}

/* ---- what others did ---- */

/* 0..5 were taken, 0 and 3 started; the commit is at 2 for sure, and perhaps at 4. */
static void leave_in_all_states(struct world *w)
{
    begin(w);
    begin_at(w, -1, -1);
    for (int64_t i = 0; i < 6; i++)
        (void)take(w, i);
    commit(w, 2, true);
    start(w, 0);
    start(w, 3);
    commit(w, 4, false);
    crash(w);
}

static void nobody_came_between_two_commits_of_ours(void **state)
{
    struct world w;

    (void)state;
    for (int64_t at = 2; at <= 4; at += 2) {
        leave_in_all_states(&w);
        w.commit = at;
        begin_at(&w, 0, 6);
        assert_int_equal(take(&w, 0), INV_ANSWER);
        for (int64_t i = 1; i < 6; i++)
            assert_int_equal(take(&w, i), i == 3 ? INV_ANSWER : INV_RUN);
        end(&w);
    }
}

static void what_others_took_is_theirs_and_what_they_may_have_is_answered(void **state)
{
    struct world w;

    (void)state;
    leave_in_all_states(&w);
    begin_after(&w, (struct cw_bus_position){5, ""}, 0, 6);
    assert_int_equal(inv_ledger_left(w.ledger), 5);
    assert_int_equal(take(&w, 0), INV_ANSWER);
    assert_int_equal(take(&w, 1), INV_RUN); /* behind where they can have begun */
    assert_int_equal(take(&w, 2), INV_ANSWER);
    assert_int_equal(take(&w, 3), INV_ANSWER);
    assert_int_equal(take(&w, 4), INV_SKIP); /* no commit of ours was ever behind it */
    assert_int_equal(take(&w, 5), INV_RUN);
    end(&w);
}

static void what_they_read_further_than_we_is_not_read_again(void **state)
{
    struct world w;

    (void)state;
    leave_in_all_states(&w);
    begin_after(&w, (struct cw_bus_position){9, "cwhisk 0123456789abcdef"}, 0, 9);
    for (int64_t i = 0; i < 4; i++)
        assert_int_equal(take(&w, i), i == 1 ? INV_RUN : INV_ANSWER);
    for (int64_t i = 4; i < 9; i++)
        assert_int_equal(take(&w, i), INV_SKIP);
    assert_int_equal(take(&w, 9), INV_RUN);
    end(&w);
}

/* Before any commit of ours, everything is. */
static void what_others_did_is_decided_once(void **state)
{
    struct world w;

    (void)state;
    leave_in_all_states(&w);
    begin_after(&w, (struct cw_bus_position){9, ""}, 0, 9);
    keep(&w); /* a commit of ours is sent */
    crash(&w);
    w.commit = 9;
    begin_at(&w, 0, 9);
    for (int64_t i = 0; i < 4; i++)
        assert_int_equal(take(&w, i), i == 1 ? INV_RUN : INV_ANSWER);
    assert_int_equal(take(&w, 4), INV_SKIP);
    end(&w);
}

static void when_all_is_done_reading_begins_where_others_ended(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    begin_at(&w, -1, -1);
    take(&w, 0);
    commit(&w, 1, true);
    finish(&w, 0);
    run_turns(w.loop);
    crash(&w);
    begin_after(&w, (struct cw_bus_position){4, ""}, -1, -1);
    assert_false(inv_ledger_checks(w.ledger));
    assert_int_equal(take(&w, 4), INV_RUN);
    end(&w);
}

/* Of a backup, or of a machine that died with it in its caches. */
static void journal_that_is_behind_our_own_commit_runs_nothing_below_it(void **state)
{
    struct world w;

    (void)state;
    leave_in_all_states(&w);
    w.commit = 5;
    begin_at(&w, 0, 6);
    for (int64_t i = 0; i < 5; i++)
        assert_int_equal(take(&w, i), INV_ANSWER);
    assert_int_equal(take(&w, 5), INV_RUN);
    end(&w);
}

static void commit_that_was_set_back_or_forgotten_makes_all_doubtful(void **state)
{
    struct world w;

    (void)state;
    leave_in_all_states(&w);
    begin_after(&w, (struct cw_bus_position){1, ""}, 0, 6);
    assert_int_equal(take(&w, 0), INV_ANSWER);
    assert_int_equal(take(&w, 1), INV_RUN);
    end(&w);
    leave_in_all_states(&w);
    begin_after(&w, (struct cw_bus_position){-1, ""}, 0, 6);
    for (int64_t i = 0; i < 6; i++)
        assert_int_equal(take(&w, i), INV_ANSWER);
    end(&w);
}

/* The broker takes what we hold for somebody else's after a rebalance. */
static void what_is_in_our_hands_stays_there_whoever_came(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    begin_at(&w, -1, -1);
    for (int64_t i = 0; i < 3; i++)
        (void)take(&w, i);
    commit(&w, 1, true);
    begin_after(&w, (struct cw_bus_position){3, ""}, 0, 3);
    for (int64_t i = 0; i < 3; i++)
        assert_int_equal(take(&w, i), INV_SKIP);
    assert_int_equal(inv_ledger_undone(w.ledger), 3);
    keep(&w);
    crash(&w); /* with them: now nobody knows */
    w.commit = 3;
    begin_at(&w, 0, 3);
    assert_int_equal(take(&w, 0), INV_RUN);
    assert_int_equal(take(&w, 1), INV_ANSWER);
    assert_int_equal(take(&w, 2), INV_ANSWER);
    end(&w);
}

static void topic_that_ends_where_the_journals_goes_on_is_another_one(void **state)
{
    struct world w;

    (void)state;
    leave_in_all_states(&w);
    begin_after(&w, (struct cw_bus_position){2, inv_ledger_note(w.ledger)}, 0, 6);
    assert_false(inv_ledger_ends(w.ledger, 0)); /* a broker that has just begun may say so */
    begin_after(&w, (struct cw_bus_position){-1, ""}, 0, 6);
    assert_false(inv_ledger_ends(w.ledger, 1));
    assert_true(inv_ledger_ends(w.ledger, 0));
    assert_false(inv_ledger_checks(w.ledger));
    assert_int_equal(take(&w, 0), INV_RUN);
    end(&w);
}

static void journal_that_cannot_be_written_stops_new_work(void **state)
{
    struct world w;
    struct cw_err err = {0};

    (void)state;
    begin(&w);
    take(&w, 0);
    take(&w, 1);
    w.broken = true;
    assert_int_equal(inv_ledger_start(w.ledger, w.tickets[0], &err), -1);
    assert_non_null(strstr(err.msg, "journal"));
    assert_false(w.full); /* not inside the call */
    run_turns(w.loop);
    assert_true(w.full);
    w.broken = false;
    start(&w, 1); /* tells that it works again */
    finish(&w, 0);
    run_turns(w.loop);
    assert_false(w.full);
    assert_int_equal(w.fulls, 2);
    end(&w);
}

static void too_much_undone_work_stops_taking(void **state)
{
    struct world w;
    int64_t i, ticket, *tickets = cw_calloc(100001, sizeof(*tickets));

    (void)state;
    begin(&w);
    for (i = 0; i <= 100000; i++)
        assert_int_equal(inv_ledger_take(w.ledger, i, id_of(i, 'a'), &tickets[i]), INV_RUN);
    run_turns(w.loop);
    assert_true(w.full);
    for (i = 0; i < 25001; i++) {
        ticket = tickets[i];
        inv_ledger_acked(w.ledger, ticket);
        inv_ledger_stored(w.ledger, ticket);
    }
    run_turns(w.loop);
    assert_false(w.full);
    assert_int_equal(w.fulls, 2);
    free(tickets);
    end(&w);
}

static void directory_that_is_not_there_is_named(void **state)
{
    struct world w;
    struct cw_err err = {0};

    (void)state;
    begin(&w);
    inv_ledger_free(w.ledger);
    w.ledger = inv_ledger_new(&(struct inv_ledger_conf){.loop = w.loop,
                                                        .metrics = w.metrics,
                                                        .disk = cw_disk_files(),
                                                        .dir = "/nowhere/at/all",
                                                        .topic = "invoker0"});
    assert_true(inv_ledger_keeps(w.ledger));
    assert_int_equal(inv_ledger_open(w.ledger, &err), -1);
    assert_non_null(strstr(err.msg, "/nowhere/at/all"));
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_directory_everything_is_to_run),
        cmocka_unit_test(successor_runs_answers_or_skips),
        cmocka_unit_test(successor_is_told_what_was_forwarded_and_waits_for_it),
        cmocka_unit_test(end_that_is_told_before_the_message_is_read_again_counts),
        cmocka_unit_test(
            end_that_is_told_before_the_first_message_does_not_make_the_topic_another_one),
        cmocka_unit_test(what_came_back_is_not_forwarded_again_by_any_successor),
        cmocka_unit_test(what_was_forwarded_and_perhaps_run_by_others_is_answered),
        cmocka_unit_test(start_reaches_the_kernel_at_once),
        cmocka_unit_test(done_needs_ack_and_record_and_is_written_at_the_end_of_the_turn),
        cmocka_unit_test(what_is_in_our_hands_is_not_taken_again),
        cmocka_unit_test(another_topic_of_that_name_is_recognised),
        cmocka_unit_test(when_all_is_done_the_last_message_tells_the_topic),
        cmocka_unit_test(topic_that_begins_anew_while_it_is_read_is_another_one),
        cmocka_unit_test(tickets_of_another_topic_change_nothing),
        cmocka_unit_test(what_retention_took_is_given_up_and_the_rest_goes_on),
        cmocka_unit_test(unreadable_messages_have_a_place_too),
        cmocka_unit_test(what_is_left_to_others_is_forgotten),
        cmocka_unit_test(journal_that_has_nothing_undone_is_forgotten_once_the_rest_is_left),
        cmocka_unit_test(journal_is_forgotten_with_the_last_answer_after_the_rest_was_left),
        cmocka_unit_test(topic_is_in_doubt_until_the_first_message),
        cmocka_unit_test(nobody_came_between_two_commits_of_ours),
        cmocka_unit_test(what_others_took_is_theirs_and_what_they_may_have_is_answered),
        cmocka_unit_test(what_they_read_further_than_we_is_not_read_again),
        cmocka_unit_test(what_others_did_is_decided_once),
        cmocka_unit_test(when_all_is_done_reading_begins_where_others_ended),
        cmocka_unit_test(journal_that_is_behind_our_own_commit_runs_nothing_below_it),
        cmocka_unit_test(commit_that_was_set_back_or_forgotten_makes_all_doubtful),
        cmocka_unit_test(what_is_in_our_hands_stays_there_whoever_came),
        cmocka_unit_test(topic_that_ends_where_the_journals_goes_on_is_another_one),
        cmocka_unit_test(journal_that_cannot_be_written_stops_new_work),
        cmocka_unit_test(too_much_undone_work_stops_taking),
        cmocka_unit_test(directory_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
