/* As bytes of an id's node, of the counter's node, and as text of ZOOKEEPER_HOSTS. What is taken
 * for an id or a counter is written back so that it reads the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/str.h"
#include "invoker/id_plan.h"

enum { HOSTS_MAX_BYTES = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_id(struct cw_slice bytes)
{
    uint8_t out[INV_ID_BYTES];
    int64_t id = inv_id_decode(bytes);

    if (id >= 0 && inv_id_decode(cw_slice((char *)out, inv_id_encode(id, out))) != id)
        abort();
}

static void check_counter(struct cw_slice bytes)
{
    uint8_t out[INV_ID_COUNTER_BYTES];
    int64_t count = inv_id_counter_decode(bytes);

    if (count < 0)
        return;
    inv_id_counter_encode(count, out);
    if (inv_id_counter_decode(cw_slice((char *)out, sizeof(out))) != count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_slice bytes = cw_slice((const char *)data, size);
    char *text = cw_slice_dup(bytes);
    struct cw_str hosts;

    check_id(bytes);
    check_counter(bytes);
    (void)!inv_id_check_name(text, NULL);
    cw_str_init(&hosts, HOSTS_MAX_BYTES);
    if (inv_id_hosts(text, &hosts, NULL) == 0 && (hosts.failed || hosts.n == 0))
        abort();
    cw_str_done(&hosts);
    free(text);
    return 0;
}
