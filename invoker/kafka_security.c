/* Stores are turned into PEM here, because librdkafka reads PKCS12 only (and of it only what the
 * default provider of OpenSSL 3 can decrypt), no JKS, and no chain. */
#include <stdio.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/x509.h>

#include "common/base/err.h"
#include "common/tls/cipher_name.h"
#include "common/tls/keystore.h"
#include "invoker/jaas.h"
#include "invoker/kafka_conf_priv.h"

enum { MAX_PEM = 8 << 20, MAX_LIST = 4096 };

static const struct protocol {
    const char *java, *ours;
    bool tls, sasl;
} PROTOCOLS[] = {
    {"PLAINTEXT", "plaintext", false, false},
    {"SSL", "ssl", true, false},
    {"SASL_PLAINTEXT", "sasl_plaintext", false, true},
    {"SASL_SSL", "sasl_ssl", true, true},
};

/* What does nothing for the strength of a connection. A '*' ends a prefix. */
static const char *const HARMLESS[] = {
    "ssl-provider",       "ssl-secure-random-implementation", "ssl-keymanager-algorithm",
    "sasl-kerberos-*",    "ssl-trustmanager-algorithm",       "sasl-login-refresh-*",
    "sasl-login-retry-*", "sasl-login-connect-timeout-ms",    "sasl-login-read-timeout-ms",
};

/* What the functions below look at. */
static const char *const HANDLED[] = {
    "security-protocol",
    "sasl-jaas-config",
    "sasl-mechanism",
    "ssl-ca-location",
    "ssl-cipher-suites",
    "ssl-enabled-protocols",
    "ssl-endpoint-identification-algorithm",
    "ssl-key-password",
    "ssl-keystore-certificate-chain",
    "ssl-keystore-key",
    "ssl-keystore-location",
    "ssl-keystore-password",
    "ssl-keystore-type",
    "ssl-protocol",
    "ssl-truststore-certificates",
    "ssl-truststore-location",
    "ssl-truststore-password",
    "ssl-truststore-type",
};

static bool starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_in(const char *const *list, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(list[i]);

        if (strcmp(list[i], key) == 0 ||
            (list[i][len - 1] == '*' && strncmp(list[i], key, len - 1) == 0))
            return true;
    }
    return false;
}

bool kafka_security_owns(const char *key)
{
    return starts_with(key, "ssl-") || starts_with(key, "sasl-") || starts_with(key, "security-");
}

static const char *value_of(const struct kafka_translation *t, const char *key)
{
    const struct kafka_setting *s = kafka_setting_of(t, key);

    return s ? s->value : NULL;
}

/* Only for settings whose value is no secret. */
static int refuse_value(const struct kafka_setting *s, const char *accepted, struct cw_err *err)
{
    return cw_fail(err, CW_INVALID, "%s%s: \"%.60s\" is not supported; accepted: %s", s->prefix,
                   s->key, s->value, accepted);
}

static int refuse_pair(const struct kafka_setting *a, const char *b, struct cw_err *err)
{
    return cw_fail(err, CW_INVALID, "%s%s: set together with %s; accepted: one of them", a->prefix,
                   a->key, b);
}

/* ---- stores ---- */

static struct cw_keystore *load(const struct kafka_setting *s, const struct cw_keystore_source *src,
                                unsigned need, struct cw_err *err)
{
    struct cw_keystore *ks = cw_keystore_load(src, need, err);

    if (!ks)
        (void)cw_err_wrap(err, "%s%s", s->prefix, s->key);
    return ks;
}

static bool has_root(const struct cw_keystore *ks)
{
    struct stack_st_X509 *trusted = cw_keystore_trusted(ks);

    for (int i = 0; i < sk_X509_num(trusted); i++)
        if (X509_self_signed(sk_X509_value(trusted, i), 0) == 1)
            return true;
    return false;
}

static int load_trust(const struct kafka_translation *t, struct cw_keystore **ret,
                      struct cw_err *err)
{
    const struct kafka_setting *location = kafka_setting_of(t, "ssl-truststore-location");
    const struct kafka_setting *text = kafka_setting_of(t, "ssl-truststore-certificates");
    struct cw_keystore_source src = {
        .path = location ? location->value : NULL,
        .text = cw_slice_of(text ? text->value : NULL),
        .type = value_of(t, "ssl-truststore-type"),
        .password = value_of(t, "ssl-truststore-password"),
    };

