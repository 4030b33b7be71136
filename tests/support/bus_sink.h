/* tests/support/bus_sink.h -- a subscriber that remembers what it got, and waiting for it. */
#pragma once

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "tests/support/cmocka_all.h"

enum { SINK_MAX = 8192 };

struct bus_sink {
    struct cw_loop *loop;
    struct cw_bus *bus;
    struct cw_bus_sub *sub;
    size_t count;
    int numbers[SINK_MAX]; /* messages are decimal numbers, perhaps followed by padding */
    int64_t offsets[SINK_MAX];
    size_t last_bytes;
    int64_t last_timestamp_ms;
    size_t pause_at;       /* pause oneself when count reaches this; 0 = never */
    size_t unsubscribe_at; /* 0 = never */
    int assigned;          /* +1 / -1 */
    int revoked;
    int64_t seek_when_assigned; /* -1 = no */
    int64_t position;           /* of the group, when it was assigned */
    char position_note[32];
    size_t errors, timeouts;
    struct cw_err last_error;
    size_t want; /* for bus_sink_wait */
    const char *want_error;
};

struct bus_answers {
    size_t count, failed;
    struct cw_err last_error;
    size_t want;
};

static inline void bus_sink_on_message(void *arg, const struct cw_bus_message *msg)
{
    struct bus_sink *s = arg;
    char text[16] = "";

    memcpy(text, msg->value.p, msg->value.n < 15 ? msg->value.n : 15);
    assert_true(s->count < SINK_MAX);
    s->numbers[s->count] = atoi(text);
    s->offsets[s->count++] = msg->offset;
    s->last_bytes = msg->value.n;
    s->last_timestamp_ms = msg->timestamp_ms;
    if (s->count == s->pause_at)
        s->bus->ops->pause(s->sub);
    if (s->count == s->unsubscribe_at)
        s->bus->ops->unsubscribe(CW_STEAL(s->sub));
}

static inline void bus_sink_on_error(void *arg, const struct cw_err *err)
{
    struct bus_sink *s = arg;

    s->errors++;
    s->timeouts += err->code == CW_TIMEOUT;
    s->last_error = *err;
}

static inline void bus_sink_on_assigned(void *arg, bool assigned)
{
    struct bus_sink *s = arg;

    s->assigned += assigned ? 1 : -1;
    s->revoked += !assigned;
    if (assigned) {
        struct cw_bus_position at = s->bus->ops->position(s->sub);

        s->position = at.offset;
        (void)snprintf(s->position_note, sizeof(s->position_note), "%s", at.note);
    }
    if (assigned && s->seek_when_assigned >= 0)
        assert_int_equal(s->bus->ops->seek(s->sub, s->seek_when_assigned, NULL), 0);
}

static inline void bus_sink_open_noting(struct bus_sink *s, struct cw_loop *loop,
                                        struct cw_bus *bus, const char *topic, const char *group,
                                        const char *note, const char *const *properties)
{
    struct cw_err err = {0};
    struct cw_bus_subscription desc = {
        .topic = topic,
        .group = group,
        .note = note,
        .on_message = bus_sink_on_message,
        .on_error = bus_sink_on_error,
        .on_assigned = bus_sink_on_assigned,
        .arg = s,
        .properties = properties,
    };

    memset(s, 0, sizeof(*s));
    s->loop = loop;
    s->bus = bus;
    s->seek_when_assigned = -1;
    s->sub = cw_bus_subscribe(bus, &desc, &err);
    if (!s->sub)
        fail_msg("%s", err.msg);
}

static inline void bus_sink_open(struct bus_sink *s, struct cw_loop *loop, struct cw_bus *bus,
                                 const char *topic, const char *group,
                                 const char *const *properties)
{
    bus_sink_open_noting(s, loop, bus, topic, group, NULL, properties);
}

static inline bool bus_sink_has(void *arg)
{
    const struct bus_sink *s = arg;

    return s->count >= s->want;
}

static inline void bus_sink_wait(struct bus_sink *s, size_t count, int64_t timeout_ms)
{
    s->want = count;
    if (!cw_loop_run_until(s->loop, bus_sink_has, s, timeout_ms))
        fail_msg("%zu of %zu messages, last error: %s", s->count, count, s->last_error.msg);
}

static inline bool bus_sink_is_assigned(void *arg)
{
    return ((struct bus_sink *)arg)->assigned > 0;
}

static inline void bus_sink_wait_assigned(struct bus_sink *s, int64_t timeout_ms)
{
    assert_true(cw_loop_run_until(s->loop, bus_sink_is_assigned, s, timeout_ms));
}

static inline bool bus_sink_complains(void *arg)
{
    const struct bus_sink *s = arg;

    return s->errors > 0 && strstr(s->last_error.msg, s->want_error) != NULL;
}

static inline void bus_sink_wait_error(struct bus_sink *s, const char *text, int64_t timeout_ms)
{
    s->want_error = text;
    assert_true(cw_loop_run_until(s->loop, bus_sink_complains, s, timeout_ms));
}

/* first, first + 1, ... each once, at increasing offsets. */
static inline void bus_sink_expect_run(const struct bus_sink *s, int first, size_t count)
{
    assert_int_equal(s->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(s->numbers[i], first + (int)i);
        assert_true(i == 0 || s->offsets[i] == s->offsets[i - 1] + 1);
    }
}

static inline bool bus_sink_saw(const struct bus_sink *s, int number)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->numbers[i] == number)
            return true;
    return false;
}

/* first, first + 1, ... in any order: librdkafka 2.0.2 does not keep it where a broker refuses a
 * batch. What was not committed may come again when the topic is assigned anew. */
static inline void bus_sink_wait_each(struct bus_sink *s, int first, size_t count,
                                      int64_t timeout_ms)
{
    for (int n = first; n < first + (int)count; n++)
        while (!bus_sink_saw(s, n))
            bus_sink_wait(s, s->count + 1, timeout_ms);
}

static inline bool never(void *arg)
{
    (void)arg;
    return false;
}

/* Lets the loop run for a while in which nothing is expected. */
static inline void bus_idle(struct cw_loop *loop, int64_t ms)
{
    (void)cw_loop_run_until(loop, never, NULL, ms);
}

static inline void bus_answer(void *arg, const struct cw_err *err)
{
    struct bus_answers *a = arg;

    a->count++;
    if (err) {
        a->failed++;
        a->last_error = *err;
    }
}

static inline bool bus_answered(void *arg)
{
    const struct bus_answers *a = arg;

    return a->count >= a->want;
}

static inline void bus_answers_wait(struct bus_answers *a, struct cw_loop *loop, size_t count,
                                    int64_t timeout_ms)
{
    a->want = count;
    assert_true(cw_loop_run_until(loop, bus_answered, a, timeout_ms));
}

static inline void bus_send_numbers(struct cw_bus *bus, const char *topic, int first, int count,
                                    struct bus_answers *a)
{
    for (int i = 0; i < count; i++) {
        char text[16];
        int n = snprintf(text, sizeof(text), "%d", first + i);

        cw_bus_publish(bus, topic, cw_slice(text, (size_t)n), a ? bus_answer : NULL, a);
    }
}
