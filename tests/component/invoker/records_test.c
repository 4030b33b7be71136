#include "tests/support/cmocka_all.h"

#include <stdio.h>
#include <unistd.h>

#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/manifest.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/job.h"
#include "invoker/records.h"
#include "invoker/settings.h"
#include "tests/support/fake_store.h"
#include "tests/support/jobs.h"
#include "tests/support/turns.h"

enum { WAIT_MS = 20000 };

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct fake_store store;
    struct inv_records *records;
    int fulls, rooms;
    size_t wanted; /* documents stored */
    int64_t safe[8];
    size_t safe_count;
};

static void on_full(void *arg, bool full)
{
    struct world *w = arg;

    *(full ? &w->fulls : &w->rooms) += 1;
}

static void on_safe(void *arg, int64_t ticket)
{
    struct world *w = arg;

    if (w->safe_count < CW_ARRAY_LEN(w->safe))
        w->safe[w->safe_count] = ticket;
    w->safe_count++;
}

static void begin(struct world *w, int level, size_t max_bytes)
{
    *w = (struct world){.loop = cw_loop_new(NULL, NULL), .metrics = cw_metrics_new()};
    fake_store_init(&w->store, w->loop);
    w->records = inv_records_new(&(struct inv_records_conf){
        .loop = w->loop,
        .store = &w->store.base,
        .metrics = w->metrics,
        .db = "activations",
        .blocking_level = level,
        .non_blocking_level = level,
        .max_bytes = max_bytes,
        .retry_ms = 1,
        .on_full = on_full,
        .on_safe = on_safe,
        .arg = w,
    });
}

static void end(struct world *w)
{
    inv_records_free(w->records);
    fake_store_done(&w->store);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
}

static void add_message(struct world *w, const struct test_message *m, enum cw_status status)
{
    struct inv_job *job = test_job(m, NULL);

    inv_job_fail(job, status, "secret result", 1000);
    cw_str_addz(&job->logs, "[\"secret log\"]");
    inv_records_add(w->records, job);
    inv_job_free(job);
}

static void add(struct world *w, char id, enum cw_status status)
{
    add_message(w, &(struct test_message){.id = id}, status);
}

static void add_with_logs(struct world *w, char id, const char *line)
{
    struct inv_job *job = test_job(&(struct test_message){.id = id}, NULL);

    inv_job_fail(job, CW_STATUS_APPLICATION_ERROR, "result", 1000);
    cw_str_addf(&job->logs, "[\"%s\"]", line);
    inv_records_add(w->records, job);
    inv_job_free(job);
}

static bool all_done(void *arg)
{
    return inv_records_pending(((struct world *)arg)->records) == 0;
}

static void wait_all(struct world *w)
{
    assert_true(cw_loop_run_until(w->loop, all_done, w, WAIT_MS));
}

static void records_added_together_go_in_one_batch(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    for (char id = 'a'; id <= 'f'; id++)
        add(&w, id, CW_STATUS_SUCCESS);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 6);
    assert_int_equal(w.store.bulks, 1);
    assert_non_null(strstr(w.store.stored.p, "\"_id\":\"guest/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""));
    end(&w);
}

static void levels_decide_what_is_stored(void **state)
{
    static const struct {
        int level;
        size_t stored; /* of statuses 0, 1, 2, 3 */
    } CASES[] = {{INV_STORE_ALWAYS, 4},
                 {INV_STORE_FAILURES, 3},
                 {INV_STORE_FAILURES_NOT_APPLICATION_ERRORS, 2}};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct world w;

        begin(&w, CASES[i].level, 1 << 20);
        for (int status = 0; status < 4; status++)
            add(&w, (char)('a' + status), (enum cw_status)status);
        wait_all(&w);
        assert_int_equal(w.store.stored_count, CASES[i].stored);
        end(&w);
    }
}

static void namespaces_that_want_no_records_get_none_even_with_extra_logging(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    add_message(&w,
                &(struct test_message){.id = 'a',
                                       .limits = "{\"storeActivations\":false}",
                                       .transid = "[\"t\",1,true]"},
                CW_STATUS_SUCCESS);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 0);
    end(&w);
}

