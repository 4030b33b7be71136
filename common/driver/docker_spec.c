/* Field names are those of the Engine API (docs.docker.com/engine/api/v1.41, ContainerCreate); what
 * is set and why follows stock's "docker run" line (openwhisk container.md 7), plus
 * no-new-privileges. */
#include "common/driver/docker_spec.h"

#include <math.h>

#include "common/base/err.h"
#include "common/driver/container_driver.h"
#include "common/driver/docker_flags.h"
#include "common/json/doc.h"
#include "common/json/raw.h"
#include "common/json/writer.h"

enum { CPU_SHARES_MIN = 2, CPU_SHARES_MAX = 262144, MAX_CPUS = 1 << 16 };

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int cw_docker_check_name(const char *name, const char *what, struct cw_err *err)
{
    size_t n = name ? strnlen(name, CW_DOCKER_MAX_NAME + 1) : 0;

    if (n == 0 || n > CW_DOCKER_MAX_NAME)
        return cw_fail(err, CW_INVALID, "docker: %s: expected 1..%d characters", what,
                       CW_DOCKER_MAX_NAME);
    for (size_t i = 0; i < n; i++) {
        if (is_alnum(name[i]) || (i > 0 && memchr("_.-", name[i], 3)))
            continue;
        return cw_fail(err, CW_INVALID, "docker: %s \"%.80s\": expected [a-zA-Z0-9][a-zA-Z0-9_.-]*",
                       what, name);
    }
    return 0;
}

static int check_ranges(const struct cw_container_spec *spec, struct cw_err *err)
{
    if (spec->memory_mb == 0) /* the engine would read 0 as "no limit" */
        return cw_fail(err, CW_INVALID, "docker: %.80s: memory_mb 0: expected 1..4294967295",
                       spec->name);
    if (spec->cpu_shares < CPU_SHARES_MIN || spec->cpu_shares > CPU_SHARES_MAX)
        return cw_fail(err, CW_INVALID, "docker: %.80s: cpu_shares %u: expected %d..%d", spec->name,
                       spec->cpu_shares, CPU_SHARES_MIN, CPU_SHARES_MAX);
    if (!(spec->cpus >= 0 && spec->cpus <= MAX_CPUS)) /* NaN too */
        return cw_fail(err, CW_INVALID, "docker: %.80s: cpus %g: expected 0..%d", spec->name,
                       spec->cpus, MAX_CPUS);
    if (spec->pids_limit < 0 || spec->nofile < 0)
        return cw_fail(err, CW_INVALID,
                       "docker: %.80s: pids_limit %lld, nofile %lld: expected 0 or more",
                       spec->name, (long long)spec->pids_limit, (long long)spec->nofile);
    return 0;
}

static int check_spec(const struct cw_container_spec *spec, struct cw_err *err)
{
    size_t image_len = spec->image ? strnlen(spec->image, CW_DOCKER_MAX_IMAGE + 1) : 0;

    if (cw_docker_check_name(spec->name, "container name", err) != 0)
        return -1;
    if (image_len == 0 || image_len > CW_DOCKER_MAX_IMAGE)
        return cw_fail(err, CW_INVALID, "docker: %.80s: image name: expected 1..%d characters",
                       spec->name, CW_DOCKER_MAX_IMAGE);
    return check_ranges(spec, err);
}

static const char *network_of(const struct cw_container_spec *spec)
{
    return spec->network ? spec->network : "bridge";
}

/* Left out when there is nothing in it. */
static void put_strings(json_t *obj, const char *key, const char *const *list)
{
    json_t *items;

    if (!list || !list[0])
        return;
    items = json_array();
    for (; *list; list++)
        json_array_append_new(items, json_string(*list));
    json_object_set_new(obj, key, items);
}

/* "k=v" texts as an object; a text without '=' is a key with an empty value. */
static void put_pairs(json_t *obj, const char *key, const char *const *list)
{
    json_t *members;

    if (!list || !list[0])
        return;
    members = json_object();
    for (; *list; list++) {
        size_t n = strcspn(*list, "=");
        cw_auto_free char *name = cw_memdup(*list, n);

        json_object_set_new(members, name, json_string((*list)[n] ? *list + n + 1 : ""));
    }
    json_object_set_new(obj, key, members);
}

static void put_string(json_t *obj, const char *key, const char *text)
{
    json_object_set_new(obj, key, json_string(text));
}

static void put_int(json_t *obj, const char *key, int64_t v)
{
    json_object_set_new(obj, key, json_integer(v));
}

static json_t *log_config(const struct cw_container_spec *spec)
{
    json_t *log = json_object();

    put_string(log, "Type", spec->log_driver);
    put_pairs(log, "Config", spec->log_options);
    return log;
}

static json_t *nofile_limit(int64_t nofile)
{
    return json_pack("[{s:s,s:I,s:I}]", "Name", "nofile", "Soft", (json_int_t)nofile, "Hard",
                     (json_int_t)nofile);
}

