/* GnuTLS is in the process because Debian's libcurl can speak rtmp and ldap, which nobody here
 * does. Its start would cost a megabyte of memory and a millisecond; it asks this function, where
 * there is one, whether to leave it out (gnutls.h, GNUTLS_SKIP_GLOBAL_INIT). */
#include "cmd/gnutls_skip.h"

int _gnutls_global_init_skip(void)
{
    return 1;
}
