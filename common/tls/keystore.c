#include "common/tls/keystore_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/base/err.h"
#include "common/tls/jks.h"

enum { MAX_FILE = 4 << 20, MAX_CHAIN = 20 };

const char *keystore_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return reason ? reason : "malformed";
}

/* OpenSSL reads some certificates that are not DER and writes what it cannot read: those would
 * fail at whom they are passed on to, where nobody knows the file. */
static bool survives_writing(X509 *cert)
{
    unsigned char *der = NULL;
    int n = i2d_X509(cert, &der);
    const unsigned char *p = der;
    X509 *again = n > 0 ? d2i_X509(NULL, &p, n) : NULL;
    bool same = again != NULL;

    OPENSSL_free(der);
    X509_free(again);
    ERR_clear_error();
    return same;
}

int keystore_add(struct stack_st_X509 *to, CW_TAKES X509 *cert, struct cw_err *err)
{
    if (!survives_writing(cert)) {
        X509_free(cert);
        return cw_fail(err, CW_INVALID, "certificate %d is not DER", sk_X509_num(to) + 1);
    }
    if (sk_X509_num(to) >= KEYSTORE_MAX_CERTIFICATES) {
        X509_free(cert);
        return cw_fail(err, CW_TOO_LARGE, "more than %d certificates", KEYSTORE_MAX_CERTIFICATES);
    }
    if (sk_X509_push(to, cert) <= 0)
        abort(); /* only when memory is short */
    return 0;
}

static void add_ref(struct stack_st_X509 *to, X509 *cert)
{
    if (X509_up_ref(cert) != 1 || sk_X509_push(to, cert) <= 0)
        abort();
}

/* ---- JKS ---- */

static int add_jks_certificate(void *arg, struct cw_slice der, size_t place, struct cw_err *err)
{
    struct cw_keystore *ks = arg;
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *cert = d2i_X509(NULL, &p, (long)der.n);

    if (!cert)
        return cw_fail(err, CW_INVALID, "unreadable certificate in the JKS store: %s",
                       keystore_reason());
    return place ? (X509_free(cert), 0) : keystore_add(ks->trusted, cert, err);
}

/* ---- what belongs to what ---- */

static bool is_self_signed(X509 *cert)
{
    return X509_self_signed(cert, 0) == 1;
}

static X509 *issuer_of(X509 *cert, struct stack_st_X509 *among)
{
    for (int i = 0; i < sk_X509_num(among); i++) {
        X509 *other = sk_X509_value(among, i);

        if (other != cert && X509_check_issued(other, cert) == X509_V_OK)
            return other;
    }
    return NULL;
}

static void find_own(struct cw_keystore *ks)
{
    for (int i = 0; !ks->own && i < sk_X509_num(ks->all); i++)
        if (X509_check_private_key(sk_X509_value(ks->all, i), ks->key) == 1)
            ks->own = sk_X509_value(ks->all, i);
    ERR_clear_error(); /* each that did not match left one */
}

static void find_chain(struct cw_keystore *ks)
{
    X509 *at = ks->own;

    while (sk_X509_num(ks->chain) < MAX_CHAIN && !is_self_signed(at) &&
           (at = issuer_of(at, ks->all)))
        add_ref(ks->chain, at);
}

/* See keystore.h. Nothing else is trusted where the format has marks and uses them. */
static void find_trusted(struct cw_keystore *ks, bool pem)
{
    bool marked = sk_X509_num(ks->trusted) > 0;

    if (ks->own)
        add_ref(ks->trusted, ks->own);
    for (int i = 0; !marked && i < sk_X509_num(ks->all); i++) {
        X509 *cert = sk_X509_value(ks->all, i);

        if (!ks->own || (pem && cert != ks->own && is_self_signed(cert)))
            add_ref(ks->trusted, cert);
    }
}

/* What to do with a store whose keys are not read. It names the file, which is why nobody else
 * should: the message would not hold it twice. */
static int tell_to_convert(struct cw_keystore *ks, const char *type, const char *name,
                           struct cw_err *err)
{
    ks->named = true;
    return cw_fail(err, CW_INVALID,
                   "keys of %s stores are not read; convert it: keytool -importkeystore "
                   "-srckeystore %s%s -destkeystore store.p12 -deststoretype pkcs12",
                   type, name, strcmp(type, "JCEKS") == 0 ? " -srcstoretype jceks" : "");
}

static int check_need(struct cw_keystore *ks, const char *name, unsigned need, struct cw_err *err)
{
    if ((need & CW_KEYSTORE_KEY) && ks->jks_keys)
        return tell_to_convert(ks, "JKS", name, err);
    if ((need & CW_KEYSTORE_KEY) && !ks->key)
        return cw_fail(err, CW_INVALID, "has no private key");
    if (ks->key && !ks->own)
        return cw_fail(err, CW_INVALID, "has no certificate for its private key");
    if ((need & CW_KEYSTORE_TRUST) && sk_X509_num(ks->trusted) == 0)
        return cw_fail(err, CW_INVALID, "has no trusted certificate");
    return 0;
}

/* ---- reading ---- */

static int check_type(const char *type, struct cw_err *err)
{
    static const char *const KNOWN[] = {"JKS", "PKCS12", "PEM"};

    if (!type || !*type)
        return 0;
    for (size_t i = 0; i < CW_ARRAY_LEN(KNOWN); i++)
        if (strcasecmp(type, KNOWN[i]) == 0)
            return 0;
    return cw_fail(err, CW_INVALID, "type %.40s is not supported; accepted: JKS, PKCS12, PEM",
                   type);
}

