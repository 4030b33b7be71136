/* invoker/limits.h -- what a namespace may have.
 *
 * As stock: the namespace's own limit, else the default for namespaces, else the system's; and
 * never beyond the system's. The defaults for namespaces come in pairs (min and max; payload and
 * truncation): half a pair counts as none. Pure. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

struct cw_action_limits;
struct cw_err;
struct cw_user_limits;
struct inv_settings;

enum { INV_LIMITS_TEXT_MAX = 160 };

/* False with the literal text of stock when the action goes beyond what u's namespace may have
 * (openwhisk couchdb.md 4.3). */
bool inv_limits_allow(const struct inv_settings *s, const struct cw_user_limits *u,
                      const struct cw_action_limits *a, char ret_text[INV_LIMITS_TEXT_MAX]);
/* Largest result, in bytes. */
int64_t inv_limits_payload(const struct inv_settings *s, const struct cw_user_limits *u);
/* Bytes kept of a larger one. */
int64_t inv_limits_truncation(const struct inv_settings *s, const struct cw_user_limits *u);

/* Bytes of an action's code in its stored form: a third more than whisk.exec-size-limit, for
 * base64. */
size_t inv_limits_code(const struct inv_settings *s);

/* At start: pairs out of order, or beyond the system's. Half pairs are logged. */
int inv_limits_check(const struct inv_settings *s, struct cw_err *err) CW_MUST_CHECK;
