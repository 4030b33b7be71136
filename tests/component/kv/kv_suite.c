#include "tests/component/kv/kv_suite.h"

#include <inttypes.h>

#include "tests/support/cmocka_all.h"
#include "tests/support/turns.h"

enum { PATIENCE_MS = 10000 };

/* ---- answers ---- */

static void end(struct kv_answer *a, const struct cw_err *err)
{
    assert_false(a->ended);
    a->ended = true;
    a->code = err ? err->code : CW_OK;
    a->retriable = err && err->retriable;
    (void)snprintf(a->msg, sizeof(a->msg), "%s", err ? err->msg : "");
}

void kv_answer_done(void *arg, const struct cw_err *err)
{
    end(arg, err);
}

static int by_text(const void *a, const void *b)
{
    char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

static void join_sorted(char **words, size_t count, struct kv_answer *a)
{
    size_t at = strlen(a->text);

    qsort(words, count, sizeof(*words), by_text);
    for (size_t i = 0; i < count; i++) {
        at += (size_t)snprintf(a->text + at, sizeof(a->text) - at, "%s%s", i ? "," : "", words[i]);
        assert_true(at < sizeof(a->text));
        free(words[i]);
    }
    free(words);
}

static char *print_field(const struct cw_kv_field *f)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "%.*s=%.*s", (int)f->name.n, f->name.p, (int)f->value.n,
                   f->value.p);
    return cw_strdup(text);
}

void kv_answer_hashes(void *arg, const struct cw_kv_hash *hashes, size_t count,
                      const struct cw_err *err)
{
    struct kv_answer *a = arg;

    end(a, err);
    a->count = count;
    a->text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const struct cw_kv_hash *h = &hashes[i];
        char **words = cw_calloc(h->count, sizeof(*words));
        size_t at = strlen(a->text);

        (void)snprintf(a->text + at, sizeof(a->text) - at, "%s", i ? ";" : "");
        for (size_t k = 0; k < h->count; k++)
            words[k] = print_field(&h->fields[k]);
        join_sorted(words, h->count, a);
        at = strlen(a->text);
        (void)snprintf(a->text + at, sizeof(a->text) - at, "%s",
                       h->problem ? "PROBLEM"
                       : h->found ? ""
                                  : "-");
    }
}

void kv_answer_keys(void *arg, const struct cw_slice *keys, size_t count, const struct cw_err *err)
{
    struct kv_answer *a = arg;
    char **words = cw_calloc(count, sizeof(*words));

    end(a, err);
    a->count = count;
    a->text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        words[i] = cw_slice_dup(keys[i]);
    join_sorted(words, count, a);
}

static bool has_ended(void *arg)
{
    return ((const struct kv_answer *)arg)->ended;
}

void kv_wait(struct cw_loop *loop, const struct kv_answer *a)
{
    struct kv_answer *answer;

    memcpy(&answer, &a, sizeof(answer));
    assert_true(cw_loop_run_until(loop, has_ended, answer, PATIENCE_MS));
}

static void expect_ok(struct cw_loop *loop, const struct kv_answer *a)
{
    kv_wait(loop, a);
    assert_string_equal(a->msg, "");
}

void kv_put_one(struct cw_loop *loop, struct cw_kv *kv, const char *key, const char *name,
                const char *value, int64_t expire_ms)
{
    const struct cw_kv_field f = {cw_slice_of(name), cw_slice_of(value)};
    const struct cw_kv_put put = {.key = key, .fields = &f, .count = 1, .expire_ms = expire_ms};
    struct kv_answer a = {0};

    cw_kv_put(kv, &put, kv_answer_done, &a, NULL);
    expect_ok(loop, &a);
}

const char *kv_get_text(struct cw_loop *loop, struct cw_kv *kv, const char *key,
                        struct kv_answer *a)
{
    *a = (struct kv_answer){0};
    cw_kv_get(kv, &key, 1, kv_answer_hashes, a, NULL);
    expect_ok(loop, a);
    return a->text;
}

static void remove_one(struct kv_world *w, const char *key, const char *index)
{
    struct kv_answer a = {0};

    cw_kv_remove(w->kv, key, index, kv_answer_done, &a, NULL);
    expect_ok(w->loop, &a);
}

