/* Answers come from a privileged peer, but a proxy, a restarting engine or another program may sit
 * on that socket: everything is range-checked, and ids and addresses are copied only when they have
 * the expected form, since they end up in URLs, paths and log lines. */
#include "common/driver/docker_answer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/json/doc.h"

enum { API_MAJOR = 1, API_NEWEST = 51, API_OLDEST = 30, ID_LEN = 64 };

bool cw_docker_is_id(const char *text)
{
    return strlen(text) == ID_LEN && strspn(text, "0123456789abcdef") == ID_LEN;
}

/* "1.41" → 41 */
static int decode_api_version(const json_t *doc, const char *key, int64_t *ret_minor,
                              struct cw_err *err)
{
    const char *text;
    const char *dot;
    int64_t major;

    if (cw_json_get_string(doc, "docker version", key, true, &text, err) != 0)
        return -1;
    dot = strchr(text, '.');
    if (!dot ||
        cw_parse_i64(cw_slice(text, (size_t)(dot - text)), key, 0, 1000, &major, NULL) != 0 ||
        cw_parse_i64(cw_slice_of(dot + 1), key, 0, 100000, ret_minor, NULL) != 0 ||
        major != API_MAJOR)
        return cw_fail(err, CW_INVALID, "docker version: %s \"%.40s\": expected %d.<number>", key,
                       text, API_MAJOR);
    return 0;
}

static int check_linux(const json_t *doc, struct cw_err *err)
{
    const char *os = "linux";

    if (cw_json_get_string(doc, "docker version", "Os", false, &os, err) != 0)
        return -1;
    if (strcmp(os, "linux") != 0)
        return cw_fail(err, CW_INVALID, "docker version: Os \"%.40s\": expected linux", os);
    return 0;
}

int cw_docker_decode_version(struct cw_slice body, char ret_version[CW_DOCKER_VERSION_LEN],
                             struct cw_err *err)
{
    cw_auto_json json_t *doc = cw_json_parse(body, CW_DOCKER_SMALL_ANSWER, "docker version", err);
    int64_t newest = 0, oldest = 0;

    if (!doc || decode_api_version(doc, "ApiVersion", &newest, err) != 0 ||
        decode_api_version(doc, "MinAPIVersion", &oldest, err) != 0 || check_linux(doc, err) != 0)
        return -1;
    if (newest < API_OLDEST)
        return cw_fail(err, CW_INVALID, "docker: engine speaks API %d.%d, expected %d.%d or newer",
                       API_MAJOR, (int)newest, API_MAJOR, API_OLDEST);
    if (oldest > API_NEWEST)
        return cw_fail(err, CW_INVALID,
                       "docker: engine speaks API %d.%d or newer, expected %d.%d or older",
                       API_MAJOR, (int)oldest, API_MAJOR, API_NEWEST);
    if (newest > API_NEWEST)
        newest = API_NEWEST;
    (void)snprintf(ret_version, CW_DOCKER_VERSION_LEN, "%d.%d", API_MAJOR, (int)newest);
    return 0;
}

int cw_docker_decode_created(struct cw_slice body, char ret_id[65], struct cw_err *err)
{
    cw_auto_json json_t *doc = cw_json_parse(body, CW_DOCKER_SMALL_ANSWER, "docker create", err);
    const char *id;

    if (!doc || cw_json_get_string(doc, "docker create", "Id", true, &id, err) != 0)
        return -1;
    if (!cw_docker_is_id(id))
        return cw_fail(err, CW_INVALID, "docker create: Id \"%.80s\": expected %d hex digits", id,
                       ID_LEN);
    memcpy(ret_id, id, ID_LEN + 1);
    return 0;
}

static int decode_state(const json_t *doc, struct cw_docker_inspect *ret, struct cw_err *err)
{
    const char *const at = "docker inspect.State";
    const char *finished_at = "";
    const json_t *state;

    if (cw_json_get_object(doc, "docker inspect", "State", true, &state, err) != 0 ||
        cw_json_get_bool(state, at, "Running", true, &ret->running, err) != 0 ||
        cw_json_get_bool(state, at, "OOMKilled", false, &ret->oom_killed, err) != 0 ||
        cw_json_get_string(state, at, "FinishedAt", false, &finished_at, err) != 0 ||
        cw_json_get_int(state, at, "ExitCode", false, INT32_MIN, UINT32_MAX, &ret->exit_code,
                        err) != 0)
        return -1;
    /* Go's zero time stands for "not yet". */
    ret->finished =
        !ret->running && finished_at[0] && strncmp(finished_at, "0001-01-01T00:00:00", 19) != 0;
    return 0;
}

