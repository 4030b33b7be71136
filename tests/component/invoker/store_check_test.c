/* The databases are asked until each has answered. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "invoker/store_check.h"
#include "tests/support/fake_store.h"

enum { WAIT_MS = 20000 };

struct world {
    struct cw_loop *loop;
    struct fake_store store;
    struct inv_store_check *check;
    unsigned wanted_checks;
};

static void begin(struct world *w)
{
    *w = (struct world){.loop = cw_loop_new(NULL, NULL)};
    fake_store_init(&w->store, w->loop);
}

static void start(struct world *w, const char *subjects)
{
    w->check = inv_store_check_new(&(struct inv_store_check_conf){
        .loop = w->loop,
        .store = &w->store.base,
        .user = "alice",
        .dbs = {"whisks", "activations", subjects},
        .retry_ms = 1,
    });
}

static void end(struct world *w)
{
    inv_store_check_free(w->check);
    fake_store_done(&w->store);
    cw_loop_free(w->loop);
}

static bool nothing_missing(void *arg)
{
    return !inv_store_check_missing(((struct world *)arg)->check);
}

static bool nothing_open(void *arg)
{
    return ((struct world *)arg)->store.calls.count == 0;
}

static bool asked_often(void *arg)
{
    return ((struct world *)arg)->store.checks >= ((struct world *)arg)->wanted_checks &&
           nothing_open(arg);
}

static void each_database_is_asked_once_when_all_is_well(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    start(&w, "subjects");
    assert_string_equal(inv_store_check_missing(w.check), "whisks");
    assert_true(cw_loop_run_until(w.loop, nothing_missing, &w, WAIT_MS));
    assert_string_equal(w.store.checked, "whisks activations subjects ");
    end(&w);
}

static void database_without_a_name_is_not_asked(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    start(&w, "");
    assert_true(cw_loop_run_until(w.loop, nothing_missing, &w, WAIT_MS));
    assert_string_equal(w.store.checked, "whisks activations ");
    end(&w);
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;

    while ((text = strstr(text, part))) {
        text += strlen(part);
        n++;
    }
    return n;
}

static void refusal_names_database_and_user_once_and_is_asked_again(void **state)
{
    FILE *log = tmpfile();
    char text[4096];
    struct world w;
    size_t n;

    (void)state;
    begin(&w);
    (void)cw_fail(&w.store.check_err, CW_INVALID, "401 unauthorized");
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = fileno(log)});
    start(&w, NULL);
    w.wanted_checks = 4; /* both again */
    assert_true(cw_loop_run_until(w.loop, asked_often, &w, WAIT_MS));
    assert_string_equal(inv_store_check_missing(w.check), "whisks");
    w.store.check_err = (struct cw_err){0};
    assert_true(cw_loop_run_until(w.loop, nothing_missing, &w, WAIT_MS));
    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = STDOUT_FILENO});
    rewind(log);
    n = fread(text, 1, sizeof(text) - 1, log);
    text[n] = '\0';
    (void)fclose(log);
    assert_int_equal(count(text, "[ERROR]"), 2);
    assert_int_equal(count(text, "database whisks cannot be used by user alice: 401 unauthorized"),
                     1);
    assert_int_equal(count(text, "database activations answers now"), 1);
    end(&w);
}

static void freeing_while_asking_leaks_nothing(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    w.store.hold = true;
    start(&w, "subjects");
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_database_is_asked_once_when_all_is_well),
        cmocka_unit_test(database_without_a_name_is_not_asked),
        cmocka_unit_test(refusal_names_database_and_user_once_and_is_asked_again),
        cmocka_unit_test(freeing_while_asking_leaks_nothing),
    };

    return cmocka_run_group_tests_name("store_check", tests, NULL, NULL);
}
