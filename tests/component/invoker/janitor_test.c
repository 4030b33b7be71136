/* The janitor's rounds: what it asks of dispatch and of an engine that the test plays, and what it
 * says over HTTP. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/http/client.h"
#include "common/http/server.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/event_log.h"
#include "invoker/janitor/janitor.h"
#include "invoker/janitor/owners.h"
#include "tests/component/invoker/dispatch_world.h"
#include "tests/support/fake_bus.h"
#include "tests/support/turns.h"

#define PREFIX "wsk0_"

struct kept {
    struct world *w;
    struct inv_janitor_conf conf;
    struct inv_janitor *janitor;
    struct inv_event_log *events;
    struct cw_http_server *server;
    struct cw_http *client;
    struct cw_http_call *call;
    int status;
    char body[16384];
    unsigned begun;
    size_t removed;
};

static void on_request(void *arg, struct cw_http_exchange *ex)
{
    inv_janitor_answer(((struct kept *)arg)->janitor, ex);
}

static void start(struct kept *k)
{
    k->janitor = inv_janitor_new(&k->conf);
}

static struct kept *begin(void)
{
    struct kept *k = cw_alloc(sizeof(*k));

    k->w = begin_world(well_behaved);
    k->events = inv_event_log_new(k->w->loop, 100);
    k->conf = (struct inv_janitor_conf){
        .loop = k->w->loop,
        .driver = &k->w->driver.base,
        .dispatch = k->w->dispatch,
        .metrics = k->w->metrics,
        .events = k->events,
        .policy = {.prefix = PREFIX, .cluster = "", .memory_part = 1},
        .boot = "7",
        .interval_ms = 3600000,
    };
    k->server = cw_http_server_new(
        k->w->loop, &(struct cw_http_server_conf){.address = "127.0.0.1"}, on_request, k, NULL);
    k->client = cw_http_new(k->w->loop, &(struct cw_http_conf){0}, NULL);
    assert_non_null(k->server);
    assert_non_null(k->client);
    return k;
}

static void end(struct kept *k)
{
    cw_http_free(k->client);
    cw_http_server_free(k->server);
    inv_janitor_free(k->janitor);
    inv_event_log_free(k->events);
    end_world(k->w);
    free(k);
}

static void on_begun(void *arg, size_t removed, const struct cw_err *err)
{
    struct kept *k = arg;

    k->begun++;
    k->removed = removed;
    (void)err;
}

static bool has_begun(void *arg)
{
    return ((struct kept *)arg)->begun > 0;
}

static void first_round(struct kept *k)
{
    inv_janitor_begin(k->janitor, 60000, on_begun, k);
    assert_int_equal(k->begun, 0); /* never inside the call */
    assert_true(cw_loop_run_until(k->w->loop, has_begun, k, WAIT_MS));
}

static void on_reply(void *arg, const struct cw_http_reply *reply, const struct cw_err *err)
{
    struct kept *k = arg;

    assert_null(err);
    k->call = NULL;
    k->status = reply->status;
    (void)snprintf(k->body, sizeof(k->body), "%.*s", (int)reply->body.n, reply->body.p);
}

static bool is_answered(void *arg)
{
    return ((struct kept *)arg)->call == NULL;
}

static void ask(struct kept *k, const char *method, const char *path)
{
    char url[128];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s",
                   (unsigned)cw_http_server_port(k->server), path);
    k->call = cw_http_send(
        k->client, &(struct cw_http_request){.method = method, .url = url, .has_body = true},
        on_reply, k);
    assert_true(cw_loop_run_until(k->w->loop, is_answered, k, WAIT_MS));
}

static uint64_t removed_count(struct kept *k, const char *reason)
{
    char label[40];

    (void)snprintf(label, sizeof(label), "reason=\"%s\"", reason);
    return cw_counter_value(
        cw_metrics_counter(k->w->metrics, "cwhisk_janitor_removed_total", label, NULL));
}

static const struct cw_owned_container LEFT[] = {
    {.id = "f00", .name = PREFIX "1_guest_a", .cluster = "", .running = true, .created_s = 20},
    {.id = "f01", .name = PREFIX "2_guest_a", .cluster = "", .created_s = 10, .action = "guest/a"},
    {.id = "f02", .name = PREFIX "x_guest_a", .cluster = ""},
    {.id = "f03", .name = PREFIX "3_guest_a", .cluster = "green"},
    {.id = "f04",
     .name = PREFIX "4_guest_a",
     .cluster = "",
     .paused = true,
     .running = true,
     .created_s = 30},
};

static void show(struct kept *k, const struct cw_owned_container *list, size_t count)
{
    k->w->driver.owned = list;
    k->w->driver.owned_count = count;
}

