#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/driver/docker_answer.h"
#include "common/json/doc.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16

static char *read_data(const char *name)
{
    char path[512];
    char *text = cw_alloc(1 << 16);
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/docker/%s", CW_TEST_DATA, name);
    f = fopen(path, "r");
    if (!f)
        fail_msg("cannot open %s", path);
    assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
    (void)fclose(f);
    return text;
}

static struct cw_docker_inspect inspect_ok(const char *text, const char *network)
{
    struct cw_docker_inspect seen;
    struct cw_err err = {0};

    if (cw_docker_decode_inspect(cw_slice_of(text), network, &seen, &err) != 0)
        fail_msg("%s", err.msg);
    return seen;
}

static void assert_version(const char *text, const char *expected)
{
    char version[CW_DOCKER_VERSION_LEN];
    struct cw_err err = {0};

    if (cw_docker_decode_version(cw_slice_of(text), version, &err) != 0)
        fail_msg("%s", err.msg);
    assert_string_equal(version, expected);
}

static void version_is_the_newest_that_both_know(void **state)
{
    static const struct {
        const char *file, *version;
    } ENGINES[] = {
        {"version-20.10.json", "1.41"},      {"version-23.0.json", "1.42"},
        {"version-24.0.json", "1.43"},       {"version-25.0.json", "1.44"},
        {"version-26.1.json", "1.45"},       {"version-27.5.json", "1.47"},
        {"version-28.5.json", "1.51"},       {"version-29.0.json", "1.51"},
        {"version-podman-4.3.json", "1.41"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(ENGINES); i++) {
        cw_auto_free char *text = read_data(ENGINES[i].file);

        assert_version(text, ENGINES[i].version);
    }
    assert_version("{\"ApiVersion\":\"1.60\",\"MinAPIVersion\":\"1.51\"}", "1.51");
    assert_version("{\"ApiVersion\":\"1.30\",\"MinAPIVersion\":\"1.12\"}", "1.30");
}

static void engine_that_shares_no_version_is_refused_with_both_ranges(void **state)
{
    char version[CW_DOCKER_VERSION_LEN];
    struct cw_err err = {0};

    (void)state;
    assert_int_equal(
        cw_docker_decode_version(CW_SLICE("{\"ApiVersion\":\"1.70\",\"MinAPIVersion\":\"1.60\"}"),
                                 version, &err),
        -1);
    assert_string_equal(err.msg, "docker: engine speaks API 1.60 or newer, expected 1.51 or older");
    assert_int_equal(
        cw_docker_decode_version(CW_SLICE("{\"ApiVersion\":\"1.24\",\"MinAPIVersion\":\"1.12\"}"),
                                 version, &err),
        -1);
    assert_string_equal(err.msg, "docker: engine speaks API 1.24, expected 1.30 or newer");
}

static void running_container_has_its_address_with_every_engine(void **state)
{
    static const struct {
        const char *file, *address, *log;
    } ENGINES[] = {
        {"inspect-running.json", "10.186.0.2", "-json.log"},
        {"inspect-running-26.1.json", "172.17.0.2", "-json.log"},
        {"inspect-running-28.5.json", "172.17.0.2", "-json.log"},
        {"inspect-running-podman-4.3.json", "10.88.0.", "/ctr.log"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(ENGINES); i++) {
        cw_auto_free char *text = read_data(ENGINES[i].file);
        struct cw_docker_inspect seen = inspect_ok(text, "bridge");

        assert_true(seen.running && !seen.finished && !seen.oom_killed);
        assert_memory_equal(seen.address, ENGINES[i].address, strlen(ENGINES[i].address));
        assert_non_null(strstr(seen.log_path, ENGINES[i].log));
    }
}

static void address_is_found_without_the_members_that_newer_engines_dropped(void **state)
{
    cw_auto_free char *text = read_data("inspect-running-28.5.json");
    cw_auto_json json_t *doc = cw_json_parse(cw_slice_of(text), 1 << 16, "inspect", NULL);
    json_t *settings = json_object_get(doc, "NetworkSettings");
    cw_auto_json json_t *networks = json_incref(json_object_get(settings, "Networks"));
    cw_auto_free char *without = NULL;

    (void)state;
    json_object_clear(settings); /* IPAddress, Bridge and others went with API 1.52 */
    json_object_set(settings, "Networks", networks);
    without = json_dumps(doc, 0);
    assert_string_equal(inspect_ok(without, "bridge").address, "172.17.0.2");
}

static void out_of_memory_is_seen_with_every_engine(void **state)
{
    static const char *const FILES[] = {"inspect-oom.json", "inspect-oom-26.1.json",
                                        "inspect-oom-28.5.json"};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(FILES); i++) {
        cw_auto_free char *text = read_data(FILES[i]);
        struct cw_docker_inspect seen = inspect_ok(text, "bridge");

        assert_true(!seen.running && seen.finished && seen.oom_killed);
        assert_int_equal(seen.exit_code, 137);
    }
}

static void engines_that_cannot_be_used_are_named(void **state)
{
    static const char *const BAD[] = {
        "",
        "<html>",
        "[]",
        "{}",
        "{\"ApiVersion\":\"1.29\",\"MinAPIVersion\":\"1.12\"}",
        "{\"ApiVersion\":\"2.0\",\"MinAPIVersion\":\"1.12\"}",
        "{\"ApiVersion\":\"1.41/../..\",\"MinAPIVersion\":\"1.12\"}",
        "{\"ApiVersion\":\"1\",\"MinAPIVersion\":\"1.12\"}",
        "{\"ApiVersion\":1.41,\"MinAPIVersion\":\"1.12\"}",
        "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"Os\":\"windows\"}",
    };
    char version[CW_DOCKER_VERSION_LEN];

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        struct cw_err err = {0};

        assert_int_equal(cw_docker_decode_version(cw_slice_of(BAD[i]), version, &err), -1);
        assert_int_equal(err.code, CW_INVALID);
    }
}