static bool is_jceks(struct cw_slice bytes)
{
    return bytes.n >= 4 && memcmp(bytes.p, "\xCE\xCE\xCE\xCE", 4) == 0;
}

/* Key, certificates and marks out of a format that has them. */
static int read_certificates(struct cw_keystore *ks, struct cw_slice bytes,
                             const struct cw_keystore_source *src, struct cw_err *err)
{
    bool pem = pem_is(bytes);

    if (!pem && !pkcs12_is(bytes))
        return cw_fail(err, CW_INVALID, "neither a PEM nor a PKCS12 nor a JKS store");
    if ((pem ? pem_read : pkcs12_read)(ks, bytes, src, err) != 0)
        return -1;
    if (ks->key)
        find_own(ks);
    if (ks->own)
        find_chain(ks);
    find_trusted(ks, pem);
    return 0;
}

static int read_any(struct cw_keystore *ks, struct cw_slice bytes,
                    const struct cw_keystore_source *src, const char *name, struct cw_err *err)
{
    if (cw_jks_is(bytes))
        return cw_jks_read(bytes, src->password, add_jks_certificate, ks, &ks->jks_keys, err);
    if (is_jceks(bytes))
        return tell_to_convert(ks, "JCEKS", name, err);
    return read_certificates(ks, bytes, src, err);
}

static struct stack_st_X509 *new_stack(void)
{
    struct stack_st_X509 *stack = sk_X509_new_null();

    if (!stack)
        abort();
    return stack;
}

struct cw_keystore *cw_keystore_parse(struct cw_slice bytes, const struct cw_keystore_source *src,
                                      unsigned need, struct cw_err *err)
{
    struct cw_keystore *ks = cw_alloc(sizeof(*ks));
    const char *name = src->path ? src->path : "PEM text";

    ks->all = new_stack();
    ks->chain = new_stack();
    ks->trusted = new_stack();
    ERR_clear_error();
    if (check_type(src->type, err) == 0 && read_any(ks, bytes, src, name, err) == 0 &&
        check_need(ks, name, need, err) == 0)
        return ks;
    if (!ks->named)
        (void)cw_err_wrap(err, "%s", name);
    cw_keystore_free(ks);
    return NULL;
}

/* The whole file, free() it. Wiped by the caller: there may be a key in it. */
static int read_file(const char *path, char **ret, size_t *ret_n, struct cw_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *bytes;
    ssize_t got = 0;
    size_t n = 0;

    if (fd < 0)
        return cw_fail_errno(err, errno, "%s", path);
    bytes = cw_alloc(MAX_FILE + 1);
    while (n <= MAX_FILE && (got = read(fd, bytes + n, MAX_FILE + 1 - n)) > 0)
        n += (size_t)got;
    if (got < 0)
        (void)cw_fail_errno(err, errno, "%s", path);
    else if (n > MAX_FILE)
        (void)cw_fail(err, CW_TOO_LARGE, "%s: larger than %d bytes", path, MAX_FILE);
    close(fd);
    if (got < 0 || n > MAX_FILE) {
        free(bytes);
        return -1;
    }
    *ret = bytes;
    *ret_n = n;
    return 0;
}

struct cw_keystore *cw_keystore_load(const struct cw_keystore_source *src, unsigned need,
                                     struct cw_err *err)
{
    struct cw_keystore *ks;
    char *bytes = NULL;
    size_t n = 0;

    if (!src->path)
        return cw_keystore_parse(src->text, src, need, err);
    if (read_file(src->path, &bytes, &n, err) != 0)
        return NULL;
    ks = cw_keystore_parse(cw_slice(bytes, n), src, need, err);
    OPENSSL_cleanse(bytes, n);
    free(bytes);
    return ks;
}

void cw_keystore_free(struct cw_keystore *ks)
{
    if (!ks)
        return;
    EVP_PKEY_free(ks->key);
    sk_X509_pop_free(ks->all, X509_free);
    sk_X509_pop_free(ks->chain, X509_free);
    sk_X509_pop_free(ks->trusted, X509_free);
    free(ks);
}

EVP_PKEY *cw_keystore_key(const struct cw_keystore *ks)
{
    return ks->key;
}

X509 *cw_keystore_certificate(const struct cw_keystore *ks)
{
    return ks->own;
}

struct stack_st_X509 *cw_keystore_chain(const struct cw_keystore *ks)
{
    return ks->chain;
}

struct stack_st_X509 *cw_keystore_trusted(const struct cw_keystore *ks)
{
    return ks->trusted;
}

/* ---- PEM out ---- */

static void drain_bio(CW_TAKES BIO *bio, int written, struct cw_str *out)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);

    if (written != 1 || n <= 0)
        abort(); /* only when memory is short */
    cw_str_add(out, p, (size_t)n);
    OPENSSL_cleanse(p, (size_t)n);
    BIO_free(bio);
}

void cw_keystore_key_pem(const struct cw_keystore *ks, struct cw_str *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    drain_bio(bio, PEM_write_bio_PKCS8PrivateKey(bio, ks->key, NULL, NULL, 0, NULL, NULL), out);
}

void cw_certificate_pem(X509 *cert, struct cw_str *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    drain_bio(bio, PEM_write_bio_X509(bio, cert), out);
}

void cw_certificates_pem(struct stack_st_X509 *certs, struct cw_str *out)
{
    for (int i = 0; i < sk_X509_num(certs); i++)
        cw_certificate_pem(sk_X509_value(certs, i), out);
}
