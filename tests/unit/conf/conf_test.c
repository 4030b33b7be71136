#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/conf/conf.h"

struct sample {
    int64_t id, port, memory, idle, payload;
    char *name, *hosts, *password, *manifest, *marked;
    bool verbose, reuse;
    double factor, cpus;
    char **tags, **envs, **kafka, **args;
    int level;
};

#define FIELD(f) .offset = offsetof(struct sample, f)

/* clang-format off */
static const struct cw_conf_item ITEMS[] = {
    {.section = "Identity", .key = "cwhisk.id", .cli = "id", .type = CW_CONF_INT, FIELD(id), .def = "-1", .min = "-1", .max = "1000000",
     .help = "Number of this invoker."},
    {.section = "Identity", .key = "cwhisk.unique-name", .cli = "uniqueName", .type = CW_CONF_STRING, FIELD(name),
     .help = "Name of this invoker."},
    {.section = "Identity", .key = "cwhisk.verbose", .cli = "verbose", .type = CW_CONF_BOOL, FIELD(verbose), .def = "false",
     .help = "Say more."},
    {.section = "Network", .key = "kafka.hosts", .env = "KAFKA_HOSTS", .type = CW_CONF_STRING, .flags = CW_CONF_REQUIRED, FIELD(hosts),
     .help = "Bootstrap servers."},
    {.section = "Network", .key = "port", .env = "PORT", .type = CW_CONF_INT, FIELD(port), .def = "8080", .min = "0", .max = "65535",
     .help = "Port to listen on."},
    {.section = "Network", .key = "whisk.couchdb.password", .type = CW_CONF_STRING, .flags = CW_CONF_SECRET, FIELD(password),
     .help = "Password for CouchDB."},
    {.section = "Network", .key = "whisk.kafka.common", .type = CW_CONF_MAP, FIELD(kafka), .def = "acks=1",
     .help = "Settings of all Kafka clients."},
    {.section = "Pool", .key = "whisk.container-pool.user-memory", .type = CW_CONF_SIZE, FIELD(memory), .def = "1024 m", .min = "128m", .max = "1t",
     .help = "Memory of all containers."},
    {.section = "Pool", .key = "whisk.container-proxy.timeouts.idle-container", .type = CW_CONF_DURATION, FIELD(idle), .def = "10 minutes", .min = "1 s",
     .help = "Idle containers go after this time."},
    {.section = "Pool", .key = "whisk.activation.payload.max", .type = CW_CONF_SIZE, FIELD(payload), .max = "1g",
     .help = "Largest result."},
    {.section = "Pool", .key = "whisk.container-pool.concurrent-peek-factor", .type = CW_CONF_FRACTION, FIELD(factor), .def = "0.5",
     .help = "Part to take at once."},
    {.section = "Pool", .key = "whisk.container-pool.user-cpus", .type = CW_CONF_NUMBER, FIELD(cpus), .def = "0", .min = "0",
     .help = "Cores to share out."},
    {.section = "Pool", .key = "whisk.container-pool.pekko-client", .alias = "whisk.container-pool.akka-client", .type = CW_CONF_BOOL, FIELD(reuse), .def = "false",
     .help = "Which client to use."},
    {.section = "Pool", .key = "whisk.invoker.resource.tags", .type = CW_CONF_LIST, FIELD(tags),
     .help = "Tags, reported in pings."},
    {.section = "Pool", .key = "whisk.sample.marked", .type = CW_CONF_STRING, FIELD(marked),
     .help = "A topic <prefix>name | x*."},
    {.section = "Pool", .key = "whisk.container-factory.container-args.extra-env-vars", .type = CW_CONF_LIST, FIELD(envs), .def = "A=1,B=2",
     .help = "Environment of containers."},
    {.section = "Pool", .key = "whisk.container-factory.container-args.extra-args", .type = CW_CONF_MAP, FIELD(args),
     .help = "More arguments."},
    {.section = "Other", .key = "logback.log.level", .type = CW_CONF_CHOICE, FIELD(level), .def = "INFO", .choices = "ERROR|WARN|INFO|DEBUG",
     .help = "Least severe lines."},
    {.section = "Other", .key = "runtimes.manifest", .env = "RUNTIMES_MANIFEST", .type = CW_CONF_STRING, FIELD(manifest), .def = "",
     .help = "'Kinds' \\ images."},
};
/* clang-format on */