static void add_one(struct kv_world *w, struct cw_kv *kv, const char *key, const char *name,
                    int64_t by, struct kv_answer *a)
{
    const struct cw_kv_more more = {cw_slice_of(name), by};
    const struct cw_kv_add add = {.key = key, .fields = &more, .count = 1, .expire_ms = 60000};

    (void)w;
    *a = (struct kv_answer){0};
    cw_kv_add(kv, &add, kv_answer_done, a, NULL);
}

/* ---- cases ---- */

static void put_replaces_the_whole_hash(struct kv_world *w)
{
    struct kv_answer a;

    kv_put_one(w->loop, w->kv, "h", "old", "1", 60000);
    kv_put_one(w->loop, w->kv, "h", "new", "2", 60000);
    assert_string_equal(kv_get_text(w->loop, w->other, "h", &a), "new=2");
    remove_one(w, "h", NULL);
    assert_string_equal(kv_get_text(w->loop, w->other, "h", &a), "-");
    remove_one(w, "h", NULL);
}

static void any_bytes_come_back(struct kv_world *w)
{
    const char *key = "bytes \r\n*1";
    const struct cw_kv_field f = {CW_SLICE("a b"), CW_SLICE("\r\n$5\r\nx\xff")};
    const struct cw_kv_put put = {.key = key, .fields = &f, .count = 1};
    struct kv_answer a = {0};

    cw_kv_put(w->kv, &put, kv_answer_done, &a, NULL);
    expect_ok(w->loop, &a);
    assert_string_equal(kv_get_text(w->loop, w->other, key, &a), "a b=\r\n$5\r\nx\xff");
    remove_one(w, key, NULL);
}

static void get_answers_in_the_order_of_its_keys(struct kv_world *w)
{
    const char *const keys[] = {"o2", "gone", "o1"};
    struct kv_answer a = {0};

    kv_put_one(w->loop, w->kv, "o1", "n", "1", 0);
    kv_put_one(w->loop, w->kv, "o2", "n", "2", 0);
    cw_kv_get(w->kv, keys, 3, kv_answer_hashes, &a, NULL);
    expect_ok(w->loop, &a);
    assert_string_equal(a.text, "n=2;-;n=1");
    remove_one(w, "o1", NULL);
    remove_one(w, "o2", NULL);
}

static void a_hash_expires(struct kv_world *w)
{
    struct kv_answer a;

    kv_put_one(w->loop, w->kv, "short", "n", "1", 400);
    kv_put_one(w->loop, w->kv, "long", "n", "1", 60000);
    assert_string_equal(kv_get_text(w->loop, w->kv, "short", &a), "n=1");
    w->pass(w, 500);
    assert_string_equal(kv_get_text(w->loop, w->kv, "short", &a), "-");
    assert_string_equal(kv_get_text(w->loop, w->kv, "long", &a), "n=1");
    remove_one(w, "long", NULL);
}

static void replacing_also_replaces_the_expiry(struct kv_world *w)
{
    struct kv_answer a;

    kv_put_one(w->loop, w->kv, "again", "n", "1", 400);
    kv_put_one(w->loop, w->kv, "again", "n", "2", 0);
    w->pass(w, 500);
    assert_string_equal(kv_get_text(w->loop, w->kv, "again", &a), "n=2");
    remove_one(w, "again", NULL);
}

static void adding_extends_the_expiry(struct kv_world *w)
{
    const struct cw_kv_more more = {CW_SLICE("n"), 1};
    struct cw_kv_add add = {.key = "count", .fields = &more, .count = 1, .expire_ms = 400};
    struct kv_answer a = {0}, b = {0};

    cw_kv_add(w->kv, &add, kv_answer_done, &a, NULL);
    expect_ok(w->loop, &a);
    add.expire_ms = 60000;
    cw_kv_add(w->kv, &add, kv_answer_done, &b, NULL);
    expect_ok(w->loop, &b);
    w->pass(w, 500);
    assert_string_equal(kv_get_text(w->loop, w->kv, "count", &a), "n=2");
    remove_one(w, "count", NULL);
}

