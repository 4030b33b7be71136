/* The input is a message on a cwhisk topic. A report that is accepted comes back the same when it
 * is written anew; an instance that is accepted is JSON. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/model/peer_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 20 };

static void check_report(const struct cw_peer_message *m)
{
    cw_auto_str struct cw_str out;
    struct cw_peer_message again;
    struct cw_arena arena;

    cw_str_init(&out, OUT_MAX);
    cw_arena_init(&arena);
    cw_peer_report_encode(m->purpose, m->ids, m->id_count, &out);
    if (cw_peer_message_decode(cw_str_slice(&out), &arena, &again, NULL) ||
        again.purpose != m->purpose || again.id_count != m->id_count ||
        memcmp(again.ids, m->ids, m->id_count * sizeof(*m->ids)) != 0)
        abort();
    cw_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_peer_message m;
    struct cw_err err = {0};
    struct cw_arena arena;

    cw_arena_init(&arena);
    if (cw_peer_message_decode(cw_slice((const char *)data, size), &arena, &m, &err)) {
        if (err.code != CW_INVALID)
            abort();
    } else if (m.purpose == CW_PEER_FORWARD) {
        if (cw_raw_check(m.instance, CW_RAW_MAX_DEPTH, NULL, NULL) || !m.reply_topic)
            abort();
    } else {
        check_report(&m);
    }
    cw_arena_done(&arena);
    return 0;
}