static const struct cw_conf_table TABLE = {.program = "cwhisk invoker",
                                           .items = ITEMS,
                                           .count = CW_ARRAY_LEN(ITEMS),
                                           .struct_size = sizeof(struct sample)};

/* What one test loaded. */
struct loaded {
    struct sample conf;
    struct cw_err err;
    char unknown[500]; /* "key<origin key<origin " */
};

static int new_loaded(void **state)
{
    *state = calloc(1, sizeof(struct loaded));
    return *state ? 0 : -1;
}

static int free_loaded(void **state)
{
    struct loaded *l = *state;

    cw_conf_free(&TABLE, &l->conf);
    free(l);
    return 0;
}

static void note(void *arg, enum cw_conf_note what, const char *key, const char *origin)
{
    struct loaded *l = arg;
    size_t n = strlen(l->unknown);

    (void)snprintf(l->unknown + n, sizeof(l->unknown) - n, "%s%s<%s ",
                   what == CW_CONF_INCLUDE ? "include " : "", key, origin);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static int load(struct loaded *l, const char *const *env, const char *const *argv)
{
    cw_conf_free(&TABLE, &l->conf);
    l->unknown[0] = '\0';
    return cw_conf_load(&TABLE, (char *const *)env, (char *const *)argv, note, l, &l->conf,
                        &l->err);
}

/* With the required variable, and nothing on the command line. */
static int load_env(struct loaded *l, const char *one, const char *two, const char *three)
{
    return load(l, (const char *const[]){"KAFKA_HOSTS=k:9092", one, two, three, NULL}, NULL);
}

static int load_argv(struct loaded *l, const char *one, const char *two)
{
    return load(l, WORDS("KAFKA_HOSTS=k:9092"), (const char *const[]){"cwhisk", one, two, NULL});
}

static void assert_words(char *const *words, const char *const *expected)
{
    size_t i;

    assert_non_null(words);
    for (i = 0; expected[i]; i++) {
        assert_non_null(words[i]);
        assert_string_equal(words[i], expected[i]);
    }
    assert_null(words[i]);
}

static void assert_error(struct loaded *l, const char *variable, const char *message)
{
    assert_int_equal(load_env(l, variable, NULL, NULL), -1);
    assert_int_equal(l->err.code, CW_INVALID);
    assert_string_equal(l->err.msg, message);
}

/* ---- values ---- */

static void defaults_apply_where_nothing_is_said(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load_env(l, NULL, NULL, NULL), 0);
    assert_int_equal(l->conf.id, -1);
    assert_null(l->conf.name);
    assert_string_equal(l->conf.manifest, "");
    assert_string_equal(l->conf.hosts, "k:9092");
    assert_int_equal(l->conf.port, 8080);
    assert_true(l->conf.memory == 1 << 30);
    assert_int_equal(l->conf.idle, 600000);
    assert_int_equal(l->conf.payload, 0);
    assert_true(l->conf.factor == 0.5);
    assert_int_equal(l->conf.level, 2);
    assert_words(l->conf.tags, WORDS());
    assert_words(l->conf.envs, WORDS("A=1", "B=2"));
    assert_words(l->conf.kafka, WORDS("acks", "1"));
    assert_words(l->conf.args, WORDS());
}

static void sizes_have_binary_letters_and_decimal_names(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {{"CONFIG_whisk_containerPool_userMemory=256 m", INT64_C(256) << 20},
                 {"CONFIG_whisk_containerPool_userMemory=2g", INT64_C(2) << 30},
                 {"CONFIG_whisk_containerPool_userMemory=256MB", 256000000},
                 {"CONFIG_whisk_containerPool_userMemory=268435456", 268435456},
                 {"CONFIG_whisk_containerPool_userMemory=1t", INT64_C(1) << 40}};
    struct loaded *l = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(cases); i++) {
        assert_int_equal(load_env(l, cases[i].text, NULL, NULL), 0);
        assert_true(l->conf.memory == cases[i].bytes);
    }
}

