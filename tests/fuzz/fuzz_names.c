/* Names that users choose, on their way into URLs, container names and labels: whatever they are,
 * the result is a single segment that says the same, or a name that the engine takes, or an error.
 *
 * Input: namespace, action and image, each up to a NUL. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/driver/docker_spec.h"
#include "common/http/client.h"
#include "common/json/raw.h"
#include "common/model/action_doc.h"
#include "common/model/entity_name.h"
#include "common/model/manifest.h"
#include "invoker/container/spec.h"
#include "invoker/settings.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS = 3, OUT_MAX = 1 << 20 };

static const char SAFE[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

/* Decoded, it is what it was; and nothing in it has a meaning in a URL. */
static void check_url(struct cw_slice text)
{
    cw_auto_str struct cw_str url, back;

    cw_str_init(&url, OUT_MAX);
    cw_str_init(&back, OUT_MAX);
    cw_url_encode(&url, text);
    for (size_t i = 0; i < url.n; i++) {
        char hex[3] = {0};

        if (url.p[i] != '%') {
            require(strchr(SAFE, url.p[i]) != NULL);
            cw_str_addc(&back, url.p[i]);
            continue;
        }
        memcpy(hex, url.p + i + 1, 2);
        require(isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]));
        cw_str_addc(&back, (char)strtol(hex, NULL, 16));
        i += 2;
    }
    require(!url.failed && cw_slice_eq(cw_str_slice(&back), text));
}

static void check_entity(const char *text)
{
    char *path = cw_strdup(text);
    char version[CW_VERSION_MAX];

    if (cw_entity_path_normalize(path)) {
        char *again = cw_strdup(path);

        require(path[0] && path[0] != '/' && path[strlen(path) - 1] != '/' && !strstr(path, "//"));
        require(strlen(path) <= 1024 && cw_entity_path_normalize(again));
        require(strcmp(path, again) == 0);
        free(again);
    }
    if (cw_entity_name_ok(cw_slice_of(text)))
        require(!strpbrk(text, "/\r\n\t%?#") && strcmp(text, "..") != 0);
    if (cw_version_normalize(cw_slice_of(text), version))
        require(strspn(version, "0123456789.") == strlen(version));
    free(path);
}

static void check_image(const char *image)
{
    struct cw_slice name, tag;
    struct cw_image_ref ref;

    cw_docker_image_parts(image, &name, &tag);
    require(name.n + tag.n <= strlen(image) + strlen("latest") && tag.n > 0);
    if (cw_image_split(cw_slice_of(image), &ref, NULL) == 0)
        require(ref.name.n > 0 &&
                ref.registry.n + ref.prefix.n + ref.name.n + ref.tag.n <= strlen(image));
}

static void check_container(const char *namespace_name, char *action_name, char *image)
{
    static const char MANIFEST[] = "{\"runtimes\":{},\"blackboxes\":[{\"name\":\"native\"}]}";
    static char nothing[] = "", https[] = "https", bridge[] = "bridge",
                registry[] = "registry.example.org:5000/";
    static char *none[] = {NULL};
    const struct inv_settings settings = {.unique_name = nothing,
                                          .api_host_proto = https,
                                          .api_host_name = nothing,
                                          .user_memory_bytes = 1 << 30,
                                          .network = bridge,
                                          .extra_env = none,
                                          .log_store_provider = nothing,
                                          .runtimes_registry = nothing,
                                          .user_images_registry = registry,
                                          .local_image_prefix = nothing};
    const struct cw_action action = {.id = action_name,
                                     .name = action_name,
                                     .kind = "blackbox",
                                     .image = image,
                                     .limits = {.memory_mb = 256}};
    struct cw_manifest *m = cw_manifest_parse(cw_slice_of(MANIFEST), NULL);
    struct cw_container_spec spec;
    struct cw_arena arena;
    struct cw_err err = {0};
    cw_auto_str struct cw_str body;

    cw_arena_init(&arena);
    cw_str_init(&body, CW_DOCKER_MAX_BODY);
    if (inv_container_spec(&settings, m, 0, 1, namespace_name, &action, &arena, &spec, &err) == 0) {
        require(strlen(spec.image) <= CW_DOCKER_MAX_IMAGE && strstr(spec.image, image));
        require(cw_docker_check_name(spec.name, "name", NULL) == 0);
        if (cw_docker_create_body(&spec, NULL, &body, &err) == 0)
            require(cw_raw_check(cw_str_slice(&body), CW_RAW_MAX_DEPTH, NULL, NULL) == 0);
    }
    require(!strpbrk(err.msg, "\r\n"));
    cw_arena_done(&arena);
    cw_manifest_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = cw_slice_dup(cw_slice((const char *)data, size)), *end = text + size;
    char *part[PARTS] = {text, end, end};

    for (int i = 1; i < PARTS && part[i - 1] + strlen(part[i - 1]) < end; i++)
        part[i] = part[i - 1] + strlen(part[i - 1]) + 1;
    check_url(cw_slice(text, size));
    check_entity(part[0]);
    check_image(part[2]);
    check_container(part[0], part[1], part[2]);
    free(text);
    return 0;
}
