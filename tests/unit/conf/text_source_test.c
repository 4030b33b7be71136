/* Configuration files as a source: OPENWHISK_CONFIG, OPENWHISK_ENCODED_CONFIG, -Dconfig.file; and
 * the ranks of all sources among each other. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/conf/conf.h"

enum { TEXT_MAX = 1 << 21 };

struct sample {
    int64_t memory, wait;
    char *host, *secret;
    char **dns, **topic;
    bool on;
};

#define FIELD(f) .offset = offsetof(struct sample, f), .section = "All", .help = "H."

static const struct cw_conf_item ITEMS[] = {
    {.key = "whisk.memory", .type = CW_CONF_SIZE, FIELD(memory), .def = "128 m", .min = "1 m"},
    {.key = "whisk.wait", .type = CW_CONF_DURATION, FIELD(wait), .def = "10 s"},
    {.key = "whisk.host", .env = "WHISK_HOST", .type = CW_CONF_STRING, FIELD(host)},
    {.key = "whisk.secret",
     .type = CW_CONF_STRING,
     .flags = CW_CONF_SECRET,
     FIELD(secret),
     .def = ""},
    {.key = "whisk.dns-servers", .type = CW_CONF_LIST, FIELD(dns)},
    {.key = "whisk.topic", .type = CW_CONF_MAP, FIELD(topic)},
    {.key = "whisk.on", .type = CW_CONF_BOOL, FIELD(on), .def = "false"},
};

static const struct cw_conf_no_effect NO_EFFECT[] = {
    {.key = "whisk.etcd", .why = "Not used."},
    {.key = "whisk.info.date", .why = "Not used."},
    {.key = NULL},
};

static const struct cw_conf_table TABLE = {.program = "cwhisk test",
                                           .items = ITEMS,
                                           .count = CW_ARRAY_LEN(ITEMS),
                                           .struct_size = sizeof(struct sample),
                                           .no_effect = NO_EFFECT};

struct loaded {
    struct sample conf;
    struct cw_err err;
    struct cw_str notes; /* "?key<origin;" "+include<origin;" */
    char folder[32], file[64];
};

static int new_loaded(void **state)
{
    struct loaded *l = calloc(1, sizeof(*l));

    if (!l)
        return -1;
    cw_str_init(&l->notes, TEXT_MAX);
    (void)snprintf(l->folder, sizeof(l->folder), "/tmp/cwconf.XXXXXX");
    if (!mkdtemp(l->folder))
        return -1;
    (void)snprintf(l->file, sizeof(l->file), "%s/more.conf", l->folder);
    *state = l;
    return 0;
}

static int free_loaded(void **state)
{
    struct loaded *l = *state;

    (void)unlink(l->file);
    (void)rmdir(l->folder);
    cw_conf_free(&TABLE, &l->conf);
    cw_str_done(&l->notes);
    free(l);
    return 0;
}

static void on_note(void *arg, enum cw_conf_note what, const char *text, const char *origin)
{
    struct loaded *l = arg;

    cw_str_addf(&l->notes, "%s%s<%s;", what == CW_CONF_INCLUDE ? "+" : "?", text, origin);
}

static int load(struct loaded *l, const char *const *env, const char *const *argv)
{
    cw_conf_free(&TABLE, &l->conf);
    cw_str_reset(&l->notes);
    return cw_conf_load(&TABLE, (char *const *)env, (char *const *)argv, on_note, l, &l->conf,
                        &l->err);
}

#define LOAD(l, ...) load((l), (const char *const[]){__VA_ARGS__, NULL}, NULL)

static void assert_fails(struct loaded *l, const char *message)
{
    if (strcmp(l->err.msg, message) != 0)
        fail_msg("\"%s\", expected \"%s\"", l->err.msg, message);
}

static void write_file(const struct loaded *l, const char *text)
{
    FILE *f = fopen(l->file, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* ---- where the text comes from ---- */

static void plain_text_sets_keys(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=whisk { memory = 256 m, wait = 2 minutes\n"
                             " on = yes\n dns-servers = [1.1.1.1, 8.8.8.8]\n"
                             " topic { retention-ms = 1, segment-bytes = 2 } }"),
                     0);
    assert_true(l->conf.memory == 256 << 20);
    assert_true(l->conf.wait == 120000);
    assert_true(l->conf.on);
    assert_string_equal(l->conf.dns[0], "1.1.1.1");
    assert_string_equal(l->conf.dns[1], "8.8.8.8");
    assert_null(l->conf.dns[2]);
    assert_string_equal(l->conf.topic[0], "retention-ms");
    assert_string_equal(l->conf.topic[3], "2");
    assert_int_equal(l->notes.n, 0);
}

static void encoded_text_sets_keys(void **state)
{
    struct loaded *l = *state;
    cw_auto_str struct cw_str variable;

    cw_str_init(&variable, TEXT_MAX);
    cw_str_addz(&variable, "OPENWHISK_ENCODED_CONFIG=");
    cw_base64_encode(CW_SLICE("whisk.memory = 64 m"), &variable);
    assert_int_equal(LOAD(l, variable.p), 0);
    assert_true(l->conf.memory == 64 << 20);
    /* as base64(1) breaks its lines */
    assert_int_equal(LOAD(l, "OPENWHISK_ENCODED_CONFIG=d2hpc2subWVt\nb3J5ID0gMzIgbQ==\n"), 0);
    assert_true(l->conf.memory == 32 << 20);
}

static void plain_text_wins_over_encoded_and_file(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=whisk.memory = 2 m",
                          "OPENWHISK_ENCODED_CONFIG=not base64 and not read",
                          "INVOKER_OPTS=-Dconfig.file=/not/read"),
                     0);
    assert_true(l->conf.memory == 2 << 20);
    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=", "OPENWHISK_ENCODED_CONFIG="), 0);
    assert_true(l->conf.memory == 128 << 20);
}

