/* One table row per flag says where in the create request its value goes and in which form. Parsing
 * fills a request that holds nothing but the flags; laying it over a real one is a merge by rule of
 * JSON type. Values are checked for their form; whether they make sense to the engine (a device, a
 * runtime, a path) only the engine can tell. */
#include "common/driver/docker_flags.h"

#include <math.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/base/quantity.h"
#include "common/driver/docker_flags_priv.h"
#include "common/json/raw.h"

enum { MAX_NAME = 64, MAX_VALUE = 16 << 10, MAX_VALUES = 1024, MAX_CPUS = 1 << 16 };

enum shape {
    REFUSED, /* known, and why not: `at` */
    TEXT,    /* string */
    WORDS,   /* array with this one string */
    ITEM,    /* element of an array of strings */
    PAIR,    /* k=v: member of an object of strings */
    SWITCH,  /* boolean */
    NUMBER,  /* integer within min..max */
    BYTES,   /* size, at least min (-1: may be -1) */
    CPUS,    /* cores, in billionths */
    OTHER,   /* fn */
};

struct flag {
    const char *name;
    enum shape shape;
    const char *at; /* dotted path in the request */
    bool many;      /* may be given several times */
    int64_t min, max;
    docker_flag_fn *fn;
};

struct cw_docker_flags {
    json_t *body;    /* a create request with nothing but the flags */
    json_t *aliases; /* array, or NULL */
    bool given[128]; /* by row of the table */
};

