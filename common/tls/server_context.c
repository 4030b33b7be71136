#include "common/tls/server_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/base/err.h"
#include "common/tls/keystore.h"

static int set_identity(SSL_CTX *ctx, const struct cw_keystore *ks)
{
    return SSL_CTX_use_cert_and_key(ctx, cw_keystore_certificate(ks), cw_keystore_key(ks),
                                    cw_keystore_chain(ks), 1) == 1;
}

/* The store's certificates are the anchors whether they are roots or not, as in Java. */
static bool require_clients(SSL_CTX *ctx, const struct cw_keystore *ks)
{
    struct stack_st_X509 *trusted = cw_keystore_trusted(ks);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);

    for (int i = 0; i < sk_X509_num(trusted); i++)
        if (X509_STORE_add_cert(store, sk_X509_value(trusted, i)) != 1 ||
            SSL_CTX_add_client_CA(ctx, sk_X509_value(trusted, i)) != 1)
            return false;
    (void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return true;
}

SSL_CTX *cw_tls_server_context(const struct cw_keystore *ks, bool client_auth, struct cw_err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    const char *reason;

    if (!ctx)
        abort(); /* only when memory is short */
    /* A client that just closes its connection ends it, which is no error. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    /* An idle connection should not hold two buffers of 16 KiB. */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && set_identity(ctx, ks) &&
        (!client_auth || require_clients(ctx, ks)))
        return ctx;
    reason = ERR_reason_error_string(ERR_peek_last_error());
    (void)cw_fail(err, CW_INVALID, "tls: the certificate or key cannot be used: %s",
                  reason ? reason : "unknown reason");
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return NULL;
}
