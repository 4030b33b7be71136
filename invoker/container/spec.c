#include "invoker/container/spec.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/model/manifest.h"
#include "invoker/logs/log_store.h"
#include "invoker/machine.h"
#include "invoker/placement/admission.h"
#include "invoker/settings.h"

enum {
    NAME_MAX_BYTES = 1024,
    ENV_MAX_BYTES = 4096,
    OOM_SCORE_ADJ = 500, /* where more memory is promised than there is, containers go first */
};

void inv_container_prefix(const struct inv_settings *s, int64_t instance, struct cw_str *out)
{
    cw_str_addz(out, "wsk");
    for (const char *p = s->unique_name ? s->unique_name : ""; *p; p++)
        if (isalnum((unsigned char)*p) || strchr("_.-", *p))
            cw_str_addc(out, *p);
    cw_str_addi(out, instance);
    cw_str_addc(out, '_');
}

static void add_plain(struct cw_str *out, const char *text)
{
    for (const char *p = text; *p; p++)
        if (isalnum((unsigned char)*p) || *p == '_')
            cw_str_addc(out, *p);
}

static char *container_name(const struct inv_settings *s, int64_t instance, uint64_t n,
                            const char *namespace_name, const char *action_name,
                            struct cw_arena *arena)
{
    cw_auto_str struct cw_str name;

    cw_str_init(&name, NAME_MAX_BYTES);
    inv_container_prefix(s, instance, &name);
    cw_str_addi(&name, (int64_t)n);
    cw_str_addc(&name, '_');
    add_plain(&name, namespace_name);
    cw_str_addc(&name, '_');
    add_plain(&name, action_name);
    return cw_arena_dup(arena, cw_str_slice(&name));
}

uint32_t inv_cpu_shares(int64_t whole_bytes, int64_t memory_bytes)
{
    int64_t parts = memory_bytes > 0 ? whole_bytes / memory_bytes : 0;
    int64_t shares =
        1024 / (parts > 0 ? parts : 1); /* an action larger than the pool must not divide by 0 */

    return shares < 2 ? 2 : (uint32_t)shares;
}

double inv_cpu_quota(const struct inv_settings *s, int64_t memory_bytes)
{
    int64_t parts = memory_bytes > 0 ? inv_cpu_memory_bytes(s) / memory_bytes : 0;
    double cpus;

    if (s->user_cpus <= 0)
        return 0;
    cpus = round(s->user_cpus / (double)(parts > 0 ? parts : 1) * 1e5) / 1e5;
    return cpus < 0.01 ? 0.01 : cpus;
}

/* proto://name[:port], the port left out when it is the protocol's own. */
static char *api_host(const struct inv_settings *s, struct cw_arena *arena)
{
    cw_auto_str struct cw_str env;
    bool own_port = (strcmp(s->api_host_proto, "https") == 0 && s->api_host_port == 443) ||
                    (strcmp(s->api_host_proto, "http") == 0 && s->api_host_port == 80);

    cw_str_init(&env, ENV_MAX_BYTES);
    cw_str_addf(&env, "__OW_API_HOST=%s://%s", s->api_host_proto, s->api_host_name);
    if (!own_port)
        cw_str_addf(&env, ":%lld", (long long)s->api_host_port);
    return cw_arena_dup(arena, cw_str_slice(&env));
}

static const char *const *environment(const struct inv_settings *s, struct cw_arena *arena)
{
    size_t n = 0;
    const char **env;

    while (s->extra_env[n])
        n++;
    env = cw_arena_alloc(arena, (n + 2) * sizeof(*env));
    env[0] = api_host(s, arena);
    for (size_t i = 0; i < n; i++) {
        char with_value[ENV_MAX_BYTES];

        (void)snprintf(with_value, sizeof(with_value),
                       "%s=", s->extra_env[i]); /* KEY alone: empty value */
        env[i + 1] = strchr(s->extra_env[i], '=') ? s->extra_env[i]
                                                  : cw_arena_dup(arena, cw_slice_of(with_value));
    }
    return env;
}

static char *label(struct cw_arena *arena, const char *key, const char *value)
{
    size_t n = strlen(key) + strlen(value) + 2;
    char *text = cw_arena_alloc(arena, n);

    (void)snprintf(text, n, "%s=%s", key, value);
    return text;
}

/* a: NULL for a prewarmed container. */
static const char *const *labels(int64_t instance, const char *kind, const char *namespace_name,
                                 const struct cw_action *a, struct cw_arena *arena)
{
    const char **list = cw_arena_alloc(arena, 5 * sizeof(*list));
    char number[24];

    (void)snprintf(number, sizeof(number), "%lld", (long long)instance);
    list[0] = label(arena, CW_LABEL_INSTANCE, number);
    if (a) {
        list[1] = label(arena, "org.cwhisk.namespace", namespace_name);
        list[2] = label(arena, CW_LABEL_ACTION, a->id);
    }
    list[a ? 3 : 1] = label(arena, "org.cwhisk.kind", kind);
    return list;
}