/* clang-format off */
static const struct flag FLAGS[] = {
    {.name = "add-host", .shape = OTHER, .at = "HostConfig.ExtraHosts", .many = true, .fn = cw_docker_flag_add_host},
    {.name = "attach", .shape = REFUSED, .at = "containers run detached"},
    {.name = "blkio-weight", .shape = NUMBER, .at = "HostConfig.BlkioWeight", .min = 0, .max = 1000},
    {.name = "cap-add", .shape = ITEM, .at = "HostConfig.CapAdd", .many = true},
    {.name = "cap-drop", .shape = ITEM, .at = "HostConfig.CapDrop", .many = true},
    {.name = "cgroup-parent", .shape = TEXT, .at = "HostConfig.CgroupParent"},
    {.name = "cgroupns", .shape = TEXT, .at = "HostConfig.CgroupnsMode"},
    {.name = "cpu-period", .shape = NUMBER, .at = "HostConfig.CpuPeriod", .min = 0, .max = 1000000},
    {.name = "cpu-quota", .shape = NUMBER, .at = "HostConfig.CpuQuota", .min = -1, .max = INT64_MAX},
    {.name = "cpu-rt-period", .shape = NUMBER, .at = "HostConfig.CpuRealtimePeriod", .min = 0, .max = INT64_MAX},
    {.name = "cpu-rt-runtime", .shape = NUMBER, .at = "HostConfig.CpuRealtimeRuntime", .min = 0, .max = INT64_MAX},
    {.name = "cpu-shares", .shape = NUMBER, .at = "HostConfig.CpuShares", .min = 0, .max = 262144},
    {.name = "cpus", .shape = CPUS, .at = "HostConfig.NanoCpus"},
    {.name = "cpuset-cpus", .shape = TEXT, .at = "HostConfig.CpusetCpus"},
    {.name = "cpuset-mems", .shape = TEXT, .at = "HostConfig.CpusetMems"},
    {.name = "detach", .shape = REFUSED, .at = "containers run detached anyway"},
    {.name = "device", .shape = OTHER, .at = "HostConfig.Devices", .many = true, .fn = cw_docker_flag_device},
    {.name = "device-cgroup-rule", .shape = ITEM, .at = "HostConfig.DeviceCgroupRules", .many = true},
    {.name = "device-read-bps", .shape = OTHER, .at = "HostConfig.BlkioDeviceReadBps", .many = true, .fn = cw_docker_flag_rate_bytes},
    {.name = "device-read-iops", .shape = OTHER, .at = "HostConfig.BlkioDeviceReadIOps", .many = true, .fn = cw_docker_flag_rate_io},
    {.name = "device-write-bps", .shape = OTHER, .at = "HostConfig.BlkioDeviceWriteBps", .many = true, .fn = cw_docker_flag_rate_bytes},
    {.name = "device-write-iops", .shape = OTHER, .at = "HostConfig.BlkioDeviceWriteIOps", .many = true, .fn = cw_docker_flag_rate_io},
    {.name = "dns", .shape = ITEM, .at = "HostConfig.Dns", .many = true},
    {.name = "dns-opt", .shape = ITEM, .at = "HostConfig.DnsOptions", .many = true},
    {.name = "dns-option", .shape = ITEM, .at = "HostConfig.DnsOptions", .many = true},
    {.name = "dns-search", .shape = ITEM, .at = "HostConfig.DnsSearch", .many = true},
    {.name = "domainname", .shape = TEXT, .at = "Domainname"},
    {.name = "entrypoint", .shape = WORDS, .at = "Entrypoint"},
    {.name = "env", .shape = OTHER, .at = "Env", .many = true, .fn = cw_docker_flag_env},
    {.name = "gpus", .shape = OTHER, .at = "HostConfig.DeviceRequests", .fn = cw_docker_flag_gpus},
    {.name = "group-add", .shape = ITEM, .at = "HostConfig.GroupAdd", .many = true},
    {.name = "hostname", .shape = TEXT, .at = "Hostname"},
    {.name = "init", .shape = SWITCH, .at = "HostConfig.Init"},
    {.name = "interactive", .shape = REFUSED, .at = "containers run detached"},
    {.name = "ip", .shape = REFUSED, .at = "one address cannot serve several containers"},
    {.name = "ip6", .shape = REFUSED, .at = "one address cannot serve several containers"},
    {.name = "ipc", .shape = TEXT, .at = "HostConfig.IpcMode"},
    {.name = "label", .shape = OTHER, .at = "Labels", .many = true, .fn = cw_docker_flag_label},
    {.name = "link", .shape = ITEM, .at = "HostConfig.Links", .many = true},
    {.name = "log-driver", .shape = TEXT, .at = "HostConfig.LogConfig.Type"},
    {.name = "log-opt", .shape = PAIR, .at = "HostConfig.LogConfig.Config", .many = true},
    {.name = "mac-address", .shape = REFUSED, .at = "one address cannot serve several containers"},
    {.name = "memory", .shape = REFUSED, .at = "a container gets what its action asks for"},
    {.name = "memory-reservation", .shape = BYTES, .at = "HostConfig.MemoryReservation"},
    {.name = "memory-swap", .shape = BYTES, .at = "HostConfig.MemorySwap", .min = -1},
    {.name = "memory-swappiness", .shape = NUMBER, .at = "HostConfig.MemorySwappiness", .min = -1, .max = 100},
    {.name = "mount", .shape = OTHER, .at = "HostConfig.Mounts", .many = true, .fn = cw_docker_flag_mount},
    {.name = "name", .shape = REFUSED, .at = "names are how left-over containers are found"},
    {.name = "network", .shape = REFUSED, .at = "set container-args.network"},
    {.name = "network-alias", .shape = ITEM, .at = "Aliases", .many = true},
    {.name = "no-healthcheck", .shape = SWITCH, .at = "Healthcheck"},
    {.name = "oom-kill-disable", .shape = SWITCH, .at = "HostConfig.OomKillDisable"},
    {.name = "oom-score-adj", .shape = NUMBER, .at = "HostConfig.OomScoreAdj", .min = -1000, .max = 1000},
    {.name = "pid", .shape = TEXT, .at = "HostConfig.PidMode"},
    {.name = "pids-limit", .shape = NUMBER, .at = "HostConfig.PidsLimit", .min = -1, .max = INT32_MAX},
    {.name = "privileged", .shape = REFUSED, .at = "actions would own the host; use cap-add and device"},
    {.name = "publish", .shape = REFUSED, .at = "actions are reached by their address on the network"},
    {.name = "publish-all", .shape = REFUSED, .at = "actions are reached by their address on the network"},
    {.name = "pull", .shape = REFUSED, .at = "the image's tag decides"},
    {.name = "read-only", .shape = SWITCH, .at = "HostConfig.ReadonlyRootfs"},
    {.name = "restart", .shape = REFUSED, .at = "the invoker replaces containers itself"},
    {.name = "rm", .shape = REFUSED, .at = "the invoker removes containers itself"},
    {.name = "runtime", .shape = TEXT, .at = "HostConfig.Runtime"},
    {.name = "security-opt", .shape = OTHER, .at = "HostConfig.SecurityOpt", .many = true, .fn = cw_docker_flag_security},
    {.name = "shm-size", .shape = BYTES, .at = "HostConfig.ShmSize"},
    {.name = "stop-signal", .shape = TEXT, .at = "StopSignal"},
    {.name = "stop-timeout", .shape = NUMBER, .at = "StopTimeout", .min = -1, .max = INT32_MAX},
    {.name = "storage-opt", .shape = PAIR, .at = "HostConfig.StorageOpt", .many = true},
    {.name = "sysctl", .shape = PAIR, .at = "HostConfig.Sysctls", .many = true},
    {.name = "tmpfs", .shape = OTHER, .at = "HostConfig.Tmpfs", .many = true, .fn = cw_docker_flag_tmpfs},
    {.name = "tty", .shape = REFUSED, .at = "logs would lose their streams"},
    {.name = "ulimit", .shape = OTHER, .at = "HostConfig.Ulimits", .many = true, .fn = cw_docker_flag_ulimit},
    {.name = "user", .shape = TEXT, .at = "User"},
    {.name = "userns", .shape = TEXT, .at = "HostConfig.UsernsMode"},
    {.name = "uts", .shape = TEXT, .at = "HostConfig.UTSMode"},
    {.name = "volume", .shape = OTHER, .at = "HostConfig.Binds", .many = true, .fn = cw_docker_flag_volume},
    {.name = "volume-driver", .shape = TEXT, .at = "HostConfig.VolumeDriver"},
    {.name = "volumes-from", .shape = ITEM, .at = "HostConfig.VolumesFrom", .many = true},
    {.name = "workdir", .shape = TEXT, .at = "WorkingDir"},
};
/* clang-format on */