    if (!location && !text)
        return 0;
    if (location && text)
        return refuse_pair(text, "ssl-truststore-location", err);
    if (!location)
        location = text;
    *ret = load(location, &src, CW_KEYSTORE_TRUST, err);
    if (!*ret)
        return -1;
    if (!has_root(*ret)) /* librdkafka would refuse every broker, and not say it like this */
        return cw_fail(err, CW_INVALID,
                       "%s%s: no trusted certificate in it is a root (self-signed): add the root",
                       location->prefix, location->key);
    return 0;
}

/* Key and chain out of two settings. */
static struct cw_keystore *load_key_text(const struct kafka_translation *t,
                                         const struct kafka_setting *key, struct cw_err *err)
{
    const char *chain = value_of(t, "ssl-keystore-certificate-chain");
    struct cw_keystore_source src = {.type = value_of(t, "ssl-keystore-type"),
                                     .password = value_of(t, "ssl-key-password")};
    struct cw_keystore *ks;
    struct cw_str text;

    cw_str_init(&text, MAX_PEM);
    (void)cw_str_reserve(&text, strlen(key->value) + strlen(chain ? chain : "") + 1);
    cw_str_addf(&text, "%s\n%s", key->value, chain ? chain : "");
    src.text = cw_str_slice(&text);
    ks = load(key, &src, CW_KEYSTORE_KEY, err);
    OPENSSL_cleanse(text.p, text.n);
    cw_str_done(&text);
    return ks;
}

static int load_key(const struct kafka_translation *t, struct cw_keystore **ret, struct cw_err *err)
{
    const struct kafka_setting *location = kafka_setting_of(t, "ssl-keystore-location");
    const struct kafka_setting *text = kafka_setting_of(t, "ssl-keystore-key");
    struct cw_keystore_source src = {
        .path = location ? location->value : NULL,
        .type = value_of(t, "ssl-keystore-type"),
        .password = value_of(t, "ssl-keystore-password"),
        .key_password = value_of(t, "ssl-key-password"),
    };

    if (!location && !text)
        return 0;
    if (location && text)
        return refuse_pair(text, "ssl-keystore-location", err);
    *ret = location ? load(location, &src, CW_KEYSTORE_KEY, err) : load_key_text(t, text, err);
    return *ret ? 0 : -1;
}

/* The certificates that a connection is checked with. librdkafka sends no chain of ours along, but
 * OpenSSL completes one from here. Only roots count as trusted, so a chain's other certificates
 * make nothing trusted. */
static void put_authorities(struct kafka_translation *t, const struct cw_keystore *trust,
                            const struct cw_keystore *own)
{
    cw_auto_str struct cw_str pem;

    cw_str_init(&pem, MAX_PEM);
    if (trust)
        cw_certificates_pem(cw_keystore_trusted(trust), &pem);
    for (int i = 0; own && i < sk_X509_num(cw_keystore_chain(own)); i++) {
        X509 *cert = sk_X509_value(cw_keystore_chain(own), i);

        if (X509_self_signed(cert, 0) != 1)
            cw_certificate_pem(cert, &pem);
    }
    if (pem.n)
        kafka_put(t, "ssl.ca.pem", cw_arena_dup(t->arena, cw_str_slice(&pem)));
    if (pem.n && !trust) /* or else the system's would not be looked at any more */
        kafka_put(t, "ssl.ca.location", X509_get_default_cert_dir());
}

static void put_key(struct kafka_translation *t, const struct cw_keystore *own)
{
    struct cw_str key;
    cw_auto_str struct cw_str cert;

    cw_str_init(&cert, MAX_PEM);
    cw_str_init(&key, MAX_PEM);
    cw_certificate_pem(cw_keystore_certificate(own), &cert);
    cw_keystore_key_pem(own, &key);
    kafka_put(t, "ssl.certificate.pem", cw_arena_dup(t->arena, cw_str_slice(&cert)));
    kafka_put(t, "ssl.key.pem", cw_arena_dup(t->arena, cw_str_slice(&key)));
    OPENSSL_cleanse(key.p, key.n);
    cw_str_done(&key);
}

