/* Records with a data directory: a store that is away, a disk that fails, and a process that ends.
 */
#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <unistd.h>

#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/job.h"
#include "invoker/records.h"
#include "invoker/settings.h"
#include "tests/support/fake_store.h"
#include "tests/support/jobs.h"
#include "tests/support/mem_disk.h"
#include "tests/support/turns.h"

enum { WAIT_MS = 20000, SPOOL_BYTES = 64 << 20, MEMORY_BYTES = 1 << 20 };

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct fake_store store;
    struct mem_disk *disk;
    struct inv_records *records;
    struct inv_records_conf conf;
    int fulls, rooms;
    size_t safe_count, wanted;
    int64_t last_safe;
    unsigned added, ordered; /* numbers in documents: given, seen in the store */
};

static void on_full(void *arg, bool full)
{
    struct world *w = arg;

    *(full ? &w->fulls : &w->rooms) += 1;
}

static void on_safe(void *arg, int64_t ticket)
{
    struct world *w = arg;

    w->safe_count++;
    w->last_safe = ticket;
}

static void start(struct world *w)
{
    struct cw_err err = {0};

    w->records = inv_records_new(&w->conf);
    if (inv_records_start(w->records, &err) != 0)
        fail_msg("%s", err.msg);
}

static void begin_on(struct world *w, struct mem_disk *disk, size_t max_bytes, int64_t spool_bytes)
{
    *w = (struct world){.loop = cw_loop_new(NULL, NULL), .metrics = cw_metrics_new(), .disk = disk};
    fake_store_init(&w->store, w->loop);
    w->conf = (struct inv_records_conf){
        .loop = w->loop,
        .store = &w->store.base,
        .metrics = w->metrics,
        .db = "activations",
        .max_bytes = max_bytes,
        .retry_ms = 1,
        .disk = &disk->base,
        .data_dir = "/data",
        .spool_name = "invoker0",
        .spool_bytes = spool_bytes,
        .on_full = on_full,
        .on_safe = on_safe,
        .arg = w,
    };
    start(w);
}

static void begin(struct world *w)
{
    begin_on(w, mem_disk_new(), MEMORY_BYTES, SPOOL_BYTES);
}

static void end_but_disk(struct world *w)
{
    inv_records_free(w->records);
    fake_store_done(&w->store);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
    assert_int_equal(w->disk->open_count, 0);
}

static void end(struct world *w)
{
    end_but_disk(w);
    mem_disk_free(w->disk);
}

/* The process is killed; `next` is its successor on what the disk holds at this moment. */
static void killed(struct world *w, struct world *next)
{
    struct mem_disk *disk = mem_disk_new();
    unsigned added = w->added;

    mem_disk_copy(disk, w->disk);
    end(w);
    begin_on(next, disk, MEMORY_BYTES, SPOOL_BYTES);
    next->added = added;
}

static void away(struct world *w)
{
    (void)cw_fail_retriable(&w->store.bulk_err, CW_UNAVAILABLE, "down");
    w->store.failures = UINT32_MAX;
}

static void back(struct world *w)
{
    w->store.failures = 0;
    fake_store_release(&w->store);
}

/* A record with so many bytes of logs, and the number by which order_of_store knows it. */
static void add_large(struct world *w, size_t bytes)
{
    struct inv_job *job =
        test_job(&(struct test_message){.id = "0123456789abcdef"[w->added % 16]}, NULL);
    cw_auto_free char *fill = cw_alloc(bytes + 1);

    memset(fill, 'x', bytes);
    job->ticket = w->added;
    inv_job_fail(job, CW_STATUS_SUCCESS, "result", 1000);
    cw_str_addf(&job->logs, "[\"number %06u\",\"%s\"]", w->added++, fill);
    inv_records_add(w->records, job);
    inv_job_free(job);
}

static void add(struct world *w)
{
    add_large(w, 10);
}

