/* Docker's config.json, as the file has it: whatever is taken gives a header without line ends. */
#include <stdlib.h>

#include "common/base/err.h"
#include "common/driver/docker_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const IMAGES[] = {"image", "reg.example:5000/a/b:1", "localhost/x"};
    struct cw_err err = {0};
    struct cw_docker_auth *a =
        cw_docker_auth_parse(cw_slice((const char *)data, size), NULL, NULL, &err);

    for (size_t i = 0; a && i < CW_ARRAY_LEN(IMAGES); i++) {
        cw_auto_str struct cw_str header;

        cw_str_init(&header, CW_DOCKER_MAX_AUTH);
        if (cw_docker_auth_header(a, IMAGES[i], &header) &&
            (header.failed || strpbrk(header.p, "\r\n ")))
            abort();
    }
    cw_docker_auth_free(a);
    return 0;
}
