/* CouchDB's answers to a bulk put and to a refused request. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/store/couch_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const IDS[] = {"guest/a", NULL, "guest/c"};
    struct cw_slice body = {(const char *)data, size};
    struct cw_docstore_put_result results[3];
    struct cw_err err = {0};

    for (size_t count = 0; count <= 3; count++) {
        if (cw_couch_bulk_parse(body, IDS, count, results, &err) != 0) {
            if ((err.code != CW_INTERNAL && err.code != CW_UNAVAILABLE) || !err.retriable)
                abort();
            continue;
        }
        for (size_t i = 0; i < count; i++)
            if (results[i].code > CW_PUT_REFUSED || !memchr(results[i].reason, 0, 96))
                abort();
    }
    if (cw_couch_refused("couch: PUT db/id", size ? 300 + data[0] : 500, body, &err) != -1)
        abort();
    return 0;
}
