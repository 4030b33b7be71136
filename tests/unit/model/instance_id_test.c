#include "tests/support/cmocka_all.h"

#include "common/model/instance_id.h"
#include "tests/unit/model/samples.h"

static void id_without_names_has_empty_lists_and_bytes(void **state)
{
    const struct cw_instance_id id = {.instance = 0, .user_memory_bytes = 2147483648};
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 1000);
    cw_instance_id_encode(&id, &s);
    assert_json_text(cw_str_slice(&s),
                     "{\"instance\":0,\"userMemory\":\"2147483648 B\",\"instanceType\":\"invoker\","
                     "\"tags\":[],\"dedicatedNamespaces\":[]}");
    cw_str_reset(&s);
    cw_instance_id_print(&id, &s);
    assert_string_equal(s.p, "invoker0");
}

static void id_with_everything_has_all_members(void **state)
{
    const struct cw_instance_id id = {
        .instance = 12,
        .user_memory_bytes = 1024,
        .unique_name = "worker \"7\"",
        .displayed_name = "shown",
        .tags = (const char *const[]){"gpu", "big", NULL},
        .dedicated_namespaces = (const char *const[]){"alice", NULL},
    };
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 1000);
    cw_instance_id_encode(&id, &s);
    assert_json_text(cw_str_slice(&s),
                     "{\"instance\":12,\"userMemory\":\"1024 B\",\"instanceType\":\"invoker\","
                     "\"tags\":[\"gpu\",\"big\"],\"dedicatedNamespaces\":[\"alice\"],"
                     "\"uniqueName\":\"worker \\\"7\\\"\",\"displayedName\":\"shown\"}");
    cw_str_reset(&s);
    cw_instance_id_print(&id, &s);
    assert_string_equal(s.p, "invoker12/worker \"7\"/shown");
}

static void same_ping(struct cw_slice line)
{
    const struct cw_instance_id id = {.instance = 0, .user_memory_bytes = 2147483648};
    json_t *want = json_of(line), *have;
    cw_auto_str struct cw_str instance, ping;

    cw_str_init(&instance, 1000);
    cw_str_init(&ping, 1000);
    cw_instance_id_encode(&id, &instance);
    cw_ping_encode(cw_str_slice(&instance), json_is_true(json_object_get(want, "isEnabled")),
                   &ping);
    have = json_of(cw_str_slice(&ping));
    assert_json(have, want);
    json_decref(have);
    json_decref(want);
}

static void recorded_pings_are_reproduced(void **state)
{
    (void)state;
    assert_int_equal(sample_lines("kafka-health.ndjson", same_ping), 3);
}

static void last_ping_says_disabled(void **state)
{
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 100);
    cw_ping_encode(CW_SLICE("{\"instance\":3}"), false, &s);
    assert_json_text(cw_str_slice(&s), "{\"name\":{\"instance\":3},\"isEnabled\":false}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_without_names_has_empty_lists_and_bytes),
        cmocka_unit_test(id_with_everything_has_all_members),
        cmocka_unit_test(recorded_pings_are_reproduced),
        cmocka_unit_test(last_ping_says_disabled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
