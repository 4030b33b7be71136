/* What runs follows the engine (daemon/commit.go's merge of configurations): an entrypoint in the
 * request drops the image's whole command; without one the image's entrypoint counts, and its
 * arguments unless the request has others. Docker says "bind source path does not exist", Podman
 * "statfs <path>: no such file". */
#include "common/driver/docker_probe.h"

#include <jansson.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/driver/docker_answer.h"
#include "common/driver/docker_spec.h"
#include "common/json/doc.h"
#include "common/model/probe_wire.h"

enum { MAX_WORDS = 1024 };

bool cw_docker_probe_image_path(const char *image, struct cw_str *out)
{
    for (const char *p = image; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              strchr("._-/:@", *p)))
            return false;
    if (!image[0] || strstr(image, "..") || strstr(image, "//"))
        return false;
    cw_str_addf(out, "/images/%s/json", image);
    return !out->failed;
}

bool cw_docker_probe_is_missing(const char *error_text)
{
    return strstr(error_text, "bind source path does not exist") ||
           (strstr(error_text, "statfs") && strstr(error_text, "no such file"));
}

/* An array of words; NULL: none, or empty. */
static json_t *words_of(const json_t *config, const char *key)
{
    json_t *words = json_object_get(config, key);

    return json_is_array(words) && json_array_size(words) > 0 ? words : NULL;
}

static int read_words(const json_t *config, const char *key, json_t **ret, struct cw_err *err)
{
    json_t *words = json_object_get(config, key);
    const json_t *word;
    size_t i;

    *ret = words_of(config, key);
    if (words && !json_is_null(words) && !json_is_array(words))
        return cw_fail(err, CW_INVALID, "docker image.Config.%s: expected an array", key);
    if (json_array_size(words) > MAX_WORDS)
        return cw_fail(err, CW_TOO_LARGE, "docker image.Config.%s: over %d words", key, MAX_WORDS);
    json_array_foreach(words, i, word) if (!json_is_string(word)) return cw_fail(
        err, CW_INVALID, "docker image.Config.%s[%zu]: expected a string", key, i);
    return 0;
}

static json_t *member(json_t *parent, const char *key, json_t *fresh)
{
    json_t *there = json_object_get(parent, key);

    if (there && !json_is_null(there)) {
        json_decref(fresh);
        return there;
    }
    json_object_set_new(parent, key, fresh);
    return fresh;
}

static void add_variable(json_t *env, const char *name, const char *value)
{
    json_array_append_new(env, json_sprintf("%s=%s", name, value));
}

static void add_probe(json_t *body, const struct cw_docker_probe *probe)
{
    json_t *host = member(body, "HostConfig", json_object());
    json_t *env = member(body, "Env", json_array());
    char port[8];

    (void)snprintf(port, sizeof(port), "%u", (unsigned)probe->port);
    add_variable(env, CW_PROBE_TOKEN_ENV, probe->token);
    add_variable(env, CW_PROBE_PORT_ENV, port);
    json_array_append_new(member(host, "Mounts", json_array()),
                          json_pack("{s:s,s:s,s:s,s:b}", "Type", "bind", "Source", probe->path,
                                    "Target", CW_DOCKER_PROBE_TARGET, "ReadOnly", 1));
}

/* false: nobody says what to run. */
static bool wrap_command(json_t *body, json_t *image_entrypoint, json_t *image_cmd)
{
    json_t *own = words_of(body, "Entrypoint"), *cmd = words_of(body, "Cmd");
    json_t *entrypoint = own ? own : image_entrypoint;
    json_t *wrapped;

    if (!own && !cmd)
        cmd = image_cmd;
    if (!entrypoint && !cmd)
        return false;
    wrapped = json_pack("[s,s]", CW_DOCKER_PROBE_TARGET, "--");
    if (entrypoint)
        json_array_extend(wrapped, entrypoint);
    json_object_set(body, "Cmd", cmd ? cmd : json_null());
    json_object_set_new(body, "Entrypoint", wrapped);
    return true;
}

static int add_to_string(const char *p, size_t n, void *arg)
{
    cw_str_add(arg, p, n);
    return 0;
}

int cw_docker_probe_wrap(struct cw_slice body, struct cw_slice image,
                         const struct cw_docker_probe *probe, struct cw_str *out,
                         struct cw_err *err)
{
    cw_auto_json json_t *request = cw_json_parse(body, CW_DOCKER_MAX_BODY, "create request", err);
    cw_auto_json json_t *about =
        request ? cw_json_parse(image, CW_DOCKER_INSPECT_ANSWER, "docker image", err) : NULL;
    json_t *entrypoint, *cmd;
    const json_t *config;

    if (!about || cw_json_get_object(about, "docker image", "Config", true, &config, err) != 0 ||
        read_words(config, "Entrypoint", &entrypoint, err) != 0 ||
        read_words(config, "Cmd", &cmd, err) != 0)
        return -1;
    if (!wrap_command(request, entrypoint, cmd))
        return 0;
    add_probe(request, probe);
    if (json_dump_callback(request, add_to_string, out, JSON_COMPACT) != 0 || out->failed)
        return cw_fail(err, CW_TOO_LARGE, "docker: create request with the probe over %zu bytes",
                       out->max);
    return 1;
}