static void extra_logging_overrides_the_level(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_FAILURES, 1 << 20);
    add_message(&w, &(struct test_message){.id = 'a', .transid = "[\"t\",1,true]"},
                CW_STATUS_SUCCESS);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 1);
    end(&w);
}

static void blocked_activations_leave_no_record_even_with_extra_logging(void **state)
{
    struct inv_job *job =
        test_job(&(struct test_message){.id = 'a', .transid = "[\"t\",1,true]"}, NULL);
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    inv_job_fail(job, CW_STATUS_APPLICATION_ERROR, "blocked", 1000);
    job->blocked = true;
    inv_records_add(w.records, job);
    assert_int_equal(inv_records_pending(w.records), 0);
    inv_job_free(job);
    end(&w);
}

/* What was logged while `records` decided on one that its level does not want. */
static void log_of_skipping(bool log_unstored, char *text, size_t size)
{
    FILE *log = tmpfile();
    struct world w;
    size_t n;

    begin(&w, INV_STORE_FAILURES, 1 << 20);
    inv_records_free(w.records);
    w.records = inv_records_new(&(struct inv_records_conf){.loop = w.loop,
                                                           .store = &w.store.base,
                                                           .metrics = w.metrics,
                                                           .db = "activations",
                                                           .blocking_level = INV_STORE_FAILURES,
                                                           .log_unstored = log_unstored,
                                                           .max_bytes = 1 << 20});
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = fileno(log)});
    add(&w, 'a', CW_STATUS_SUCCESS);
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = STDOUT_FILENO});
    rewind(log);
    n = fread(text, 1, size - 1, log);
    text[n] = '\0';
    (void)fclose(log);
    assert_int_equal(w.store.stored_count, 0);
    end(&w);
}

static void what_is_not_stored_is_logged_when_asked_for(void **state)
{
    char text[1024];

    (void)state;
    log_of_skipping(false, text, sizeof(text));
    assert_string_equal(text, "");
    log_of_skipping(true, text, sizeof(text));
    assert_non_null(strstr(text, "Explicitly NOT storing activation "
                                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa for action hello from namespace "
                                 "guest with response_size=0B"));
}

static void store_that_is_away_gets_everything_later_in_order(void **state)
{
    struct world w;
    const char *a, *b;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    (void)cw_fail_retriable(&w.store.bulk_err, CW_UNAVAILABLE, "down");
    w.store.failures = 3;
    add(&w, 'a', CW_STATUS_SUCCESS);
    add(&w, 'b', CW_STATUS_SUCCESS);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 2);
    assert_int_equal(w.store.bulks, 4);
    a = strstr(w.store.stored.p, "guest/aaaa");
    b = strstr(w.store.stored.p, "guest/bbbb");
    assert_true(a && b && a < b);
    end(&w);
}

static void errors_that_say_nothing_of_a_document_are_tried_again(void **state)
{
    static const enum cw_code CODES[] = {CW_NOT_FOUND, CW_CONFLICT};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CODES); i++) {
        struct world w;

        begin(&w, INV_STORE_ALWAYS, 1 << 20);
        (void)cw_fail(&w.store.bulk_err, CODES[i], "not now");
        w.store.failures = 9;
        add(&w, 'a', CW_STATUS_SUCCESS);
        wait_all(&w);
        assert_int_equal(w.store.stored_count, 1);
        assert_null(strstr(w.store.stored.p, "refused"));
        end(&w);
    }
}

static enum cw_docstore_put_code conflicts(struct fake_store *s, const char *doc, size_t batch_size)
{
    (void)s, (void)batch_size;
    return strstr(doc, "guest/bbbb") ? CW_PUT_CONFLICT : CW_PUT_OK;
}

static void conflict_concerns_only_its_document(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    w.store.put = conflicts;
    for (char id = 'a'; id <= 'c'; id++)
        add(&w, id, CW_STATUS_SUCCESS);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 2);
    assert_int_equal(w.store.bulks, 1);
    end(&w);
}

static void refused_batch_is_halved_until_the_culprit_is_alone(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    (void)cw_fail(&w.store.bulk_err, CW_TOO_LARGE, "413");
    w.store.failures = UINT32_MAX;
    w.store.fail_over = 1;
    for (char id = 'a'; id <= 'f'; id++)
        add(&w, id, CW_STATUS_SUCCESS);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 6);
    assert_null(strstr(w.store.stored.p, "refused"));
    end(&w);
}