static int put_stores(struct kafka_translation *t, struct cw_err *err)
{
    const struct kafka_setting *bundle = kafka_setting_of(t, "ssl-ca-location");
    struct cw_keystore *trust = NULL, *own = NULL;
    int rc = -1;

    if (load_trust(t, &trust, err) == 0 && load_key(t, &own, err) == 0) {
        put_authorities(t, trust, own);
        if (own)
            put_key(t, own);
        if (bundle)
            kafka_put(t, "ssl.ca.location", bundle->value);
        rc = bundle && trust ? refuse_pair(bundle, "a trust store", err) : 0;
    }
    cw_keystore_free(trust);
    cw_keystore_free(own);
    return rc;
}

/* ---- TLS ---- */

/* The next word of a list with commas; false at its end. */
static bool next_word(const char **list, char *word, size_t size)
{
    const char *end = strchrnul(*list, ',');
    struct cw_slice s = cw_slice_trim(cw_slice(*list, (size_t)(end - *list)));

    if (**list == '\0')
        return false;
    (void)snprintf(word, size, "%.*s", (int)s.n, s.p);
    *list = *end ? end + 1 : end;
    return true;
}

/* 1.2 and 1.3 are spoken, whatever the list says: one without 1.2 would be widened. */
static int check_versions(const struct kafka_translation *t, struct cw_err *err)
{
    const struct kafka_setting *context = kafka_setting_of(t, "ssl-protocol");
    const struct kafka_setting *enabled = kafka_setting_of(t, "ssl-enabled-protocols");
    const char *list = enabled ? enabled->value : "";
    bool has_12 = !enabled;
    char word[64];

    while (next_word(&list, word, sizeof(word)))
        has_12 |= strcmp(word, "TLSv1.2") == 0;
    if (!has_12)
        return refuse_value(enabled, "a list with TLSv1.2", err);
    if (context && strcmp(context->value, "TLS") != 0 && strcmp(context->value, "TLSv1.2") != 0 &&
        strcmp(context->value, "TLSv1.3") != 0)
        return refuse_value(context, "TLS, TLSv1.2, TLSv1.3", err);
    return 0;
}

/* The suites of TLS 1.3 (all of them strong) cannot be chosen; those of 1.2 are. */
static int put_ciphers(struct kafka_translation *t, struct cw_err *err)
{
    const struct kafka_setting *s = kafka_setting_of(t, "ssl-cipher-suites");
    const char *list = s ? s->value : "";
    cw_auto_str struct cw_str names;
    char word[80];

    cw_str_init(&names, MAX_LIST);
    while (next_word(&list, word, sizeof(word))) {
        const char *name = cw_tls_cipher_name(word);

        if (!name)
            return cw_fail(err, CW_INVALID, "%s%s: no suite \"%s\" here; accepted: IANA names",
                           s->prefix, s->key, word);
        if (strcmp(name, word) != 0) /* those of 1.3 have one name */
            cw_str_addf(&names, "%s%s", names.n ? ":" : "", name);
    }
    if (s && (!names.n || names.failed))
        return refuse_value(s, "a list with suites of TLS 1.2", err);
    if (s)
        kafka_put(t, "ssl.cipher.suites", cw_arena_dup(t->arena, cw_str_slice(&names)));
    return 0;
}

/* Stock's configuration empties it, which is "do not compare names". */
static int put_identification(struct kafka_translation *t, struct cw_err *err)
{
    const struct kafka_setting *s = kafka_setting_of(t, "ssl-endpoint-identification-algorithm");

    if (s && strcasecmp(s->value, "https") != 0 && strcasecmp(s->value, "none") != 0)
        return refuse_value(s, "https, or nothing", err);
    kafka_put(t, "ssl.endpoint.identification.algorithm",
              s && strcasecmp(s->value, "https") == 0 ? "https" : "none");
    return 0;
}

static int put_tls(struct kafka_translation *t, struct cw_err *err)
{
    if (check_versions(t, err) != 0 || put_ciphers(t, err) != 0 || put_identification(t, err) != 0)
        return -1;
    return put_stores(t, err);
}

/* ---- SASL ---- */

