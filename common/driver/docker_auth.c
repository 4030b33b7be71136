/* Keys of "auths" are hosts, URLs, or, for Docker Hub, a name from its first days; they are
 * compared by host, as the docker command does. */
#include "common/driver/docker_auth.h"

#include <stdio.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/json/doc.h"
#include "common/json/raw.h"

static const char HUB[] = "docker.io";

enum { MAX_ENTRIES = 1000, WARNING_LEN = 400 };

struct entry {
    char *host;
    char *header; /* ready to send */
};

struct cw_docker_auth {
    struct entry *entries;
    size_t count;
};

/* ---- hosts ---- */

/* "https://host/v1/" → "host"; the names of Docker Hub become one. */
static struct cw_slice host_of(const char *key)
{
    const char *scheme = strstr(key, "://");
    const char *host = scheme ? scheme + 3 : key;
    struct cw_slice s = cw_slice(host, strcspn(host, "/"));

    if (cw_slice_is(s, "index.docker.io") || cw_slice_is(s, "registry-1.docker.io"))
        return cw_slice_of(HUB);
    return s;
}

struct cw_slice cw_docker_image_registry(const char *image)
{
    size_t n = strcspn(image, "/");
    struct cw_slice first = cw_slice(image, n);
    bool host = image[n] == '/' &&
                (memchr(image, '.', n) || memchr(image, ':', n) || cw_slice_is(first, "localhost"));

    if (!host || cw_slice_is(first, "index.docker.io"))
        return cw_slice_of(HUB);
    return first;
}

/* ---- one entry ---- */

struct credentials {
    const char *username, *password, *identity_token, *registry_token;
    struct cw_str decoded; /* what username and password may point into */
};

/* base64 of user:password; the password may have NULs behind it. */
static int decode_basic(struct credentials *c, const char *path, const char *auth,
                        struct cw_err *err)
{
    char *colon;

    if (cw_base64_decode(cw_slice_of(auth), CW_BASE64_STANDARD, &c->decoded, NULL) != 0 ||
        c->decoded.failed || !(colon = memchr(c->decoded.p, ':', c->decoded.n)) ||
        colon == c->decoded.p || !cw_utf8_valid(cw_str_slice(&c->decoded)))
        return cw_fail(err, CW_INVALID, "%s.auth: expected base64 of user:password in UTF-8", path);
    *colon = '\0';
    c->username = c->decoded.p;
    c->password = colon + 1;
    return 0;
}

static int read_entry(const json_t *entry, const char *path, struct credentials *c,
                      struct cw_err *err)
{
    const char *auth = "";

    if (cw_json_get_string(entry, path, "auth", false, &auth, err) != 0 ||
        cw_json_get_string(entry, path, "username", false, &c->username, err) != 0 ||
        cw_json_get_string(entry, path, "password", false, &c->password, err) != 0 ||
        cw_json_get_string(entry, path, "identitytoken", false, &c->identity_token, err) != 0 ||
        cw_json_get_string(entry, path, "registrytoken", false, &c->registry_token, err) != 0)
        return -1;
    return auth[0] ? decode_basic(c, path, auth, err) : 0;
}

static void put(json_t *doc, const char *key, const char *text)
{
    if (text && text[0])
        json_object_set_new(doc, key, json_string(text));
}

/* base64 in the url-safe alphabet, with padding, as the engine reads it */
static char *encode(const char *json)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, CW_DOCKER_MAX_AUTH);
    cw_base64_encode(cw_slice_of(json), &text);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '+')
            text.p[i] = '-';
        else if (text.p[i] == '/')
            text.p[i] = '_';
    }
    return text.failed ? NULL : cw_str_steal(&text);
}

static char *header_of(const struct credentials *c, const char *server)
{
    cw_auto_json json_t *doc = json_object();
    cw_auto_free char *json = NULL;

    if (c->identity_token && c->identity_token[0]) {
        put(doc, "identitytoken", c->identity_token);
    } else {
        put(doc, "username", c->username);
        put(doc, "password", c->password);
    }
    put(doc, "registrytoken", c->registry_token);
    put(doc, "serveraddress", server);
    json = json_dumps(doc, JSON_COMPACT);
    return json ? encode(json) : NULL;
}

