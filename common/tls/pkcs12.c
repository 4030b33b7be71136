/* The bags are walked by hand, since PKCS12_parse hides the attribute by which Java marks what it
 * trusts.
 *
 * Files of OpenSSL 1 and of Java up to 11 use RC2 and 3DES with SHA-1. OpenSSL 3 keeps RC2 in its
 * legacy provider. It is loaded into a library context of its own, which lives as long as one file
 * is read: nothing else of the process gets those ciphers. */
#include "common/tls/keystore_priv.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>

#include "common/base/err.h"

enum { MAX_DEPTH = 4, MAX_OID = 80 };

/* Sun's "trusted key usage". */
static const char TRUSTED_OID[] = "2.16.840.1.113894.746875.1.1";

struct old_ciphers {
    OSSL_LIB_CTX *lib;
    OSSL_PROVIDER *usual, *legacy; /* legacy NULL: not installed */
};

struct walk {
    struct cw_keystore *ks;
    const struct old_ciphers *old;
    const char *password, *key_password;
};

static bool is_trusted(const PKCS12_SAFEBAG *bag)
{
    const struct stack_st_X509_ATTRIBUTE *attrs = PKCS12_SAFEBAG_get0_attrs(bag);
    char oid[MAX_OID];

    for (int i = 0; i < sk_X509_ATTRIBUTE_num(attrs); i++) {
        const ASN1_OBJECT *object = X509_ATTRIBUTE_get0_object(sk_X509_ATTRIBUTE_value(attrs, i));

        if (OBJ_obj2txt(oid, sizeof(oid), object, 1) > 0 && strcmp(oid, TRUSTED_OID) == 0)
            return true;
    }
    return false;
}

static int take_certificate(struct walk *w, const PKCS12_SAFEBAG *bag, struct cw_err *err)
{
    X509 *cert;

    if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
        return 0;
    cert = PKCS12_SAFEBAG_get1_cert(bag);
    if (!cert)
        return cw_fail(err, CW_INVALID, "unreadable certificate in the PKCS12 store: %s",
                       keystore_reason());
    if (is_trusted(bag)) {
        if (X509_up_ref(cert) != 1)
            abort();
        if (keystore_add(w->ks->trusted, cert, err) != 0) {
            X509_free(cert);
            return -1;
        }
    }
    return keystore_add(w->ks->all, cert, err);
}

/* What cannot be decrypted although the password was checked already. */
static int refuse(const struct walk *w, const char *what, struct cw_err *err)
{
    const char *reason = keystore_reason();

    if (strstr(reason, "unsupported") || strstr(reason, "unknown"))
        return cw_fail(err, CW_INVALID,
                       "%s of the PKCS12 store: cipher not supported%s; convert it: keytool "
                       "-importkeystore -srckeystore STORE -destkeystore store.p12 -deststoretype "
                       "pkcs12",
                       what, w->old->legacy ? "" : " (OpenSSL's legacy provider is missing)");
    return cw_fail(err, CW_INVALID, "%s of the PKCS12 store: wrong password? %s", what, reason);
}

static int take_key(struct walk *w, const PKCS12_SAFEBAG *bag, bool shrouded, struct cw_err *err)
{
    PKCS8_PRIV_KEY_INFO *opened = NULL;
    const PKCS8_PRIV_KEY_INFO *p8;

    if (w->ks->key)
        return 0; /* the first one counts */
    if (shrouded) {
        const char *password = w->key_password ? w->key_password : w->password;

        opened = PKCS12_decrypt_skey_ex(bag, password, (int)strlen(password), w->old->lib, NULL);
        if (!opened)
            return refuse(w, "private key", err);
        p8 = opened;
    } else {
        p8 = PKCS12_SAFEBAG_get0_p8inf(bag);
    }
    w->ks->key = EVP_PKCS82PKEY(p8);
    PKCS8_PRIV_KEY_INFO_free(opened);
    if (!w->ks->key)
        return cw_fail(err, CW_INVALID, "unreadable private key in the PKCS12 store: %s",
                       keystore_reason());
    return 0;
}

static int take_bags(struct walk *w, const struct stack_st_PKCS12_SAFEBAG *bags, int depth,
                     struct cw_err *err);

