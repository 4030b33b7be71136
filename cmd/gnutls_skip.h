/* cmd/gnutls_skip.h -- a function that GnuTLS looks for when it is loaded. Thread: the loader's. */
#pragma once

/* Not 0: GnuTLS is not initialised. Its name is GnuTLS's. */
int _gnutls_global_init_skip(void); // NOLINT(bugprone-reserved-identifier)