static int put_credentials(struct kafka_translation *t, struct cw_err *err)
{
    const struct kafka_setting *s = kafka_setting_of(t, "sasl-jaas-config");
    const char *user, *password, *class;
    struct inv_jaas jaas;

    if (!s)
        return cw_fail(err, CW_INVALID,
                       "whisk.kafka.common.sasl-jaas-config is missing; accepted: "
                       "org.apache.kafka.common.security.plain.PlainLoginModule required "
                       "username=\"...\" password=\"...\";");
    if (inv_jaas_parse(s->value, t->arena, &jaas, err) != 0)
        return cw_err_wrap(err, "%s%s", s->prefix, s->key);
    class = strrchr(jaas.module, '.');
    class = class ? class + 1 : jaas.module;
    if (strcmp(class, "PlainLoginModule") != 0 && strcmp(class, "ScramLoginModule") != 0)
        return cw_fail(err, CW_INVALID,
                       "%s%s: login module %.60s is not supported; accepted: PlainLoginModule, "
                       "ScramLoginModule",
                       s->prefix, s->key, class);
    if (inv_jaas_option(&jaas, "tokenauth") &&
        strcasecmp(inv_jaas_option(&jaas, "tokenauth"), "true") == 0)
        return cw_fail(err, CW_INVALID, "%s%s: delegation tokens are not supported", s->prefix,
                       s->key);
    user = inv_jaas_option(&jaas, "username");
    password = inv_jaas_option(&jaas, "password");
    if (!user || !password)
        return cw_fail(err, CW_INVALID, "%s%s: no %s in it", s->prefix, s->key,
                       user ? "password" : "username");
    kafka_put(t, "sasl.username", user);
    kafka_put(t, "sasl.password", password);
    return 0;
}

static int put_sasl(struct kafka_translation *t, struct cw_err *err)
{
    static const char ACCEPTED[] = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512";
    const struct kafka_setting *s = kafka_setting_of(t, "sasl-mechanism");

    if (!s)
        return cw_fail(err, CW_INVALID,
                       "whisk.kafka.common.sasl-mechanism is missing (Java's default GSSAPI is not "
                       "supported); accepted: %s",
                       ACCEPTED);
    if (strcmp(s->value, "PLAIN") != 0 && strcmp(s->value, "SCRAM-SHA-256") != 0 &&
        strcmp(s->value, "SCRAM-SHA-512") != 0)
        return refuse_value(s, ACCEPTED, err);
    kafka_put(t, "sasl.mechanism", s->value);
    return put_credentials(t, err);
}

/* ---- everything ---- */

static const struct protocol *protocol_of(const char *name)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(PROTOCOLS); i++)
        if (strcasecmp(PROTOCOLS[i].java, name) == 0)
            return &PROTOCOLS[i];
    return NULL;
}

/* What nobody here looks at must not have been meant to protect something. */
static int check_others(const struct kafka_translation *t, const struct protocol *protocol,
                        struct cw_err *err)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct kafka_setting *s = &t->settings[i];

        if (!s->value[0] || !kafka_security_owns(s->key) ||
            (starts_with(s->key, "ssl-") && !protocol->tls) ||
            (starts_with(s->key, "sasl-") && !protocol->sasl) ||
            is_in(HARMLESS, CW_ARRAY_LEN(HARMLESS), s->key) ||
            is_in(HANDLED, CW_ARRAY_LEN(HANDLED), s->key))
            continue;
        return cw_fail(err, CW_INVALID,
                       "%s%s is not supported, and connections might be weaker without it: "
                       "remove it",
                       s->prefix, s->key);
    }
    return 0;
}

int kafka_security_translate(struct kafka_translation *t, struct cw_err *err)
{
    const struct kafka_setting *s = kafka_setting_of(t, "security-protocol");
    const struct protocol *protocol = s ? protocol_of(s->value) : &PROTOCOLS[0];

    if (!protocol)
        return refuse_value(s, "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL", err);
    kafka_put(t, "security.protocol", protocol->ours);
    if (check_others(t, protocol, err) != 0 || (protocol->tls && put_tls(t, err) != 0))
        return -1;
    return protocol->sasl ? put_sasl(t, err) : 0;
}
