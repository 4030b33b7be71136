/* common/model/param_lock.h -- arguments that controllers and the database keep encrypted
 * (openwhisk couchdb.md 8).
 *
 * AES-GCM as stock writes it: base64 of a big-endian IV length (12 for aes-128, 128 for aes-256),
 * the IV, the cipher text and its 16-byte tag; the plain text is JSON. The cipher follows from the
 * key's length, as in Java. No plain text, key or cipher text appears in an error. Thread: any. */
#pragma once

#include "common/base/str.h"

struct cw_activation_message;
struct cw_err;
struct cw_param_keys;

/* Keys in base64; NULL or "": none for this scheme. NULL with *err naming the scheme when a key is
 * not base64 of 16, 24 or 32 bytes. */
struct cw_param_keys *cw_param_keys_new(const char *aes_128, const char *aes_256,
                                        struct cw_err *err) CW_MUST_CHECK;
/* Wipes the keys. Accepts NULL. */
void cw_param_keys_free(struct cw_param_keys *k);

/* Makes m->content the one with the arguments of m->locked_args decrypted; the others keep their
 * bytes. Only strings are touched, and nothing of an array. A scheme that k has no key for leaves
 * its values as they are, as stock does; *ret_left (may be NULL) then tells one such name, else
 * NULL, living as long as m. -1 (CW_INVALID) names an argument that cannot be decrypted, and leaves
 * m as it was. */
int cw_param_unlock(const struct cw_param_keys *k, struct cw_activation_message *m,
                    const char **ret_left, struct cw_err *err) CW_MUST_CHECK;

/* Appends the plain text of one value, without quotes around the base64. For tests and for the
 * function above. scheme: "aes-128" or "aes-256", which k must have. */
int cw_param_decrypt(const struct cw_param_keys *k, struct cw_slice scheme, struct cw_slice base64,
                     struct cw_str *out, struct cw_err *err) CW_MUST_CHECK;
bool cw_param_keys_has(const struct cw_param_keys *k, struct cw_slice scheme);
