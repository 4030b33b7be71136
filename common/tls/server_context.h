/* common/tls/server_context.h -- what a TLS server of ours answers with. Thread: any. */
#pragma once

#include <stdbool.h>

#include <openssl/types.h>

#include "common/base/mem.h"

struct cw_err;
struct cw_keystore;

/* TLS 1.2 and 1.3 with the store's key, certificate and chain. client_auth: only clients with a
 * certificate that the store trusts get in. No sessions, no renegotiation. The store is borrowed
 * for the call; release the result with SSL_CTX_free. */
SSL_CTX *cw_tls_server_context(const struct cw_keystore *ks, bool client_auth,
                               struct cw_err *err) CW_MUST_CHECK;
