/* common/tls/jks.h -- reader of Java's own key store format ("JKS", versions 1 and 2).
 *
 * Certificates only: private keys are protected by a scheme of Sun's and are skipped; who needs one
 * converts the store (keytool -importkeystore). Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

struct cw_err;

/* One certificate, DER, borrowed. `place`: 0 for one that the store trusts by itself and for the
 * certificate of a private key, 1 and up for what follows behind the latter. Returns -1 with *err
 * set to stop. */
typedef int cw_jks_fn(void *arg, struct cw_slice der, size_t place, struct cw_err *err);

/* Begins with the format's magic number? */
bool cw_jks_is(struct cw_slice file);

/* Calls fn for each certificate in the store's order and counts the private keys in *ret_keys (may
 * be NULL). The digest at the end is checked when a password (UTF-8) is given; without one, as in
 * Java, it is not. Fails with CW_INVALID on anything that is not such a file, on a wrong password,
 * and on more than 10000 entries. */
int cw_jks_read(struct cw_slice file, const char *password, cw_jks_fn *fn, void *arg,
                size_t *ret_keys, struct cw_err *err) CW_MUST_CHECK;