_Static_assert(CW_ARRAY_LEN(FLAGS) <= sizeof(((struct cw_docker_flags *)0)->given),
               "one mark per row");

/* ---- shared with docker_flag_values.c ---- */

static json_t *string_of(struct cw_slice text)
{
    return json_stringn(text.p, text.n);
}

json_t *cw_docker_flag_parent(json_t *body, const char *at, const char **ret_key)
{
    const char *dot;

    while ((dot = strchr(at, '.'))) {
        cw_auto_free char *key = cw_memdup(at, (size_t)(dot - at));
        json_t *next = json_object_get(body, key);

        if (!next) {
            next = json_object();
            json_object_set_new(body, key, next);
        }
        body = next;
        at = dot + 1;
    }
    *ret_key = at;
    return body;
}

void cw_docker_flag_append(json_t *body, const char *at, json_t *item)
{
    const char *key;
    json_t *parent = cw_docker_flag_parent(body, at, &key);
    json_t *list = json_object_get(parent, key);

    if (!list) {
        list = json_array();
        json_object_set_new(parent, key, list);
    }
    json_array_append_new(list, item);
}

void cw_docker_flag_put(json_t *body, const char *at, struct cw_slice key, json_t *value)
{
    const char *last;
    json_t *parent = cw_docker_flag_parent(body, at, &last);
    json_t *members = json_object_get(parent, last);
    cw_auto_free char *name = cw_slice_dup(key);

    if (!members) {
        members = json_object();
        json_object_set_new(parent, last, members);
    }
    json_object_set_new(members, name, value);
}