static void file_named_by_a_property_sets_keys(void **state)
{
    struct loaded *l = *state;
    char word[128];

    write_file(l, "whisk.memory = 3 m\n");
    (void)snprintf(word, sizeof(word), "JAVA_OPTS=-Xmx512M -Dconfig.file=%s", l->file);
    assert_int_equal(LOAD(l, word), 0);
    assert_true(l->conf.memory == 3 << 20);
    assert_int_equal(LOAD(l, "INVOKER_OPTS=-Dconfig.file=/none/such.conf"), -1);
    assert_fails(l, "config.file: /none/such.conf: No such file or directory");
    assert_int_equal(LOAD(l, "INVOKER_OPTS=-Dconfig.file=/tmp"), -1);
    assert_fails(l, "config.file: /tmp: not a file");
}

/* ---- mistakes ---- */

static void mistakes_name_variable_line_and_column(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=whisk {\n  memory = ]\n}"), -1);
    assert_fails(l, "OPENWHISK_CONFIG: 2:12: expected a value, found \"]\"");
    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=a = ${NOWHERE}"), -1);
    assert_fails(l, "OPENWHISK_CONFIG: 1:5: ${NOWHERE} stands for nothing that is set");
    assert_int_equal(LOAD(l, "OPENWHISK_ENCODED_CONFIG=d2hpc2su*"), -1);
    assert_non_null(strstr(l->err.msg, "OPENWHISK_ENCODED_CONFIG: "));
    assert_int_equal(LOAD(l, "OPENWHISK_ENCODED_CONFIG=YSA9IHsKYg=="), -1); /* a = {\nb */
    assert_fails(l, "OPENWHISK_ENCODED_CONFIG: 2:2: expected =, : or { behind a key, found the "
                    "end of the text");
}

static void wrong_values_name_key_and_line(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=# sizes\nwhisk.memory = lots"), -1);
    assert_fails(l, "whisk.memory (OPENWHISK_CONFIG line 2): \"lots\" is not a size; accepted: 1 m "
                    "or more");
}

static void unknown_keys_of_the_text_are_told_once(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=whisk.new { a = 1, b = [1,2] }\nakka.x = 1",
                          "CONFIG_whisk_new_a=2"),
                     0);
    assert_non_null(strstr(l->notes.p, "?whisk.new.a<CONFIG_whisk_new_a;"));
    assert_non_null(strstr(l->notes.p, "?whisk.new.b.0<OPENWHISK_CONFIG line 1;"));
    assert_null(strstr(l->notes.p, "akka"));
    assert_null(strstr(strstr(l->notes.p, "whisk.new.a") + 1, "whisk.new.a<"));
}

static void known_keys_without_effect_are_not_told(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(LOAD(l, "CONFIG_whisk_etcd_hosts=e:2379", "CONFIG_whisk_etcd_pool_threads=10",
                          "CONFIG_whisk_info_date=today", "CONFIG_whisk_etcdx=1"),
                     0);
    assert_string_equal(l->notes.p, "?whisk.etcdx<CONFIG_whisk_etcdx;");
}

static void reference_lists_keys_without_effect(void **state)
{
    cw_auto_str struct cw_str out;

    (void)state;
    cw_str_init(&out, TEXT_MAX);
    cw_conf_markdown(&TABLE, &out);
    assert_non_null(strstr(out.p, "## Known, without effect here\n"));
    assert_non_null(strstr(out.p, "| `whisk.etcd` | Not used. |\n"));
    cw_str_reset(&out);
    cw_conf_man(&TABLE, &out);
    assert_non_null(strstr(out.p, ".TP\n.B whisk.info.date\nNot used.\n"));
}

/* ---- ranks ---- */