static bool all_done(void *arg)
{
    return inv_records_pending(((struct world *)arg)->records) == 0;
}

static void wait_all(struct world *w)
{
    assert_true(cw_loop_run_until(w->loop, all_done, w, WAIT_MS));
    run_turns(w->loop);
}

static bool has_safe(void *arg)
{
    struct world *w = arg;

    return w->safe_count >= w->wanted;
}

/* The store holds these and no others, each once, in order. */
static void expect_stored(struct world *w, unsigned from, unsigned count)
{
    const char *at = w->store.stored.p;
    char text[32];

    assert_int_equal(w->store.stored_count, count);
    for (unsigned i = from; i < from + count; i++) {
        (void)snprintf(text, sizeof(text), "number %06u", i);
        at = strstr(at, text);
        if (!at)
            fail_msg("%s is not there, or not in order", text);
    }
}

static double metric(struct world *w, const char *name)
{
    cw_auto_str struct cw_str text;
    char line[128];
    const char *at;

    cw_str_init(&text, 1 << 20);
    cw_metrics_render(w->metrics, &text);
    (void)snprintf(line, sizeof(line), "\n%s ", name);
    at = strstr(text.p, line);
    assert_non_null(at);
    return strtod(at + strlen(line), NULL);
}

/* ---- safe ---- */

static void record_is_safe_before_the_store_answers(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    w.store.hold = true;
    add(&w);
    assert_int_equal(inv_records_at_risk(w.records), 1);
    assert_int_equal(w.safe_count, 0);
    run_turns(w.loop);
    assert_int_equal(w.safe_count, 1);
    assert_int_equal(inv_records_at_risk(w.records), 0);
    assert_int_equal(inv_records_pending(w.records), 1);
    back(&w);
    wait_all(&w);
    assert_int_equal(w.safe_count, 1);
    end(&w);
}

static void records_of_one_turn_take_one_write(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    add(&w);
    wait_all(&w);
    w.disk->writes_seen = 0;
    w.store.hold = true;
    for (int i = 0; i < 50; i++)
        add(&w);
    run_turns(w.loop);
    assert_int_equal(w.disk->writes_seen, 1);
    assert_int_equal(w.disk->syncs, 0);
    assert_true(metric(&w, "cwhisk_records_spooled_total") == 51);
    assert_true(metric(&w, "cwhisk_spool_records") == 50);
    back(&w);
    wait_all(&w);
    assert_true(metric(&w, "cwhisk_spool_records") == 0);
    end(&w);
}

static void synchronous_spool_is_on_disk_before_a_record_is_safe(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    inv_records_free(w.records);
    w.conf.sync = true;
    start(&w);
    w.store.hold = true;
    w.disk->fail_sync = EIO;
    add(&w);
    run_turns(w.loop);
    assert_int_equal(w.safe_count, 0);
    w.disk->fail_sync = 0;
    w.wanted = 1;
    assert_true(cw_loop_run_until(w.loop, has_safe, &w, WAIT_MS));
    assert_true(w.disk->syncs > 0);
    end(&w);
}

static void record_added_last_is_in_the_spool_at_the_end(void **state)
{
    struct world w, next;

    (void)state;
    begin(&w);
    add(&w); /* no turn any more */
    end_but_disk(&w);
    begin_on(&next, w.disk, MEMORY_BYTES, SPOOL_BYTES);
    wait_all(&next);
    expect_stored(&next, 0, 1);
    end(&next);
}

/* ---- a store that is away ---- */

static void what_memory_does_not_hold_comes_back_in_order(void **state)
{
    struct world w;

    (void)state;
    begin_on(&w, mem_disk_new(), 20000, SPOOL_BYTES);
    away(&w);
    for (int i = 0; i < 300; i++) {
        add_large(&w, 700);
        if (i % 7 == 0)
            run_turns(w.loop);
    }
    run_turns(w.loop);
    assert_int_equal(w.safe_count, 300);
    assert_int_equal(inv_records_pending(w.records), 300);
    assert_int_equal(w.fulls, 0);
    back(&w);
    add_large(&w, 700);
    wait_all(&w);
    expect_stored(&w, 0, 301);
    assert_true(metric(&w, "cwhisk_spool_records") == 0);
    end(&w);
}