int cw_docker_flag_bytes(struct cw_slice value, int64_t *ret, struct cw_err *err)
{
    if (cw_parse_i64(value, "bytes", 0, INT64_MAX, ret, NULL) == 0 ||
        cw_parse_size(value, CW_SIZE_JSON, ret, NULL) == 0)
        return 0;
    return cw_fail(err, CW_INVALID, "a size such as 64m or 1g");
}

int cw_docker_flag_bool(struct cw_slice value, bool *ret, struct cw_err *err)
{
    if (cw_slice_is(value, "true") || cw_slice_is(value, "1"))
        *ret = true;
    else if (cw_slice_is(value, "false") || cw_slice_is(value, "0"))
        *ret = false;
    else
        return cw_fail(err, CW_INVALID, "true or false");
    return 0;
}

bool cw_docker_flag_cut(struct cw_slice value, char c, struct cw_slice *ret_before,
                        struct cw_slice *ret_after)
{
    const char *at = value.n ? memchr(value.p, c, value.n) : NULL;

    *ret_before = at ? cw_slice(value.p, (size_t)(at - value.p)) : value;
    *ret_after = at ? cw_slice(at + 1, value.n - ret_before->n - 1) : cw_slice(NULL, 0);
    return at != NULL;
}

/* ---- one value ---- */

static void put_at(json_t *body, const char *at, json_t *value)
{
    const char *key;
    json_t *parent = cw_docker_flag_parent(body, at, &key);

    json_object_set_new(parent, key, value);
}

static int add_number(const struct flag *flag, json_t *body, struct cw_slice value,
                      struct cw_err *err)
{
    int64_t n;

    if (cw_parse_i64(value, flag->name, flag->min, flag->max, &n, NULL) != 0)
        return flag->max == INT64_MAX
                   ? cw_fail(err, CW_INVALID, "a number, %lld or more", (long long)flag->min)
                   : cw_fail(err, CW_INVALID, "%lld..%lld", (long long)flag->min,
                             (long long)flag->max);
    put_at(body, flag->at, json_integer(n));
    return 0;
}

static int add_bytes(const struct flag *flag, json_t *body, struct cw_slice value,
                     struct cw_err *err)
{
    int64_t n = -1;

    if (!(flag->min < 0 && cw_slice_is(value, "-1")) && cw_docker_flag_bytes(value, &n, err) != 0)
        return -1;
    put_at(body, flag->at, json_integer(n));
    return 0;
}

static int add_cpus(const struct flag *flag, json_t *body, struct cw_slice value,
                    struct cw_err *err)
{
    cw_auto_free char *text = cw_slice_dup(value);
    char *end;
    double cpus = strtod(text, &end);

    if (strspn(text, "0123456789.") != value.n || end == text || *end || !(cpus > 0) ||
        cpus > MAX_CPUS)
        return cw_fail(err, CW_INVALID, "a number of cores such as 1.5, up to %d", MAX_CPUS);
    put_at(body, flag->at, json_integer(llround(cpus * 1e9)));
    return 0;
}

static int add_pair(const struct flag *flag, json_t *body, struct cw_slice value,
                    struct cw_err *err)
{
    struct cw_slice name, text;

    if (!cw_docker_flag_cut(value, '=', &name, &text) || name.n == 0)
        return cw_fail(err, CW_INVALID, "name=value");
    cw_docker_flag_put(body, flag->at, name, string_of(text));
    return 0;
}

static int add_switch(const struct flag *flag, json_t *body, struct cw_slice value,
                      struct cw_err *err)
{
    bool on;

