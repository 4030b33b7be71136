/* hiredis 0.14 has no TLS; libevent's buffered sockets do. */
#include <arpa/inet.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/base/err.h"
#include "common/kv/redis_conn_priv.h"

SSL_CTX *redis_tls_context(const char *ca_file, struct cw_err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    const char *reason;
    int loaded;

    if (!ctx)
        abort(); /* only when memory is short */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    loaded = ca_file ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL)
                     : SSL_CTX_set_default_verify_paths(ctx);
    if (loaded == 1 && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1) {
        ERR_clear_error();
        return ctx;
    }
    reason = ERR_reason_error_string(ERR_peek_last_error());
    (void)cw_fail(err, CW_INVALID, "%s: no authorities can be read: %s",
                  ca_file ? ca_file : "the system's certificates",
                  reason ? reason : "unknown reason");
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return NULL;
}

static bool is_address(const char *host)
{
    struct in6_addr any;

    return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

SSL *redis_tls_new(SSL_CTX *ctx, const char *host)
{
    SSL *ssl = SSL_new(ctx);
    bool set;

    if (!ssl)
        abort(); /* only when memory is short */
    if (is_address(host))
        set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    else
        set = SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
    if (!set)
        abort(); /* likewise */
    return ssl;
}

const char *redis_tls_trouble(const SSL *ssl, unsigned long code)
{
    long verified = SSL_get_verify_result(ssl);

    if (verified != X509_V_OK)
        return X509_verify_cert_error_string(verified);
    return code ? ERR_reason_error_string(code) : NULL;
}
