/* Intake and catalog: from message to an action that may run. */
#include "tests/support/cmocka_all.h"

#include "common/loop/loop.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"
#include "common/model/param_lock.h"
#include "common/obs/metrics.h"
#include "invoker/blacklist.h"
#include "invoker/catalog.h"
#include "invoker/intake.h"
#include "invoker/job.h"
#include "invoker/ledger.h"
#include "invoker/settings.h"
#include "invoker/stale.h"
#include "tests/support/fake_store.h"
#include "tests/support/jobs.h"

enum { WAIT_MS = 20000 };

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct cw_manifest *manifest;
    struct fake_store store;
    struct inv_catalog *catalog;
    struct inv_intake *intake;
    struct inv_ledger *ledger;
    struct inv_settings settings;
    struct inv_blacklist *blacklist;
    struct cw_param_keys *keys;
    struct inv_stale *stale;
    unsigned unreadable, ready, refused;
    enum cw_status status;
    bool blocked, excused, first_poll;
    char result[256], code[256], content[256];
};

static void on_dropped(void *arg, size_t bytes)
{
    (void)bytes;
    ((struct world *)arg)->unreadable++;
}

static void on_ready(void *arg, struct inv_job *job)
{
    struct world *w = arg;

    w->ready++;
    (void)snprintf(w->code, sizeof(w->code), "%.*s", (int)job->action->code_quoted.n,
                   job->action->code_quoted.p);
    (void)snprintf(w->content, sizeof(w->content), "%.*s", (int)job->msg->content.n,
                   job->msg->content.p);
    inv_job_free(job);
}

static void on_refused(void *arg, struct inv_job *job)
{
    struct world *w = arg;

    w->refused++;
    w->status = job->outcome.status;
    w->blocked = job->blocked;
    w->excused = job->excused;
    (void)snprintf(w->result, sizeof(w->result), "%s", job->outcome.result.p);
    inv_job_free(job);
}

static void on_first_poll(void *arg)
{
    ((struct world *)arg)->first_poll = true;
}

static bool polled(void *arg)
{
    return ((struct world *)arg)->first_poll;
}

static void begin_with(struct world *w, size_t cache_bytes, int64_t keep_ms)
{
    *w = (struct world){
        .loop = cw_loop_new(NULL, NULL), .metrics = cw_metrics_new(), .manifest = test_manifest()};
    fake_store_init(&w->store, w->loop);
    w->settings = (struct inv_settings){
        .memory_min_bytes = 128 << 20,
        .memory_max_bytes = 512 << 20,
        .time_min_ms = 100,
        .time_max_ms = 300000,
        .time_std_ms = 60000,
        .log_store_provider = (char[]){"DockerToActivationLogStoreProvider"},
        .log_max_bytes = 10 << 20,
        .concurrency_min = 1,
        .concurrency_max = 1,
    };
    w->catalog = inv_catalog_new(&(struct inv_catalog_conf){
        .loop = w->loop,
        .store = &w->store.base,
        .metrics = w->metrics,
        .manifest = w->manifest,
        .db = "whisks",
        .defaults = {.logs_mb = 10, .concurrency = 1},
        .max_bytes = cache_bytes,
        .keep_ms = keep_ms,
        .max_code_bytes = 1 << 20,
    });
    w->store.rows = "{\"rows\":[{\"id\":\"x\",\"key\":\"blocked\",\"value\":1}]}";
    w->blacklist = inv_blacklist_new(&(struct inv_blacklist_conf){.loop = w->loop,
                                                                  .store = &w->store.base,
                                                                  .metrics = w->metrics,
                                                                  .db = "subjects",
                                                                  .poll_ms = INT64_MAX,
                                                                  .on_first = on_first_poll,
                                                                  .arg = w});
    assert_true(cw_loop_run_until(w->loop, polled, w, WAIT_MS));
    w->keys = cw_param_keys_new("oxmKH4gQLs+h4BZaiQRElg==", NULL, NULL);
    w->stale = inv_stale_new(w->loop, &w->settings, w->metrics);
    w->ledger = inv_ledger_new(
        &(struct inv_ledger_conf){.loop = w->loop, .metrics = w->metrics, .topic = "invoker0"});
    w->intake = inv_intake_new(&(struct inv_intake_conf){
        .loop = w->loop,
        .metrics = w->metrics,
        .catalog = w->catalog,
        .blacklist = w->blacklist,
        .keys = w->keys,
        .stale = w->stale,
        .settings = &w->settings,
        .ledger = w->ledger,
        .on_dropped = on_dropped,
        .on_ready = on_ready,
        .on_refused = on_refused,
        .arg = w,
    });
}