static void document_larger_than_all_memory_passes(void **state)
{
    struct world w;

    (void)state;
    begin_on(&w, mem_disk_new(), 20000, SPOOL_BYTES);
    add(&w);
    add_large(&w, 3 << 20);
    add(&w);
    wait_all(&w);
    expect_stored(&w, 0, 3);
    end(&w);
}

static void full_spool_is_told_and_room_again(void **state)
{
    struct world w;

    (void)state;
    begin_on(&w, mem_disk_new(), 200000, 4 << 20);
    away(&w);
    while (w.fulls == 0) {
        assert_true(w.added < 100);
        add_large(&w, 100000);
        run_turns(w.loop);
    }
    assert_in_range(w.added, 30, 45);
    add_large(&w, 100000); /* what was under way */
    run_turns(w.loop);
    assert_int_equal(w.safe_count, w.added);
    assert_int_equal(w.rooms, 0);
    back(&w);
    wait_all(&w);
    assert_int_equal(w.fulls, 1);
    assert_int_equal(w.rooms, 1);
    expect_stored(&w, 0, w.added);
    end(&w);
}

/* ---- a successor ---- */

static void successor_stores_what_was_left_before_its_own(void **state)
{
    struct world w, next;

    (void)state;
    begin(&w);
    add(&w);
    add(&w);
    wait_all(&w);
    away(&w);
    for (int i = 0; i < 40; i++)
        add(&w);
    run_turns(w.loop);
    killed(&w, &next);
    add(&next);
    assert_int_equal(inv_records_pending(next.records), 41);
    wait_all(&next);
    expect_stored(&next, 2, 41); /* the first two were known as stored */
    assert_int_equal(next.safe_count, 1);
    end(&next);
}

static void what_was_stored_is_not_stored_again_after_a_while(void **state)
{
    struct world w, next;
    unsigned writes;

    (void)state;
    begin(&w);
    add(&w);
    wait_all(&w);
    for (writes = w.disk->writes_seen; w.disk->writes_seen == writes;) { /* it is noted */
        w.wanted = w.safe_count + 1;
        assert_false(cw_loop_run_until(w.loop, has_safe, &w, 1));
    }
    killed(&w, &next);
    assert_int_equal(inv_records_pending(next.records), 0);
    end(&next);
}

static enum cw_docstore_put_code conflict(struct fake_store *s, const char *doc, size_t batch_size)
{
    (void)s, (void)doc, (void)batch_size;
    return CW_PUT_CONFLICT;
}

static void left_over_record_that_is_there_counts_as_stored(void **state)
{
    struct world w, next;

    (void)state;
    begin(&w);
    away(&w);
    add(&w);
    run_turns(w.loop);
    killed(&w, &next);
    next.store.put = conflict;
    wait_all(&next);
    assert_true(metric(&next, "cwhisk_records_stored_total") == 1);
    assert_true(metric(&next, "cwhisk_records_conflict_total") == 0);
    end(&next);
}

static enum cw_docstore_put_code refusal(struct fake_store *s, const char *doc, size_t batch_size)
{
    (void)s, (void)doc, (void)batch_size;
    return CW_PUT_REFUSED;
}

static void record_refused_for_good_is_not_tried_by_the_successor(void **state)
{
    struct world w, next;

    (void)state;
    begin(&w);
    w.store.put = refusal;
    add(&w);
    wait_all(&w);
    assert_int_equal(w.safe_count, 1);
    end_but_disk(&w);
    begin_on(&next, w.disk, MEMORY_BYTES, SPOOL_BYTES);
    assert_int_equal(inv_records_pending(next.records), 0);
    end(&next);
}

