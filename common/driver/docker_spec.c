/* Field names are those of the Engine API (docs.docker.com/engine/api/v1.41, ContainerCreate); what
 * is set and why follows stock's "docker run" line (openwhisk container.md 7), plus
 * no-new-privileges. */
#include "common/driver/docker_spec.h"

#include <math.h>

#include "common/base/err.h"
#include "common/driver/container_driver.h"
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

/* Left out when there is nothing in it. */
static void write_strings(struct cw_json_writer *w, const char *key, const char *const *list)
{
    if (!list || !list[0])
        return;
    cw_json_key(w, key);
    cw_json_array(w);
    for (; *list; list++)
        cw_json_string(w, *list);
    cw_json_array_end(w);
}

/* "k=v" texts as an object; a text without '=' is a key with an empty value. */
static void write_pairs(struct cw_json_writer *w, const char *key, const char *const *list)
{
    if (!list || !list[0])
        return;
    cw_json_key(w, key);
    cw_json_object(w);
    for (; *list; list++) {
        size_t n = strcspn(*list, "=");
        cw_auto_free char *name = cw_memdup(*list, n);

        cw_json_key(w, name);
        cw_json_string(w, (*list)[n] ? *list + n + 1 : "");
    }
    cw_json_object_end(w);
}

static void write_nofile(struct cw_json_writer *w, int64_t nofile)
{
    if (nofile == 0)
        return;
    cw_json_key(w, "Ulimits");
    cw_json_array(w);
    cw_json_object(w);
    cw_json_kv_string(w, "Name", "nofile");
    cw_json_kv_int(w, "Soft", nofile);
    cw_json_kv_int(w, "Hard", nofile);
    cw_json_object_end(w);
    cw_json_array_end(w);
}

static void write_log_config(struct cw_json_writer *w, const struct cw_container_spec *spec)
{
    if (!spec->log_driver)
        return;
    cw_json_key(w, "LogConfig");
    cw_json_object(w);
    cw_json_kv_string(w, "Type", spec->log_driver);
    write_pairs(w, "Config", spec->log_options);
    cw_json_object_end(w);
}

static void write_host_config(struct cw_json_writer *w, const struct cw_container_spec *spec)
{
    int64_t memory_bytes = (int64_t)spec->memory_mb << 20;

    cw_json_key(w, "HostConfig");
    cw_json_object(w);
    cw_json_kv_int(w, "Memory", memory_bytes);
    cw_json_kv_int(w, "MemorySwap", memory_bytes); /* memory and swap together: so no swap */
    cw_json_kv_int(w, "CpuShares", spec->cpu_shares);
    if (spec->cpus > 0)
        cw_json_kv_int(w, "NanoCpus", llround(spec->cpus * 1e9));
    cw_json_kv_string(w, "NetworkMode", spec->network ? spec->network : "bridge");
    write_strings(w, "Dns", spec->dns_servers);
    write_strings(w, "DnsSearch", spec->dns_search);
    write_strings(w, "DnsOptions", spec->dns_options);
    write_strings(w, "CapDrop", spec->cap_drop);
    if (spec->pids_limit > 0)
        cw_json_kv_int(w, "PidsLimit", spec->pids_limit);
    write_nofile(w, spec->nofile);
    write_log_config(w, spec);
    write_strings(w, "SecurityOpt", (const char *const[]){"no-new-privileges", NULL});
    cw_json_object_end(w);
}

int cw_docker_create_body(const struct cw_container_spec *spec, struct cw_str *out,
                          struct cw_err *err)
{
    struct cw_json_writer w;

    if (check_spec(spec, err) != 0)
        return -1;
    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_kv_string(&w, "Image", spec->image);
    write_strings(&w, "Env", spec->env);
    write_pairs(&w, "Labels", spec->labels);
    write_host_config(&w, spec);
    cw_json_object_end(&w);
    if (out->failed)
        return cw_fail(err, CW_TOO_LARGE, "docker: %.80s: create request over %zu bytes",
                       spec->name, out->max);
    if (!cw_utf8_valid(cw_str_slice(out)))
        return cw_fail(err, CW_INVALID, "docker: %.80s: create request is not UTF-8", spec->name);
    return 0;
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
    if (digest)
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
