/* The input is a store without a password. PKCS12 is left out: nearly all of its reading is
 * OpenSSL's, and the number of rounds in it may be as large as it likes. */
#include <stdint.h>
#include <stdlib.h>

#include <openssl/x509.h>

#include "common/base/err.h"
#include "common/tls/keystore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written and read again. */
static void check(const struct cw_keystore *ks)
{
    cw_auto_str struct cw_str text;
    struct cw_keystore_source src = {0};
    struct cw_keystore *again;

    if (sk_X509_num(cw_keystore_trusted(ks)) < 1)
        abort();
    cw_str_init(&text, 1 << 24);
    cw_certificates_pem(cw_keystore_trusted(ks), &text);
    src.text = cw_str_slice(&text);
    again = cw_keystore_load(&src, CW_KEYSTORE_TRUST, NULL);
    if (!again || sk_X509_num(cw_keystore_trusted(again)) != sk_X509_num(cw_keystore_trusted(ks)))
        abort();
    cw_keystore_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_keystore_source src = {.text = {(const char *)data, size}};
    struct cw_err err = {0};
    struct cw_keystore *ks;

    if (size && data[0] == 0x30)
        return 0;
    ks = cw_keystore_load(&src, CW_KEYSTORE_TRUST, &err);
    if (!ks && !err.msg[0])
        abort();
    if (ks)
        check(ks);
    cw_keystore_free(ks);
    return 0;
}
