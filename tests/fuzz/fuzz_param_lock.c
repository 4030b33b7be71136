/* A locked value: base64 around length, IV, cipher text and tag; then the content around it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/model/activation_message.h"
#include "common/model/param_lock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void unlock_content(const struct cw_param_keys *keys, struct cw_slice content)
{
    struct cw_activation_message *m = cw_alloc(sizeof(*m));
    struct cw_err err = {0};
    struct cw_slice value;

    cw_arena_init(&m->arena);
    if (cw_raw_check(content, CW_RAW_MAX_DEPTH, &value, NULL) == 0 &&
        cw_raw_type(value) == CW_RAW_OBJECT) {
        m->content = value;
        m->locked_args = CW_SLICE("{\"a\":\"aes-128\",\"b\":\"aes-256\",\"c\":\"rot-13\"}");
        if (cw_param_unlock(keys, m, NULL, &err) == 0) {
            if (cw_raw_check(m->content, CW_RAW_MAX_DEPTH, NULL, NULL) != 0)
                abort();
        } else if (err.code != CW_INVALID) {
            abort();
        }
    }
    cw_activation_message_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_param_keys *keys = cw_param_keys_new(
        "oxmKH4gQLs+h4BZaiQRElg==", "5mboNxwK0Sk1yAIpmfKoLAen67zgmEzD5hGFIwc6H10=", NULL);
    struct cw_slice text = {(const char *)data, size};
    cw_auto_str struct cw_str out;
    struct cw_err err = {0};

    cw_str_init(&out, size + 1);
    (void)!cw_param_decrypt(keys, CW_SLICE("aes-128"), text, &out, &err);
    (void)!cw_param_decrypt(keys, CW_SLICE("aes-256"), text, &out, &err);
    unlock_content(keys, text);
    cw_param_keys_free(keys);
    return 0;
}
