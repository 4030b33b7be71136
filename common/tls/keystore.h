/* common/tls/keystore.h -- certificates and a private key out of PEM, PKCS12 and JKS stores.
 *
 * The format is told by the content, since Java does so too ("kafka-keystore.jks" made by a recent
 * keytool is PKCS12). What a store makes trusted follows Java's trust managers:
 * - JKS and PKCS12: the certificates marked as trusted and the own certificate of a private key,
 * but not what follows in that key's chain;
 * - PKCS12 with neither mark nor key (Java would see an empty store): all;
 * - PEM: all when there is no private key in it, else the key's own certificate and self-signed
 *   ones.
 * PKCS12 encrypted with RC2 or 3DES (OpenSSL 1, Java up to 11) needs OpenSSL's legacy provider,
 * which is loaded for such a file alone. Passwords show up in no error. Thread: any (an object is
 * not changed after loading). */
#pragma once

#include <stdbool.h>

#include <openssl/types.h>

#include "common/base/str.h"

struct cw_err;
struct cw_keystore;

enum cw_keystore_need { CW_KEYSTORE_KEY = 1, CW_KEYSTORE_TRUST = 2 };

struct cw_keystore_source {
    const char *path;         /* NULL: text */
    struct cw_slice text;     /* PEM; line ends may have become spaces */
    const char *type;         /* "PEM", "PKCS12" or "JKS", upper or lower case; any other is an
                                 error; NULL and "": not told */
    const char *password;     /* of the store; NULL: none */
    const char *key_password; /* of the private key; NULL: that of the store */
};

/* need: what must be in it (CW_KEYSTORE_*). Files up to 4 MiB. Errors (CW_INVALID, or by errno)
 * name the path. A key out of a JKS store is refused with the command that converts it. */
struct cw_keystore *cw_keystore_load(const struct cw_keystore_source *src, unsigned need,
                                     struct cw_err *err) CW_MUST_CHECK;
/* The same from bytes in memory; src->path is only a name for errors. */
struct cw_keystore *cw_keystore_parse(struct cw_slice bytes, const struct cw_keystore_source *src,
                                      unsigned need, struct cw_err *err) CW_MUST_CHECK;
/* Accepts NULL. */
void cw_keystore_free(struct cw_keystore *ks);

/* Borrowed; NULL without a key. */
EVP_PKEY *cw_keystore_key(const struct cw_keystore *ks);
X509 *cw_keystore_certificate(const struct cw_keystore *ks);
/* Borrowed, never NULL. What leads from the certificate to its root, nearest first. */
struct stack_st_X509 *cw_keystore_chain(const struct cw_keystore *ks);
struct stack_st_X509 *cw_keystore_trusted(const struct cw_keystore *ks);

/* Append PEM. The key comes unencrypted (PKCS8). */
void cw_keystore_key_pem(const struct cw_keystore *ks, struct cw_str *out);
void cw_certificate_pem(X509 *cert, struct cw_str *out);
void cw_certificates_pem(struct stack_st_X509 *certs, struct cw_str *out);