static void recovered_record_is_found_by_id_until_forgotten(void **state)
{
    static const char ID[] = "11111111111111111111111111111111";
    struct world w, next;
    struct cw_slice doc;

    (void)state;
    begin(&w);
    assert_int_equal(inv_records_recovered(w.records, ID).n, 0);
    away(&w);
    add(&w);
    add(&w);
    run_turns(w.loop);
    killed(&w, &next);
    wait_all(&next); /* stored or not */
    doc = inv_records_recovered(next.records, ID);
    assert_non_null(doc.p);
    assert_non_null(strstr(doc.p, "\"_id\":\"guest/11111111111111111111111111111111\""));
    assert_non_null(strstr(doc.p, "number 000001"));
    assert_int_equal(doc.n, strlen(doc.p));
    assert_int_equal(inv_records_recovered(next.records, "short").n, 0);
    assert_int_equal(inv_records_recovered(next.records, "22222222222222222222222222222222").n, 0);
    inv_records_forget_recovered(next.records);
    assert_int_equal(inv_records_recovered(next.records, ID).n, 0);
    end(&next);
}

static void damage_costs_what_it_hit(void **state)
{
    struct world w, next;

    (void)state;
    begin(&w);
    away(&w);
    for (int i = 0; i < 4; i++) {
        add(&w);
        run_turns(w.loop);
    }
    mem_disk_file(w.disk, 0)->bytes[64 + 64 + 5] ^= 1; /* in the first document */
    killed(&w, &next);
    assert_int_equal(inv_records_pending(next.records), 4);
    wait_all(&next);
    expect_stored(&next, 1, 3);
    assert_true(metric(&next, "cwhisk_spool_errors_total") == 1);
    end(&next);
}

/* ---- a disk that fails ---- */

static void without_the_disk_a_record_is_safe_once_stored(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    w.disk->fail_write = ENOSPC;
    w.store.hold = true;
    add(&w);
    add(&w);
    run_turns(w.loop);
    assert_int_equal(w.safe_count, 0);
    assert_int_equal(inv_records_at_risk(w.records), 2);
    assert_false(inv_records_may_stop(w.records));
    assert_true(metric(&w, "cwhisk_spool_errors_total") >= 1);
    back(&w);
    wait_all(&w);
    assert_int_equal(w.safe_count, 2);
    expect_stored(&w, 0, 2);
    end(&w);
}

static void memory_is_bounded_while_disk_and_store_are_away(void **state)
{
    struct world w;

    (void)state;
    begin_on(&w, mem_disk_new(), 20000, SPOOL_BYTES);
    away(&w);
    add(&w); /* before that: the order is kept over both */
    run_turns(w.loop);
    w.disk->fail_write = EIO;
    for (int i = 0; i < 40 && w.fulls == 0; i++) {
        add_large(&w, 1000);
        run_turns(w.loop);
    }
    assert_int_equal(w.fulls, 1);
    assert_in_range(w.added, 10, 25);
    back(&w);
    wait_all(&w);
    assert_int_equal(w.rooms, 1);
    expect_stored(&w, 0, w.added);
    assert_int_equal(w.safe_count, w.added);
    end(&w);
}

static void records_reach_the_disk_when_it_works_again(void **state)
{
    struct world w, next;

    (void)state;
    begin(&w);
    away(&w);
    w.disk->fail_open = EMFILE;
    for (int i = 0; i < 300; i++) /* more than one write */
        add(&w);
    run_turns(w.loop);
    assert_int_equal(w.safe_count, 0);
    w.disk->fail_open = 0;
    w.wanted = 300;
    assert_true(cw_loop_run_until(w.loop, has_safe, &w, WAIT_MS));
    killed(&w, &next);
    wait_all(&next);
    expect_stored(&next, 0, 300);
    end(&next);
}

