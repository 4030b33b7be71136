/* Stores of OpenSSL and keytool: what is a key, what is trusted, what is refused and how. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/base/err.h"
#include "common/tls/cipher_name.h"
#include "common/tls/keystore.h"
#include "common/tls/server_context.h"

#define PATH(name) (CW_TEST_DATA "/tls/" name)

static struct cw_keystore *load(const char *path, const char *password, unsigned need)
{
    struct cw_keystore_source src = {.path = path, .password = password};
    struct cw_err err = {0};
    struct cw_keystore *ks = cw_keystore_load(&src, need, &err);

    if (!ks)
        fail_msg("%s", err.msg);
    return ks;
}

/* "server, cwhisk test root" */
static void expect_names(struct stack_st_X509 *certs, const char *expected)
{
    char names[1024] = "", one[128];
    size_t n = 0;

    for (int i = 0; i < sk_X509_num(certs); i++) {
        X509_NAME_get_text_by_NID(X509_get_subject_name(sk_X509_value(certs, i)), NID_commonName,
                                  one, sizeof(one));
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", one);
    }
    assert_string_equal(names, expected);
}

#define CHAIN "cwhisk test intermediate, cwhisk test root"

static void every_format_of_a_key_store_gives_key_and_chain(void **state)
{
    static const struct {
        const char *path, *password, *trusted;
    } CASES[] = {
        {PATH("server.p12"), "geheim", "server"},
        {PATH("legacy.p12"), "geheim", "server"}, /* RC2: OpenSSL 1's default */
        {PATH("keytool.p12"), "geheim", "stranger, server"},
        {PATH("empty-password.p12"), NULL, "server"},
        {PATH("empty-password.p12"), "", "server"},
        {PATH("server-with-root.pem"), NULL, "server, cwhisk test root"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_keystore *ks =
            load(CASES[i].path, CASES[i].password, CW_KEYSTORE_KEY | CW_KEYSTORE_TRUST);

        print_message("%s\n", CASES[i].path);
        assert_int_equal(X509_check_private_key(cw_keystore_certificate(ks), cw_keystore_key(ks)),
                         1);
        expect_names(cw_keystore_chain(ks), CHAIN);
        expect_names(cw_keystore_trusted(ks), CASES[i].trusted);
        cw_keystore_free(ks);
    }
}

static void every_format_of_a_trust_store_is_read(void **state)
{
    static const struct {
        const char *path, *password, *trusted;
    } CASES[] = {
        {PATH("trust.jks"), "geheim", "cwhisk test root"},
        {PATH("trust.jks"), NULL, "cwhisk test root"},
        {PATH("trust.p12"), "geheim", "cwhisk test root"},
        {PATH("roots-unmarked.p12"), "geheim", "cwhisk test root"},
        {PATH("root.pem"), NULL, "cwhisk test root"},
        {PATH("two-roots.pem"), NULL, "cwhisk test root, stranger"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_keystore *ks = load(CASES[i].path, CASES[i].password, CW_KEYSTORE_TRUST);

        print_message("%s\n", CASES[i].path);
        assert_null(cw_keystore_key(ks));
        assert_null(cw_keystore_certificate(ks));
        expect_names(cw_keystore_trusted(ks), CASES[i].trusted);
        cw_keystore_free(ks);
    }
}

static void jks_with_a_key_is_a_trust_store_only(void **state)
{
    struct cw_keystore_source src = {.path = PATH("key.jks"), .password = "geheim"};
    struct cw_keystore *ks = load(src.path, src.password, CW_KEYSTORE_TRUST);
    struct cw_err err = {0};

    (void)state;
    assert_int_equal(sk_X509_num(cw_keystore_trusted(ks)), 2); /* the key's own, and "other" */
    cw_keystore_free(ks);
    assert_null(cw_keystore_load(&src, CW_KEYSTORE_KEY, &err));
    assert_non_null(strstr(err.msg, "keys of JKS stores are not read; convert it: keytool "
                                    "-importkeystore -srckeystore "));
    src.path = "key.jks";
    assert_null(cw_keystore_parse(CW_SLICE("\xFE\xED"), &src, CW_KEYSTORE_KEY, &err));
}

static void keys_in_pem_may_be_encrypted(void **state)
{
    static const char *const PATHS[] = {PATH("encrypted.pem"), PATH("traditional.pem")};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(PATHS); i++) {
        struct cw_keystore_source src = {.path = PATHS[i], .key_password = "geheim"};
        struct cw_err err = {0};
        struct cw_keystore *ks = load(PATHS[i], "geheim", CW_KEYSTORE_KEY);

        cw_keystore_free(ks);
        src.password = "not this one";
        assert_non_null(ks = cw_keystore_load(&src, CW_KEYSTORE_KEY, &err));
        cw_keystore_free(ks);
        src.key_password = "gehein";
        assert_null(cw_keystore_load(&src, CW_KEYSTORE_KEY, &err));
        assert_non_null(strstr(err.msg, "unreadable private key (wrong password?)"));
        src.key_password = src.password = NULL; /* and nobody is asked on the terminal */
        assert_null(cw_keystore_load(&src, CW_KEYSTORE_KEY, &err));
        assert_non_null(strstr(err.msg, "unreadable private key (does it need a password?)"));
    }
}

static char *text_of(const char *path, size_t *ret_n)
{
    char *bytes = cw_alloc(1 << 16);
    FILE *f = fopen(path, "rbe");

    assert_non_null(f);
    *ret_n = fread(bytes, 1, 1 << 16, f);
    (void)fclose(f);
    return bytes;
}

static void pem_text_may_have_lost_its_line_ends(void **state)
{
    static const char ENDS[] = {' ', '\t', '\r'};
    size_t n;
    cw_auto_free char *text = text_of(PATH("server-with-root.pem"), &n);

    (void)state;
    for (size_t i = 0; i < sizeof(ENDS); i++) {
        cw_auto_free char *flat = cw_memdup(text, n);
        struct cw_keystore_source src = {.type = "pem", .text = {flat, n}};
        struct cw_err err = {0};
        struct cw_keystore *ks;

        for (size_t k = 0; k < n; k++)
            if (flat[k] == '\n')
                flat[k] = ENDS[i];
        ks = cw_keystore_load(&src, CW_KEYSTORE_KEY, &err);
        if (!ks)
            fail_msg("%s", err.msg);
        expect_names(cw_keystore_chain(ks), CHAIN);
        cw_keystore_free(ks);
    }
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        struct cw_keystore_source src;
        unsigned need;
        const char *why;
    } CASES[] = {
        {{.path = PATH("none")}, CW_KEYSTORE_TRUST, "No such file"},
        {{.path = CW_TEST_DATA}, CW_KEYSTORE_TRUST, "Is a directory"},
        {{.path = PATH("make")}, CW_KEYSTORE_TRUST, "neither a PEM nor a PKCS12 nor a JKS store"},
        {{.path = PATH("secret.jceks")}, CW_KEYSTORE_TRUST, "keys of JCEKS stores are not read"},
        {{.path = PATH("server.p12"), .password = "gehein"}, CW_KEYSTORE_KEY, "wrong password"},
        {{.path = PATH("server.p12")}, CW_KEYSTORE_KEY, "wrong password"},
        {{.path = PATH("server.p12"), .password = "geheim", .key_password = "other"},
         CW_KEYSTORE_KEY,
         "private key of the PKCS12 store: wrong password?"},
        {{.path = PATH("trust.jks"), .password = "gehein"}, CW_KEYSTORE_TRUST, "wrong password"},
        {{.path = PATH("trust.p12"), .password = "geheim"}, CW_KEYSTORE_KEY, "has no private key"},
        {{.path = PATH("root.pem")}, CW_KEYSTORE_KEY, "has no private key"},
        {{.path = PATH("root.pem"), .type = "BCFKS"},
         CW_KEYSTORE_TRUST,
         "type BCFKS is not supported; accepted: JKS, PKCS12, PEM"},
        {{.text = {"0\0", 2}}, CW_KEYSTORE_TRUST, "neither a PEM"},
        {{.text = {"0\x82\xFF\xFFgarbage", 11}}, CW_KEYSTORE_TRUST, "unreadable PKCS12 store"},
        {{.text = {"-----BEGIN CERTIFICATE-----\nAAAA\n", 33}},
         CW_KEYSTORE_TRUST,
         "a PEM block CERTIFICATE without its end"},
        {{.text = {"-----BEGIN CERTIFICATE", 22}},
         CW_KEYSTORE_TRUST,
         "a PEM block whose first line does not end"},
        {{.text = {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", 59}},
         CW_KEYSTORE_TRUST,
         "unreadable certificate 1"},
        {{.text = {"-----BEGIN X-----\nAAAA\n-----END X-----", 38}},
         CW_KEYSTORE_TRUST,
         "has no trusted certificate"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_err err = {0};

        if (cw_keystore_load(&CASES[i].src, CASES[i].need, &err))
            fail_msg("case %zu was accepted", i);
        if (!strstr(err.msg, CASES[i].why))
            fail_msg("case %zu: %s", i, err.msg);
        assert_null(strstr(err.msg, "geheim"));
        assert_null(strstr(err.msg, "gehein"));
    }
}

static void what_is_written_as_pem_reads_back(void **state)
{
    struct cw_keystore *ks = load(PATH("server.p12"), "geheim", CW_KEYSTORE_KEY);
    struct cw_keystore_source src = {0};
    struct cw_err err = {0};
    cw_auto_str struct cw_str text;
    struct cw_keystore *again;

    (void)state;
    cw_str_init(&text, 1 << 20);
    cw_keystore_key_pem(ks, &text);
    assert_ptr_equal(strstr(text.p, "-----BEGIN PRIVATE KEY-----"), text.p);
    cw_certificate_pem(cw_keystore_certificate(ks), &text);
    cw_certificates_pem(cw_keystore_chain(ks), &text);
    src.text = cw_str_slice(&text);
    assert_non_null(again = cw_keystore_load(&src, CW_KEYSTORE_KEY, &err));
    assert_int_equal(EVP_PKEY_eq(cw_keystore_key(again), cw_keystore_key(ks)), 1);
    expect_names(cw_keystore_chain(again), CHAIN);
    cw_keystore_free(again);
    cw_keystore_free(ks);
}

static void server_context_takes_what_a_store_has(void **state)
{
    struct cw_keystore *ks = load(PATH("server.p12"), "geheim", CW_KEYSTORE_KEY);
    struct cw_err err = {0};

    (void)state;
    for (int client_auth = 0; client_auth < 2; client_auth++) {
        SSL_CTX *ctx = cw_tls_server_context(ks, client_auth, &err);

        if (!ctx)
            fail_msg("%s", err.msg);
        assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
        SSL_CTX_free(ctx);
    }
    cw_keystore_free(ks);
}

static void cipher_names_are_translated(void **state)
{
    (void)state;
    assert_string_equal(cw_tls_cipher_name("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
                        "ECDHE-RSA-AES128-GCM-SHA256");
    assert_string_equal(cw_tls_cipher_name("TLS_AES_128_GCM_SHA256"), "TLS_AES_128_GCM_SHA256");
    assert_null(cw_tls_cipher_name("SSL_NONSENSE"));
    assert_null(cw_tls_cipher_name(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_of_a_key_store_gives_key_and_chain),
        cmocka_unit_test(every_format_of_a_trust_store_is_read),
        cmocka_unit_test(jks_with_a_key_is_a_trust_store_only),
        cmocka_unit_test(keys_in_pem_may_be_encrypted),
        cmocka_unit_test(pem_text_may_have_lost_its_line_ends),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(what_is_written_as_pem_reads_back),
        cmocka_unit_test(server_context_takes_what_a_store_has),
        cmocka_unit_test(cipher_names_are_translated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