static void no_increment_is_lost(struct kv_world *w)
{
    enum { EACH = 200 };
    static struct kv_answer answers[2 * EACH];
    struct kv_answer a;

    for (int i = 0; i < EACH; i++) {
        add_one(w, w->kv, "sum", "n", 1, &answers[i]);
        add_one(w, w->other, "sum", "n", 2, &answers[EACH + i]);
    }
    for (int i = 0; i < 2 * EACH; i++)
        expect_ok(w->loop, &answers[i]);
    assert_string_equal(kv_get_text(w->loop, w->kv, "sum", &a), "n=600");
    remove_one(w, "sum", NULL);
}

static void many_fields_are_added_to_at_once(struct kv_world *w)
{
    const struct cw_kv_more more[] = {{CW_SLICE("a"), 5}, {CW_SLICE("b"), -7}, {CW_SLICE("c"), 0}};
    const struct cw_kv_add add = {.key = "many", .fields = more, .count = 3, .expire_ms = 60000};
    struct kv_answer a = {0}, b = {0};

    cw_kv_add(w->kv, &add, kv_answer_done, &a, NULL);
    cw_kv_add(w->kv, &add, kv_answer_done, &b, NULL);
    expect_ok(w->loop, &a);
    expect_ok(w->loop, &b);
    assert_string_equal(kv_get_text(w->loop, w->kv, "many", &a), "a=10,b=-14,c=0");
    remove_one(w, "many", NULL);
}

static void what_is_no_number_is_not_added_to(struct kv_world *w)
{
    const struct cw_kv_more more[] = {{CW_SLICE("good"), 1}, {CW_SLICE("bad"), 1}};
    const struct cw_kv_add add = {.key = "mixed", .fields = more, .count = 2, .expire_ms = 60000};
    struct kv_answer a = {0};

    kv_put_one(w->loop, w->kv, "mixed", "bad", "lots", 60000);
    cw_kv_add(w->kv, &add, kv_answer_done, &a, NULL);
    kv_wait(w->loop, &a);
    assert_int_equal(a.code, CW_INVALID);
    assert_false(a.retriable);
    assert_string_equal(kv_get_text(w->loop, w->kv, "mixed", &a), "bad=lots,good=1");
    remove_one(w, "mixed", NULL);
}

static void a_number_does_not_overflow(struct kv_world *w)
{
    struct kv_answer a;

    add_one(w, w->kv, "big", "n", INT64_MAX, &a);
    expect_ok(w->loop, &a);
    add_one(w, w->kv, "big", "n", 1, &a);
    kv_wait(w->loop, &a);
    assert_int_equal(a.code, CW_INVALID);
    assert_string_equal(kv_get_text(w->loop, w->kv, "big", &a), "n=9223372036854775807");
    remove_one(w, "big", NULL);
}

static void put_in_index(struct kv_world *w, const char *key, int64_t expire_ms)
{
    const struct cw_kv_field f = {CW_SLICE("n"), CW_SLICE("1")};
    const struct cw_kv_put put = {
        .key = key, .index = "hosts", .fields = &f, .count = 1, .expire_ms = expire_ms};
    struct kv_answer a = {0};

    cw_kv_put(w->kv, &put, kv_answer_done, &a, NULL);
    expect_ok(w->loop, &a);
}

static void list(struct kv_world *w, size_t max, struct kv_answer *a)
{
    *a = (struct kv_answer){0};
    cw_kv_list(w->other, "hosts", max, kv_answer_keys, a, NULL);
    kv_wait(w->loop, a);
}

static void an_index_lists_what_was_put_in_it(struct kv_world *w)
{
    struct kv_answer a;

    list(w, 10, &a);
    assert_string_equal(a.msg, "");
    assert_int_equal(a.count, 0);
    put_in_index(w, "host:1", 60000);
    put_in_index(w, "host:2", 60000);
    put_in_index(w, "host:1", 60000);
    list(w, 2, &a);
    assert_string_equal(a.text, "host:1,host:2");
    list(w, 1, &a);
    assert_int_equal(a.code, CW_TOO_LARGE);
    remove_one(w, "host:1", "hosts");
    list(w, 10, &a);
    assert_string_equal(a.text, "host:2");
    remove_one(w, "host:2", "hosts");
    list(w, 10, &a);
    assert_int_equal(a.count, 0);
}

static void trim(struct kv_world *w, const char *key, const struct cw_slice *names, size_t count)
{
    struct kv_answer a = {0};

    cw_kv_trim(w->kv, key, names, count, kv_answer_done, &a, NULL);
    expect_ok(w->loop, &a);
}