/* It is opened and read: only what is plainly the file that it names. */
static bool is_plain_path(const char *path)
{
    size_t n = strlen(path);

    return path[0] == '/' && !strstr(path, "/../") && (n < 3 || strcmp(path + n - 3, "/..") != 0);
}

static int decode_log_path(const json_t *doc, struct cw_docker_inspect *ret, struct cw_err *err)
{
    const char *path = "";

    if (cw_json_get_string(doc, "docker inspect", "LogPath", false, &path, err) != 0)
        return -1;
    if (strlen(path) >= sizeof(ret->log_path))
        return cw_fail(err, CW_TOO_LARGE, "docker inspect: LogPath: expected at most %zu bytes",
                       sizeof(ret->log_path) - 1);
    if (path[0] && !is_plain_path(path))
        return cw_fail(err, CW_INVALID, "docker inspect: LogPath \"%.80s\": expected /a/plain/path",
                       path);
    memcpy(ret->log_path, path, strlen(path) + 1);
    return 0;
}

static const json_t *choose_network(const json_t *networks, const char *name)
{
    const json_t *found = json_object_get(networks, name);
    void *only;

    if (found || json_object_size(networks) != 1)
        return found;
    only = json_object_iter((json_t *)networks); /* jansson's iterators are not const */
    return json_object_iter_value(only);
}

/* Numeric, and of one machine: "any" would be ourselves. */
static bool is_address(int family, const char *text)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (family == AF_INET)
        return inet_pton(AF_INET, text, &v4) == 1 && v4.s_addr != htonl(INADDR_ANY) &&
               !IN_MULTICAST(ntohl(v4.s_addr)) && v4.s_addr != htonl(INADDR_BROADCAST);
    return inet_pton(AF_INET6, text, &v6) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&v6) &&
           !IN6_IS_ADDR_MULTICAST(&v6);
}

static int decode_address(const json_t *network, struct cw_docker_inspect *ret, struct cw_err *err)
{
    const char *const at = "docker inspect.NetworkSettings.Networks";
    const char *v4 = "", *v6 = "";
    const char *text;

    if (cw_json_get_string(network, at, "IPAddress", false, &v4, err) != 0 ||
        cw_json_get_string(network, at, "GlobalIPv6Address", false, &v6, err) != 0)
        return -1;
    text = v4[0] ? v4 : v6;
    if (!text[0])
        return 0; /* exited meanwhile, or a network without addresses */
    if (!is_address(v4[0] ? AF_INET : AF_INET6, text) || strlen(text) >= sizeof(ret->address))
        return cw_fail(err, CW_INVALID, "%s: \"%.60s\": expected the numeric address of a machine",
                       at, text);
    memcpy(ret->address, text, strlen(text) + 1);
    return 0;
}

static int decode_network(const json_t *doc, const char *name, struct cw_docker_inspect *ret,
                          struct cw_err *err)
{
    const json_t *settings = NULL, *networks = NULL, *network;

    if (cw_json_get_object(doc, "docker inspect", "NetworkSettings", false, &settings, err) != 0 ||
        (settings && cw_json_get_object(settings, "docker inspect.NetworkSettings", "Networks",
                                        false, &networks, err) != 0))
        return -1;
    network = networks ? choose_network(networks, name) : NULL;
    return json_is_object(network) ? decode_address(network, ret, err) : 0;
}

int cw_docker_decode_inspect(struct cw_slice body, const char *network,
                             struct cw_docker_inspect *ret, struct cw_err *err)
{
    cw_auto_json json_t *doc = cw_json_parse(body, CW_DOCKER_INSPECT_ANSWER, "docker inspect", err);

    memset(ret, 0, sizeof(*ret));
    if (!doc || decode_state(doc, ret, err) != 0 || decode_log_path(doc, ret, err) != 0)
        return -1;
    return decode_network(doc, network, ret, err);
}

int cw_docker_check_cluster(struct cw_slice body, const char *cluster, struct cw_err *err)
{
    cw_auto_json json_t *doc = cw_json_parse(body, CW_DOCKER_INSPECT_ANSWER, "docker inspect", err);
    const json_t *config = NULL, *labels = NULL;
    const char *theirs = NULL;

    if (!doc || cw_json_get_object(doc, "docker inspect", "Config", false, &config, err) != 0 ||
        (config &&
         cw_json_get_object(config, "docker inspect.Config", "Labels", false, &labels, err) != 0) ||
        (labels && cw_json_get_string(labels, "docker inspect.Config.Labels", CW_LABEL_CLUSTER,
                                      false, &theirs, err) != 0))
        return -1;
    if (theirs && strcmp(theirs, cluster) != 0)
        return cw_fail(err, CW_CONFLICT,
                       "a container of cluster \"%.40s\" has it; give each deployment on this "
                       "engine a --uniqueName of its own",
                       theirs);
    return 0;
}

