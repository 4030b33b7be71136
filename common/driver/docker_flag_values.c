/* Flags whose values have a grammar of their own, read as the docker command reads them. Paths are
 * those of the engine's host; only a seccomp profile is a file of ours. */
#include <errno.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/driver/docker_flags.h"
#include "common/driver/docker_flags_priv.h"
#include "common/json/doc.h"

static json_t *string_of(struct cw_slice text)
{
    return json_stringn(text.n ? text.p : "", text.n);
}

static bool is_absolute(struct cw_slice path)
{
    return path.n && path.p[0] == '/';
}

/* host:address; the command's newer spelling host=address becomes the engine's. */
int cw_docker_flag_add_host(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    struct cw_slice host, address;
    size_t n = strcspn(value.p, ":=");
    cw_auto_str struct cw_str text;

    cw_str_init(&text, value.n);
    if (n >= value.n || n == 0 || !cw_docker_flag_cut(value, value.p[n], &host, &address) ||
        address.n == 0)
        return cw_fail(err, CW_INVALID, "host:address");
    cw_str_adds(&text, host);
    cw_str_addc(&text, ':');
    cw_str_adds(&text, address);
    cw_docker_flag_append(body, at, string_of(cw_str_slice(&text)));
    return 0;
}

int cw_docker_flag_env(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    struct cw_slice name, text;

    /* The command would take a bare name's value from its own environment, which is ours: full of
     * what actions must not see. */
    if (!cw_docker_flag_cut(value, '=', &name, &text) || name.n == 0)
        return cw_fail(err, CW_INVALID, "NAME=value");
    cw_docker_flag_append(body, at, string_of(value));
    return 0;
}

int cw_docker_flag_label(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    static const char OURS[] = "org.cwhisk.";
    struct cw_slice name, text;

    (void)cw_docker_flag_cut(value, '=', &name, &text);
    if (name.n == 0)
        return cw_fail(err, CW_INVALID, "name=value");
    if (name.n >= sizeof(OURS) - 1 && memcmp(name.p, OURS, sizeof(OURS) - 1) == 0)
        return cw_fail(err, CW_INVALID, "a name that does not begin with %s", OURS);
    cw_docker_flag_put(body, at, name, string_of(text));
    return 0;
}

/* path[:path in the container[:permissions]] */
int cw_docker_flag_device(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    struct cw_slice host, inside, rest, mode;

    (void)cw_docker_flag_cut(value, ':', &host, &rest);
    (void)cw_docker_flag_cut(rest, ':', &inside, &mode);
    if (inside.n && !is_absolute(inside) && mode.n == 0) { /* "/dev/x:rw" */
        mode = inside;
        inside = host;
    }
    if (inside.n == 0)
        inside = host;
    if (mode.n == 0)
        mode = CW_SLICE("rwm");
    if (!is_absolute(host) || !is_absolute(inside) || mode.n > 3)
        return cw_fail(err, CW_INVALID, "/path[:/path in the container[:rwm]]");
    for (size_t i = 0; i < mode.n; i++)
        if (!memchr("rwm", mode.p[i], 3))
            return cw_fail(err, CW_INVALID, "permissions of r, w and m");
    cw_docker_flag_append(body, at,
                          json_pack("{s:o,s:o,s:o}", "PathOnHost", string_of(host),
                                    "PathInContainer", string_of(inside), "CgroupPermissions",
                                    string_of(mode)));
    return 0;
}

static int add_rate(json_t *body, const char *at, struct cw_slice path, int64_t rate,
                    struct cw_err *err)
{
    if (!is_absolute(path))
        return cw_fail(err, CW_INVALID, "/path:rate");
    cw_docker_flag_append(
        body, at, json_pack("{s:o,s:I}", "Path", string_of(path), "Rate", (json_int_t)rate));
    return 0;
}

int cw_docker_flag_rate_bytes(json_t *body, const char *at, struct cw_slice value,
                              struct cw_err *err)
{
    struct cw_slice path, rate;
    int64_t n = 0;

    (void)cw_docker_flag_cut(value, ':', &path, &rate);
    if (cw_docker_flag_bytes(rate, &n, NULL) != 0)
        return cw_fail(err, CW_INVALID, "/path:bytes a second, such as /dev/sda:1mb");
    return add_rate(body, at, path, n, err);
}

int cw_docker_flag_rate_io(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    struct cw_slice path, rate;
    int64_t n = 0;

    (void)cw_docker_flag_cut(value, ':', &path, &rate);
    if (cw_parse_i64(rate, "rate", 0, INT64_MAX, &n, NULL) != 0)
        return cw_fail(err, CW_INVALID, "/path:operations a second");
    return add_rate(body, at, path, n, err);
}

