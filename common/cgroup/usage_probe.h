/* common/cgroup/usage_probe.h -- what containers say of themselves, through cwhisk-probe.
 *
 * For containers whose control groups cannot be seen. Questions go over TCP in the background, when
 * somebody wants a sample and the last answer is old; a sample is the last answer, so nobody waits.
 * The one who answers may be the action itself: figures are bounded by what is possible (memory by
 * the limit, CPU time by the machine's cores and the time that has passed) and marked, in struct
 * cw_usage, as untrusted. Whoever refuses, is silent, never ends, or talks garbage is left alone
 * for a while (1 s, doubling to 30 s), and told of once, until there is an answer again. Wire:
 * common/model/probe_wire.h. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cgroup/usage.h"

struct cw_loop;
struct cw_usage_probe;
struct cw_usage_probes;

/* Neither function may close a probe. */
struct cw_usage_probes_conf {
    struct cw_loop *loop;
    int64_t interval_ms; /* an answer is fresh for so long; 0: 250 */
    int64_t timeout_ms;  /* for an answer, the connection included; 0: 2000 */
    /* Something is wrong with a container's probe, one line. Not from inside a call. May be NULL.
     */
    void (*on_fault)(void *arg, const char *id, const char *text);
    /* What cw_usage_probe_refresh waited for has come, or will not. Not from inside a call. May be
     * NULL. */
    void (*on_fresh)(void *arg, void *owner);
    void *arg;
};

struct cw_usage_probes *cw_usage_probes_new(const struct cw_usage_probes_conf *conf);
/* All its probes must be closed. Accepts NULL. */
void cw_usage_probes_free(struct cw_usage_probes *s);

/* id: of the container, 64 hex digits; address: numeric; token: CW_PROBE_TOKEN_LEN digits;
 * memory_limit_bytes: the container's; owner: for on_fresh. Strings are copied. Nothing is asked
 * yet. */
struct cw_usage_probe *cw_usage_probe_open(struct cw_usage_probes *s, void *owner, const char *id,
                                           const char *address, uint16_t port, const char *token,
                                           uint64_t memory_limit_bytes);
/* Accepts NULL. */
void cw_usage_probe_close(struct cw_usage_probe *p);

/* The container is frozen: it is not asked, and an answer that is missing is nothing to tell of. */
void cw_usage_probe_rest(struct cw_usage_probe *p, bool resting);

/* Asks now, however fresh the last answer is. false: it cannot be asked (it rests, or has failed
 * not long ago), and on_fresh will not be called. Ends without on_fresh when the container is
 * frozen meanwhile. */
bool cw_usage_probe_refresh(struct cw_usage_probe *p);

/* The last answer, and asks for the next when it is old. *ret is filled in any case. false: there
 * was none yet. ret_at_us: when it came, monotonic; may be NULL. */
bool cw_usage_probe_sample(struct cw_usage_probe *p, struct cw_usage *ret, int64_t *ret_at_us);