static void created_id_must_be_64_hex_digits(void **state)
{
    static const char *const BAD[] = {
        "{\"Id\":\"\"}",        "{\"Id\":\"../../etc\"}",
        "{\"Id\":\"" ID "0\"}", "{\"Id\":\"X" HEX16 HEX16 HEX16 "012345678abcdef\"}",
        "{\"id\":\"" ID "\"}",  "{\"Id\":7}",
    };
    char id[65];
    struct cw_err err;

    (void)state;
    assert_int_equal(
        cw_docker_decode_created(cw_slice_of("{\"Id\":\"" ID "\",\"Warnings\":null}"), id, &err),
        0);
    assert_string_equal(id, ID);
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++)
        assert_int_equal(cw_docker_decode_created(cw_slice_of(BAD[i]), id, &err), -1);
}

static void inspect_of_a_running_container_gives_address_and_log_path(void **state)
{
    cw_auto_free char *text = read_data("inspect-running.json");
    struct cw_docker_inspect seen = inspect_ok(text, "bridge");

    (void)state;
    assert_true(seen.running && !seen.finished && !seen.oom_killed);
    assert_string_equal(seen.address, "10.186.0.2");
    assert_non_null(strstr(seen.log_path, "/var/lib/docker/containers/"));
    assert_non_null(strstr(seen.log_path, "-json.log"));
}

static void inspect_of_ended_containers_tells_how(void **state)
{
    cw_auto_free char *oom = read_data("inspect-oom.json");
    cw_auto_free char *exit127 = read_data("inspect-exit127.json");
    struct cw_docker_inspect seen = inspect_ok(oom, "bridge");

    (void)state;
    assert_true(!seen.running && seen.finished && seen.oom_killed);
    assert_int_equal(seen.exit_code, 137);
    assert_string_equal(seen.address, "");
    seen = inspect_ok(exit127, "bridge");
    assert_true(!seen.running && seen.finished && !seen.oom_killed);
    assert_int_equal(seen.exit_code, 127);
}

