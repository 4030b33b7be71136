/* common/model/peer_message.h -- what invokers tell each other on `cwhisk<N>` topics, which only
 * they read (docs/adr/0020-forwarding.md).
 *
 * A forwarded activation is the controller's message with one member put in front, so that users'
 * bytes stay as they are:
 *   {"cwhisk":{"v":1,"purpose":"forward","to":"<boot>","reply":"<topic>","instance":{…}},…}
 * Its end, or its return, goes back to the origin's topic:
 *   {"cwhisk":{"v":1,"purpose":"ended"|"returned","ids":["<activation id>",…]}}
 * A message that already was forwarded is not forwarded again: there is one hop. Thread: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/model/activation_message.h"

struct cw_err;

enum {
    CW_PEER_TOPIC_MAX = 249, /* Kafka's */
    CW_PEER_BOOT_LEN = 32,   /* hex digits; those of common/base/boot.h behind zeros */
    CW_PEER_IDS_MAX = 1000,  /* of one report */
};

enum cw_peer_purpose {
    CW_PEER_FORWARD,  /* run this for me */
    CW_PEER_ENDED,    /* these have ended: acknowledged, and their records are safe */
    CW_PEER_RETURNED, /* these were not started, and will not be */
};

struct cw_peer_message {
    enum cw_peer_purpose purpose;
    /* forward */
    uint64_t to_boot;         /* process that it is for; 0: none that could be */
    const char *reply_topic;  /* of the origin */
    struct cw_slice instance; /* JSON object: the origin's instance id, for acks */
    /* ended, returned */
    const char (*ids)[CW_ACTIVATION_ID_LEN + 1];
    size_t id_count;
};

/* Everything in *ret lies in the arena. CW_INVALID names the member and what it may be; a version
 * that is not ours, too. */
int cw_peer_message_decode(struct cw_slice payload, struct cw_arena *arena,
                           struct cw_peer_message *ret, struct cw_err *err) CW_MUST_CHECK;
/* Does it begin as cw_peer_forward_encode writes it? If not, it may be one nevertheless. */
bool cw_peer_looks_forwarded(struct cw_slice payload);
/* Appends the message as a forwarded one. message: as the controller wrote it, decoded before.
 * false, and nothing is appended: it has a member "cwhisk" already. */
bool cw_peer_forward_encode(const struct cw_peer_message *forward, struct cw_slice message,
                            struct cw_str *out) CW_MUST_CHECK;
/* Appends a report. ids: count in 1..CW_PEER_IDS_MAX. */
void cw_peer_report_encode(enum cw_peer_purpose purpose,
                           const char (*ids)[CW_ACTIVATION_ID_LEN + 1], size_t count,
                           struct cw_str *out);