    if (cw_docker_flag_bool(value, &on, err) != 0)
        return -1;
    if (strcmp(flag->name, "no-healthcheck") != 0)
        put_at(body, flag->at, json_boolean(on));
    else if (on)
        put_at(body, flag->at, json_pack("{s:[s]}", "Test", "NONE"));
    return 0;
}

static int add_value(const struct flag *flag, json_t *body, struct cw_slice value,
                     struct cw_err *err)
{
    switch (flag->shape) {
    case TEXT:
        put_at(body, flag->at, string_of(value));
        return 0;
    case WORDS:
        put_at(body, flag->at, json_pack("[o]", string_of(value)));
        return 0;
    case ITEM:
        cw_docker_flag_append(body, flag->at, string_of(value));
        return 0;
    case PAIR:
        return add_pair(flag, body, value, err);
    case SWITCH:
        return add_switch(flag, body, value, err);
    case NUMBER:
        return add_number(flag, body, value, err);
    case BYTES:
        return add_bytes(flag, body, value, err);
    case CPUS:
        return add_cpus(flag, body, value, err);
    case OTHER:
        return flag->fn(body, flag->at, value, err);
    case REFUSED:
        break;
    }
    return cw_fail(err, CW_INTERNAL, "nothing");
}

/* ---- all of them ---- */

/* "label.0" → "label" */
static struct cw_slice bare_name(const char *name)
{
    const char *dot = strrchr(name, '.');

    if (!dot || !dot[1] || strspn(dot + 1, "0123456789") != strlen(dot + 1))
        return cw_slice_of(name);
    return cw_slice(name, (size_t)(dot - name));
}

static const struct flag *find_flag(struct cw_slice name)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(FLAGS); i++)
        if (cw_slice_is(name, FLAGS[i].name))
            return &FLAGS[i];
    return NULL;
}

static int check_value(const struct flag *flag, struct cw_slice value, struct cw_err *err)
{
    if (value.n == 0)
        return cw_fail(err, CW_INVALID, "flag --%s: needs a value", flag->name);
    if (value.n > MAX_VALUE)
        return cw_fail(err, CW_TOO_LARGE, "flag --%s: value over %d bytes", flag->name, MAX_VALUE);
    if (!cw_utf8_valid(value))
        return cw_fail(err, CW_INVALID, "flag --%s: value is not UTF-8", flag->name);
    return 0;
}

static int add_flag(struct cw_docker_flags *f, const char *numbered, struct cw_slice value,
                    struct cw_err *err)
{
    struct cw_slice name = bare_name(numbered);
    const struct flag *flag = find_flag(name);
    int shown = (int)(name.n > MAX_NAME ? MAX_NAME : name.n);
    struct cw_err why;

    if (!flag)
        return cw_fail(err, CW_INVALID, "flag --%.*s of docker run is not supported", shown,
                       name.p);
    if (flag->shape == REFUSED)
        return cw_fail(err, CW_INVALID, "flag --%s of docker run is not supported: %s", flag->name,
                       flag->at);
    if (check_value(flag, value, err) != 0)
        return -1;
    if (f->given[flag - FLAGS] && !flag->many)
        return cw_fail(err, CW_INVALID, "flag --%s: takes one value", flag->name);
    f->given[flag - FLAGS] = true;
    if (add_value(flag, f->body, value, &why) != 0)
        return cw_fail(err, CW_INVALID, "flag --%s: \"%.*s\": expected %s", flag->name,
                       (int)(value.n > 60 ? 60 : value.n), value.p, why.msg);
    return 0;
}

/* The engine would refuse every single create. */
static int check_together(const struct cw_docker_flags *f, struct cw_err *err)
{
    if (cw_docker_flags_has(f, "cpus") &&
        (cw_docker_flags_has(f, "cpu-period") || cw_docker_flags_has(f, "cpu-quota")))
        return cw_fail(err, CW_INVALID, "flags --cpus and --cpu-period/--cpu-quota: give one kind");
    return 0;
}

