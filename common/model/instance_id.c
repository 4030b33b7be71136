#include "common/model/instance_id.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/json/writer.h"

static void write_list(struct cw_json_writer *w, const char *key, const char *const *items)
{
    cw_json_key(w, key);
    cw_json_array(w);
    for (; items && *items; items++)
        cw_json_string(w, *items);
    cw_json_array_end(w);
}

void cw_instance_id_encode(const struct cw_instance_id *id, struct cw_str *out)
{
    struct cw_json_writer w;
    char memory[32]; /* stock prints bytes, and controllers of all versions read that */

    (void)snprintf(memory, sizeof(memory), "%" PRId64 " B", id->user_memory_bytes);
    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_kv_int(&w, "instance", id->instance);
    cw_json_kv_string(&w, "instanceType", "invoker");
    cw_json_kv_string(&w, "userMemory", memory);
    write_list(&w, "tags", id->tags); /* both lists are required by 2.0 even when empty */
    write_list(&w, "dedicatedNamespaces", id->dedicated_namespaces);
    cw_json_kv_string(&w, "uniqueName", id->unique_name);
    cw_json_kv_string(&w, "displayedName", id->displayed_name);
    cw_json_object_end(&w);
}

void cw_ping_encode(struct cw_slice instance, bool enabled, struct cw_str *out)
{
    struct cw_json_writer w;

    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_kv_raw(&w, "name", instance);
    cw_json_kv_bool(&w, "isEnabled", enabled);
    cw_json_object_end(&w);
}

void cw_instance_id_print(const struct cw_instance_id *id, struct cw_str *out)
{
    cw_str_addz(out, "invoker");
    cw_str_addi(out, id->instance);
    if (id->unique_name)
        cw_str_addf(out, "/%s", id->unique_name);
    if (id->displayed_name)
        cw_str_addf(out, "/%s", id->displayed_name);
}