static void fields_can_be_taken_out(struct kv_world *w)
{
    const struct cw_kv_more more[] = {{CW_SLICE("a"), 1}, {CW_SLICE("b"), 2}, {CW_SLICE("c"), 3}};
    const struct cw_kv_add add = {.key = "trimmed", .fields = more, .count = 3};
    const struct cw_slice names[] = {CW_SLICE("a"), CW_SLICE("gone"), CW_SLICE("c")};
    const struct cw_slice last[] = {CW_SLICE("b")};
    struct kv_answer a = {0};

    cw_kv_add(w->kv, &add, kv_answer_done, &a, NULL);
    expect_ok(w->loop, &a);
    trim(w, "trimmed", names, 3);
    assert_string_equal(kv_get_text(w->loop, w->other, "trimmed", &a), "b=2");
    trim(w, "trimmed", last, 1);
    assert_string_equal(kv_get_text(w->loop, w->other, "trimmed", &a), "-");
    trim(w, "trimmed", last, 1);
}

struct heard {
    char text[256];
    int count;
    int want;
};

static void on_message(void *arg, struct cw_slice message)
{
    struct heard *h = arg;
    size_t at = strlen(h->text);

    (void)snprintf(h->text + at, sizeof(h->text) - at, "[%.*s]", (int)message.n, message.p);
    h->count++;
}

static bool heard_enough(void *arg)
{
    const struct heard *h = arg;

    return h->count >= h->want;
}

static void publish(struct kv_world *w, const char *channel, const char *text)
{
    struct kv_answer a = {0};

    cw_kv_publish(w->other, channel, cw_slice_of(text), kv_answer_done, &a, NULL);
    expect_ok(w->loop, &a);
}

/* A subscription begins some time after it was asked for: until then, knock. */
static void knock(struct kv_world *w, const char *channel, struct heard *h)
{
    h->want = 1;
    while (!h->count) {
        publish(w, channel, "");
        (void)cw_loop_run_until(w->loop, heard_enough, h, 20);
    }
    w->pass(w, 50);
    run_turns(w->loop);
    h->text[0] = '\0';
    h->count = 0;
}

static void messages_reach_their_subscribers_in_order(struct kv_world *w)
{
    struct heard a = {.want = 2}, b = {0}, again = {0};
    struct cw_kv_sub *first = cw_kv_subscribe(w->kv, "end:0", on_message, &a);
    struct cw_kv_sub *same = cw_kv_subscribe(w->kv, "end:0", on_message, &again);
    struct cw_kv_sub *second = cw_kv_subscribe(w->kv, "end:1", on_message, &b);

    knock(w, "end:0", &a);
    knock(w, "end:1", &b);
    again.text[0] = '\0';
    publish(w, "end:0", "one");
    publish(w, "end:0", "two");
    publish(w, "end:1", "three");
    publish(w, "end:2", "nobody");
    a.want = 2;
    b.want = 1;
    assert_true(cw_loop_run_until(w->loop, heard_enough, &a, PATIENCE_MS));
    assert_true(cw_loop_run_until(w->loop, heard_enough, &b, PATIENCE_MS));
    assert_string_equal(a.text, "[one][two]");
    assert_string_equal(again.text, "[one][two]");
    assert_string_equal(b.text, "[three]");
    cw_kv_unsubscribe(first);
    cw_kv_unsubscribe(same);
    cw_kv_unsubscribe(second);
}

static void who_ended_its_subscription_hears_nothing(struct kv_world *w)
{
    struct heard ended = {0}, stays = {0};
    struct cw_kv_sub *first = cw_kv_subscribe(w->kv, "x", on_message, &ended);
    struct cw_kv_sub *second = cw_kv_subscribe(w->kv, "x", on_message, &stays);

    knock(w, "x", &stays);
    ended.text[0] = '\0';
    cw_kv_unsubscribe(first);
    publish(w, "x", "late");
    stays.want = 1;
    assert_true(cw_loop_run_until(w->loop, heard_enough, &stays, PATIENCE_MS));
    assert_string_equal(ended.text, "");
    cw_kv_unsubscribe(second);
}

