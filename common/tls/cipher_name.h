/* common/tls/cipher_name.h -- names of cipher suites. Thread: any. */
#pragma once

/* "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" → "ECDHE-RSA-AES128-GCM-SHA256"; NULL when OpenSSL has no
 * such suite. Static. */
const char *cw_tls_cipher_name(const char *standard_name);