static void begin(struct world *w)
{
    begin_with(w, 1 << 20, 60000);
}

static void end(struct world *w)
{
    inv_intake_free(w->intake);
    inv_ledger_free(w->ledger);
    inv_catalog_free(w->catalog);
    inv_blacklist_free(w->blacklist);
    cw_param_keys_free(w->keys);
    inv_stale_free(w->stale);
    fake_store_done(&w->store);
    cw_manifest_free(w->manifest);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
}

static bool nothing_fetching(void *arg)
{
    return inv_intake_fetching(((struct world *)arg)->intake) == 0;
}

static void give(struct world *w, const struct test_message *m)
{
    cw_auto_free char *text = test_message_text(m);

    inv_intake_message(w->intake, cw_slice_of(text), 7, 1);
}

static void settle(struct world *w)
{
    assert_true(cw_loop_run_until(w->loop, nothing_fetching, w, WAIT_MS));
}

static void action_is_read_once_and_then_cached(void **state)
{
    struct world w;
    cw_auto_free char *doc = test_action_text("hello", 60000, 256, 10, 1);

    (void)state;
    begin(&w);
    w.store.document = doc;
    give(&w, &(struct test_message){.id = 'a'});
    settle(&w);
    give(&w, &(struct test_message){.id = 'b'});
    settle(&w);
    assert_int_equal(w.ready, 2);
    assert_int_equal(w.store.gets, 1);
    assert_string_equal(w.code, "\"function main(){}\"");
    end(&w);
}

static void reads_of_the_same_revision_coalesce(void **state)
{
    struct world w;
    cw_auto_free char *doc = test_action_text("hello", 60000, 256, 10, 1);

    (void)state;
    begin(&w);
    w.store.document = doc;
    for (char id = 'a'; id <= 'e'; id++)
        give(&w, &(struct test_message){.id = id});
    settle(&w);
    assert_int_equal(w.ready, 5);
    assert_int_equal(w.store.gets, 1);
    end(&w);
}

static void null_revision_reads_past_the_cache(void **state)
{
    struct world w;
    cw_auto_free char *doc = test_action_text("hello", 60000, 256, 10, 1);

    (void)state;
    begin(&w);
    w.store.document = doc;
    for (char id = 'a'; id <= 'c'; id++) {
        give(&w, &(struct test_message){.id = id, .revision = "null"});
        settle(&w);
    }
    assert_int_equal(w.store.gets, 3);
    assert_string_equal(w.store.last_rev, "null");
    end(&w);
}

static void other_revision_in_the_store_runs_and_is_kept_by_its_own(void **state)
{
    struct world w;
    cw_auto_free char *doc = test_action_text("hello", 60000, 256, 10, 1); /* _rev 1-a */

    (void)state;
    begin(&w);
    w.store.document = doc;
    give(&w, &(struct test_message){.id = 'a', .revision = "\"9-z\""});
    settle(&w);
    give(&w, &(struct test_message){.id = 'b', .revision = "\"1-a\""});
    settle(&w);
    assert_int_equal(w.ready, 2);
    assert_int_equal(w.store.gets, 1);
    end(&w);
}

static void unused_actions_leave_the_cache(void **state)
{
    struct world w;
    cw_auto_free char *doc = test_action_text("hello", 60000, 256, 10, 1);

    (void)state;
    begin_with(&w, 1, 60000); /* nothing fits */
    w.store.document = doc;
    give(&w, &(struct test_message){.id = 'a'});
    settle(&w);
    assert_int_equal(inv_catalog_bytes(w.catalog), 0);
    give(&w, &(struct test_message){.id = 'b'});
    settle(&w);
    assert_int_equal(w.store.gets, 2);
    assert_int_equal(w.ready, 2);
    end(&w);
}

/* Members of `exec` and of the document behind it. */
#define DOCUMENT(exec, more)                                                                       \
    "{\"_id\":\"guest/hello\",\"_rev\":\"2-b\",\"entityType\":\"action\",\"namespace\":\"guest\"," \
    "\"name\":\"hello\",\"version\":\"0.0.1\",\"publish\":false,\"updated\":1,\"exec\":{" exec     \
    "},"                                                                                           \
    "\"parameters\":[],\"annotations\":[],\"limits\":{\"timeout\":60000,\"memory\":256}" more "}"
#define UUID "6c95590f-ee9a-47e3-9559-0fee9a17e399"
#define CODE_AT(name)                                                                              \
    "\"kind\":\"nodejs:20\",\"code\":{\"attachmentName\":\"" name                                  \
    "\",\"attachmentType\":\"text/plain; charset=UTF-8\"},\"binary\":false"