/* Links give a container further names of the form "/other/alias": only its own has one slash. */
static const char *own_name(const json_t *names)
{
    size_t i;
    const json_t *item;

    json_array_foreach(names, i, item)
    {
        const char *text = json_string_value(item);

        if (text && text[0] == '/' && !strchr(text + 1, '/'))
            return text + 1;
    }
    return NULL;
}

/* 1 when the element belongs to the list, 0 when not, -1 on error. */
static int decode_listed(const json_t *item, const char *prefix, struct cw_owned_container *ret,
                         struct cw_err *err)
{
    const json_t *names = NULL; /* a container that is being removed may have lost them */
    const json_t *labels = NULL;
    const char *state;

    if (cw_json_get_string(item, "docker ps[]", "Id", true, &ret->id, err) != 0 ||
        cw_json_get_array(item, "docker ps[]", "Names", false, &names, err) != 0 ||
        cw_json_get_object(item, "docker ps[]", "Labels", false, &labels, err) != 0 ||
        cw_json_get_string(item, "docker ps[]", "State", true, &state, err) != 0)
        return -1;
    if (!cw_docker_is_id(ret->id))
        return cw_fail(err, CW_INVALID, "docker ps[].Id \"%.80s\": expected %d hex digits", ret->id,
                       ID_LEN);
    ret->name = own_name(names);
    ret->cluster = json_string_value(json_object_get(labels, CW_LABEL_CLUSTER));
    ret->instance = json_string_value(json_object_get(labels, CW_LABEL_INSTANCE));
    ret->boot = json_string_value(json_object_get(labels, CW_LABEL_BOOT));
    ret->action = json_string_value(json_object_get(labels, CW_LABEL_ACTION));
    ret->created_s = json_integer_value(json_object_get(item, "Created")); /* Podman: a text */
    ret->dead = strcmp(state, "dead") == 0 || strcmp(state, "removing") == 0;
    ret->paused = strcmp(state, "paused") == 0;
    ret->running = ret->paused || strcmp(state, "running") == 0;
    return ret->name && strncmp(ret->name, prefix, strlen(prefix)) == 0;
}

static int decode_elements(const json_t *doc, const char *prefix, struct cw_owned_container *list,
                           size_t *ret_count, struct cw_err *err)
{
    size_t count = 0, i;
    const json_t *item;

    json_array_foreach(doc, i, item)
    {
        int match = decode_listed(item, prefix, &list[count], err);

        if (match < 0)
            return -1;
        count += (size_t)match;
    }
    *ret_count = count;
    return 0;
}

int cw_docker_decode_list(struct cw_slice body, const char *prefix,
                          struct cw_owned_container **ret_list, size_t *ret_count, json_t **ret_doc,
                          struct cw_err *err)
{
    cw_auto_json json_t *doc = cw_json_parse(body, CW_DOCKER_LIST_ANSWER, "docker ps", err);
    cw_auto_free struct cw_owned_container *list = NULL;

    if (!doc)
        return -1;
    if (!json_is_array(doc))
        return cw_fail(err, CW_INVALID, "docker ps: expected an array");
    list = cw_calloc(json_array_size(doc) + 1, sizeof(*list));
    if (decode_elements(doc, prefix, list, ret_count, err) != 0)
        return -1;
    *ret_list = CW_STEAL(list);
    *ret_doc = CW_STEAL(doc);
    return 0;
}

/* Docker's words, and Podman's. CW_MOMENT_COUNT: another one. */
static enum cw_moment moment_of(const char *action, bool network)
{
    static const struct {
        const char *action;
        enum cw_moment what;
        bool network;
    } WORDS[] = {
        {"create", CW_MOMENT_CREATE, false},   {"attach", CW_MOMENT_ATTACH, false},
        {"start", CW_MOMENT_START, false},     {"kill", CW_MOMENT_KILL, false},
        {"die", CW_MOMENT_DIE, false},         {"died", CW_MOMENT_DIE, false},
        {"destroy", CW_MOMENT_DESTROY, false}, {"remove", CW_MOMENT_DESTROY, false},
        {"connect", CW_MOMENT_CONNECT, true},  {"disconnect", CW_MOMENT_DISCONNECT, true},
    };

    for (size_t i = 0; i < CW_ARRAY_LEN(WORDS); i++)
        if (WORDS[i].network == network && strcmp(action, WORDS[i].action) == 0)
            return WORDS[i].what;
    return CW_MOMENT_COUNT;
}

