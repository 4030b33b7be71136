#include "tests/support/cmocka_all.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/driver/container_driver.h"
#include "common/driver/docker_flags.h"
#include "common/driver/docker_spec.h"
#include "common/json/doc.h"

#define NET "actions"

/* What the flags make of an empty request. */
static char *request_of(const char *const *pairs)
{
    struct cw_err err = {0};
    struct cw_docker_flags *f = cw_docker_flags_parse(pairs, &err);
    cw_auto_json json_t *body = json_object();
    char *text;

    if (!f)
        fail_msg("%s", err.msg);
    cw_docker_flags_apply(f, NET, body);
    cw_docker_flags_free(f);
    text = json_dumps(body, JSON_COMPACT);
    assert_non_null(text);
    return text;
}

static void assert_request(const char *name, const char *value, const char *expected)
{
    cw_auto_free char *text = request_of((const char *const[]){name, value, NULL});

    assert_string_equal(text, expected);
}

static void assert_refused(const char *name, const char *value, const char *message_part)
{
    const char *const pairs[] = {name, value, NULL};
    struct cw_err err = {0};
    struct cw_docker_flags *f = cw_docker_flags_parse(pairs, &err);

    if (f)
        fail_msg("--%s %s was taken", name, value);
    assert_int_equal(err.code, CW_INVALID);
    if (!strstr(err.msg, message_part))
        fail_msg("\"%s\" is not in \"%s\"", message_part, err.msg);
}