static void first_round_removes_what_was_left_oldest_first_even_in_a_dry_run(void **state)
{
    struct kept *k = begin();

    (void)state;
    k->conf.dry_run = true;
    start(k);
    show(k, LEFT, CW_ARRAY_LEN(LEFT));
    first_round(k);
    assert_int_equal(k->removed, 3);
    assert_string_equal(k->w->driver.journal, "remove f01, remove f00, resume f04, remove f04, ");
    assert_int_equal(removed_count(k, "orphaned"), 2);
    assert_int_equal(removed_count(k, "stopped"), 1);
    end(k);
}

static void later_rounds_of_a_dry_run_and_get_remove_nothing(void **state)
{
    struct kept *k = begin();

    (void)state;
    k->conf.dry_run = true;
    start(k);
    first_round(k);
    show(k, LEFT, CW_ARRAY_LEN(LEFT));
    ask(k, "GET", "/clean");
    assert_int_equal(k->status, 200);
    assert_non_null(strstr(k->body,
                           "{\"dryRun\":true,\"seen\":5,\"containers\":[{\"name\":\"" PREFIX
                           "2_guest_a\",\"id\":\"f01\",\"reason\":\"stopped\",\"state\":"
                           "\"stopped\",\"action\":\"guest/a\","));
    assert_non_null(strstr(k->body, "\"result\":\"would be removed\""));
    ask(k, "POST", "/clean");
    assert_non_null(strstr(k->body, "\"dryRun\":true"));
    inv_janitor_soon(k->janitor);
    run_turns(k->w->loop);
    assert_string_equal(k->w->driver.journal, "");
    assert_int_equal(removed_count(k, "stopped"), 0);
    end(k);
}

static void post_removes_and_tells_what_resisted(void **state)
{
    struct kept *k = begin();

    (void)state;
    start(k);
    first_round(k);
    show(k, LEFT, CW_ARRAY_LEN(LEFT));
    k->w->driver.resists = "f01";
    ask(k, "POST", "/clean?dry-run");
    assert_string_equal(k->w->driver.journal, "");
    ask(k, "POST", "/clean");
    assert_non_null(strstr(k->body, "\"dryRun\":false"));
    assert_non_null(strstr(k->body, "\"result\":\"removed\""));
    assert_non_null(strstr(k->body, "\"result\":\"failed: "));
    assert_int_equal(removed_count(k, "orphaned"), 2);
    assert_int_equal(removed_count(k, "stopped"), 0);
    end(k);
}

static void nothing_is_answered_before_the_first_round_and_without_a_list(void **state)
{
    struct kept *k = begin();

    (void)state;
    start(k);
    ask(k, "GET", "/clean");
    assert_int_equal(k->status, 503);
    first_round(k);
    k->w->driver.fail_list = true;
    ask(k, "POST", "/clean");
    assert_int_equal(k->status, 503);
    end(k);
}

static void run_one(struct kept *k, char id)
{
    submit(k->w, make_action(k->w, "hello", 60000, 256, 1), id);
    wait_ends(k->w, k->w->end_count + 1);
    run_turns(k->w->loop);
}

/* The engine shows the one container that dispatch made. */
static void show_own(struct kept *k, struct cw_owned_container *own, char id[65])
{
    (void)snprintf(id, 65, "%064u", 1U);
    *own = (struct cw_owned_container){
        .id = id, .cluster = "", .running = true, .name = k->w->driver.last_name};
    show(k, own, 1);
}

static void idle_container_goes_through_its_owner_when_the_policy_says_so(void **state)
{
    struct kept *k = begin();
    struct cw_owned_container own;
    char id[65];

    (void)state;
    k->conf.policy.idle_ms = 60000;
    start(k);
    first_round(k);
    run_one(k, 'a');
    show_own(k, &own, id);
    ask(k, "POST", "/clean");
    assert_int_equal(inv_dispatch_containers(k->w->dispatch), 1);
    k->w->skipped_us += INT64_C(61) * 1000000;
    ask(k, "POST", "/clean");
    assert_non_null(strstr(k->body, "\"reason\":\"idle\""));
    assert_true(cw_loop_run_until(k->w->loop, containers_gone, k->w, WAIT_MS));
    assert_int_equal(removed_count(k, "idle"), 1);
    assert_int_equal(k->w->driver.removed, 1);
    run_one(k, 'b'); /* and a new one is made */
    assert_int_equal(k->w->driver.created, 2);
    end(k);
}