static void address_is_that_of_the_named_network_or_of_the_only_one(void **state)
{
    const char *const two =
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{"
        "\"a\":{\"IPAddress\":\"10.0.0.1\"},\"b\":{\"IPAddress\":\"10.0.0.2\"}}}}";
    const char *const one = "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{"
                            "\"a\":{\"IPAddress\":\"10.0.0.1\"}}}}";
    const char *const v6 = "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{"
                           "\"a\":{\"IPAddress\":\"\",\"GlobalIPv6Address\":\"fd00::7\"}}}}";

    (void)state;
    assert_string_equal(inspect_ok(two, "b").address, "10.0.0.2");
    assert_string_equal(inspect_ok(two, "c").address, "");
    assert_string_equal(inspect_ok(one, "an-id").address, "10.0.0.1");
    assert_string_equal(inspect_ok(v6, "a").address, "fd00::7");
    assert_string_equal(inspect_ok("{\"State\":{\"Running\":true}}", "a").address, "");
}

static void inspect_refuses_nonsense(void **state)
{
    static const char *const BAD[] = {
        "{\"State\":{}}",
        "{\"State\":[]}",
        "{\"State\":{\"Running\":\"yes\"}}",
        "{\"State\":{\"Running\":true,\"ExitCode\":99999999999}}",
        "{\"State\":{\"Running\":true},\"LogPath\":7}",
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{\"a\":"
        "{\"IPAddress\":\"evil.example\"}}}}",
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{\"a\":"
        "{\"IPAddress\":\"\",\"GlobalIPv6Address\":\"10.0.0.1\"}}}}",
        "{\"State\":{\"Running\":true},\"LogPath\":\"../../etc/passwd\"}",
        "{\"State\":{\"Running\":true},\"LogPath\":\"/var/lib/../../etc/x-json.log\"}",
        "{\"State\":{\"Running\":true},\"LogPath\":\"/var/lib/..\"}",
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{\"a\":"
        "{\"IPAddress\":\"0.0.0.0\"}}}}",
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{\"a\":"
        "{\"IPAddress\":\"224.0.0.1\"}}}}",
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{\"a\":"
        "{\"IPAddress\":\"10.0.0.1 \"}}}}",
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{\"a\":"
        "{\"GlobalIPv6Address\":\"::\"}}}}",
        "{\"State\":{\"Running\":true},\"NetworkSettings\":{\"Networks\":{\"a\":"
        "{\"GlobalIPv6Address\":\"ff02::1\"}}}}",
    };
    struct cw_docker_inspect seen;
    struct cw_err err;
    cw_auto_str struct cw_str deep;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++)
        assert_int_equal(cw_docker_decode_inspect(cw_slice_of(BAD[i]), "a", &seen, &err), -1);
    cw_str_init(&deep, 1 << 20);
    cw_str_addz(&deep, "{\"State\":{\"Running\":true},\"LogPath\":\"");
    for (int i = 0; i < 512; i++)
        cw_str_addc(&deep, 'p');
    cw_str_addz(&deep, "\"}");
    assert_int_equal(cw_docker_decode_inspect(cw_str_slice(&deep), "a", &seen, &err), -1);
    assert_int_equal(err.code, CW_TOO_LARGE);
}

static size_t list_count(const char *text, const char *prefix, struct cw_owned_container *first)
{
    cw_auto_json json_t *doc = NULL;
    cw_auto_free struct cw_owned_container *list = NULL;
    struct cw_err err = {0};
    size_t count;

    if (cw_docker_decode_list(cw_slice_of(text), prefix, &list, &count, &doc, &err) != 0)
        fail_msg("%s", err.msg);
    if (count)
        *first = (struct cw_owned_container){.paused = list[0].paused, .running = list[0].running};
    return count;
}

static void list_keeps_only_names_with_the_exact_prefix(void **state)
{
    cw_auto_free char *text = read_data("list.json");
    struct cw_owned_container first;

    (void)state;
    assert_int_equal(list_count(text, "wsk00_", &first), 4); /* not other_wsk00_3 */
    assert_true(first.paused && first.running);
    assert_int_equal(list_count(text, "wsk00_1_", &first), 3);
    assert_int_equal(list_count(text, "wsk00_1_s", &first), 1);
    assert_true(!first.paused && first.running);
    assert_int_equal(list_count(text, "wsk00_1_o", &first), 1);
    assert_true(!first.paused && !first.running);
    assert_int_equal(list_count(text, "wsk0._", &first), 0);
    assert_int_equal(list_count("[]", "wsk00_", &first), 0);
    assert_int_equal(
        list_count("[{\"Id\":\"" ID "\",\"Names\":null,\"State\":\"dead\"}]", "wsk00_", &first), 0);
    /* a link's alias is not the container's own name */
    assert_int_equal(list_count("[{\"Id\":\"" ID "\",\"Names\":[\"/wsk00_x/alias\",\"/db\"],"
                                "\"State\":\"running\"}]",
                                "wsk00_", &first),
                     0);
}

static void list_of_every_engine_is_read(void **state)
{
    static const char *const FILES[] = {"list-26.1.json", "list-28.5.json", "list-podman-4.3.json"};
    struct cw_owned_container first;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(FILES); i++) {
        cw_auto_free char *text = read_data(FILES[i]);

        assert_int_equal(list_count(text, "wsk00_", &first), 1);
        assert_true(first.running && !first.paused);
    }
}

static void list_tells_whose_a_container_is_by_its_labels(void **state)
{
    static const char LIST[] =
        "[{\"Id\":\"" ID "\",\"Names\":[\"/a1\"],\"State\":\"running\","
        "\"Created\":1795276765,\"Labels\":{\"org.cwhisk.cluster\":\"blue\",\"org.cwhisk."
        "instance\":"
        "\"3\",\"org.cwhisk.boot\":\"17\",\"org.cwhisk.action\":\"n/a\"}},"
        "{\"Id\":\"" ID "\",\"Names\":[\"/a2\"],\"State\":\"running\",\"Labels\":{\"x\":\"y\"}},"
        "{\"Id\":\"" ID
        "\",\"Names\":[\"/a3\"],\"State\":\"dead\",\"Created\":\"now\",\"Labels\":null}]";
    cw_auto_json json_t *doc = NULL;
    cw_auto_free struct cw_owned_container *list = NULL;
    size_t count;

    (void)state;
    assert_int_equal(cw_docker_decode_list(cw_slice_of(LIST), "a", &list, &count, &doc, NULL), 0);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].cluster, "blue");
    assert_string_equal(list[0].instance, "3");
    assert_string_equal(list[0].boot, "17");
    assert_string_equal(list[0].action, "n/a");
    assert_int_equal(list[0].created_s, 1795276765);
    assert_true(list[2].dead && !list[0].dead && list[2].created_s == 0);
    assert_null(list[1].cluster);
    assert_null(list[2].cluster);
}

static void list_refuses_nonsense(void **state)
{
    static const char *const BAD[] = {
        "{}",
        "[7]",
        "[{\"Id\":\"short\",\"Names\":[\"/a\"],\"State\":\"running\"}]",
        "[{\"Id\":\"" ID "\",\"Names\":\"/a\",\"State\":\"running\"}]",
        "[{\"Id\":\"" ID "\",\"Names\":[\"/a\"]}]",
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        cw_auto_json json_t *doc = NULL;
        cw_auto_free struct cw_owned_container *list = NULL;
        struct cw_err err;
        size_t count;

        assert_int_equal(cw_docker_decode_list(cw_slice_of(BAD[i]), "a", &list, &count, &doc, &err),
                         -1);
    }
}

static void error_text_is_the_message_or_printable_bytes(void **state)
{
    char text[32];

    (void)state;
    cw_docker_error_text(CW_SLICE("{\"message\":\"no such image\"}\n"), text, sizeof(text));
    assert_string_equal(text, "no such image");
    cw_docker_error_text(CW_SLICE("<html>\r\n\x01\xff"), text, sizeof(text));
    assert_string_equal(text, "<html>????");
    cw_docker_error_text(CW_SLICE("{\"message\":7}"), text, sizeof(text));
    assert_string_equal(text, "{\"message\":7}");
    cw_docker_error_text(CW_SLICE("0123456789012345678901234567890123456789"), text, sizeof(text));
    assert_int_equal(strlen(text), sizeof(text) - 1);
    cw_docker_error_text(CW_SLICE(""), text, sizeof(text));
    assert_string_equal(text, "");
}

static void missing_executables_are_told_from_a_missing_shim(void **state)
{
    (void)state;
    assert_true(cw_docker_is_missing_executable(
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to "
        "start container process: exec: \"nosuch\": executable file not found in $PATH: unknown"));
    assert_true(cw_docker_is_missing_executable(
        "OCI runtime create failed: exec: \"/no/such\": stat /no/such: no such file or directory"));
    assert_true(cw_docker_is_missing_executable(
        "crun: executable file `nosuch` not found in $PATH: No such file or directory"));
    assert_true(cw_docker_is_missing_executable(
        "failed to create task for container: failed to create shim task: OCI runtime create "
        "failed: runc create failed: unable to start container process: error during container "
        "init: exec: \"/no/such\": stat /no/such: no such file or directory"));
    assert_false(cw_docker_is_missing_executable(
        "failed to start shim: exec: \"containerd-shim-runc-v2\": executable file not found in "
        "$PATH"));
    assert_false(cw_docker_is_missing_executable("no space left on device"));
}

/* Texts of Docker 20.10, 26.1, 28.5 and Podman 4.3. */
static void taken_names_and_missing_images_are_told_by_engine(void **state)
{
    (void)state;
    assert_true(cw_docker_is_name_taken(
        409, "Conflict. The container name \"/np\" is already in use by container \"609c7f\"."));
    assert_true(cw_docker_is_name_taken(
        500,
        "container create: creating container storage: the container name \"np\" is already in "
        "use by bb3a. You have to remove that container to be able to reuse that name: that "
        "name is already in use"));
    assert_false(cw_docker_is_name_taken(500, "no space left on device"));
    assert_false(cw_docker_is_name_taken(404, "that name is already in use"));
    assert_true(cw_docker_is_missing_image("No such image: nosuch:1"));
    assert_true(
        cw_docker_is_missing_image("no such image: docker.io/library/nosuch:1: image not known"));
    assert_false(cw_docker_is_missing_image("network nosuchnet not found"));
    assert_false(cw_docker_is_missing_image(
        "failed to set up container networking: network nosuchnet not found"));
}

static void pull_lines_are_progress_or_errors(void **state)
{
    struct cw_err err;

    (void)state;
    assert_int_equal(cw_docker_check_pull_line(CW_SLICE("\r"), &err), 0);
    assert_int_equal(cw_docker_check_pull_line(CW_SLICE("{\"status\":\"Pulling\"}\r"), &err), 0);
    assert_int_equal(
        cw_docker_check_pull_line(
            CW_SLICE("{\"errorDetail\":{\"message\":\"d\"},\"error\":\"denied\"}"), &err),
        -1);
    assert_string_equal(err.msg, "docker pull: denied");
    assert_int_equal(
        cw_docker_check_pull_line(CW_SLICE("{\"errorDetail\":{\"message\":\"detail\"}}"), &err),
        -1);
    assert_string_equal(err.msg, "docker pull: detail");
    assert_int_equal(cw_docker_check_pull_line(CW_SLICE("<html>"), &err), -1);
    assert_int_equal(cw_docker_check_pull_line(CW_SLICE("[]"), &err), -1);
}

#define EVENT(action, id, attributes)                                                              \
    "{\"status\":\"" action "\",\"Type\":\"container\",\"Action\":\"" action                       \
    "\",\"Actor\":{\"ID\":\"" id "\",\"Attributes\":{" attributes "}},\"time\":1795276765}"

static int event(const char *line, struct cw_docker_event *ret)
{
    struct cw_err err = {0};

    return cw_docker_decode_event(cw_slice_of(line), "wsk0_", ret, &err);
}

static void expect_moment(const char *line, enum cw_moment what, const char *name, int64_t at_us)
{
    struct cw_docker_event e;

    assert_int_equal(event(line, &e), 1);
    assert_int_equal(e.what, what);
    assert_string_equal(e.id, ID);
    assert_string_equal(e.name, name);
    assert_int_equal(e.at_us, at_us);
}

#define NETWORK_EVENT(action, id, name)                                                            \
    "{\"Type\":\"network\",\"Action\":\"" action                                                   \
    "\",\"Actor\":{\"ID\":\"n1\",\"Attributes\":{\"container\":\"" id "\",\"name\":\"" name        \
    "\"}},\"time\":1795276765,\"timeNano\":1795276765123456789}"

static void moments_of_our_containers_are_told_from_other_events(void **state)
{
    struct cw_docker_event e;

    (void)state;
    expect_moment(EVENT("create", ID, "\"name\":\"wsk0_1_a\""), CW_MOMENT_CREATE, "wsk0_1_a",
                  INT64_C(1795276765000000));
    expect_moment(EVENT("start", ID, "\"name\":\"wsk0_1_a\""), CW_MOMENT_START, "wsk0_1_a",
                  INT64_C(1795276765000000));
    expect_moment(EVENT("attach", ID, "\"name\":\"wsk0_1_a\""), CW_MOMENT_ATTACH, "wsk0_1_a",
                  INT64_C(1795276765000000));
    expect_moment(EVENT("kill", ID, "\"name\":\"wsk0_1_a\""), CW_MOMENT_KILL, "wsk0_1_a",
                  INT64_C(1795276765000000));
    expect_moment(NETWORK_EVENT("connect", ID, "bridge"), CW_MOMENT_CONNECT, "",
                  INT64_C(1795276765123456));
    expect_moment(NETWORK_EVENT("disconnect", ID, "bridge"), CW_MOMENT_DISCONNECT, "",
                  INT64_C(1795276765123456));
    assert_int_equal(event(NETWORK_EVENT("connect", "x", "bridge"), &e), 0);
    assert_int_equal(event(NETWORK_EVENT("create", ID, "bridge"), &e), 0);
    assert_int_equal(event(EVENT("connect", ID, "\"name\":\"wsk0_1_a\""), &e), 0);
    assert_int_equal(event(EVENT("create", ID, "\"name\":\"other\""), &e), 0);
    assert_int_equal(event(EVENT("rename", ID, "\"name\":\"wsk0_1_a\""), &e), 0);
    assert_int_equal(event("{\"Type\":7,\"Action\":\"die\",\"Actor\":{}}", &e), -1);
}

static void deaths_have_an_exit_code(void **state)
{
    struct cw_docker_event d = {.exit_code = 7};

    (void)state;
    assert_int_equal(event(EVENT("die", ID, "\"exitCode\":\"137\",\"name\":\"wsk0_1_a\""), &d), 1);
    assert_string_equal(d.id, ID);
    assert_int_equal(d.what, CW_MOMENT_DIE);
    assert_int_equal(d.exit_code, 137);
    assert_int_equal(event(EVENT("destroy", ID, "\"name\":\"wsk0_1_a\""), &d), 1);
    assert_int_equal(d.what, CW_MOMENT_DESTROY);
    assert_int_equal(d.exit_code, -1);
    assert_int_equal(/* Podman's */
                     event(EVENT("died", ID, "\"containerExitCode\":\"1\",\"name\":\"wsk0_1_a\""),
                           &d),
                     1);
    assert_int_equal(d.exit_code, 1);
    assert_int_equal(event(EVENT("exec_die", ID, "\"name\":\"wsk0_1_a\""), &d), 0);
    assert_int_equal(event(EVENT("die", ID, "\"name\":\"wsk01_1_a\""), &d), 0);
    assert_int_equal(event(EVENT("die", "x", "\"name\":\"wsk0_1_a\""), &d), 0);
    assert_int_equal(event(EVENT("die", ID, ""), &d), 0);
    assert_int_equal(event("{\"Action\":\"die\",\"Actor\":{\"ID\":7}}", &d), -1);
    assert_int_equal(event("{\"Action\":[]}", &d), -1);
    assert_int_equal(event("die", &d), -1);
    assert_int_equal(event("", &d), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_is_the_newest_that_both_know),
        cmocka_unit_test(engine_that_shares_no_version_is_refused_with_both_ranges),
        cmocka_unit_test(running_container_has_its_address_with_every_engine),
        cmocka_unit_test(address_is_found_without_the_members_that_newer_engines_dropped),
        cmocka_unit_test(out_of_memory_is_seen_with_every_engine),
        cmocka_unit_test(engines_that_cannot_be_used_are_named),
        cmocka_unit_test(created_id_must_be_64_hex_digits),
        cmocka_unit_test(inspect_of_a_running_container_gives_address_and_log_path),
        cmocka_unit_test(inspect_of_ended_containers_tells_how),
        cmocka_unit_test(address_is_that_of_the_named_network_or_of_the_only_one),
        cmocka_unit_test(inspect_refuses_nonsense),
        cmocka_unit_test(list_keeps_only_names_with_the_exact_prefix),
        cmocka_unit_test(list_of_every_engine_is_read),
        cmocka_unit_test(taken_names_and_missing_images_are_told_by_engine),
        cmocka_unit_test(list_tells_whose_a_container_is_by_its_labels),
        cmocka_unit_test(list_refuses_nonsense),
        cmocka_unit_test(error_text_is_the_message_or_printable_bytes),
        cmocka_unit_test(missing_executables_are_told_from_a_missing_shim),
        cmocka_unit_test(pull_lines_are_progress_or_errors),
        cmocka_unit_test(moments_of_our_containers_are_told_from_other_events),
        cmocka_unit_test(deaths_have_an_exit_code),
    };

    return cmocka_run_group_tests_name("docker_answer", tests, NULL, NULL);
}