static void durations_may_be_infinite_only_without_maximum(void **state)
{
    struct loaded *l = *state;
    const char *key = "CONFIG_whisk_containerProxy_timeouts_idleContainer=Inf";

    assert_int_equal(load_env(l, key, NULL, NULL), 0);
    assert_true(l->conf.idle == INT64_MAX);
    assert_error(l, "CONFIG_whisk_containerProxy_timeouts_idleContainer=999 ms",
                 "whisk.container-proxy.timeouts.idle-container "
                 "(CONFIG_whisk_containerProxy_timeouts_idleContainer): \"999 ms\" is out of "
                 "range; accepted: 1 s or more");
}

static void fractions_are_percentages_or_numbers(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load_env(l, "CONFIG_whisk_containerPool_concurrentPeekFactor=90%", NULL, NULL),
                     0);
    assert_true(l->conf.factor == 0.9);
    assert_int_equal(load_env(l, "CONFIG_whisk_containerPool_concurrentPeekFactor=.25",
                              "CONFIG_whisk_containerPool_userCpus=1.5", NULL),
                     0);
    assert_true(l->conf.factor == 0.25);
    assert_true(l->conf.cpus == 1.5);
    assert_error(l, "CONFIG_whisk_containerPool_concurrentPeekFactor=101%",
                 "whisk.container-pool.concurrent-peek-factor "
                 "(CONFIG_whisk_containerPool_concurrentPeekFactor): \"101%\" is out of range; "
                 "accepted: 0..1 or 0%..100%");
}

static void doubles_are_plain_decimal_numbers(void **state)
{
    static const char *const bad[] = {
        "CONFIG_whisk_containerPool_userCpus=nan",   "CONFIG_whisk_containerPool_userCpus=inf",
        "CONFIG_whisk_containerPool_userCpus=0x10",  "CONFIG_whisk_containerPool_userCpus=1,5",
        "CONFIG_whisk_containerPool_userCpus=1e999", "CONFIG_whisk_containerPool_userCpus=50%",
        "CONFIG_whisk_containerPool_userCpus=-1"};
    struct loaded *l = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(bad); i++)
        assert_int_equal(load_env(l, bad[i], NULL, NULL), -1);
}

static void booleans_have_three_spellings_in_any_case(void **state)
{
    struct loaded *l = *state;

    for (const char *const *on = WORDS("CWHISK_VERBOSE=true", "CWHISK_VERBOSE=True",
                                       "CWHISK_VERBOSE=yes", "CWHISK_VERBOSE=ON");
         *on; on++) {
        assert_int_equal(load_env(l, *on, NULL, NULL), 0);
        assert_true(l->conf.verbose);
    }
    assert_error(l, "CWHISK_VERBOSE=1",
                 "cwhisk.verbose (CWHISK_VERBOSE): \"1\" is not a boolean; accepted: true, false, "
                 "yes, no, on, off");
}

static void choices_are_found_in_any_case(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load_env(l, "CONFIG_logback_log_level=debug", NULL, NULL), 0);
    assert_int_equal(l->conf.level, 3);
    assert_error(l, "CONFIG_logback_log_level=LOUD",
                 "logback.log.level (CONFIG_logback_log_level): \"LOUD\" is not a choice; "
                 "accepted: ERROR, WARN, INFO, DEBUG");
}

static void wrong_values_name_key_origin_and_range(void **state)
{
    struct loaded *l = *state;

    assert_error(l, "CONFIG_whisk_containerPool_userMemory=lots",
                 "whisk.container-pool.user-memory (CONFIG_whisk_containerPool_userMemory): "
                 "\"lots\" is not a size; accepted: 128m..1t");
    assert_error(l, "PORT=65536", "port (PORT): \"65536\" is out of range; accepted: 0..65535");
    assert_error(l, "PORT=80a", "port (PORT): \"80a\" is not an integer; accepted: 0..65535");
    assert_error(l, "CONFIG_whisk_activation_payload_max=2g",
                 "whisk.activation.payload.max (CONFIG_whisk_activation_payload_max): \"2g\" is "
                 "out of range; accepted: up to 1g");
    assert_error(l, "PORT=000000000000000000000000000000000000000000000000000000000000000x",
                 "port (PORT): \"000000000000000000000000000000000000000000000000...\" is not an "
                 "integer; accepted: 0..65535");
    assert_null(l->conf.hosts); /* nothing half-loaded stays */
}

static void required_settings_say_how_to_give_them(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load(l, WORDS("KAFKA_HOSTS="), NULL), -1);
    assert_string_equal(l->err.msg, "kafka.hosts: required, but not set; set KAFKA_HOSTS");
}