static void every_flag_goes_where_the_docker_command_puts_it(void **state)
{
    static const struct {
        const char *name, *value, *body;
    } CASES[] = {
        {"add-host", "db:10.0.0.9", "{\"HostConfig\":{\"ExtraHosts\":[\"db:10.0.0.9\"]}}"},
        {"add-host", "db=fd00::1", "{\"HostConfig\":{\"ExtraHosts\":[\"db:fd00::1\"]}}"},
        {"blkio-weight", "300", "{\"HostConfig\":{\"BlkioWeight\":300}}"},
        {"cap-add", "SYS_PTRACE", "{\"HostConfig\":{\"CapAdd\":[\"SYS_PTRACE\"]}}"},
        {"cap-drop", "ALL", "{\"HostConfig\":{\"CapDrop\":[\"ALL\"]}}"},
        {"cgroup-parent", "/actions", "{\"HostConfig\":{\"CgroupParent\":\"/actions\"}}"},
        {"cgroupns", "private", "{\"HostConfig\":{\"CgroupnsMode\":\"private\"}}"},
        {"cpu-period", "100000", "{\"HostConfig\":{\"CpuPeriod\":100000}}"},
        {"cpu-quota", "-1", "{\"HostConfig\":{\"CpuQuota\":-1}}"},
        {"cpu-rt-period", "1000", "{\"HostConfig\":{\"CpuRealtimePeriod\":1000}}"},
        {"cpu-rt-runtime", "950", "{\"HostConfig\":{\"CpuRealtimeRuntime\":950}}"},
        {"cpu-shares", "512", "{\"HostConfig\":{\"CpuShares\":512}}"},
        {"cpus", "1.5", "{\"HostConfig\":{\"NanoCpus\":1500000000}}"},
        {"cpuset-cpus", "0-3", "{\"HostConfig\":{\"CpusetCpus\":\"0-3\"}}"},
        {"cpuset-mems", "0,1", "{\"HostConfig\":{\"CpusetMems\":\"0,1\"}}"},
        {"device", "/dev/fuse",
         "{\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/fuse\",\"PathInContainer\":\"/dev/"
         "fuse\",\"CgroupPermissions\":\"rwm\"}]}}"},
        {"device", "/dev/a:/dev/b:r",
         "{\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/b\","
         "\"CgroupPermissions\":\"r\"}]}}"},
        {"device", "/dev/a:rw",
         "{\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/a\","
         "\"CgroupPermissions\":\"rw\"}]}}"},
        {"device-cgroup-rule", "c 1:3 mr",
         "{\"HostConfig\":{\"DeviceCgroupRules\":[\"c 1:3 mr\"]}}"},
        {"device-read-bps", "/dev/sda:1mb",
         "{\"HostConfig\":{\"BlkioDeviceReadBps\":[{\"Path\":\"/dev/sda\",\"Rate\":1048576}]}}"},
        {"device-read-iops", "/dev/sda:10",
         "{\"HostConfig\":{\"BlkioDeviceReadIOps\":[{\"Path\":\"/dev/sda\",\"Rate\":10}]}}"},
        {"device-write-bps", "/dev/sda:10",
         "{\"HostConfig\":{\"BlkioDeviceWriteBps\":[{\"Path\":\"/dev/sda\",\"Rate\":10}]}}"},
        {"device-write-iops", "/dev/sda:10",
         "{\"HostConfig\":{\"BlkioDeviceWriteIOps\":[{\"Path\":\"/dev/sda\",\"Rate\":10}]}}"},
        {"dns", "10.0.0.2", "{\"HostConfig\":{\"Dns\":[\"10.0.0.2\"]}}"},
        {"dns-opt", "ndots:2", "{\"HostConfig\":{\"DnsOptions\":[\"ndots:2\"]}}"},
        {"dns-option", "ndots:2", "{\"HostConfig\":{\"DnsOptions\":[\"ndots:2\"]}}"},
        {"dns-search", "svc.local", "{\"HostConfig\":{\"DnsSearch\":[\"svc.local\"]}}"},
        {"domainname", "svc.local", "{\"Domainname\":\"svc.local\"}"},
        {"entrypoint", "/bin/proxy", "{\"Entrypoint\":[\"/bin/proxy\"]}"},
        {"env", "A=b=c", "{\"Env\":[\"A=b=c\"]}"},
        {"gpus", "all",
         "{\"HostConfig\":{\"DeviceRequests\":[{\"Driver\":\"\",\"Count\":-1,\"Capabilities\":[["
         "\"gpu\"]]}]}}"},
        {"gpus", "2",
         "{\"HostConfig\":{\"DeviceRequests\":[{\"Driver\":\"\",\"Count\":2,\"Capabilities\":[["
         "\"gpu\"]]}]}}"},
        {"gpus", "device=0,GPU-3a",
         "{\"HostConfig\":{\"DeviceRequests\":[{\"Driver\":\"\",\"Count\":0,\"Capabilities\":[["
         "\"gpu\"]],\"DeviceIDs\":[\"0\",\"GPU-3a\"]}]}}"},
        {"group-add", "audio", "{\"HostConfig\":{\"GroupAdd\":[\"audio\"]}}"},
        {"hostname", "action", "{\"Hostname\":\"action\"}"},
        {"init", "true", "{\"HostConfig\":{\"Init\":true}}"},
        {"ipc", "private", "{\"HostConfig\":{\"IpcMode\":\"private\"}}"},
        {"label", "team=x=y", "{\"Labels\":{\"team\":\"x=y\"}}"},
        {"label", "bare", "{\"Labels\":{\"bare\":\"\"}}"},
        {"link", "db:db", "{\"HostConfig\":{\"Links\":[\"db:db\"]}}"},
        {"log-driver", "fluentd", "{\"HostConfig\":{\"LogConfig\":{\"Type\":\"fluentd\"}}}"},
        {"log-opt", "tag=x", "{\"HostConfig\":{\"LogConfig\":{\"Config\":{\"tag\":\"x\"}}}}"},
        {"memory-reservation", "64m", "{\"HostConfig\":{\"MemoryReservation\":67108864}}"},
        {"memory-swap", "-1", "{\"HostConfig\":{\"MemorySwap\":-1}}"},
        {"memory-swap", "1GB", "{\"HostConfig\":{\"MemorySwap\":1073741824}}"},
        {"memory-swappiness", "0", "{\"HostConfig\":{\"MemorySwappiness\":0}}"},
        {"mount", "type=bind,source=/a,target=/b,readonly,bind-propagation=rslave",
         "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/a\",\"Target\":\"/b\","
         "\"ReadOnly\":true,\"BindOptions\":{\"Propagation\":\"rslave\"}}]}}"},
        {"mount", "src=vol,dst=/b,ro=false,volume-nocopy",
         "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\",\"Source\":\"vol\",\"Target\":\"/b\","
         "\"ReadOnly\":false,\"VolumeOptions\":{\"NoCopy\":true}}]}}"},
        {"mount", "type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1770",
         "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/t\",\"TmpfsOptions\":{"
         "\"SizeBytes\":1048576,\"Mode\":1016}}]}}"},
        {"network-alias", "fn",
         "{\"NetworkingConfig\":{\"EndpointsConfig\":{\"" NET "\":{\"Aliases\":[\"fn\"]}}}}"},
        {"no-healthcheck", "true", "{\"Healthcheck\":{\"Test\":[\"NONE\"]}}"},
        {"no-healthcheck", "false", "{}"},
        {"oom-kill-disable", "false", "{\"HostConfig\":{\"OomKillDisable\":false}}"},
        {"oom-score-adj", "-500", "{\"HostConfig\":{\"OomScoreAdj\":-500}}"},
        {"pid", "host", "{\"HostConfig\":{\"PidMode\":\"host\"}}"},
        {"pids-limit", "64", "{\"HostConfig\":{\"PidsLimit\":64}}"},
        {"read-only", "1", "{\"HostConfig\":{\"ReadonlyRootfs\":true}}"},
        {"runtime", "runsc", "{\"HostConfig\":{\"Runtime\":\"runsc\"}}"},
        {"security-opt", "no-new-privileges",
         "{\"HostConfig\":{\"SecurityOpt\":[\"no-new-privileges\"]}}"},
        {"security-opt", "apparmor=docker-actions",
         "{\"HostConfig\":{\"SecurityOpt\":[\"apparmor=docker-actions\"]}}"},
        {"security-opt", "label:type:svirt_t",
         "{\"HostConfig\":{\"SecurityOpt\":[\"label:type:svirt_t\"]}}"},
        {"security-opt", "seccomp=unconfined",
         "{\"HostConfig\":{\"SecurityOpt\":[\"seccomp=unconfined\"]}}"},
        {"security-opt", "systempaths=unconfined",
         "{\"HostConfig\":{\"MaskedPaths\":[],\"ReadonlyPaths\":[]}}"},
        {"shm-size", "128m", "{\"HostConfig\":{\"ShmSize\":134217728}}"},
        {"stop-signal", "SIGINT", "{\"StopSignal\":\"SIGINT\"}"},
        {"stop-timeout", "3", "{\"StopTimeout\":3}"},
        {"storage-opt", "size=2G", "{\"HostConfig\":{\"StorageOpt\":{\"size\":\"2G\"}}}"},
        {"sysctl", "net.core.somaxconn=512",
         "{\"HostConfig\":{\"Sysctls\":{\"net.core.somaxconn\":\"512\"}}}"},
        {"tmpfs", "/tmp:size=64m,exec",
         "{\"HostConfig\":{\"Tmpfs\":{\"/tmp\":\"size=64m,exec\"}}}"},
        {"tmpfs", "/tmp", "{\"HostConfig\":{\"Tmpfs\":{\"/tmp\":\"\"}}}"},
        {"ulimit", "nofile=64",
         "{\"HostConfig\":{\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":64,\"Hard\":64}]}}"},
        {"ulimit", "core=0:-1",
         "{\"HostConfig\":{\"Ulimits\":[{\"Name\":\"core\",\"Soft\":0,\"Hard\":-1}]}}"},
        {"user", "1000:1000", "{\"User\":\"1000:1000\"}"},
        {"userns", "host", "{\"HostConfig\":{\"UsernsMode\":\"host\"}}"},
        {"uts", "host", "{\"HostConfig\":{\"UTSMode\":\"host\"}}"},
        {"volume", "/data:/data:ro,z", "{\"HostConfig\":{\"Binds\":[\"/data:/data:ro,z\"]}}"},
        {"volume", "models:/models", "{\"HostConfig\":{\"Binds\":[\"models:/models\"]}}"},
        {"volume", "/scratch", "{\"Volumes\":{\"/scratch\":{}}}"},
        {"volume-driver", "local", "{\"HostConfig\":{\"VolumeDriver\":\"local\"}}"},
        {"volumes-from", "data:ro", "{\"HostConfig\":{\"VolumesFrom\":[\"data:ro\"]}}"},
        {"workdir", "/work", "{\"WorkingDir\":\"/work\"}"},
    };
    cw_auto_str struct cw_str names, tested;

    (void)state;
    cw_str_init(&names, 8192);
    cw_str_init(&tested, 8192);
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        assert_request(CASES[i].name, CASES[i].value, CASES[i].body);
        if (i && strcmp(CASES[i].name, CASES[i - 1].name) == 0)
            continue;
        cw_str_addz(&tested, tested.n ? ", " : "");
        cw_str_addz(&tested, CASES[i].name);
    }
    /* in the table's order, so that none is forgotten here */
    cw_docker_flags_names(&names);
    assert_string_equal(tested.p, names.p);
}

