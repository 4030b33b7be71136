/* tests/support/fake_bus.h -- a bus of which the test plays the broker: it looks at what was
 * published, answers when and how it likes, and hands messages to the one subscriber.
 *
 * Answers reach their callers in the next turn, or when the test releases them. Thread: loop. */
#pragma once

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/bus/bus.h"

struct cw_loop;

enum { FAKE_BUS_MESSAGES = 64 };

struct fake_bus_message {
    char *topic;
    struct cw_slice value;
};

struct fake_bus {
    struct cw_bus base;
    struct cw_loop *loop;
    /* how publishing ends: answers are held, the next `failures` ones fail with `failure` */
    bool hold_answers;
    unsigned failures;
    struct cw_err failure;
    /* what was published, oldest first; over the bus's life */
    struct fake_bus_message sent[FAKE_BUS_MESSAGES];
    size_t sent_count;
    /* consumer */
    bool refuse_subscription, hold_commits;
    unsigned commit_failures;       /* so many next commits fail with `failure` */
    struct cw_bus_subscription sub; /* strings are copies of its */
    bool subscribed, paused;
    unsigned pauses, resumes, commits, unsubscribed;
    int64_t committed;               /* by the newest commit that succeeded; -1: none */
    struct cw_bus_position position; /* what it says of the group */
    int64_t end_offset;
    unsigned seeks;
    int64_t sought; /* by the last one */
    /* group_members */
    const struct cw_group_member *members; /* who is in any group; the test's */
    size_t member_count;
    unsigned member_failures; /* so many next questions fail with `failure` */
    unsigned members_asked;
    struct cw_list answers; /* on their way */
};

void fake_bus_init(struct fake_bus *b, struct cw_loop *loop);
/* Frees what was recorded; answers that are on their way are dropped. */
void fake_bus_done(struct fake_bus *b);
/* Held answers and commits go out; later ones are held or not as the switches say. */
void fake_bus_release(struct fake_bus *b);
/* Gives the subscriber a message, as a broker does that knows nothing of `paused`. */
void fake_bus_deliver(struct fake_bus *b, int64_t offset, struct cw_slice value);