static void blanks_and_one_pair_of_quotes_around_values_go(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load_env(l, "CONFIG_whisk_invoker_resource_tags=' '",
                              "CONFIG_whisk_containerPool_userMemory='512m'",
                              "CWHISK_UNIQUE_NAME=  me  "),
                     0);
    assert_words(l->conf.tags, WORDS());
    assert_true(l->conf.memory == 512 << 20);
    assert_string_equal(l->conf.name, "me");
    assert_int_equal(load_env(l, "CONFIG_whisk_invoker_resource_tags=' gpu, big '",
                              "CWHISK_UNIQUE_NAME='a' 'b'", NULL),
                     0);
    assert_words(l->conf.tags, WORDS("gpu", "big"));
    assert_string_equal(l->conf.name, "'a' 'b'");
}

static void secrets_keep_their_blanks_and_stay_hidden(void **state)
{
    struct loaded *l = *state;
    cw_auto_str struct cw_str out;

    cw_str_init(&out, 1 << 16);
    assert_int_equal(load_env(l, "CONFIG_whisk_couchdb_password=' s3cr3t'",
                              "CONFIG_whisk_kafka_common_sslKeystorePassword=hush", NULL),
                     0);
    assert_string_equal(l->conf.password, " s3cr3t");
    cw_conf_print(&TABLE, &l->conf, &out);
    assert_null(strstr(out.p, "s3cr3t"));
    assert_null(strstr(out.p, "hush"));
    assert_non_null(strstr(out.p, "whisk.couchdb.password = ******\n"));
    assert_non_null(strstr(out.p, "whisk.kafka.common.ssl-keystore-password = ******\n"));
}

static void secrets_among_a_library_s_settings_stay_hidden(void **state)
{
    struct loaded *l = *state;
    cw_auto_str struct cw_str out;

    cw_str_init(&out, 1 << 16);
    assert_int_equal(load_env(l, "CONFIG_whisk_kafka_common_sslKeystoreKey=hush",
                              "CONFIG_whisk_kafka_common_saslJaasConfig=M required p=hush;",
                              "CONFIG_whisk_kafka_common_sslKeystoreType=PEM"),
                     0);
    cw_conf_print(&TABLE, &l->conf, &out);
    assert_null(strstr(out.p, "hush"));
    assert_non_null(strstr(out.p, "whisk.kafka.common.ssl-keystore-key = ******\n"));
    assert_non_null(strstr(out.p, "whisk.kafka.common.sasl-jaas-config = ******\n"));
    assert_non_null(strstr(out.p, "whisk.kafka.common.ssl-keystore-type = PEM\n"));
}

static void secrets_do_not_show_in_errors(void **state)
{
    static const struct cw_conf_item item = {.key = "pin",
                                             .env = "PIN",
                                             .type = CW_CONF_INT,
                                             .flags = CW_CONF_SECRET,
                                             .min = "0",
                                             .max = "9999"};
    static const struct cw_conf_table table = {
        .program = "x", .items = &item, .count = 1, .struct_size = sizeof(int64_t)};
    struct loaded *l = *state;
    int64_t pin;

    assert_int_equal(
        cw_conf_load(&table, (char *const *)WORDS("PIN=12345"), NULL, NULL, NULL, &pin, &l->err),
        -1);
    assert_string_equal(l->err.msg, "pin (PIN): \"******\" is out of range; accepted: 0..9999");
}

/* ---- names ---- */

static void camel_case_parts_become_kebab_case_and_class_names_stay(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load_env(l, "CONFIG_whisk_spi_LogStoreProvider=x",
                              "CONFIG_whisk_a1Bc_useURLs__dE=x", "CONFIG_whisk_x_0=x"),
                     0);
    assert_string_equal(l->unknown, "whisk.spi.LogStoreProvider<CONFIG_whisk_spi_LogStoreProvider "
                                    "whisk.a1-bc.use-uRLs.d-e<CONFIG_whisk_a1Bc_useURLs__dE "
                                    "whisk.x.0<CONFIG_whisk_x_0 ");
}

static void dollar_values_name_another_variable(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load_env(l, "CONFIG_cwhisk_uniqueName=$POD_NAME", "POD_NAME=pod-7", NULL), 0);
    assert_string_equal(l->conf.name, "pod-7");
    assert_int_equal(load_env(l, "CONFIG_cwhisk_uniqueName=$POD_NAME", "POD_NAME=", NULL), 0);
    assert_string_equal(l->conf.name, "$POD_NAME"); /* as stock: a password may start so */
}

