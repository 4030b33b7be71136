#include "tests/support/cmocka_all.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/loop/loop.h"
#include "common/loop/mailbox.h"
#include "common/loop/worker.h"

struct trace {
    struct cw_loop *loop;
    struct cw_defer a, b;
    char text[64];
};

static void note(struct trace *t, char c)
{
    size_t n = strlen(t->text);

    t->text[n] = c;
    t->text[n + 1] = '\0';
}

static void on_a(void *arg)
{
    struct trace *t = arg;

    note(t, 'a');
    cw_defer_post(&t->b);
    note(t, '.');
}

static void on_b(void *arg)
{
    struct trace *t = arg;

    note(t, 'b');
    cw_loop_stop(t->loop);
}

static void deferred_calls_run_after_what_posted_them(void **state)
{
    struct trace t = {.loop = cw_loop_new(NULL, NULL)};

    (void)state;
    cw_defer_init(&t.a, t.loop, on_a, &t);
    cw_defer_init(&t.b, t.loop, on_b, &t);
    cw_defer_post(&t.a);
    cw_defer_post(&t.a); /* twice is once */
    cw_loop_run(t.loop);
    assert_string_equal(t.text, "a.b");
    cw_loop_free(t.loop);
}

static void on_each_turn(void *arg)
{
    note(arg, '|');
}

static void something_runs_in_each_turn_before_it_may_sleep(void **state)
{
    struct trace t = {.loop = cw_loop_new(NULL, NULL)};

    (void)state;
    cw_defer_init(&t.a, t.loop, on_a, &t);
    cw_defer_init(&t.b, t.loop, on_b, &t);
    cw_loop_each_turn(t.loop, on_each_turn, &t);
    cw_defer_post(&t.a);
    cw_loop_run(t.loop);
    assert_string_equal(t.text, "a.b|");
    cw_loop_free(t.loop);
}

/* a posts b and itself; b posts a again, which is posted already. */
static void on_a_again(void *arg)
{
    struct trace *t = arg;

    note(t, 'a');
    cw_defer_post(&t->a);
    cw_defer_post(&t->b);
}

static void on_b_again(void *arg)
{
    struct trace *t = arg;

    note(t, 'b');
    cw_defer_post(&t->a);
    if (strlen(t->text) > 6)
        cw_loop_stop(t->loop);
}

static void a_chain_of_calls_is_one_turn_and_a_call_that_posts_itself_waits(void **state)
{
    struct trace t = {.loop = cw_loop_new(NULL, NULL)};

    (void)state;
    cw_defer_init(&t.a, t.loop, on_a_again, &t);
    cw_defer_init(&t.b, t.loop, on_b_again, &t);
    cw_loop_each_turn(t.loop, on_each_turn, &t);
    cw_defer_post(&t.a);
    cw_loop_run(t.loop);
    assert_string_equal(t.text, "ab|ab|ab|");
    cw_defer_cancel(&t.a);
    cw_loop_free(t.loop);
}

static void on_a_regrets(void *arg)
{
    struct trace *t = arg;

    note(t, 'a');
    cw_defer_post(&t->a);
    cw_defer_cancel(&t->a);
    cw_defer_post(&t->b);
}

static void calls_posted_anew_can_be_cancelled(void **state)
{
    struct trace t = {.loop = cw_loop_new(NULL, NULL)};

    (void)state;
    cw_defer_init(&t.a, t.loop, on_a_regrets, &t);
    cw_defer_init(&t.b, t.loop, on_b, &t);
    cw_defer_post(&t.a);
    cw_loop_run(t.loop);
    assert_string_equal(t.text, "ab");
    assert_false(cw_link_on_list(&t.a.link));
    cw_loop_free(t.loop);
}

struct endless {
    struct cw_defer call;
    struct cw_loop *loop;
    bool *stop;
};