static bool is_empty(const struct credentials *c)
{
    return !(c->username && c->username[0]) && !(c->identity_token && c->identity_token[0]) &&
           !(c->registry_token && c->registry_token[0]);
}

static int add_entry(struct cw_docker_auth *a, const char *key, const json_t *value,
                     struct cw_err *err)
{
    struct credentials c = {0};
    char path[128];
    char *header = NULL;
    int rc;

    (void)snprintf(path, sizeof(path), "config.json: auths.%.80s", key);
    if (!json_is_object(value))
        return cw_fail(err, CW_INVALID, "%s: expected an object", path);
    cw_str_init(&c.decoded, CW_DOCKER_MAX_AUTH);
    rc = read_entry(value, path, &c, err);
    if (rc == 0 && !is_empty(&c)) { /* a helper's entries are empty */
        header = header_of(&c, key);
        if (!header)
            rc =
                cw_fail(err, CW_INVALID, "%s: credentials over %d bytes", path, CW_DOCKER_MAX_AUTH);
    }
    cw_str_done(&c.decoded);
    if (header)
        a->entries[a->count++] =
            (struct entry){.host = cw_slice_dup(host_of(key)), .header = header};
    return rc;
}

/* ---- the file ---- */

static int read_auths(struct cw_docker_auth *a, const json_t *doc, struct cw_err *err)
{
    const json_t *auths = NULL, *value;
    const char *key;

    if (cw_json_get_object(doc, "config.json", "auths", false, &auths, err) != 0)
        return -1;
    if (json_object_size(auths) > MAX_ENTRIES)
        return cw_fail(err, CW_TOO_LARGE, "config.json: auths: over %d entries", MAX_ENTRIES);
    a->entries = cw_calloc(json_object_size(auths) + 1, sizeof(*a->entries));
    json_object_foreach((json_t *)auths, key, value) /* jansson's iteration is not const */
    {
        if (add_entry(a, key, value, err) != 0)
            return -1;
    }
    return 0;
}

static int warn_of_helpers(const json_t *doc, void (*warn)(void *arg, const char *text), void *arg,
                           struct cw_err *err)
{
    const json_t *helpers = NULL;
    const char *store = "";
    char text[WARNING_LEN];

    if (cw_json_get_string(doc, "config.json", "credsStore", false, &store, err) != 0 ||
        cw_json_get_object(doc, "config.json", "credHelpers", false, &helpers, err) != 0)
        return -1;
    if (!warn || (!store[0] && json_object_size(helpers) == 0))
        return 0;
    (void)snprintf(text, sizeof(text),
                   "config.json: %s%.80s are not supported: no helper programs are run, and what "
                   "they keep is not sent with pulls; give credentials as \"auth\"",
                   store[0] ? "credentials in the store " : "credential helpers", store);
    warn(arg, text);
    return 0;
}

struct cw_docker_auth *cw_docker_auth_parse(struct cw_slice text,
                                            void (*warn)(void *arg, const char *text), void *arg,
                                            struct cw_err *err)
{
    cw_auto_json json_t *doc = cw_json_parse(text, CW_DOCKER_MAX_CONFIG, "config.json", err);
    struct cw_docker_auth *a;

    if (!doc)
        return NULL;
    if (!json_is_object(doc)) {
        (void)cw_fail(err, CW_INVALID, "config.json: expected an object");
        return NULL;
    }
    a = cw_alloc(sizeof(*a));
    if (read_auths(a, doc, err) != 0 || warn_of_helpers(doc, warn, arg, err) != 0) {
        cw_docker_auth_free(a);
        return NULL;
    }
    return a;
}

void cw_docker_auth_free(struct cw_docker_auth *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++) {
        free(a->entries[i].host);
        free(a->entries[i].header);
    }
    free(a->entries);
    free(a);
}

bool cw_docker_auth_header(const struct cw_docker_auth *a, const char *image, struct cw_str *out)
{
    struct cw_slice registry = cw_docker_image_registry(image);

    for (size_t i = 0; a && i < a->count; i++) {
        if (cw_slice_is(registry, a->entries[i].host)) {
            cw_str_addz(out, a->entries[i].header);
            return true;
        }
    }
    return false;
}
