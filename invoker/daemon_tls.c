/* Files with keys and certificates that the settings name. Kafka's are read with its settings
 * (kafka_security.c). */
#include <string.h>

#include <openssl/ssl.h>

#include "common/base/err.h"
#include "common/http/client.h"
#include "common/tls/keystore.h"
#include "common/tls/server_context.h"
#include "invoker/daemon_priv.h"
#include "invoker/settings.h"

/* JKS is known, but has no keys for us: the reader says what to do. */
static struct cw_keystore *load_keystore(const struct inv_settings *s, struct cw_err *err)
{
    struct cw_keystore_source src = {
        .path = s->https_keystore_path,
        .type = s->https_keystore_flavor,
        .password = s->https_keystore_password,
    };
    unsigned need = CW_KEYSTORE_KEY | (s->https_client_auth ? CW_KEYSTORE_TRUST : 0);
    struct cw_keystore *ks;

    if (!src.path || !*src.path) {
        (void)cw_fail(err, CW_INVALID,
                      "whisk.invoker.https.keystore-path: required with whisk.invoker.protocol "
                      "https, but not set; accepted: a PKCS12 or PEM file");
        return NULL;
    }
    ks = cw_keystore_load(&src, need, err);
    if (!ks)
        (void)cw_err_wrap(err, "whisk.invoker.https.keystore-path");
    return ks;
}

int inv_daemon_admin_tls(const struct inv_settings *s, SSL_CTX **ret, struct cw_err *err)
{
    struct cw_keystore *ks;

    *ret = NULL;
    if (s->http_protocol == INV_HTTP)
        return 0;
    if (!(ks = load_keystore(s, err)))
        return -1;
    *ret = cw_tls_server_context(ks, s->https_client_auth, err);
    cw_keystore_free(ks);
    return *ret ? 0
                : cw_err_wrap(err, "whisk.invoker.https.keystore-path: %s", s->https_keystore_path);
}

/* libcurl would tell only when the first request fails. */
static int check_authorities(const char *path, struct cw_err *err)
{
    struct cw_keystore_source src = {.path = path, .type = "PEM"};
    struct cw_keystore *ks = cw_keystore_load(&src, CW_KEYSTORE_TRUST, err);

    if (!ks)
        return cw_err_wrap(err, "cwhisk.couchdb-ca-file");
    cw_keystore_free(ks);
    return 0;
}

int inv_daemon_make_http(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;
    struct cw_http_conf conf = {0};

    if (s->couch_ca_file && *s->couch_ca_file) {
        if (check_authorities(s->couch_ca_file, err) != 0)
            return -1;
        conf.ca_file = s->couch_ca_file;
    }
    d->http = cw_http_new(d->loop, &conf, err);
    return d->http ? 0 : -1;
}
