/* invoker/jaas.h -- the one line of a JAAS configuration that a Kafka client is given
 * (sasl.jaas.config): `package.PlainLoginModule required username="u" password="p";`
 *
 * Pure. Thread: any. */
#pragma once

#include "common/base/arena.h"

struct cw_err;

enum { INV_JAAS_MAX_OPTIONS = 32 };

struct inv_jaas {
    const char *module; /* class name */
    const char *flag;   /* "required" */
    size_t count;
    struct {
        const char *name, *value;
    } options[INV_JAAS_MAX_OPTIONS];
};

/* One login module, ended by ';' or by the end. Strings as in Java, comments allowed. Texts live in
 * the arena. Errors name no value. */
int inv_jaas_parse(const char *text, struct cw_arena *arena, struct inv_jaas *ret,
                   struct cw_err *err) CW_MUST_CHECK;
/* NULL when absent. */
const char *inv_jaas_option(const struct inv_jaas *jaas, const char *name);