/* Some are in the spool only when it begins to fail: what comes later waits behind them. */
static void order_is_kept_over_a_failure_of_the_disk(void **state)
{
    struct world w;

    (void)state;
    begin_on(&w, mem_disk_new(), 20000, SPOOL_BYTES);
    away(&w);
    for (int i = 0; i < 40; i++)
        add_large(&w, 1000);
    run_turns(w.loop);
    assert_int_equal(w.safe_count, 40);
    w.disk->fail_write = EIO;
    for (int i = 0; i < 5; i++)
        add_large(&w, 1000);
    run_turns(w.loop);
    assert_int_equal(w.safe_count, 40);
    back(&w);
    wait_all(&w);
    expect_stored(&w, 0, 45);
    assert_int_equal(w.safe_count, 45);
    end(&w);
}

/* What is being written has its descriptor. */
static void shortage_of_descriptors_only_delays_what_is_read_back(void **state)
{
    struct world w;

    (void)state;
    begin_on(&w, mem_disk_new(), 20000, SPOOL_BYTES);
    add(&w);
    wait_all(&w);
    w.disk->fail_open = EMFILE;
    for (int i = 0; i < 60; i++)
        add_large(&w, 1000);
    w.wanted = 62; /* one more than there are: only time passes */
    while (metric(&w, "cwhisk_spool_errors_total") < 2)
        assert_false(cw_loop_run_until(w.loop, has_safe, &w, 1));
    assert_int_equal(w.safe_count, 61);
    w.disk->fail_open = 0;
    wait_all(&w);
    expect_stored(&w, 0, 61);
    end(&w);
}

/* ---- a stop ---- */

static void stop_waits_for_a_quick_store_and_not_for_one_that_is_away(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    assert_true(inv_records_may_stop(w.records));
    add(&w);
    assert_false(inv_records_may_stop(w.records));
    wait_all(&w);
    assert_true(inv_records_may_stop(w.records));
    w.store.hold = true;
    add(&w);
    run_turns(w.loop);
    assert_false(inv_records_may_stop(w.records)); /* the answer may come any moment */
    away(&w);
    back(&w);
    away(&w);
    run_turns(w.loop);
    assert_true(inv_records_may_stop(w.records));
    assert_int_equal(inv_records_pending(w.records), 1);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_is_safe_before_the_store_answers),
        cmocka_unit_test(records_of_one_turn_take_one_write),
        cmocka_unit_test(synchronous_spool_is_on_disk_before_a_record_is_safe),
        cmocka_unit_test(record_added_last_is_in_the_spool_at_the_end),
        cmocka_unit_test(what_memory_does_not_hold_comes_back_in_order),
        cmocka_unit_test(document_larger_than_all_memory_passes),
        cmocka_unit_test(full_spool_is_told_and_room_again),
        cmocka_unit_test(successor_stores_what_was_left_before_its_own),
        cmocka_unit_test(what_was_stored_is_not_stored_again_after_a_while),
        cmocka_unit_test(left_over_record_that_is_there_counts_as_stored),
        cmocka_unit_test(record_refused_for_good_is_not_tried_by_the_successor),
        cmocka_unit_test(recovered_record_is_found_by_id_until_forgotten),
        cmocka_unit_test(damage_costs_what_it_hit),
        cmocka_unit_test(without_the_disk_a_record_is_safe_once_stored),
        cmocka_unit_test(memory_is_bounded_while_disk_and_store_are_away),
        cmocka_unit_test(records_reach_the_disk_when_it_works_again),
        cmocka_unit_test(order_is_kept_over_a_failure_of_the_disk),
        cmocka_unit_test(shortage_of_descriptors_only_delays_what_is_read_back),
        cmocka_unit_test(stop_waits_for_a_quick_store_and_not_for_one_that_is_away),
    };

    return cmocka_run_group_tests_name("records_spool", tests, NULL, NULL);
}