static int take_bag(struct walk *w, const PKCS12_SAFEBAG *bag, int depth, struct cw_err *err)
{
    switch (PKCS12_SAFEBAG_get_nid(bag)) {
    case NID_certBag:
        return take_certificate(w, bag, err);
    case NID_keyBag:
        return take_key(w, bag, false, err);
    case NID_pkcs8ShroudedKeyBag:
        return take_key(w, bag, true, err);
    case NID_safeContentsBag:
        return take_bags(w, PKCS12_SAFEBAG_get0_safes(bag), depth + 1, err);
    default: /* secrets, revocation lists */
        return 0;
    }
}

static int take_bags(struct walk *w, const struct stack_st_PKCS12_SAFEBAG *bags, int depth,
                     struct cw_err *err)
{
    if (depth > MAX_DEPTH)
        return cw_fail(err, CW_INVALID, "the PKCS12 store is nested too deeply");
    for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++)
        if (take_bag(w, sk_PKCS12_SAFEBAG_value(bags, i), depth, err) != 0)
            return -1;
    return 0;
}

static int take_safe(struct walk *w, PKCS7 *safe, struct cw_err *err)
{
    struct stack_st_PKCS12_SAFEBAG *bags = NULL;
    int rc;

    if (OBJ_obj2nid(safe->type) == NID_pkcs7_data)
        bags = PKCS12_unpack_p7data(safe);
    else if (OBJ_obj2nid(safe->type) == NID_pkcs7_encrypted)
        bags = PKCS12_unpack_p7encdata(safe, w->password, (int)strlen(w->password));
    else
        return 0;
    if (!bags)
        return refuse(w, "certificates", err);
    rc = take_bags(w, bags, 0, err);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    return rc;
}

static int take_safes(struct walk *w, const PKCS12 *p12, struct cw_err *err)
{
    struct stack_st_PKCS7 *safes = PKCS12_unpack_authsafes(p12);
    int rc = 0;

    if (!safes)
        return cw_fail(err, CW_INVALID, "unreadable PKCS12 store: %s", keystore_reason());
    for (int i = 0; rc == 0 && i < sk_PKCS7_num(safes); i++)
        rc = take_safe(w, sk_PKCS7_value(safes, i), err);
    sk_PKCS7_pop_free(safes, PKCS7_free);
    return rc;
}

static int check_mac(PKCS12 *p12, const char *password, struct cw_err *err)
{
    if (!PKCS12_mac_present(p12) || PKCS12_verify_mac(p12, password, (int)strlen(password)) == 1)
        return 0;
    if (ERR_GET_REASON(ERR_peek_last_error()) == PKCS12_R_UNKNOWN_DIGEST_ALGORITHM)
        return cw_fail(err, CW_INVALID, "the PKCS12 store's check sum: %s", keystore_reason());
    ERR_clear_error();
    return cw_fail(err, CW_INVALID, "wrong password, or the PKCS12 store was tampered with");
}

static int read_in(struct walk *w, struct cw_slice bytes, struct cw_err *err)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    PKCS12 *p12 = PKCS12_init_ex(NID_pkcs7_data, w->old->lib, NULL);
    int rc = -1;

    if (!p12 || !d2i_PKCS12(&p12, &p, (long)bytes.n))
        (void)cw_fail(err, CW_INVALID, "unreadable PKCS12 store: %s", keystore_reason());
    else if (check_mac(p12, w->password, err) == 0)
        rc = take_safes(w, p12, err);
    PKCS12_free(p12);
    return rc;
}

/* A SEQUENCE of some length, which is as much as can be told without reading it. */
bool pkcs12_is(struct cw_slice bytes)
{
    return bytes.n > 2 && bytes.p[0] == 0x30;
}

int pkcs12_read(struct cw_keystore *ks, struct cw_slice bytes, const struct cw_keystore_source *src,
                struct cw_err *err)
{
    struct old_ciphers old = {.lib = OSSL_LIB_CTX_new()};
    struct walk w = {
        .ks = ks,
        .old = &old,
        .password = src->password ? src->password : "",
        .key_password = src->key_password,
    };
    int rc;

    if (!old.lib)
        abort();
    old.usual = OSSL_PROVIDER_load(old.lib, "default");
    old.legacy = OSSL_PROVIDER_load(old.lib, "legacy");
    ERR_clear_error();
    rc = read_in(&w, bytes, err);
    (void)OSSL_PROVIDER_unload(old.legacy);
    (void)OSSL_PROVIDER_unload(old.usual);
    OSSL_LIB_CTX_free(old.lib);
    return rc;
}