#define STUB                                                                                       \
    ",\"_attachments\":{\"" UUID "\":{\"content_type\":\"text/plain; charset=UTF-8\","             \
    "\"revpos\":2,\"digest\":\"md5-x\",\"length\":3,\"stub\":true}}"

static void attachment_is_fetched_and_encoded(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    w.store.document = DOCUMENT(CODE_AT("couch:" UUID), STUB);
    w.store.attachment = "a\"\n";
    give(&w, &(struct test_message){.id = 'a', .revision = "\"2-b\""});
    settle(&w);
    assert_int_equal(w.ready, 1);
    assert_string_equal(w.code, "\"a\\\"\\n\"");
    assert_string_equal(w.store.last_attachment, UUID);
    end(&w);
}

#define REMOVED "Action could not be found or may have been deleted."
#define MISMATCH "Action version is not compatible and cannot be invoked."
#define NOT_FETCHED "Action could not be fetched."

static void failures_have_their_status_and_text(void **state)
{
    static const struct {
        enum cw_code code, attachment_code;
        const char *document, *attachment;
        enum cw_status status;
        const char *text;
    } CASES[] = {
        {CW_NOT_FOUND, 0, NULL, NULL, CW_STATUS_APPLICATION_ERROR, REMOVED},
        {CW_UNAVAILABLE, 0, NULL, NULL, CW_STATUS_WHISK_ERROR, NOT_FETCHED},
        {CW_TIMEOUT, 0, NULL, NULL, CW_STATUS_WHISK_ERROR, NOT_FETCHED},
        {CW_INVALID, 0, NULL, NULL, CW_STATUS_WHISK_ERROR, NOT_FETCHED}, /* 401 */
        {0, 0, "{\"_id\":\"x\"}", NULL, CW_STATUS_WHISK_ERROR, MISMATCH},
        {0, 0, "not json", NULL, CW_STATUS_WHISK_ERROR, MISMATCH},
        {0, 0, "{\"_id\":\"guest/hello\",\"entityType\":\"trigger\"}", NULL, CW_STATUS_WHISK_ERROR,
         MISMATCH},
        {0, 0, DOCUMENT("\"kind\":\"nodejs:6\",\"code\":\"x\"", ""), NULL, CW_STATUS_WHISK_ERROR,
         MISMATCH},
        {0, 0, DOCUMENT("\"kind\":\"sequence\",\"components\":[\"/guest/a\"]", ""), NULL,
         CW_STATUS_WHISK_ERROR, NOT_FETCHED},
        {0, 0, DOCUMENT(CODE_AT("s3:" UUID), ""), NULL, CW_STATUS_WHISK_ERROR, NOT_FETCHED},
        {0, 0, DOCUMENT(CODE_AT("couch:" UUID "0"), STUB), NULL, CW_STATUS_WHISK_ERROR,
         NOT_FETCHED},
        {0, CW_NOT_FOUND, DOCUMENT(CODE_AT("couch:" UUID), STUB), NULL, CW_STATUS_APPLICATION_ERROR,
         REMOVED},
        {0, CW_UNAVAILABLE, DOCUMENT(CODE_AT("couch:" UUID), STUB), NULL, CW_STATUS_WHISK_ERROR,
         NOT_FETCHED},
        {0, CW_TOO_LARGE, DOCUMENT(CODE_AT("couch:" UUID), STUB), NULL, CW_STATUS_WHISK_ERROR,
         NOT_FETCHED},
        {0, 0, DOCUMENT(CODE_AT("couch:" UUID), STUB), "four", CW_STATUS_WHISK_ERROR, NOT_FETCHED},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct world w;
        char wanted[160];

        begin(&w);
        w.store.document = CASES[i].document;
        w.store.attachment = CASES[i].attachment;
        if (CASES[i].code)
            (void)cw_fail(&w.store.get_err, CASES[i].code, "fake");
        if (CASES[i].attachment_code)
            (void)cw_fail(&w.store.attachment_err, CASES[i].attachment_code, "fake");
        give(&w, &(struct test_message){.id = 'a'});
        settle(&w);
        (void)snprintf(wanted, sizeof(wanted), "{\"error\":\"%s\"}", CASES[i].text);
        assert_int_equal(w.refused, 1);
        if (w.status != CASES[i].status || strcmp(w.result, wanted) != 0)
            fail_msg("case %zu: %d %s", i, (int)w.status, w.result);
        end(&w);
    }
}

