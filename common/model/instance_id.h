/* common/model/instance_id.h -- the invoker's id as controllers see it (openwhisk kafka.md 4.2).
 * Thread: any. */
#pragma once

#include <stdint.h>

#include "common/base/str.h"

struct cw_err;

struct cw_instance_id {
    int64_t instance; /* topic number, 0.. */
    int64_t user_memory_bytes;
    const char *unique_name, *displayed_name; /* NULL: left out */
    const char *const *tags;                  /* NULL-terminated, may be NULL */
    const char *const *dedicated_namespaces;  /* NULL-terminated, may be NULL */
};

/* Appends the JSON object. */
void cw_instance_id_encode(const struct cw_instance_id *id, struct cw_str *out);
/* Appends a ping (openwhisk kafka.md 7): {"name":<instance>,"isEnabled":…}. instance: what _encode
 * wrote. */
void cw_ping_encode(struct cw_slice instance, bool enabled, struct cw_str *out);
/* How stock prints it on its HTTP interface: "invoker0/unique/displayed". */
void cw_instance_id_print(const struct cw_instance_id *id, struct cw_str *out);