static json_t *host_config(const struct cw_container_spec *spec)
{
    int64_t memory_bytes = (int64_t)spec->memory_mb << 20;
    json_t *host = json_object();

    put_int(host, "Memory", memory_bytes);
    put_int(host, "MemorySwap", memory_bytes); /* memory and swap together: so no swap */
    put_int(host, "CpuShares", spec->cpu_shares);
    if (spec->cpus > 0)
        put_int(host, "NanoCpus", llround(spec->cpus * 1e9));
    put_string(host, "NetworkMode", network_of(spec));
    put_strings(host, "Dns", spec->dns_servers);
    put_strings(host, "DnsSearch", spec->dns_search);
    put_strings(host, "DnsOptions", spec->dns_options);
    put_strings(host, "CapDrop", spec->cap_drop);
    if (spec->oom_score_adj)
        put_int(host, "OomScoreAdj", spec->oom_score_adj);
    if (spec->pids_limit > 0)
        put_int(host, "PidsLimit", spec->pids_limit);
    if (spec->nofile > 0)
        json_object_set_new(host, "Ulimits", nofile_limit(spec->nofile));
    if (spec->log_driver)
        json_object_set_new(host, "LogConfig", log_config(spec));
    put_strings(host, "SecurityOpt", (const char *const[]){"no-new-privileges", NULL});
    return host;
}

static bool all_utf8(const char *const *list)
{
    for (; list && *list; list++)
        if (!cw_utf8_valid(cw_slice_of(*list)))
            return false;
    return true;
}

/* jansson leaves out what is not, silently. */
static bool is_utf8(const struct cw_container_spec *spec)
{
    const char *const texts[] = {spec->image, network_of(spec),
                                 spec->log_driver ? spec->log_driver : "", NULL};

    return all_utf8(texts) && all_utf8(spec->env) && all_utf8(spec->labels) &&
           all_utf8(spec->dns_servers) && all_utf8(spec->dns_search) &&
           all_utf8(spec->dns_options) && all_utf8(spec->cap_drop) && all_utf8(spec->log_options);
}

static int add_to_string(const char *p, size_t n, void *arg)
{
    cw_str_add(arg, p, n);
    return 0;
}

int cw_docker_create_body(const struct cw_container_spec *spec, const struct cw_docker_flags *flags,
                          struct cw_str *out, struct cw_err *err)
{
    cw_auto_json json_t *body = json_object();

    if (check_spec(spec, err) != 0)
        return -1;
    if (!is_utf8(spec))
        return cw_fail(err, CW_INVALID, "docker: %.80s: create request is not UTF-8", spec->name);
    put_string(body, "Image", spec->image);
    put_strings(body, "Env", spec->env);
    put_pairs(body, "Labels", spec->labels);
    json_object_set_new(body, "HostConfig", host_config(spec));
    cw_docker_flags_apply(flags, network_of(spec), body);
    if (json_dump_callback(body, add_to_string, out, JSON_COMPACT) != 0 || out->failed)
        return cw_fail(err, CW_TOO_LARGE, "docker: %.80s: create request over %zu bytes",
                       spec->name, out->max);
    return 0;
}

static void put_if_given(json_t *body, const char *key, int64_t v)
{
    if (v > 0)
        put_int(body, key, v);
}

char *cw_docker_encode_limits(const struct cw_driver_limits *limits)
{
    cw_auto_json json_t *body = json_object();
    int64_t memory_bytes = (int64_t)limits->memory_mb << 20;

    put_if_given(body, "CpuShares", limits->cpu_shares);
    put_if_given(body, "NanoCpus", limits->cpu_millis * INT64_C(1000000));
    put_if_given(body, "Memory", memory_bytes);
    put_if_given(body, "MemorySwap", memory_bytes);
    put_if_given(body, "BlkioWeight", limits->blkio_weight);
    return json_dumps(body, JSON_COMPACT);
}

void cw_docker_image_parts(const char *image, struct cw_slice *ret_name, struct cw_slice *ret_tag)
{
    const char *digest = strchr(image, '@');
    size_t n = digest ? (size_t)(digest - image) : strlen(image);
    const char *slash = memrchr(image, '/', n);
    const char *path = slash ? slash + 1 : image;
    /* A colon before the last slash belongs to the registry's port. */
    const char *colon = memchr(path, ':', n - (size_t)(path - image));

    *ret_name = cw_slice(image, colon ? (size_t)(colon - image) : n);
    if (digest && digest[1])
        *ret_tag = cw_slice_of(digest + 1);
    else if (colon && colon + 1 < image + n)
        *ret_tag = cw_slice_of(colon + 1);
    else
        *ret_tag = CW_SLICE("latest");
}

void cw_docker_name_filter(const char *prefix, struct cw_str *out)
{
    cw_auto_str struct cw_str pattern;
    struct cw_json_writer w;

    cw_str_init(&pattern, 2 * CW_DOCKER_MAX_NAME + 8);
    /* Engines match with and without the slash that is part of every name. */
    cw_str_addz(&pattern, "^/?");
    for (; *prefix; prefix++) {
        if (strchr("\\.+*?()|[]{}^$", *prefix))
            cw_str_addc(&pattern, '\\');
        cw_str_addc(&pattern, *prefix);
    }
    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_key(&w, "name");
    cw_json_array(&w);
    cw_json_string_slice(&w, cw_str_slice(&pattern));
    cw_json_array_end(&w);
    cw_json_object_end(&w);
}