static void values_of_the_wrong_form_are_refused_with_what_is_accepted(void **state)
{
    static const struct {
        const char *name, *value, *message;
    } CASES[] = {
        {"add-host", "db", "host:address"},
        {"add-host", "db:", "host:address"},
        {"add-host", ":1", "host:address"},
        {"blkio-weight", "1001", "flag --blkio-weight: \"1001\": expected 0..1000"},
        {"cpu-quota", "x", "-1 or more"},
        {"cpus", "0", "number of cores"},
        {"cpus", "1e3", "number of cores"},
        {"cpus", "1.5.1", "number of cores"},
        {"device", "dev", "/path"},
        {"device", "/dev/a:/dev/b:rwmx", "/path"},
        {"device", "/dev/a:/dev/b:x", "r, w and m"},
        {"device-read-bps", "/dev/sda", "/path:bytes"},
        {"device-read-iops", "sda:5", "/path:rate"},
        {"device-read-iops", "/dev/sda:5m", "operations"},
        {"env", "NAME", "NAME=value"},
        {"env", "=x", "NAME=value"},
        {"gpus", "0", "all, a number"},
        {"init", "yes", "true or false"},
        {"label", "=x", "name=value"},
        {"label", "org.cwhisk.action=mine", "does not begin with org.cwhisk."},
        {"log-opt", "tag", "name=value"},
        {"memory-swap", "-2", "64m"},
        {"memory-reservation", "lots", "64m"},
        {"mount", "type=bind,target=/b", "source=/path"},
        {"mount", "type=npipe,target=/b", "bind, volume or tmpfs"},
        {"mount", "type=tmpfs", "target=/path"},
        {"mount", "target=/b,nosuch=1", "not nosuch=1"},
        {"mount", "target=/b,ro=maybe", "not ro=maybe"},
        {"mount", "target=/b,tmpfs-mode=9", "not tmpfs-mode=9"},
        {"mount", "target=/b,tmpfs-mode=77777777777777777777777", "not tmpfs-mode=7777777"},
        {"pids-limit", "-2", "-1.."},
        {"security-opt", "seccomp", "name=value"},
        {"security-opt", "seccomp=/no/such.json", "readable file"},
        {"tmpfs", "tmp", "/path"},
        {"ulimit", "nofile", "soft[:hard]"},
        {"ulimit", "nofile=2:1", "soft not over hard"},
        {"ulimit", "nofile=-1:5", "soft not over hard"},
        {"volume", "scratch", "/target"},
        {"volume", "./a:/b", "volume or /path"},
        {"volume", "a:b", "volume or /path"},
        {"hostname", "", "needs a value"},
        {"hostname", "a\xff", "not UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++)
        assert_refused(CASES[i].name, CASES[i].value, CASES[i].message);
}

static void other_flags_are_refused_by_name_and_known_ones_with_the_reason(void **state)
{
    (void)state;
    assert_refused("nosuch", "1", "flag --nosuch of docker run is not supported");
    assert_refused("--label", "a=b", "flag ----label of docker run");
    assert_refused("v", "/a:/b", "flag --v of docker run");
    assert_refused("nosuch.0", "1", "flag --nosuch of");
    assert_refused("label.x", "a=b", "flag --label.x of");
    assert_refused("network", "host",
                   "--network of docker run is not supported: set container-args");
    assert_refused("memory", "1g", "what its action asks for");
    assert_refused("privileged", "true", "cap-add and device");
    assert_refused("publish", "8080:8080", "address");
}

static void flags_come_as_a_map_of_lists(void **state)
{
    const char *const pairs[] = {"label.0", "a=1",  "label.1", "b=2", "label.2", "a=3",
                                 "init.0",  "true", "env",     "X=1", NULL};
    cw_auto_free char *text = request_of(pairs);

    (void)state;
    assert_string_equal(text,
                        "{\"Labels\":{\"a\":\"3\",\"b\":\"2\"},\"HostConfig\":{\"Init\":true},"
                        "\"Env\":[\"X=1\"]}");
}

static void flag_with_one_value_is_not_taken_twice(void **state)
{
    const char *const pairs[] = {"user.0", "a", "user.1", "b", NULL};
    struct cw_err err = {0};

    (void)state;
    assert_null(cw_docker_flags_parse(pairs, &err));
    assert_non_null(strstr(err.msg, "--user: takes one value"));
}

static void two_kinds_of_cpu_quota_are_refused(void **state)
{
    const char *const pairs[] = {"cpus", "1", "cpu-quota", "5000", NULL};
    struct cw_err err = {0};

    (void)state;
    assert_null(cw_docker_flags_parse(pairs, &err));
    assert_non_null(strstr(err.msg, "--cpus and --cpu-period/--cpu-quota"));
}

static void no_flags_change_nothing(void **state)
{
    cw_auto_free char *text = request_of(NULL);

    (void)state;
    assert_string_equal(text, "{}");
    assert_false(cw_docker_flags_has(NULL, "label"));
}

static void flags_know_what_was_given(void **state)
{
    const char *const pairs[] = {"log-driver.0", "local", NULL};
    struct cw_err err = {0};
    struct cw_docker_flags *f = cw_docker_flags_parse(pairs, &err);

    (void)state;
    assert_non_null(f);
    assert_true(cw_docker_flags_has(f, "log-driver"));
    assert_false(cw_docker_flags_has(f, "log-opt"));
    assert_false(cw_docker_flags_has(f, "nosuch"));
    cw_docker_flags_free(f);
}

/* ---- over a container's own request ---- */

static const char *const ENV[] = {"__OW_API_HOST=http://10.0.0.1", "A=1", NULL};
static const char *const LABELS[] = {"org.cwhisk.action=x", NULL};
static const char *const CAPS[] = {"NET_RAW", "NET_ADMIN", NULL};
static const char *const DNS[] = {"10.0.0.2", NULL};

static json_t *body_with(const char *const *pairs)
{
    const struct cw_container_spec spec = {
        .name = "wsk0_1_x",
        .image = "img",
        .memory_mb = 256,
        .cpu_shares = 128,
        .cpus = 0.5,
        .network = NET,
        .env = ENV,
        .labels = LABELS,
        .cap_drop = CAPS,
        .dns_servers = DNS,
        .pids_limit = 1024,
        .nofile = 1024,
        .log_driver = "json-file",
    };
    struct cw_err err = {0};
    struct cw_docker_flags *f = cw_docker_flags_parse(pairs, &err);
    cw_auto_str struct cw_str out;
    json_t *body;

    cw_str_init(&out, CW_DOCKER_MAX_BODY);
    if (!f || cw_docker_create_body(&spec, f, &out, &err) != 0)
        fail_msg("%s", err.msg);
    cw_docker_flags_free(f);
    body = cw_json_parse(cw_str_slice(&out), out.n, "body", &err);
    assert_non_null(body);
    return body;
}

static void assert_at(const char *const *pairs, const char *where, const char *key,
                      const char *expected)
{
    cw_auto_json json_t *body = body_with(pairs);
    const json_t *at = *where ? json_object_get(body, where) : body;
    cw_auto_free char *text = json_dumps(json_object_get(at, key), JSON_COMPACT | JSON_ENCODE_ANY);

    assert_non_null(text);
    assert_string_equal(text, expected);
}

#define FLAGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void given_sets_take_the_place_of_the_defaults(void **state)
{
    (void)state;
    assert_at(FLAGS("cap-drop.0", "ALL"), "HostConfig", "CapDrop", "[\"ALL\"]");
    assert_at(FLAGS("ulimit.0", "nproc=5"), "HostConfig", "Ulimits",
              "[{\"Name\":\"nproc\",\"Soft\":5,\"Hard\":5}]");
    assert_at(FLAGS("pids-limit", "7"), "HostConfig", "PidsLimit", "7");
    assert_at(FLAGS("cpu-shares", "9"), "HostConfig", "CpuShares", "9");
    assert_at(FLAGS("cpus", "2"), "HostConfig", "NanoCpus", "2000000000");
    assert_at(FLAGS("memory-swap", "1g"), "HostConfig", "MemorySwap", "1073741824");
    assert_at(FLAGS("log-driver", "local", "log-opt", "max-file=1"), "HostConfig", "LogConfig",
              "{\"Type\":\"local\",\"Config\":{\"max-file\":\"1\"}}");
}

static void other_flags_add_to_what_is_there(void **state)
{
    (void)state;
    assert_at(FLAGS("label.0", "a=b"), "", "Labels", "{\"org.cwhisk.action\":\"x\",\"a\":\"b\"}");
    assert_at(FLAGS("dns.0", "10.0.0.3"), "HostConfig", "Dns", "[\"10.0.0.2\",\"10.0.0.3\"]");
    assert_at(FLAGS("security-opt.0", "no-new-privileges=false"), "HostConfig", "SecurityOpt",
              "[\"no-new-privileges\",\"no-new-privileges=false\"]");
    assert_at(FLAGS("cap-add.0", "SYS_NICE"), "HostConfig", "CapDrop",
              "[\"NET_RAW\",\"NET_ADMIN\"]");
    assert_at(FLAGS("network-alias.0", "fn"), "", "NetworkingConfig",
              "{\"EndpointsConfig\":{\"" NET "\":{\"Aliases\":[\"fn\"]}}}");
}

static void later_variable_of_a_name_counts(void **state)
{
    (void)state;
    assert_at(FLAGS("env.0", "A=2", "env.1", "AB=3"), "", "Env",
              "[\"__OW_API_HOST=http://10.0.0.1\",\"A=2\",\"AB=3\"]");
}

/* ---- files ---- */

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void seccomp_profile_is_sent_itself(void **state)
{
    char path[] = "/tmp/cw-flags.XXXXXX", option[64];

    (void)state;
    write_file(path, "{ \"defaultAction\": \"SCMP_ACT_ALLOW\" }\n");
    (void)snprintf(option, sizeof(option), "seccomp=%s", path);
    assert_request(
        "security-opt", option,
        "{\"HostConfig\":{\"SecurityOpt\":[\"seccomp={\\\"defaultAction\\\":\\\"SCMP_ACT_"
        "ALLOW\\\"}\"]}}");
    unlink(path);
}

static void profile_that_is_no_json_is_refused(void **state)
{
    char path[] = "/tmp/cw-flags.XXXXXX", option[64];

    (void)state;
    write_file(path, "{ not json");
    (void)snprintf(option, sizeof(option), "seccomp=%s", path);
    assert_refused("security-opt", option, "JSON");
    unlink(path);
}

/* ---- the manual ---- */

static void manual_lists_every_flag(void **state)
{
    FILE *f = fopen(CW_TEST_MANUAL, "re");
    cw_auto_free char *text = cw_alloc(1 << 18);
    cw_auto_str struct cw_str names;
    struct cw_slice rest;

    (void)state;
    assert_non_null(f);
    assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
    (void)fclose(f);
    cw_str_init(&names, 8192);
    cw_docker_flags_names(&names);
    rest = cw_str_slice(&names);
    while (rest.n) {
        size_t n = strcspn(rest.p, ",");
        char row[80];

        (void)snprintf(row, sizeof(row), "`%.*s`", (int)n, rest.p);
        if (!strstr(text, row))
            fail_msg("%s is not in %s", row, CW_TEST_MANUAL);
        n += rest.p[n] ? 2 : 0;
        rest = cw_slice(rest.p + n, rest.n - n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flag_goes_where_the_docker_command_puts_it),
        cmocka_unit_test(values_of_the_wrong_form_are_refused_with_what_is_accepted),
        cmocka_unit_test(other_flags_are_refused_by_name_and_known_ones_with_the_reason),
        cmocka_unit_test(flags_come_as_a_map_of_lists),
        cmocka_unit_test(flag_with_one_value_is_not_taken_twice),
        cmocka_unit_test(two_kinds_of_cpu_quota_are_refused),
        cmocka_unit_test(no_flags_change_nothing),
        cmocka_unit_test(flags_know_what_was_given),
        cmocka_unit_test(given_sets_take_the_place_of_the_defaults),
        cmocka_unit_test(other_flags_add_to_what_is_there),
        cmocka_unit_test(later_variable_of_a_name_counts),
        cmocka_unit_test(seccomp_profile_is_sent_itself),
        cmocka_unit_test(profile_that_is_no_json_is_refused),
        cmocka_unit_test(manual_lists_every_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