static bool has_stored(void *arg)
{
    struct world *w = arg;

    return w->store.stored_count >= w->wanted;
}

static void document_that_alone_breaks_the_connection_is_stored_without_its_logs(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    (void)cw_fail_retriable(&w.store.bulk_err, CW_UNAVAILABLE, "connection reset");
    w.store.failures = UINT32_MAX;
    add_with_logs(&w, 'a', "too long for the proxy");
    w.store.poison = "too long for the proxy";
    while (!strstr(w.store.stored.p, "guest/aaaa")) { /* others go on meanwhile */
        w.wanted = w.store.stored_count + 1;
        add(&w, 'b', CW_STATUS_SUCCESS);
        assert_true(cw_loop_run_until(w.loop, has_stored, &w, WAIT_MS));
    }
    wait_all(&w);
    assert_true(w.store.stored_count > 10); /* not given up at the first trouble */
    assert_null(strstr(w.store.stored.p, "too long for the proxy"));
    end(&w);
}

static void batches_are_bounded_in_count(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 64 << 20);
    for (int i = 0; i < 1201; i++)
        add(&w, 'a', CW_STATUS_SUCCESS);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 1201);
    assert_int_equal(w.store.largest_batch, 500);
    assert_int_equal(w.store.bulks, 3);
    end(&w);
}

static void batches_are_bounded_in_bytes(void **state)
{
    cw_auto_free char *logs = cw_alloc((3 << 20) + 1);
    struct world w;

    (void)state;
    memset(logs, 'x', 3 << 20);
    begin(&w, INV_STORE_ALWAYS, 64 << 20);
    for (int i = 0; i < 5; i++)
        add_with_logs(&w, 'a', logs);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 5);
    assert_int_equal(w.store.largest_batch, 2); /* 8 MB: what CouchDB 3 takes of one document */
    end(&w);
}

static enum cw_docstore_put_code refuses_logs(struct fake_store *s, const char *doc,
                                              size_t batch_size)
{
    (void)s, (void)batch_size;
    return strstr(doc, "secret log") ? CW_PUT_REFUSED : CW_PUT_OK;
}

static enum cw_docstore_put_code refuses_results(struct fake_store *s, const char *doc,
                                                 size_t batch_size)
{
    (void)s, (void)batch_size;
    return strstr(doc, "secret result") ? CW_PUT_REFUSED : CW_PUT_OK;
}

static enum cw_docstore_put_code refuses_all(struct fake_store *s, const char *doc,
                                             size_t batch_size)
{
    (void)s, (void)doc, (void)batch_size;
    return CW_PUT_REFUSED;
}

static void refused_record_is_stored_without_its_logs(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    w.store.put = refuses_logs;
    add(&w, 'a', CW_STATUS_APPLICATION_ERROR);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 1);
    assert_non_null(
        strstr(w.store.stored.p, "\"logs\":[\"The logs were refused by the activation store.\"]"));
    assert_non_null(strstr(w.store.stored.p, "secret result"));
    end(&w);
}

static void refused_record_is_stored_without_its_result_at_last(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    w.store.put = refuses_results;
    add(&w, 'a', CW_STATUS_APPLICATION_ERROR);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 1);
    assert_non_null(strstr(w.store.stored.p, "The result was refused by the activation store."));
    assert_non_null(strstr(w.store.stored.p, "\"statusCode\":1"));
    end(&w);
}

static void record_refused_in_every_form_does_not_block_others(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    w.store.put = refuses_all;
    add(&w, 'a', CW_STATUS_SUCCESS);
    wait_all(&w);
    w.store.put = NULL;
    add(&w, 'b', CW_STATUS_SUCCESS);
    wait_all(&w);
    assert_int_equal(w.store.stored_count, 1);
    end(&w);
}

static void add_at(struct world *w, char id, int64_t ticket, enum cw_status status)
{
    struct inv_job *job = test_job(&(struct test_message){.id = id}, NULL);

    assert_true(job->ticket == -1);
    job->ticket = ticket;
    inv_job_fail(job, status, "secret result", 1000);
    inv_records_add(w->records, job);
    inv_job_free(job);
}