static void empty_values_count_as_not_given(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(
        load_env(l, "CONFIG_whisk_containerPool_userMemory=", "PORT= ", "CONFIG_whisk_unheard_of="),
        0);
    assert_true(l->conf.memory == 1 << 30);
    assert_int_equal(l->conf.port, 8080);
    assert_string_equal(l->unknown, "");
}

static void unknown_keys_are_reported_once_and_only_ours(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(
        load(l,
             WORDS("KAFKA_HOSTS=k", "CONFIG_akka_remote_port=1", "CONFIG_whisk_controller_x=1",
                   "CWHISK_NO_SUCH=1", "HOME=/", "CWHISK_UNIQUE_NAME=n",
                   "INVOKER_OPTS=-Dwhisk.controller.x=2 -Xmx1g -Dother=3"),
             WORDS("cwhisk", "-Dwhisk.controller.x=4")),
        0);
    assert_string_equal(l->unknown, "whisk.controller.x<-Dwhisk.controller.x in INVOKER_OPTS "
                                    "cwhisk.no-such<CWHISK_NO_SUCH ");
}

static void scalars_have_nothing_beneath_them(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load_env(l, "CONFIG_whisk_containerPool_userMemory_0=1g",
                              "CONFIG_whisk_invoker_resource_tags_first=a",
                              "CONFIG_whisk_invoker_resource_tags_10000=a"),
                     0);
    assert_true(l->conf.memory == 1 << 30);
    assert_words(l->conf.tags, WORDS());
    assert_non_null(strstr(l->unknown, "whisk.container-pool.user-memory.0<"));
    assert_non_null(strstr(l->unknown, "whisk.invoker.resource.tags.first<"));
    assert_non_null(strstr(l->unknown, "whisk.invoker.resource.tags.10000<"));
}

static void alias_works_and_yields_to_the_key_itself(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load_env(l, "CONFIG_whisk_containerPool_akkaClient=true", NULL, NULL), 0);
    assert_true(l->conf.reuse);
    assert_string_equal(l->unknown, "");
    assert_int_equal(load_env(l, "CONFIG_whisk_containerPool_pekkoClient=false",
                              "CONFIG_whisk_containerPool_akkaClient=true", NULL),
                     0);
    assert_false(l->conf.reuse);
}

/* ---- lists and maps ---- */

static void numbered_elements_are_ordered_and_replace_the_default(void **state)
{
    struct loaded *l = *state;
    const char *const env[] = {
        "KAFKA_HOSTS=k", "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_10=K=ten",
        "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_2=__OW_ALLOW_CONCURRENT=true,x",
        "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_0=A=b", NULL};

    assert_int_equal(load(l, env, NULL), 0);
    assert_words(l->conf.envs, WORDS("A=b", "__OW_ALLOW_CONCURRENT=true,x", "K=ten"));
}

static void later_sources_override_list_elements_or_the_whole_list(void **state)
{
    struct loaded *l = *state;
    const char *const env[] = {"KAFKA_HOSTS=k", "CONFIG_whisk_invoker_resource_tags_0=a",
                               "CONFIG_whisk_invoker_resource_tags_1=b", NULL};

    assert_int_equal(load(l, env, WORDS("x", "-Dwhisk.invoker.resource.tags.1=c")), 0);
    assert_words(l->conf.tags, WORDS("a", "c"));
    assert_int_equal(load(l, env, WORDS("x", "-Dwhisk.invoker.resource.tags=d,,e,")), 0);
    assert_words(l->conf.tags, WORDS("d", "e"));
    assert_int_equal(load(l, WORDS("KAFKA_HOSTS=k", "CONFIG_whisk_invoker_resource_tags=a,b"),
                          WORDS("x", "-Dwhisk.invoker.resource.tags.1=c")),
                     0);
    assert_words(l->conf.tags, WORDS("c"));
}