static void every_other_source_beats_the_text(void **state)
{
    struct loaded *l = *state;
    const char *text = "OPENWHISK_CONFIG=whisk { memory = 5 m, host = text }";

    assert_int_equal(LOAD(l, text, "JAVA_OPTS=-Dwhisk.memory=6m"), 0);
    assert_true(l->conf.memory == 6 << 20);
    assert_int_equal(LOAD(l, "INVOKER_OPTS=-Dwhisk.memory=7m", "JAVA_OPTS=-Dwhisk.memory=6m", text),
                     0);
    assert_true(l->conf.memory == 7 << 20);
    assert_int_equal(LOAD(l, "CONFIG_whisk_memory=8m", "INVOKER_OPTS=-Dwhisk.memory=7m", text), 0);
    assert_true(l->conf.memory == 8 << 20);
    assert_string_equal(l->conf.host, "text");
    assert_int_equal(LOAD(l, text, "WHISK_HOST=plain"), 0);
    assert_string_equal(l->conf.host, "plain");
    assert_int_equal(load(l, (const char *const[]){text, "CONFIG_whisk_memory=8m", NULL},
                          (const char *const[]){"cwhisk", "-Dwhisk.memory=9m", NULL}),
                     0);
    assert_true(l->conf.memory == 9 << 20);
}

static void list_of_the_text_is_replaced_by_numbered_elements(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(
        LOAD(l, "OPENWHISK_CONFIG=whisk.dns-servers = [a, b, c]", "CONFIG_whisk_dnsServers_0=x"),
        0);
    assert_string_equal(l->conf.dns[0], "x");
    assert_null(l->conf.dns[1]);
}

static void map_of_the_text_is_merged_with_other_sources(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=whisk.topic { a = 1, b = 1 }",
                          "CONFIG_whisk_topic_b=2", "INVOKER_OPTS=-Dwhisk.topic.c=3"),
                     0);
    assert_string_equal(l->conf.topic[1], "1");
    assert_string_equal(l->conf.topic[3], "2");
    assert_string_equal(l->conf.topic[5], "3");
}

static void variables_with_config_within_their_name_count(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(LOAD(l, "whisk_CONFIG_memory=1m", "MY_CONFIG_z=1"), 0);
    assert_string_equal(l->notes.p, "?whisk.CONFIG.memory<whisk_CONFIG_memory;");
    assert_true(l->conf.memory == 128 << 20);
}

/* ---- references and includes ---- */

static void references_see_other_sources_defaults_and_environment(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=whisk.host = ${whisk.memory}/${whisk.wait}/${NODE}",
                          "CONFIG_whisk_memory=77 m", "NODE=n1"),
                     0);
    assert_string_equal(l->conf.host, "77 m/10 s/n1");
    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=whisk.host = a\nwhisk.host = ${?NODE}", "NODE=n1"),
                     0);
    assert_string_equal(l->conf.host, "n1");
    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=whisk.host = a\nwhisk.host = ${?NODE}"), 0);
    assert_string_equal(l->conf.host, "a");
}

static void includes_of_stock_are_noted(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(LOAD(l,
                          "OPENWHISK_CONFIG=include classpath(\"application.conf\")\n"
                          "include \"none\"\ninclude required(classpath(\"x.conf\"))\n"
                          "include url(\"http://x/y\")\nwhisk.on = true",
                          "HOME=/none"),
                     0);
    assert_true(l->conf.on);
    assert_string_equal(l->notes.p, "+application.conf<OPENWHISK_CONFIG;+none<OPENWHISK_CONFIG;"
                                    "+x.conf<OPENWHISK_CONFIG;+http://x/y<OPENWHISK_CONFIG;");
}

static void files_that_exist_are_included(void **state)
{
    struct loaded *l = *state;
    char text[128], home[64];

    write_file(l, "memory = 4 m\non = true");
    (void)snprintf(text, sizeof(text), "OPENWHISK_CONFIG=whisk { include file(\"%s\") }", l->file);
    assert_int_equal(LOAD(l, text), 0);
    assert_true(l->conf.memory == 4 << 20);
    (void)snprintf(home, sizeof(home), "HOME=%s", l->folder);
    assert_int_equal(LOAD(l, home, "OPENWHISK_CONFIG=whisk { include \"more.conf\" }"), 0);
    assert_true(l->conf.on);
    assert_int_equal(LOAD(l, "OPENWHISK_CONFIG=include required(file(\"/none/x\"))"), -1);
    assert_fails(l, "OPENWHISK_CONFIG: 1:1: /none/x: required, but not there");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, new_loaded, free_loaded)
    const struct CMUnitTest tests[] = {
        T(plain_text_sets_keys),
        T(encoded_text_sets_keys),
        T(plain_text_wins_over_encoded_and_file),
        T(file_named_by_a_property_sets_keys),
        T(mistakes_name_variable_line_and_column),
        T(wrong_values_name_key_and_line),
        T(unknown_keys_of_the_text_are_told_once),
        T(known_keys_without_effect_are_not_told),
        T(reference_lists_keys_without_effect),
        T(every_other_source_beats_the_text),
        T(list_of_the_text_is_replaced_by_numbered_elements),
        T(map_of_the_text_is_merged_with_other_sources),
        T(variables_with_config_within_their_name_count),
        T(references_see_other_sources_defaults_and_environment),
        T(includes_of_stock_are_noted),
        T(files_that_exist_are_included),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
