/* Clients that are slow, many or never satisfied: each costs a bounded time and memory, and others
 * are served meanwhile. */
#include "tests/support/cmocka_all.h"

#include <sys/socket.h>

#include "tests/component/http_server/server_world.h"

#define GET "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"

/* One that sends a text again and again, a byte now and then, so that it is never idle. */
struct dripper {
    struct peer peer;
    struct cw_timer timer;
    const char *text;
    size_t sent;
};

static void drip(void *arg)
{
    struct dripper *d = arg;

    if (d->peer.eof)
        return;
    (void)!send(d->peer.fd, &d->text[d->sent++ % strlen(d->text)], 1, MSG_NOSIGNAL);
    cw_timer_set_ms(&d->timer, 10);
}

static void dripper_open(struct dripper *d, struct fixture *f, const char *before, const char *text)
{
    *d = (struct dripper){.text = text};
    peer_open(&d->peer, f);
    peer_send(&d->peer, before);
    cw_timer_init(&d->timer, f->loop, drip, d);
    cw_timer_set_ms(&d->timer, 0);
}

static void dripper_close(struct dripper *d)
{
    cw_timer_done(&d->timer);
    peer_close(&d->peer);
}

static void request_that_trickles_in_ends_at_its_deadline(void **state)
{
    static const char *const BEGINNINGS[] = {
        "", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"};
    static const char *const REST[] = {"GET / HTTP/1.1\r\n", "X-A: b\r\n", "y", "1\r\nz\r\n"};
    struct dripper slow[4];
    struct fixture f;

    (void)state;
    world_start(&f, world_on_request, (struct cw_http_server_conf){.request_ms = 300});
    for (int i = 0; i < 4; i++)
        dripper_open(&slow[i], &f, BEGINNINGS[i], REST[i]);
    expect(&f, GET, "hello"); /* meanwhile others are served */
    for (int i = 0; i < 4; i++)
        assert_true(cw_loop_run_until(f.loop, peer_at_end, &slow[i].peer, PATIENCE_MS));
    assert_int_equal(f.requests, 1);
    for (int i = 0; i < 4; i++)
        dripper_close(&slow[i]);
    tear_down(&f);
}

static void next_request_has_a_deadline_too(void **state)
{
    struct dripper slow;
    struct fixture f;

    (void)state;
    world_start(&f, world_on_request, (struct cw_http_server_conf){.idle_timeout_ms = 300});
    dripper_open(&slow, &f, GET, "X");
    wait_answer(&f, &slow.peer, "hello");
    assert_true(cw_loop_run_until(f.loop, peer_at_end, &slow.peer, PATIENCE_MS));
    assert_int_equal(f.requests, 1);
    dripper_close(&slow);
    tear_down(&f);
}

/* Takes a little now and then, so that it is never idle either. */
static void sip(void *arg)
{
    struct dripper *d = arg;
    char little[8192];
    ssize_t n = recv(d->peer.fd, little, sizeof(little), MSG_DONTWAIT);

    if (n > 0)
        d->sent += (size_t)n;
    else if (n == 0)
        d->peer.eof = true;
    if (!d->peer.eof)
        cw_timer_set_ms(&d->timer, 1);
}

static void answer_that_is_not_taken_is_given_up(void **state)
{
    enum { BIG = 64 << 20 };
    cw_auto_free char *big = cw_alloc(BIG);
    struct dripper d = {0};
    struct fixture f;

    (void)state;
    world_start(&f, world_on_request, (struct cw_http_server_conf){.idle_timeout_ms = 300});
    f.defer = true;
    peer_open(&d.peer, &f);
    cw_watch_done(&d.peer.watch);
    peer_send(&d.peer, GET);
    wait_request(&f);
    cw_http_answer(f.kept[0], 200, NULL, cw_slice(big, BIG));
    cw_timer_init(&d.timer, f.loop, sip, &d);
    cw_timer_set_ms(&d.timer, 0);
    assert_true(cw_loop_run_until(f.loop, peer_at_end, &d.peer, PATIENCE_MS));
    assert_in_range(d.sent, 1, BIG - 1);
    f.defer = false;
    expect(&f, GET, "hello");
    dripper_close(&d);
    tear_down(&f);
}

static void note_full(void *arg, size_t connections)
{
    struct fixture *f = arg;

    f->full = connections;
}

static void connections_over_the_bound_wait_for_a_place(void **state)
{
    struct fixture f;
    struct peer a, b, c;

    (void)state;
    world_start(&f, world_on_request,
                (struct cw_http_server_conf){.max_connections = 2, .on_full = note_full});
    peer_open(&a, &f);
    peer_send(&a, GET);
    wait_answer(&f, &a, "hello");
    assert_int_equal(f.full, 0);
    peer_open(&b, &f);
    peer_send(&b, GET);
    wait_answer(&f, &b, "hello");
    assert_int_equal(f.full, 2);
    peer_open(&c, &f); /* the kernel takes it */
    peer_send(&c, GET);
    for (int i = 0; i < 3; i++) { /* whole exchanges in which c would have been served */
        cw_str_reset(&a.in);
        peer_send(&a, GET);
        wait_answer(&f, &a, "hello");
    }
    assert_int_equal(c.in.n, 0);
    peer_close(&b);
    wait_answer(&f, &c, "hello");
    peer_close(&a);
    peer_close(&c);
    tear_down(&f);
}

static void silent_crowd_makes_room_at_its_deadline(void **state)
{
    struct fixture f;
    struct peer crowd[4];

    (void)state;
    world_start(&f, world_on_request,
                (struct cw_http_server_conf){.max_connections = 2, .request_ms = 200});
    for (int i = 0; i < 4; i++)
        peer_open(&crowd[i], &f);
    expect(&f, GET, "hello");
    for (int i = 0; i < 4; i++)
        peer_close(&crowd[i]);
    tear_down(&f);
}

static void requests_in_one_piece_are_answered_in_order(void **state)
{
    struct fixture f;
    struct peer p;

    (void)state;
    world_start(&f, world_on_request, (struct cw_http_server_conf){0});
    peer_open(&p, &f);
    peer_send(&p, GET "POST /y HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
                      "GET /z HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                      "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(cw_loop_run_until(f.loop, peer_at_end, &p, PATIENCE_MS));
    assert_int_equal(f.requests, 3);
    assert_string_equal(f.seen, "GET /z|-|");
    peer_close(&p);
    tear_down(&f);
}

static void expect_nothing(struct fixture *f, const char *request)
{
    struct peer p;

    peer_open(&p, f);
    peer_send(&p, request);
    if (!cw_loop_run_until(f->loop, peer_at_end, &p, PATIENCE_MS) || f->requests)
        fail_msg("%s: '%s' came to the handler, the answer was %s", request, f->seen,
                 p.in.n ? p.in.p : "");
    peer_close(&p);
}

/* Two lengths, or a length and chunks, are how requests are smuggled past a proxy. */
static void nonsense_never_reaches_the_handler(void **state)
{
    static const char *const NONSENSE[] = {
        "GET /x\r\n\r\n",
        "GET /x HTTP/9.9\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    };
    struct fixture f;

    (void)state;
    world_start(&f, world_on_request, (struct cw_http_server_conf){.request_ms = 300});
    for (size_t i = 0; i < CW_ARRAY_LEN(NONSENSE); i++)
        expect_nothing(&f, NONSENSE[i]);
    expect(&f, GET, "hello");
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_that_trickles_in_ends_at_its_deadline),
        cmocka_unit_test(next_request_has_a_deadline_too),
        cmocka_unit_test(answer_that_is_not_taken_is_given_up),
        cmocka_unit_test(connections_over_the_bound_wait_for_a_place),
        cmocka_unit_test(silent_crowd_makes_room_at_its_deadline),
        cmocka_unit_test(requests_in_one_piece_are_answered_in_order),
        cmocka_unit_test(nonsense_never_reaches_the_handler),
    };

    return cmocka_run_group_tests_name("server_bounds", tests, NULL, NULL);
}