static int64_t exit_code_of(const json_t *attributes)
{
    const char *text = json_string_value(json_object_get(attributes, "exitCode"));
    int64_t code;

    if (!text)
        text = json_string_value(json_object_get(attributes, "containerExitCode"));
    return cw_parse_i64(cw_slice_of(text), "exitCode", 0, INT32_MAX, &code, NULL) == 0 ? code : -1;
}

static int64_t event_time_us(const json_t *doc)
{
    int64_t nano = json_integer_value(json_object_get(doc, "timeNano"));
    int64_t seconds = json_integer_value(json_object_get(doc, "time"));

    if (nano > 0)
        return nano / 1000;
    return seconds > 0 && seconds < INT64_MAX / 1000000 ? seconds * 1000000 : 0;
}

/* Whose it is, by id and name: networks tell the id among their attributes. */
static bool take_container(const json_t *attributes, const char *id, const char *prefix,
                           bool network, struct cw_docker_event *ret)
{
    const char *name = network ? "" : json_string_value(json_object_get(attributes, "name"));

    if (network)
        id = json_string_value(json_object_get(attributes, "container"));
    if (!id || !cw_docker_is_id(id) || !name ||
        (!network && strncmp(name, prefix, strlen(prefix)) != 0))
        return false;
    memcpy(ret->id, id, ID_LEN + 1);
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    return true;
}

int cw_docker_decode_event(struct cw_slice line, const char *prefix, struct cw_docker_event *ret,
                           struct cw_err *err)
{
    cw_auto_json json_t *doc = cw_json_parse(line, CW_DOCKER_EVENT_LINE, "docker event", err);
    const json_t *actor = NULL, *attributes = NULL;
    const char *action = NULL, *id = NULL, *type = "container";
    bool network;

    if (!doc || cw_json_get_string(doc, "docker event", "Action", false, &action, err) != 0 ||
        cw_json_get_string(doc, "docker event", "Type", false, &type, err) != 0 ||
        cw_json_get_object(doc, "docker event", "Actor", false, &actor, err) != 0)
        return -1;
    network = strcmp(type, "network") == 0;
    if (!action || !actor || (ret->what = moment_of(action, network)) == CW_MOMENT_COUNT)
        return 0;
    if (cw_json_get_string(actor, "docker event.Actor", "ID", true, &id, err) != 0 ||
        cw_json_get_object(actor, "docker event.Actor", "Attributes", true, &attributes, err) != 0)
        return -1;
    if (!take_container(attributes, id, prefix, network, ret))
        return 0;
    ret->at_us = event_time_us(doc);
    ret->exit_code = exit_code_of(attributes);
    return 1;
}

void cw_docker_error_text(struct cw_slice body, char *out, size_t size)
{
    cw_auto_json json_t *doc = cw_json_parse(body, CW_DOCKER_SMALL_ANSWER, "docker error", NULL);
    const char *message = json_string_value(json_object_get(doc, "message"));
    size_t n;

    if (message) {
        (void)snprintf(out, size, "%s", message);
        return;
    }
    body = cw_slice_trim(body);
    n = body.n < size - 1 ? body.n : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = body.p[i] >= ' ' && body.p[i] <= '~' ? body.p[i] : '?';
    out[n] = '\0';
}

bool cw_docker_is_missing_executable(const char *error_text)
{
    /* The docker command line's own test for its exit status 127; case aside, crun says the same.
     * A missing shim reads alike but is the host's fault. */
    return (strcasestr(error_text, "executable file not found") ||
            strcasestr(error_text, "no such file or directory")) &&
           !strcasestr(error_text, "containerd-shim");
}

bool cw_docker_is_name_taken(int status, const char *error_text)
{
    return status == 409 || (status == 500 && strstr(error_text, "name is already in use"));
}

bool cw_docker_is_missing_image(const char *error_text)
{
    /* Docker; Podman before and since its version 4 */
    return strcasestr(error_text, "no such image") || strcasestr(error_text, "image not known");
}

int cw_docker_check_pull_line(struct cw_slice line, struct cw_err *err)
{
    cw_auto_json json_t *doc = NULL;
    const char *text = NULL;

    line = cw_slice_trim(line);
    if (line.n == 0)
        return 0;
    doc = cw_json_parse(line, CW_DOCKER_PULL_LINE, "docker pull", err);
    if (!doc)
        return -1;
    if (!json_is_object(doc))
        return cw_fail(err, CW_INVALID, "docker pull: expected an object");
    if (cw_json_get_string(doc, "docker pull", "error", false, &text, err) != 0)
        return -1;
    if (!text)
        text = json_string_value(json_object_get(json_object_get(doc, "errorDetail"), "message"));
    return text ? cw_fail(err, CW_NOT_FOUND, "docker pull: %s", text) : 0;
}