/* all, a number, or device=ID[,ID] */
int cw_docker_flag_gpus(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    struct cw_slice name, ids, id;
    int64_t count = 0;
    json_t *request;

    if (cw_slice_is(value, "all"))
        count = -1;
    (void)cw_docker_flag_cut(value, '=', &name, &ids);
    if (count == 0 && !cw_slice_is(name, "device") &&
        cw_parse_i64(value, "gpus", 1, 1024, &count, NULL) != 0)
        return cw_fail(err, CW_INVALID, "all, a number, or device=ID,ID");
    request = json_pack("{s:s,s:I,s:[[s]]}", "Driver", "", "Count", (json_int_t)count,
                        "Capabilities", "gpu");
    while (count == 0 && ids.n) {
        (void)cw_docker_flag_cut(ids, ',', &id, &ids);
        cw_docker_flag_append(request, "DeviceIDs", string_of(id));
    }
    cw_docker_flag_append(body, at, request);
    return 0;
}

/* ---- mounts ---- */

/* [source:]target[:options]; a target alone is an anonymous volume. */
int cw_docker_flag_volume(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    struct cw_slice source, rest, target, options;

    if (!cw_docker_flag_cut(value, ':', &source, &rest)) {
        if (!is_absolute(value))
            return cw_fail(err, CW_INVALID, "[source:]/target[:options]");
        cw_docker_flag_put(body, "Volumes", value, json_object());
        return 0;
    }
    (void)cw_docker_flag_cut(rest, ':', &target, &options);
    /* The command would make ./x absolute; relative to what, on another machine? */
    if (source.n == 0 || source.p[0] == '.' || source.p[0] == '~' || !is_absolute(target))
        return cw_fail(err, CW_INVALID, "source:/target[:options], source a volume or /path");
    cw_docker_flag_append(body, at, string_of(value));
    return 0;
}

/* /path[:options] */
int cw_docker_flag_tmpfs(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    struct cw_slice path, options;

    (void)cw_docker_flag_cut(value, ':', &path, &options);
    if (!is_absolute(path))
        return cw_fail(err, CW_INVALID, "/path[:options]");
    cw_docker_flag_put(body, at, path, string_of(options));
    return 0;
}

static bool is_octal(struct cw_slice text, int64_t *ret)
{
    *ret = 0;
    if (text.n == 0 || text.n > 6)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7')
            return false;
        *ret = *ret * 8 + (text.p[i] - '0');
    }
    return true;
}

static int put_mount_text(json_t *mount, const char *key, struct cw_slice v)
{
    json_object_set_new(mount, key, string_of(v));
    return 0;
}

static bool is_mount_switch(struct cw_slice key)
{
    return cw_slice_is(key, "readonly") || cw_slice_is(key, "ro") ||
           cw_slice_is(key, "volume-nocopy");
}

/* One field of --mount. -1: unknown, or a value of the wrong form. */
static int put_mount_field(json_t *mount, struct cw_slice key, struct cw_slice v, bool bare)
{
    const char *last;
    bool on = true;
    int64_t n;

    if (cw_slice_is(key, "type"))
        return put_mount_text(mount, "Type", v);
    if (cw_slice_is(key, "source") || cw_slice_is(key, "src"))
        return put_mount_text(mount, "Source", v);
    if (cw_slice_is(key, "target") || cw_slice_is(key, "dst") || cw_slice_is(key, "destination"))
        return put_mount_text(mount, "Target", v);
    if (cw_slice_is(key, "bind-propagation"))
        return put_mount_text(cw_docker_flag_parent(mount, "BindOptions.x", &last), "Propagation",
                              v);
    if (!bare && is_mount_switch(key) && cw_docker_flag_bool(v, &on, NULL) != 0)
        return -1;
    if (cw_slice_is(key, "readonly") || cw_slice_is(key, "ro"))
        return json_object_set_new(mount, "ReadOnly", json_boolean(on));
    if (cw_slice_is(key, "volume-nocopy"))
        return json_object_set_new(cw_docker_flag_parent(mount, "VolumeOptions.x", &last), "NoCopy",
                                   json_boolean(on));
    if (cw_slice_is(key, "tmpfs-size") && cw_docker_flag_bytes(v, &n, NULL) == 0)
        return json_object_set_new(cw_docker_flag_parent(mount, "TmpfsOptions.x", &last),
                                   "SizeBytes", json_integer(n));
    if (cw_slice_is(key, "tmpfs-mode") && is_octal(v, &n))
        return json_object_set_new(cw_docker_flag_parent(mount, "TmpfsOptions.x", &last), "Mode",
                                   json_integer(n));
    return -1;
}

static int check_mount(const json_t *mount, struct cw_err *err)
{
    const char *type = json_string_value(json_object_get(mount, "Type"));
    const char *source = json_string_value(json_object_get(mount, "Source"));
    const char *target = json_string_value(json_object_get(mount, "Target"));

    if (strcmp(type, "bind") != 0 && strcmp(type, "volume") != 0 && strcmp(type, "tmpfs") != 0)
        return cw_fail(err, CW_INVALID, "type bind, volume or tmpfs");
    if (!target || target[0] != '/')
        return cw_fail(err, CW_INVALID, "target=/path");
    if (strcmp(type, "bind") == 0 && (!source || source[0] != '/'))
        return cw_fail(err, CW_INVALID, "source=/path for a bind mount");
    return 0;
}