static char *managed_image(const struct inv_settings *s, const struct cw_runtime *rt,
                           struct cw_arena *arena)
{
    cw_auto_str struct cw_str image;

    cw_str_init(&image, NAME_MAX_BYTES);
    cw_image_print(&rt->image, s->runtimes_registry, &image);
    return cw_arena_dup(arena, cw_str_slice(&image));
}

/* Blackbox. Native and local images count as ours: never pulled, and from the registry of the
 * runtimes. Of the others, those with tag latest or none must be pulled, the rest may be. */
static int user_image(const struct inv_settings *s, const struct cw_manifest *m,
                      const struct cw_action *a, struct cw_arena *arena,
                      struct cw_container_spec *ret, struct cw_err *err)
{
    const struct cw_image as_written = {.registry = "", .prefix = "", .name = a->image, .tag = ""};
    struct cw_image_ref ref;
    cw_auto_str struct cw_str image;
    const char *registry;

    cw_str_init(&image, NAME_MAX_BYTES);
    if (cw_image_split(cw_slice_of(a->image), &ref, err) != 0)
        return -1;
    if (cw_manifest_is_native_blackbox(m, a->image) ||
        (s->bypass_pull_for_local_images && cw_slice_is(ref.prefix, s->local_image_prefix)))
        ret->pull = CW_PULL_NEVER;
    else
        ret->pull = ref.tag.n == 0 || cw_slice_is(ref.tag, "latest") ? CW_PULL_ALWAYS : CW_PULL_TRY;
    registry = ret->pull == CW_PULL_NEVER ? s->runtimes_registry : s->user_images_registry;
    cw_image_print(&as_written, ref.registry.n ? NULL : registry, &image);
    if (image.failed)
        return cw_fail(err, CW_INVALID, "image \"%.80s\" with its registry is over %d bytes",
                       a->image, NAME_MAX_BYTES);
    ret->image = cw_arena_dup(arena, cw_str_slice(&image));
    return 0;
}

static int choose_image(const struct inv_settings *s, const struct cw_manifest *m,
                        const struct cw_action *a, struct cw_arena *arena,
                        struct cw_container_spec *ret, struct cw_err *err)
{
    const struct cw_runtime *rt;

    if (a->image)
        return user_image(s, m, a, arena, ret, err);
    rt = cw_manifest_kind(m, cw_slice_of(a->kind));
    if (!rt)
        return cw_fail(err, CW_INVALID, "no runtime for kind %s", a->kind);
    ret->image = managed_image(s, rt, arena);
    ret->pull = CW_PULL_NEVER;
    return 0;
}

/* Where logs are collected, whatever the engine's default is. extra-args may say otherwise. */
static const char *log_driver(const struct inv_settings *s)
{
    return inv_log_store_collects(s->log_store_provider) ? "json-file" : NULL;
}

/* What all containers have in common. */
static void basic_spec(const struct inv_settings *s, int64_t memory_mb, struct cw_arena *arena,
                       struct cw_container_spec *ret)
{
    static const char *const CAP_DROP[] = {"NET_RAW", "NET_ADMIN", NULL};
    int64_t memory_bytes = memory_mb << 20;

    *ret = (struct cw_container_spec){
        .memory_mb = (uint32_t)memory_mb,
        .cpu_shares = inv_cpu_shares(inv_cpu_memory_bytes(s), memory_bytes),
        .cpus = inv_cpu_quota(s, memory_bytes),
        .network = s->network,
        .env = environment(s, arena),
        .dns_servers = (const char *const *)s->dns_servers,
        .dns_search = (const char *const *)s->dns_search,
        .dns_options = (const char *const *)s->dns_options,
        .cap_drop = CAP_DROP,
        .pids_limit = 1024,
        .oom_score_adj = s->admission == INV_CHARGE_INFERRED ? OOM_SCORE_ADJ : 0,
        .nofile = 1024,
        .log_driver = log_driver(s),
    };
}

int inv_container_spec(const struct inv_settings *s, const struct cw_manifest *m, int64_t instance,
                       uint64_t n, const char *namespace_name, const struct cw_action *a,
                       struct cw_arena *arena, struct cw_container_spec *ret, struct cw_err *err)
{
    basic_spec(s, a->limits.memory_mb, arena, ret);
    ret->name = container_name(s, instance, n, namespace_name, a->name, arena);
    ret->labels = labels(instance, a->kind, namespace_name, a, arena);
    return choose_image(s, m, a, arena, ret, err);
}

void inv_container_spec_prewarmed(const struct inv_settings *s, int64_t instance, uint64_t n,
                                  const struct cw_runtime *rt, uint32_t memory_mb,
                                  struct cw_arena *arena, struct cw_container_spec *ret)
{
    basic_spec(s, memory_mb, arena, ret);
    ret->name = container_name(s, instance, n, "prewarm", rt->kind, arena);
    ret->labels = labels(instance, rt->kind, NULL, NULL, arena);
    ret->image = managed_image(s, rt, arena);
    ret->pull = CW_PULL_NEVER;
}