static void maps_take_every_key_beneath_them_sorted(void **state)
{
    struct loaded *l = *state;
    const char *const env[] = {"KAFKA_HOSTS=k",
                               "CONFIG_whisk_kafka_common_securityProtocol=SSL",
                               "CONFIG_whisk_kafka_common_acks=all",
                               "CONFIG_whisk_containerFactory_containerArgs_extraArgs_label_10=j",
                               "CONFIG_whisk_containerFactory_containerArgs_extraArgs_label_2=b",
                               NULL};

    assert_int_equal(load(l, env, NULL), 0);
    assert_words(l->conf.kafka, WORDS("acks", "all", "security-protocol", "SSL"));
    assert_words(l->conf.args, WORDS("label.2", "b", "label.10", "j"));
    assert_string_equal(l->unknown, "");
}

static void maps_can_be_given_whole(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load_env(l, "CONFIG_whisk_kafka_common=a=1, b = x=y ", NULL, NULL), 0);
    assert_words(l->conf.kafka, WORDS("a", "1", "acks", "1", "b", "x=y"));
    assert_error(l, "CONFIG_whisk_kafka_common=a=1,b",
                 "whisk.kafka.common (CONFIG_whisk_kafka_common): no name before \"=\"; accepted: "
                 "key=value pairs separated by commas");
}

/* ---- precedence and the command line ---- */

static void later_sources_win(void **state)
{
    struct loaded *l = *state;
    const char *const env[] = {"KAFKA_HOSTS=k",
                               "INVOKER_OPTS=-Dcwhisk.unique-name=opts -Dport=1 -Dcwhisk.id=1",
                               "CONFIG_cwhisk_uniqueName=config",
                               "CONFIG_port=2",
                               "PORT=3",
                               NULL};

    assert_int_equal(load(l, env, NULL), 0);
    assert_int_equal(l->conf.id, 1);
    assert_string_equal(l->conf.name, "config");
    assert_int_equal(l->conf.port, 3);
    assert_int_equal(load(l, env, WORDS("x", "-Dport=4", "--uniqueName=argv", "-Dport=5")), 0);
    assert_string_equal(l->conf.name, "argv");
    assert_int_equal(l->conf.port, 5);
}

static void only_the_winning_value_is_judged(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load(l, WORDS("KAFKA_HOSTS=k", "PORT=none"), WORDS("x", "-Dport=5")), 0);
    assert_int_equal(l->conf.port, 5);
}

static void invoker_opts_is_read_as_a_shell_would(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(
        load_env(l,
                 "INVOKER_OPTS= -Xmx1g\t-Dcwhisk.unique-name='a b'\"$X${Y}\"\\ '$X'$$  "
                 "-Dwhisk.container-pool.user-memory='2 g'",
                 "X=1", "Y=2"),
        0);
    assert_string_equal(l->conf.name, "a b12 $X$$");
    assert_true(l->conf.memory == INT64_C(2) << 30);
    assert_int_equal(
        load_env(l, "INVOKER_OPTS=-Dcwhisk.unique-name=<$UNSET${UNSET}${X}>", NULL, NULL), 0);
    assert_string_equal(l->conf.name, "<>");
}

static void options_take_their_value_in_two_ways(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load_argv(l, "--id", "7"), 0);
    assert_int_equal(l->conf.id, 7);
    assert_int_equal(load_argv(l, "--id=8", "--verbose"), 0);
    assert_int_equal(l->conf.id, 8);
    assert_true(l->conf.verbose);
    assert_int_equal(load_argv(l, "--verbose=false", "--uniqueName="), 0);
    assert_false(l->conf.verbose);
    assert_null(l->conf.name); /* stock: blank = not given */
}

static void bad_command_lines_are_refused_with_the_word(void **state)
{
    static const struct {
        const char *one, *two;
        const char *message;
    } cases[] = {
        {"0", NULL, "\"0\": unexpected argument; see cwhisk invoker --help"},
        {"--", NULL, "\"--\": unexpected argument; see cwhisk invoker --help"},
        {"-v", NULL, "\"-v\": unexpected argument; see cwhisk invoker --help"},
        {"--frob=secret", NULL, "--frob: unknown option; see cwhisk invoker --help"},
        {"--id", NULL, "--id: needs a value"},
        {"--id", "", "--id: needs a value"},
        {"--id=", NULL, "--id: needs a value"},
        {"--id", "x", "cwhisk.id (--id): \"x\" is not an integer; accepted: -1..1000000"},
        {"-Dcwhisk.id=x", NULL,
         "cwhisk.id (-Dcwhisk.id): \"x\" is not an integer; accepted: -1..1000000"},
    };
    struct loaded *l = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(cases); i++) {
        assert_int_equal(load_argv(l, cases[i].one, cases[i].two), -1);
        assert_int_equal(l->err.code, CW_INVALID);
        assert_string_equal(l->err.msg, cases[i].message);
    }
}