/* type=bind,source=/a,target=/b,readonly and so on */
int cw_docker_flag_mount(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    cw_auto_json json_t *mount = json_pack("{s:s}", "Type", "volume");
    struct cw_slice field, rest = value;

    while (rest.n) {
        struct cw_slice key, text;
        bool bare;

        (void)cw_docker_flag_cut(rest, ',', &field, &rest);
        bare = !cw_docker_flag_cut(field, '=', &key, &text);
        if (put_mount_field(mount, key, text, bare) != 0)
            return cw_fail(err, CW_INVALID,
                           "type, source, target, readonly, bind-propagation, volume-nocopy, "
                           "tmpfs-size, tmpfs-mode; not %.*s",
                           (int)(field.n > 40 ? 40 : field.n), field.p);
    }
    if (check_mount(mount, err) != 0)
        return -1;
    cw_docker_flag_append(body, at, CW_STEAL(mount));
    return 0;
}

/* ---- limits, security ---- */

/* name=soft[:hard]; -1 is no limit */
int cw_docker_flag_ulimit(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    struct cw_slice name, limits, soft_text, hard_text;
    int64_t soft = 0, hard = 0;

    (void)cw_docker_flag_cut(value, '=', &name, &limits);
    if (!cw_docker_flag_cut(limits, ':', &soft_text, &hard_text))
        hard_text = soft_text;
    if (name.n == 0 || cw_parse_i64(soft_text, "soft", -1, INT64_MAX, &soft, NULL) != 0 ||
        cw_parse_i64(hard_text, "hard", -1, INT64_MAX, &hard, NULL) != 0 ||
        (hard != -1 && (soft == -1 || soft > hard)))
        return cw_fail(err, CW_INVALID, "name=soft[:hard], soft not over hard");
    cw_docker_flag_append(body, at,
                          json_pack("{s:o,s:I,s:I}", "Name", string_of(name), "Soft",
                                    (json_int_t)soft, "Hard", (json_int_t)hard));
    return 0;
}

static json_t *read_profile(const char *path, struct cw_err *err)
{
    FILE *f = fopen(path, "rbe");
    cw_auto_free char *text = cw_alloc(CW_DOCKER_MAX_PROFILE + 1);
    size_t n;

    if (!f) {
        (void)cw_fail(err, CW_INVALID, "a readable file: %s", strerror(errno));
        return NULL;
    }
    n = fread(text, 1, CW_DOCKER_MAX_PROFILE + 1, f);
    (void)fclose(f);
    if (n > CW_DOCKER_MAX_PROFILE) {
        (void)cw_fail(err, CW_TOO_LARGE, "a file of at most %d bytes", CW_DOCKER_MAX_PROFILE);
        return NULL;
    }
    return cw_json_parse(cw_slice(text, n), CW_DOCKER_MAX_PROFILE, "a JSON file", err);
}

/* The engine wants the profile itself, not its name. */
static int add_profile(json_t *body, const char *at, struct cw_slice path, struct cw_err *err)
{
    cw_auto_free char *name = cw_slice_dup(path);
    cw_auto_json json_t *profile = read_profile(name, err);
    cw_auto_free char *text = profile ? json_dumps(profile, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (!text)
        return -1;
    cw_docker_flag_append(body, at, json_sprintf("seccomp=%s", text));
    return 0;
}

static void unmask_paths(json_t *body)
{
    const char *key;
    json_t *host = cw_docker_flag_parent(body, "HostConfig.x", &key);

    json_object_set_new(host, "MaskedPaths", json_array());
    json_object_set_new(host, "ReadonlyPaths", json_array());
}

int cw_docker_flag_security(json_t *body, const char *at, struct cw_slice value, struct cw_err *err)
{
    struct cw_slice name, text;
    bool has_value = cw_docker_flag_cut(value, '=', &name, &text);

    if (!has_value)
        has_value = cw_docker_flag_cut(value, ':', &name, &text);
    if (!has_value && !cw_slice_is(name, "no-new-privileges"))
        return cw_fail(err, CW_INVALID, "name=value or no-new-privileges");
    if (cw_slice_is(name, "systempaths") && cw_slice_is(text, "unconfined")) {
        unmask_paths(body);
        return 0;
    }
    if (cw_slice_is(name, "seccomp") && !cw_slice_is(text, "unconfined") &&
        !cw_slice_is(text, "builtin"))
        return add_profile(body, at, text, err);
    cw_docker_flag_append(body, at, string_of(value));
    return 0;
}