static void a_cancelled_call_says_nothing(struct kv_world *w)
{
    struct kv_answer cancelled = {0}, a = {0};
    const char *key = "cancelled";
    struct cw_kv_call *call;

    cw_kv_get(w->kv, &key, 1, kv_answer_hashes, &cancelled, &call);
    cw_kv_cancel(call);
    (void)kv_get_text(w->loop, w->kv, key, &a);
    run_turns(w->loop);
    assert_false(cancelled.ended);
}

static void nothing_is_called_back_at_once(struct kv_world *w)
{
    struct kv_answer a = {0}, b = {0};
    char too_long[CW_KV_KEY_MAX + 2];
    const char *keys[] = {too_long};

    memset(too_long, 'k', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    cw_kv_get(w->kv, keys, 1, kv_answer_hashes, &a, NULL);
    cw_kv_remove(w->kv, "nothing", NULL, kv_answer_done, &b, NULL);
    assert_false(a.ended || b.ended);
    kv_wait(w->loop, &a);
    assert_int_equal(a.code, CW_TOO_LARGE);
    expect_ok(w->loop, &b);
}

static void limits_of_one_call_hold(struct kv_world *w)
{
    static char huge[CW_KV_HASH_MAX_BYTES + 1];
    const struct cw_kv_field f = {CW_SLICE("n"), {huge, sizeof(huge)}};
    const struct cw_kv_put put = {.key = "huge", .fields = &f, .count = 1};
    struct kv_answer a = {0}, b = {0}, c = {0};

    cw_kv_put(w->kv, &put, kv_answer_done, &a, NULL);
    cw_kv_get(w->kv, NULL, 0, kv_answer_hashes, &b, NULL);
    cw_kv_publish(w->kv, "c", cw_slice(huge, sizeof(huge)), kv_answer_done, &c, NULL);
    kv_wait(w->loop, &a);
    kv_wait(w->loop, &b);
    kv_wait(w->loop, &c);
    assert_int_equal(a.code, CW_TOO_LARGE);
    assert_int_equal(b.code, CW_TOO_LARGE);
    assert_int_equal(c.code, CW_TOO_LARGE);
}

static void the_largest_hash_comes_back(struct kv_world *w)
{
    static char value[CW_KV_HASH_MAX_BYTES - 1];
    const struct cw_kv_field f = {CW_SLICE("n"), {value, sizeof(value)}};
    const struct cw_kv_put put = {.key = "full", .fields = &f, .count = 1, .expire_ms = 60000};
    const char *key = "full";
    struct kv_answer a = {0}, b = {0};

    memset(value, 'v', sizeof(value));
    cw_kv_put(w->kv, &put, kv_answer_done, &a, NULL);
    expect_ok(w->loop, &a);
    cw_kv_get(w->kv, &key, 1, kv_answer_hashes, &b, NULL);
    expect_ok(w->loop, &b);
    assert_true(strncmp(b.text, "n=vvvv", 6) == 0);
    remove_one(w, "full", NULL);
}

#define CASE(fn)                                                                                   \
    {                                                                                              \
#fn, fn                                                                                    \
    }
static const struct kv_case CASES[] = {
    CASE(put_replaces_the_whole_hash),
    CASE(any_bytes_come_back),
    CASE(get_answers_in_the_order_of_its_keys),
    CASE(a_hash_expires),
    CASE(replacing_also_replaces_the_expiry),
    CASE(adding_extends_the_expiry),
    CASE(no_increment_is_lost),
    CASE(many_fields_are_added_to_at_once),
    CASE(what_is_no_number_is_not_added_to),
    CASE(a_number_does_not_overflow),
    CASE(an_index_lists_what_was_put_in_it),
    CASE(fields_can_be_taken_out),
    CASE(messages_reach_their_subscribers_in_order),
    CASE(who_ended_its_subscription_hears_nothing),
    CASE(a_cancelled_call_says_nothing),
    CASE(nothing_is_called_back_at_once),
    CASE(limits_of_one_call_hold),
    CASE(the_largest_hash_comes_back),
};

int kv_run_cases(void (*run)(void **state), int (*setup)(void **state),
                 int (*teardown)(void **state))
{
    struct CMUnitTest tests[CW_ARRAY_LEN(CASES)];

    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++)
        tests[i] = (struct CMUnitTest){
            .name = CASES[i].name, .test_func = run, .initial_state = (void *)(uintptr_t)&CASES[i]};
    return cmocka_run_group_tests(tests, setup, teardown);
}
