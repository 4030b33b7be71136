#include "common/tls/cipher_name.h"

#include <stddef.h>
#include <string.h>

#include <openssl/ssl.h>

const char *cw_tls_cipher_name(const char *standard_name)
{
    const char *name = OPENSSL_cipher_name(standard_name);

    return strcmp(name, "(NONE)") == 0 ? NULL : name;
}
