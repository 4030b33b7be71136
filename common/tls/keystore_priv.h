/* common/tls/keystore_priv.h -- what the readers of the formats put together.
 *
 * Thread: any. */
#pragma once

#include <openssl/x509.h>

#include "common/tls/keystore.h"

enum { KEYSTORE_MAX_CERTIFICATES = 10000 };

struct cw_keystore {
    EVP_PKEY *key;               /* the first one */
    X509 *own;                   /* the key's certificate, one of all */
    struct stack_st_X509 *all;   /* in the order of the file */
    struct stack_st_X509 *chain; /* set by keystore_finish */
    struct stack_st_X509 *trusted;
    size_t jks_keys; /* private keys that were skipped */
    bool named;      /* the error tells the file's name already */
};

/* Takes the certificate over; also on failure (too many). */
int keystore_add(struct stack_st_X509 *to, CW_TAKES X509 *cert, struct cw_err *err) CW_MUST_CHECK;
/* The newest reason that OpenSSL knows, and forgets all others. */
const char *keystore_reason(void);

/* ---- pem.c: fills key and all ---- */
bool pem_is(struct cw_slice bytes);
int pem_read(struct cw_keystore *ks, struct cw_slice bytes, const struct cw_keystore_source *src,
             struct cw_err *err) CW_MUST_CHECK;

/* ---- pkcs12.c: fills key, all and, with what is marked, trusted ---- */
bool pkcs12_is(struct cw_slice bytes);
int pkcs12_read(struct cw_keystore *ks, struct cw_slice bytes, const struct cw_keystore_source *src,
                struct cw_err *err) CW_MUST_CHECK;