static void rounds_that_are_asked_for_at_once_follow_each_other(void **state)
{
    struct kept *k = begin();

    (void)state;
    start(k);
    first_round(k);
    show(k, LEFT, 1);
    k->w->driver.hold_lists = true;
    inv_janitor_soon(k->janitor);
    inv_janitor_soon(k->janitor);
    fake_driver_release(&k->w->driver);
    run_turns(k->w->loop);
    k->w->driver.hold_lists = false;
    fake_driver_release(&k->w->driver);
    ask(k, "GET", "/clean");
    assert_non_null(strstr(k->body, "\"seen\":1"));
    assert_string_equal(k->w->driver.journal, "remove f00, remove f00, ");
    end(k);
}

static void janitor_may_go_in_the_middle(void **state)
{
    struct kept *k = begin();

    (void)state;
    start(k);
    first_round(k);
    show(k, LEFT, CW_ARRAY_LEN(LEFT));
    k->w->driver.hold_removes = true;
    inv_janitor_soon(k->janitor);
    run_turns(k->w->loop);
    end(k);
}

/* ---- containers of other invokers ---- */

static const struct cw_owned_container OTHERS[] = {
    {.id = "a0",
     .name = "wsk3_1_guest_a",
     .cluster = "blue",
     .instance = "3",
     .boot = "1",
     .running = true},
    {.id = "a1",
     .name = "wsk3_1_guest_a",
     .cluster = "green",
     .instance = "3",
     .boot = "1",
     .running = true},
    {.id = "a2",
     .name = "wskold0_1_guest_a",
     .cluster = "blue",
     .instance = "0",
     .boot = "1",
     .running = true},
    {.id = "a3",
     .name = "wskold0_2_guest_a",
     .cluster = "blue",
     .instance = "0",
     .boot = "7",
     .running = true},
    {.id = "a4",
     .name = "wskx_1_guest_a",
     .cluster = "blue",
     .instance = "x",
     .boot = "1",
     .running = true},
};

static void others_go_when_their_group_stays_empty_and_our_former_names_at_once(void **state)
{
    static const struct cw_group_member MEMBER = {
        .client_id = "c", .host = "/1", .instance_id = ""};
    struct kept *k = begin();
    struct inv_owners *owners;
    struct fake_bus bus;

    (void)state;
    fake_bus_init(&bus, k->w->loop);
    bus.members = &MEMBER;
    bus.member_count = 1;
    owners = inv_owners_new(k->w->loop, &bus.base, "p-", 60000);
    k->conf.owners = owners;
    k->conf.policy.others = true;
    k->conf.policy.cluster = "blue";
    start(k);
    show(k, OTHERS, CW_ARRAY_LEN(OTHERS));
    first_round(k);
    assert_string_equal(k->w->driver.last_prefix, "wsk");
    assert_string_equal(k->w->driver.journal, "remove a2, ");
    show(k, OTHERS, 2);
    k->w->skipped_us += INT64_C(100) * 1000000;
    ask(k, "POST", "/clean"); /* alive */
    bus.member_count = 0;
    ask(k, "POST", "/clean"); /* empty from now on */
    run_turns(k->w->loop);
    ask(k, "POST", "/clean");
    run_turns(k->w->loop);
    assert_string_equal(k->w->driver.journal, "remove a2, ");
    bus.member_failures = 1; /* not known: counted anew */
    k->w->skipped_us += INT64_C(100) * 1000000;
    ask(k, "POST", "/clean");
    run_turns(k->w->loop);
    ask(k, "POST", "/clean");
    run_turns(k->w->loop);
    k->w->skipped_us += INT64_C(61) * 1000000;
    ask(k, "POST", "/clean");
    run_turns(k->w->loop);
    assert_string_equal(k->w->driver.journal, "remove a2, ");
    ask(k, "POST", "/clean");
    assert_string_equal(k->w->driver.journal, "remove a2, remove a0, ");
    cw_bus_free(&bus.base);
    inv_owners_free(owners);
    end(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_round_removes_what_was_left_oldest_first_even_in_a_dry_run),
        cmocka_unit_test(later_rounds_of_a_dry_run_and_get_remove_nothing),
        cmocka_unit_test(post_removes_and_tells_what_resisted),
        cmocka_unit_test(nothing_is_answered_before_the_first_round_and_without_a_list),
        cmocka_unit_test(idle_container_goes_through_its_owner_when_the_policy_says_so),
        cmocka_unit_test(rounds_that_are_asked_for_at_once_follow_each_other),
        cmocka_unit_test(janitor_may_go_in_the_middle),
        cmocka_unit_test(others_go_when_their_group_stays_empty_and_our_former_names_at_once),
    };

    return cmocka_run_group_tests_name("janitor", tests, NULL, NULL);
}