static int add_all(struct cw_docker_flags *f, const char *const *pairs, struct cw_err *err)
{
    size_t count = 0;

    for (; pairs && pairs[0]; pairs += 2) {
        if (++count > MAX_VALUES)
            return cw_fail(err, CW_TOO_LARGE, "over %d flags", MAX_VALUES);
        if (add_flag(f, pairs[0], cw_slice_of(pairs[1]), err) != 0)
            return -1;
    }
    return check_together(f, err);
}

struct cw_docker_flags *cw_docker_flags_parse(const char *const *pairs, struct cw_err *err)
{
    struct cw_docker_flags *f = cw_alloc(sizeof(*f));

    f->body = json_object();
    if (add_all(f, pairs, err) != 0) {
        cw_docker_flags_free(f);
        return NULL;
    }
    f->aliases = json_incref(json_object_get(f->body, "Aliases"));
    json_object_del(f->body, "Aliases");
    return f;
}

void cw_docker_flags_free(struct cw_docker_flags *f)
{
    if (!f)
        return;
    json_decref(f->body);
    json_decref(f->aliases);
    free(f);
}

bool cw_docker_flags_has(const struct cw_docker_flags *f, const char *name)
{
    const struct flag *flag = f ? find_flag(cw_slice_of(name)) : NULL;

    return flag && f->given[flag - FLAGS];
}

void cw_docker_flags_add_label(struct cw_docker_flags *f, const char *name, const char *value)
{
    cw_docker_flag_put(f->body, "Labels", cw_slice_of(name), json_string(value));
}

void cw_docker_flags_names(struct cw_str *out)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(FLAGS); i++) {
        if (FLAGS[i].shape == REFUSED)
            continue;
        cw_str_addz(out, out->n ? ", " : "");
        cw_str_addz(out, FLAGS[i].name);
    }
}

/* ---- laying over ---- */

/* Sets of which stock's invoker has a default, which flags take the place of. */
static bool replaces(const char *key)
{
    return strcmp(key, "CapDrop") == 0 || strcmp(key, "Ulimits") == 0 ||
           strcmp(key, "Entrypoint") == 0;
}

static size_t name_length(const char *variable)
{
    return strcspn(variable, "=");
}

/* A later variable of the same name is the one that counts. */
static void merge_env(json_t *env, const json_t *more)
{
    size_t i, k;
    json_t *item, *have;

    json_array_foreach(more, i, item)
    {
        const char *variable = json_string_value(item);
        size_t n = name_length(variable);
        bool set = false;

        json_array_foreach(env, k, have)
        {
            const char *old = json_string_value(have);

            set = name_length(old) == n && memcmp(old, variable, n) == 0;
            if (set)
                break;
        }
        if (set)
            json_array_set(env, k, item);
        else
            json_array_append(env, item);
    }
}

static void merge(json_t *into, const json_t *from)
{
    const char *key;
    json_t *value;

    /* jansson's iteration is not const */
    json_object_foreach((json_t *)from, key, value)
    {
        json_t *have = json_object_get(into, key);

        if (json_is_object(have) && json_is_object(value))
            merge(have, value);
        else if (json_is_array(have) && strcmp(key, "Env") == 0)
            merge_env(have, value);
        else if (json_is_array(have) && json_is_array(value) && !replaces(key))
            json_array_extend(have, value);
        else
            json_object_set_new(into, key, json_deep_copy(value));
    }
}

void cw_docker_flags_apply(const struct cw_docker_flags *f, const char *network, json_t *body)
{
    if (!f)
        return;
    merge(body, f->body);
    if (f->aliases)
        json_object_set_new(
            body, "NetworkingConfig",
            json_pack("{s:{s:{s:O}}}", "EndpointsConfig", network, "Aliases", f->aliases));
}