static void failures_are_not_cached(void **state)
{
    struct world w;
    cw_auto_free char *doc = test_action_text("hello", 60000, 256, 10, 1);

    (void)state;
    begin(&w);
    (void)cw_fail(&w.store.get_err, CW_NOT_FOUND, "fake");
    give(&w, &(struct test_message){.id = 'a'});
    settle(&w);
    w.store.get_err = (struct cw_err){0};
    w.store.document = doc;
    give(&w, &(struct test_message){.id = 'b'});
    settle(&w);
    assert_int_equal(w.refused, 1);
    assert_int_equal(w.ready, 1);
    end(&w);
}

static void limits_are_checked_in_order_with_their_texts(void **state)
{
    static const struct {
        unsigned timeout_ms, memory_mb, logs_mb, concurrency;
        const char *user_limits, *text;
    } CASES[] = {
        {60000, 256, 10, 1, "{\"maxActionTimeout\":1000,\"maxActionMemory\":128}",
         "duration 60000 milliseconds exceeds allowed threshold of 1000 milliseconds"},
        {60000, 256, 10, 1, "{\"maxActionMemory\":128}",
         "memory size 256 MB exceeds allowed threshold of 128 MB"},
        {60000, 1024, 10, 1, "{\"maxActionMemory\":2048}",
         "memory size 1024 MB exceeds allowed threshold of 512 MB"},
        {60000, 256, 10, 5, "{\"maxActionLogs\":1}",
         "concurrency 5 exceeds allowed threshold of 1"},
        {60000, 256, 10, 1, "{\"maxActionLogs\":1}",
         "log size 10 MB exceeds allowed threshold of 1 MB"},
        {60000, 256, 10, 1, "{\"minActionMemory\":300}",
         "memory size 256 MB below allowed threshold of 300 MB"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        cw_auto_free char *doc = test_action_text("hello", CASES[i].timeout_ms, CASES[i].memory_mb,
                                                  CASES[i].logs_mb, CASES[i].concurrency);
        struct world w;
        char wanted[160];

        begin(&w);
        w.store.document = doc;
        give(&w, &(struct test_message){.id = 'a', .limits = CASES[i].user_limits});
        settle(&w);
        (void)snprintf(wanted, sizeof(wanted), "{\"error\":\"requirement failed: %s\"}",
                       CASES[i].text);
        assert_int_equal(w.status, CW_STATUS_APPLICATION_ERROR);
        assert_string_equal(w.result, wanted);
        end(&w);
    }
}

/* "s3cret ü" under the key of the fixture */
#define LOCKED "AAAADFY5ZgLSm2eCVN46hmmEBU04yBfKl7PVs6dfXuaZdnde1azgFuoc6Q=="

static void locked_arguments_are_decrypted_before_the_run(void **state)
{
    cw_auto_free char *doc = test_action_text("hello", 60000, 256, 10, 1);
    struct world w;

    (void)state;
    begin(&w);
    w.store.document = doc;
    give(&w, &(struct test_message){.id = 'a',
                                    .locked_args = "{\"secret\":\"aes-128\",\"other\":\"aes-256\"}",
                                    .content = "{\"n\": 1.0,\"secret\":\"" LOCKED
                                               "\",\"other\":\"QQ==\"}"});
    settle(&w);
    assert_int_equal(w.ready, 1);
    assert_string_equal(w.content, "{\"n\":1.0,\"secret\":\"s3cret \xc3\xbc\",\"other\":\"QQ==\"}");
    end(&w);
}

static void argument_that_cannot_be_decrypted_is_an_excused_whisk_error(void **state)
{
    cw_auto_free char *doc = test_action_text("hello", 60000, 256, 10, 1);
    struct world w;

    (void)state;
    begin(&w);
    w.store.document = doc;
    give(&w, &(struct test_message){.id = 'a',
                                    .locked_args = "{\"secret\":\"aes-128\"}",
                                    .content = "{\"secret\":\"AAAADFY5\"}"});
    settle(&w);
    assert_int_equal(w.refused, 1);
    assert_int_equal(w.status, CW_STATUS_WHISK_ERROR);
    assert_true(w.excused);
    assert_string_equal(w.result, "{\"error\":\"Action parameters could not be decrypted.\"}");
    end(&w);
}

static void blocked_namespace_is_refused_before_its_action_is_read(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    give(&w, &(struct test_message){.id = 'a', .user_namespace = "blocked"});
    assert_int_equal(w.refused, 1);
    assert_int_equal(w.status, CW_STATUS_APPLICATION_ERROR);
    assert_true(w.blocked);
    assert_string_equal(
        w.result, "{\"error\":\"The action was not invoked due to a blacklisted namespace.\"}");
    assert_int_equal(w.store.gets, 0);
    end(&w);
}

static uint64_t stale_count(struct world *w)
{
    return cw_counter_value(
        cw_metrics_counter(w->metrics, "cwhisk_activation_stale_total", NULL, NULL));
}

/* A message of that age, by a clock as right as ours. */
static void give_aged(struct world *w, int64_t age_ms)
{
    char transid[64];

    (void)snprintf(transid, sizeof(transid), "[\"t\",%lld]",
                   (long long)(cw_loop_wall_ms(w->loop) - age_ms));
    give(w, &(struct test_message){.id = 'a', .transid = transid});
    settle(w);
}

static void stale_work_is_counted_and_runs_unless_the_operator_says_otherwise(void **state)
{
    cw_auto_free char *doc = test_action_text("hello", 60000, 256, 10, 1);
    struct world w;

    (void)state;
    begin(&w);
    w.store.document = doc;
    give_aged(&w, 240000);
    assert_int_equal(w.ready, 1);
    assert_int_equal(stale_count(&w), 1);
    w.settings.stale_work = INV_STALE_ANSWER;
    give_aged(&w, 240000);
    assert_int_equal(w.refused, 1);
    assert_int_equal(w.status, CW_STATUS_WHISK_ERROR);
    assert_true(w.excused);
    assert_string_equal(
        w.result, "{\"error\":\"The action was not invoked because its activation had expired.\"}");
    assert_int_equal(stale_count(&w), 2);
    end(&w);
}

static void work_is_stale_only_when_its_controller_has_given_up(void **state)
{
    cw_auto_free char *fast = test_action_text("hello", 1000, 256, 10, 1);
    cw_auto_free char *slow = test_action_text("hello", 300000, 256, 10, 1);
    struct world w;

    (void)state;
    begin(&w);
    w.settings.stale_work = INV_STALE_ANSWER;
    w.store.document = fast; /* the standard time limit counts: 3 minutes */
    give_aged(&w, 120000);
    give_aged(&w, -600000); /* the controller's clock is ahead */
    assert_int_equal(w.ready, 2);
    give_aged(&w, 240000);
    assert_int_equal(w.refused, 1);
    end(&w);
    begin(&w);
    w.settings.stale_work = INV_STALE_ANSWER;
    w.store.document = slow; /* 11 minutes */
    give_aged(&w, 600000);
    assert_int_equal(w.ready, 1);
    give_aged(&w, 720000);
    assert_int_equal(w.refused, 1);
    end(&w);
}

static void unreadable_message_is_told(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    inv_intake_message(w.intake, CW_SLICE("{\"transid\":"), 1, 1);
    inv_intake_message(w.intake, CW_SLICE("{}"), 2, 1);
    inv_intake_message(w.intake, CW_SLICE(""), 3, 1);
    assert_int_equal(w.unreadable, 3);
    end(&w);
}

static void freeing_while_fetching_leaks_nothing(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    w.store.hold = true;
    give(&w, &(struct test_message){.id = 'a'});
    give(&w, &(struct test_message){.id = 'b', .revision = "null"});
    assert_int_equal(inv_intake_fetching(w.intake), 2);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(action_is_read_once_and_then_cached),
        cmocka_unit_test(reads_of_the_same_revision_coalesce),
        cmocka_unit_test(null_revision_reads_past_the_cache),
        cmocka_unit_test(other_revision_in_the_store_runs_and_is_kept_by_its_own),
        cmocka_unit_test(unused_actions_leave_the_cache),
        cmocka_unit_test(attachment_is_fetched_and_encoded),
        cmocka_unit_test(failures_have_their_status_and_text),
        cmocka_unit_test(failures_are_not_cached),
        cmocka_unit_test(limits_are_checked_in_order_with_their_texts),
        cmocka_unit_test(locked_arguments_are_decrypted_before_the_run),
        cmocka_unit_test(argument_that_cannot_be_decrypted_is_an_excused_whisk_error),
        cmocka_unit_test(blocked_namespace_is_refused_before_its_action_is_read),
        cmocka_unit_test(stale_work_is_counted_and_runs_unless_the_operator_says_otherwise),
        cmocka_unit_test(work_is_stale_only_when_its_controller_has_given_up),
        cmocka_unit_test(unreadable_message_is_told),
        cmocka_unit_test(freeing_while_fetching_leaks_nothing),
    };

    return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