static void no_environment_and_no_arguments_are_fine(void **state)
{
    struct loaded *l = *state;

    assert_int_equal(load(l, NULL, NULL), -1); /* only the required one is missing */
    assert_non_null(strstr(l->err.msg, "kafka.hosts: required"));
    assert_int_equal(load(l, NULL, WORDS("x", "-Dkafka.hosts=h")), 0);
}

static void oversized_values_are_refused(void **state)
{
    struct loaded *l = *state;
    size_t n = (1 << 20) + 100;
    char *word = malloc(n + 1);

    assert_non_null(word);
    memset(word, 'x', n);
    word[n] = '\0';
    memcpy(word, "-Da=", 4);
    assert_int_equal(load_argv(l, word, NULL), -1);
    assert_int_equal(l->err.code, CW_TOO_LARGE);
    assert_string_equal(l->err.msg, "-Da: value over 1048576 bytes");
    memcpy(word, "CONFIG_", 7);
    word[n - 1] = '=';
    assert_int_equal(load_env(l, word, NULL, NULL), -1);
    assert_int_equal(l->err.code, CW_TOO_LARGE);
    free(word);
}

/* ---- renderers ---- */

static void printed_configuration_loads_back(void **state)
{
    struct loaded *l = *state;
    cw_auto_str struct cw_str first, second;
    const char *argv[64] = {"cwhisk"};
    char *line, *rest;
    size_t n = 1;

    cw_str_init(&first, 1 << 16);
    cw_str_init(&second, 1 << 16);
    assert_int_equal(load(l,
                          WORDS("KAFKA_HOSTS=a:1,b:2", "PORT=0", "CWHISK_VERBOSE=on",
                                "CONFIG_whisk_containerPool_userMemory=3g",
                                "CONFIG_whisk_containerPool_userCpus=0.1",
                                "CONFIG_whisk_containerProxy_timeouts_idleContainer=Inf",
                                "CONFIG_whisk_activation_payload_max=1025k",
                                "CONFIG_whisk_invoker_resource_tags=a,b",
                                "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_0=A=1,2",
                                "CONFIG_whisk_kafka_common_securityProtocol=SSL",
                                "CONFIG_logback_log_level=WARN", "RUNTIMES_MANIFEST={ \"a\": 1 }"),
                          NULL),
                     0);
    cw_conf_print(&TABLE, &l->conf, &first);
    line = strdup(first.p);
    assert_non_null(line);
    for (char *p = strtok_r(line, "\n", &rest); p; p = strtok_r(NULL, "\n", &rest)) {
        char *equals = strstr(p, " ="), *word;

        if (*p == '#')
            continue;
        assert_non_null(equals);
        assert_true(n + 1 < CW_ARRAY_LEN(argv));
        assert_true(
            asprintf(&word, "-D%.*s=%s", (int)(equals - p), p, equals + (equals[2] ? 3 : 2)) > 0);
        argv[n++] = word;
    }
    assert_int_equal(load(l, NULL, argv), 0);
    cw_conf_print(&TABLE, &l->conf, &second);
    assert_string_equal(second.p, first.p);
    assert_non_null(strstr(first.p, "# Identity\ncwhisk.id = -1\ncwhisk.unique-name =\n"));
    assert_non_null(strstr(first.p, "\n\n# Pool\nwhisk.container-pool.user-memory = 3g\n"));
    assert_non_null(strstr(first.p, "idle-container = Inf\n"));
    assert_non_null(strstr(first.p, "payload.max = 1025k\n"));
    assert_non_null(strstr(first.p, "extra-env-vars.0 = A=1,2\n"));
    for (size_t i = 1; i < n; i++)
        free((void *)argv[i]);
    free(line);
}

static void printed_lines_stay_lines(void **state)
{
    struct loaded *l = *state;
    cw_auto_str struct cw_str out;

    cw_str_init(&out, 1 << 16);
    assert_int_equal(load_env(l, "RUNTIMES_MANIFEST={\n\"a\":1}", NULL, NULL), 0);
    assert_string_equal(l->conf.manifest, "{\n\"a\":1}");
    cw_conf_print(&TABLE, &l->conf, &out);
    assert_non_null(strstr(out.p, "runtimes.manifest = { \"a\":1}\n"));
}