static void stored_record_is_told_safe_once_and_not_before(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    (void)cw_fail_retriable(&w.store.bulk_err, CW_UNAVAILABLE, "down");
    w.store.failures = UINT32_MAX;
    add_at(&w, 'a', 7, CW_STATUS_SUCCESS);
    add_at(&w, 'b', 5, CW_STATUS_SUCCESS);
    w.wanted = 1;
    assert_false(cw_loop_run_until(w.loop, has_stored, &w, 20));
    assert_int_equal(w.safe_count, 0);
    w.store.failures = 0;
    wait_all(&w);
    run_turns(w.loop);
    assert_int_equal(w.safe_count, 2);
    assert_true(w.safe[0] == 7 && w.safe[1] == 5);
    end(&w);
}

static void unwanted_record_is_told_safe_in_a_later_turn(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_FAILURES, 1 << 20);
    add_at(&w, 'a', 3, CW_STATUS_SUCCESS);
    assert_int_equal(w.safe_count, 0);
    run_turns(w.loop);
    assert_int_equal(w.safe_count, 1);
    assert_true(w.safe[0] == 3);
    assert_int_equal(w.store.stored_count, 0);
    end(&w);
}

static void record_refused_for_good_is_told_safe(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    w.store.put = refuses_all;
    add_at(&w, 'a', 9, CW_STATUS_SUCCESS);
    wait_all(&w);
    run_turns(w.loop);
    assert_int_equal(w.safe_count, 1);
    assert_true(w.safe[0] == 9);
    end(&w);
}

static void bound_of_memory_tells_full_and_room(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1500);
    w.store.hold = true;
    for (char id = 'a'; id <= 'f'; id++)
        add(&w, id, CW_STATUS_SUCCESS);
    assert_int_equal(w.fulls, 1);
    assert_int_equal(w.rooms, 0);
    fake_store_release(&w.store);
    wait_all(&w);
    assert_int_equal(w.fulls, 1);
    assert_int_equal(w.rooms, 1);
    assert_int_equal(w.store.stored_count, 6);
    end(&w);
}

static void freeing_with_records_pending_leaks_nothing(void **state)
{
    struct world w;

    (void)state;
    begin(&w, INV_STORE_ALWAYS, 1 << 20);
    w.store.hold = true;
    add(&w, 'a', CW_STATUS_SUCCESS);
    (void)cw_loop_run_until(w.loop, all_done, &w, 1);
    add(&w, 'b', CW_STATUS_SUCCESS);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_added_together_go_in_one_batch),
        cmocka_unit_test(levels_decide_what_is_stored),
        cmocka_unit_test(namespaces_that_want_no_records_get_none_even_with_extra_logging),
        cmocka_unit_test(extra_logging_overrides_the_level),
        cmocka_unit_test(blocked_activations_leave_no_record_even_with_extra_logging),
        cmocka_unit_test(what_is_not_stored_is_logged_when_asked_for),
        cmocka_unit_test(store_that_is_away_gets_everything_later_in_order),
        cmocka_unit_test(errors_that_say_nothing_of_a_document_are_tried_again),
        cmocka_unit_test(conflict_concerns_only_its_document),
        cmocka_unit_test(refused_batch_is_halved_until_the_culprit_is_alone),
        cmocka_unit_test(document_that_alone_breaks_the_connection_is_stored_without_its_logs),
        cmocka_unit_test(batches_are_bounded_in_count),
        cmocka_unit_test(batches_are_bounded_in_bytes),
        cmocka_unit_test(refused_record_is_stored_without_its_logs),
        cmocka_unit_test(refused_record_is_stored_without_its_result_at_last),
        cmocka_unit_test(record_refused_in_every_form_does_not_block_others),
        cmocka_unit_test(stored_record_is_told_safe_once_and_not_before),
        cmocka_unit_test(unwanted_record_is_told_safe_in_a_later_turn),
        cmocka_unit_test(record_refused_for_good_is_told_safe),
        cmocka_unit_test(bound_of_memory_tells_full_and_room),
        cmocka_unit_test(freeing_with_records_pending_leaks_nothing),
    };

    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