/* Each makes a new one, which has not run in this turn. */
static void on_endless(void *arg)
{
    struct endless *e = arg, *next = cw_alloc(sizeof(*next));

    if (*e->stop) {
        cw_loop_stop(e->loop);
        free(next);
    } else {
        *next = (struct endless){.loop = e->loop, .stop = e->stop};
        cw_defer_init(&next->call, next->loop, on_endless, next);
        cw_defer_post(&next->call);
    }
    free(e);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static void new_calls_without_end_let_a_turn_end(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct endless *first = cw_alloc(sizeof(*first));
    struct cw_timer timer;
    bool stop = false;

    (void)state;
    *first = (struct endless){.loop = loop, .stop = &stop};
    cw_defer_init(&first->call, loop, on_endless, first);
    cw_defer_post(&first->call);
    cw_timer_init(&timer, loop, set_flag, &stop);
    cw_timer_set_ms(&timer, 0);
    cw_loop_run(loop);
    assert_true(stop);
    cw_timer_done(&timer);
    cw_loop_free(loop);
}

static void on_stop(void *arg)
{
    cw_loop_stop(arg);
}

static void cancelled_call_does_not_run(void **state)
{
    struct trace t = {.loop = cw_loop_new(NULL, NULL)};
    struct cw_timer timer;

    (void)state;
    cw_defer_init(&t.a, t.loop, on_a, &t);
    cw_defer_post(&t.a);
    cw_defer_cancel(&t.a);
    cw_timer_init(&timer, t.loop, on_stop, t.loop);
    cw_timer_set_ms(&timer, 0);
    assert_true(cw_timer_pending(&timer));
    cw_loop_run(t.loop);
    assert_string_equal(t.text, "");
    cw_timer_done(&timer);
    cw_loop_free(t.loop);
}

static void free_flag(void *obj)
{
    *(bool *)obj = true;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

static void buried_objects_are_freed_after_the_pass(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    bool freed = false;

    (void)state;
    cw_loop_bury(loop, &freed, free_flag);
    assert_false(freed);
    assert_true(cw_loop_run_until(loop, is_set, &freed, 1000));
    freed = false;
    cw_loop_bury(loop, &freed, free_flag);
    cw_loop_free(loop); /* what is still buried is freed with the loop */
    assert_true(freed);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void run_until_gives_up_at_its_limit(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);

    (void)state;
    assert_false(cw_loop_run_until(loop, never, NULL, 5));
    cw_loop_free(loop);
}

static void on_readable(void *arg)
{
    cw_loop_stop(arg);
}

static void watch_sees_a_readable_descriptor(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_watch w;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    cw_watch_read(&w, loop, fds[0], on_readable, loop);
    assert_int_equal(write(fds[1], "x", 1), 1);
    cw_loop_run(loop);
    cw_watch_done(&w);
    close(fds[0]);
    close(fds[1]);
    cw_loop_free(loop);
}

enum { POSTERS = 4, MAILS = 2000 };

struct number {
    struct cw_mail mail;
    int poster, value;
};

struct inbox {
    struct cw_mailbox *box;
    int last[POSTERS], count;
    bool in_order;
};

struct poster {
    struct cw_mailbox *box;
    int id;
};

static void *post_many(void *arg)
{
    struct poster *p = arg;

    for (int i = 1; i <= MAILS; i++) {
        struct number *n = cw_alloc(sizeof(*n));

        n->poster = p->id;
        n->value = i;
        cw_mailbox_post(p->box, &n->mail);
    }
    return NULL;
}

static void on_number(void *arg, struct cw_mail *mail)
{
    struct inbox *in = arg;
    struct number *n = CW_CONTAINER_OF(mail, struct number, mail);

    in->in_order &= n->value == in->last[n->poster] + 1;
    in->last[n->poster] = n->value;
    in->count++;
    free(n);
}

static bool all_mails_came(void *arg)
{
    return ((struct inbox *)arg)->count == POSTERS * MAILS;
}

static void mailbox_hands_out_everything_in_order(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct inbox in = {.in_order = true};
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS];

    (void)state;
    in.box = cw_mailbox_new(loop, on_number, &in, NULL);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){in.box, i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    assert_true(cw_loop_run_until(loop, all_mails_came, &in, 20000));
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(in.in_order);
    cw_mailbox_free(in.box, NULL, NULL);
    cw_loop_free(loop);
}

struct sum {
    int from, result, *done_count;
    pthread_t where;
};

static void add_up(void *arg)
{
    struct sum *s = arg;

    for (int i = 0; i <= s->from; i++)
        s->result += i;
    s->where = pthread_self();
}

static void sum_done(void *arg)
{
    ++*((struct sum *)arg)->done_count;
}

static bool ten_done(void *arg)
{
    return *(int *)arg == 10;
}

static void worker_runs_jobs_elsewhere_and_reports_here(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_worker *w = cw_worker_new(loop, 3, NULL);
    struct sum sums[10];
    int done = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        sums[i] = (struct sum){.from = i, .done_count = &done};
        cw_worker_run(w, add_up, sum_done, &sums[i]);
    }
    assert_true(cw_loop_run_until(loop, ten_done, &done, 10000));
    assert_int_equal(sums[9].result, 45);
    assert_false(pthread_equal(sums[9].where, pthread_self()));
    cw_worker_free(w);
    cw_loop_free(loop);
}

static void freeing_a_worker_reports_every_job(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_worker *w = cw_worker_new(loop, 1, NULL);
    struct sum sums[50];
    int done = 0;

    (void)state;
    for (int i = 0; i < 50; i++) {
        sums[i] = (struct sum){.from = 1000, .done_count = &done};
        cw_worker_run(w, add_up, sum_done, &sums[i]);
    }
    cw_worker_free(w);
    assert_int_equal(done, 50);
    cw_loop_free(loop);
}

static void worker_refuses_a_silly_thread_count(void **state)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);

    (void)state;
    assert_null(cw_worker_new(loop, 0, NULL));
    assert_null(cw_worker_new(loop, 65, NULL));
    cw_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deferred_calls_run_after_what_posted_them),
        cmocka_unit_test(a_chain_of_calls_is_one_turn_and_a_call_that_posts_itself_waits),
        cmocka_unit_test(calls_posted_anew_can_be_cancelled),
        cmocka_unit_test(new_calls_without_end_let_a_turn_end),
        cmocka_unit_test(something_runs_in_each_turn_before_it_may_sleep),
        cmocka_unit_test(cancelled_call_does_not_run),
        cmocka_unit_test(buried_objects_are_freed_after_the_pass),
        cmocka_unit_test(run_until_gives_up_at_its_limit),
        cmocka_unit_test(watch_sees_a_readable_descriptor),
        cmocka_unit_test(mailbox_hands_out_everything_in_order),
        cmocka_unit_test(worker_runs_jobs_elsewhere_and_reports_here),
        cmocka_unit_test(freeing_a_worker_reports_every_job),
        cmocka_unit_test(worker_refuses_a_silly_thread_count),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