static void markdown_has_one_table_per_section(void **state)
{
    cw_auto_str struct cw_str out;

    (void)state;
    cw_str_init(&out, 1 << 16);
    cw_conf_markdown(&TABLE, &out);
    assert_non_null(strstr(out.p, "## Identity\n\n| Key | Variables and options | Values | Default "
                                  "| Meaning |\n| --- | --- | --- | --- | --- |\n| `cwhisk.id` | "
                                  "`CWHISK_ID`, `--id` | integer: -1..1000000 | `-1` | Number of "
                                  "this invoker. |\n"));
    assert_non_null(strstr(out.p, "| `kafka.hosts` | `KAFKA_HOSTS`, `CONFIG_kafka_hosts` | string: "
                                  "any text | required | Bootstrap servers. |\n"));
    assert_non_null(strstr(out.p, "| `whisk.container-pool.pekko-client` | "
                                  "`CONFIG_whisk_containerPool_pekkoClient` | boolean: true, "
                                  "false, yes, no, on, off | `false` | Which client to use. Older "
                                  "spelling: `whisk.container-pool.akka-client`. |\n"));
    assert_non_null(strstr(out.p, "| A topic \\<prefix>name \\| x\\*. |\n")); /* no HTML */
}

static void man_page_escapes_what_roff_would_eat(void **state)
{
    cw_auto_str struct cw_str out;

    (void)state;
    cw_str_init(&out, 1 << 16);
    cw_conf_man(&TABLE, &out);
    assert_non_null(strstr(out.p, ".SS Identity\n.TP\n.B cwhisk.id\nNumber of this invoker.\n.br\n"
                                  "Values: \\-1..1000000. Default: \\-1. Also: CWHISK_ID, "
                                  "\\-\\-id.\n"));
    assert_non_null(strstr(out.p, ".B runtimes.manifest\n\\&'Kinds' \\e images.\n"));
}

static void usage_lists_the_options(void **state)
{
    cw_auto_str struct cw_str out;

    (void)state;
    cw_str_init(&out, 1 << 16);
    cw_conf_usage(&TABLE, &out);
    assert_string_equal(out.p, "  --id N                    Number of this invoker.\n"
                               "  --uniqueName TEXT         Name of this invoker.\n"
                               "  --verbose                 Say more.\n");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, new_loaded, free_loaded)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(defaults_apply_where_nothing_is_said),
        T(sizes_have_binary_letters_and_decimal_names),
        T(durations_may_be_infinite_only_without_maximum),
        T(fractions_are_percentages_or_numbers),
        T(doubles_are_plain_decimal_numbers),
        T(booleans_have_three_spellings_in_any_case),
        T(choices_are_found_in_any_case),
        T(wrong_values_name_key_origin_and_range),
        T(required_settings_say_how_to_give_them),
        T(blanks_and_one_pair_of_quotes_around_values_go),
        T(secrets_keep_their_blanks_and_stay_hidden),
        T(secrets_among_a_library_s_settings_stay_hidden),
        T(secrets_do_not_show_in_errors),
        T(camel_case_parts_become_kebab_case_and_class_names_stay),
        T(dollar_values_name_another_variable),
        T(empty_values_count_as_not_given),
        T(unknown_keys_are_reported_once_and_only_ours),
        T(scalars_have_nothing_beneath_them),
        T(alias_works_and_yields_to_the_key_itself),
        T(numbered_elements_are_ordered_and_replace_the_default),
        T(later_sources_override_list_elements_or_the_whole_list),
        T(maps_take_every_key_beneath_them_sorted),
        T(maps_can_be_given_whole),
        T(later_sources_win),
        T(only_the_winning_value_is_judged),
        T(invoker_opts_is_read_as_a_shell_would),
        T(options_take_their_value_in_two_ways),
        T(bad_command_lines_are_refused_with_the_word),
        T(no_environment_and_no_arguments_are_fine),
        T(oversized_values_are_refused),
        T(printed_configuration_loads_back),
        T(printed_lines_stay_lines),
        T(markdown_has_one_table_per_section),
        T(man_page_escapes_what_roff_would_eat),
        T(usage_lists_the_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
