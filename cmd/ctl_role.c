/* cwhisk ctl: asks an invoker, and shows what it says. */
#include <getopt.h>
#include <signal.h>

#include "cmd/ctl.h"
#include "cmd/roles.h"
#include "common/base/err.h"
#include "common/base/quantity.h"
#include "common/http/client.h"
#include "common/json/doc.h"

enum { DEFAULT_TIMEOUT_MS = 10000, DEFAULT_WATCH_MS = 2000, PATH_MAX_BYTES = 16 << 10 };

#define COLUMNS(table) .columns = (table), .column_count = CW_ARRAY_LEN(table)

/* clang-format off */
static const struct ctl_column HOST_COLUMNS[] = {
    {"INVOKER", "invoker", CTL_TEXT},
    {"STATE", "state", CTL_TEXT},
    {"RUNNING", "running", CTL_TEXT},
    {"QUEUED", "queued", CTL_TEXT},
    {"IDLE", "idle", CTL_TEXT},
    {"MEMORY", "memoryTotal", CTL_BYTES},
    {"RESERVED", "memoryReserved", CTL_BYTES},
    {"USED", "memoryUsed", CTL_BYTES},
    {"CORES", "cpuTotal", CTL_CORES},
    {"NEEDED", "cpuReserved", CTL_CORES},
    {"BUSY", "cpuUsed", CTL_CORES},
    {"STARTING", "starting", CTL_TEXT},
    {"IN-TOPIC", "lag", CTL_TEXT},
    {"SET", "set", CTL_TEXT},
    {"SEEN", "ageMs", CTL_SECONDS},
};
static const struct ctl_column CONTAINER_COLUMNS[] = {
    {"ACTION", "action", CTL_TEXT},
    {"STATE", "state", CTL_TEXT},
    {"JOBS", "jobs", CTL_TEXT},
    {"LIMIT", "memoryLimit", CTL_BYTES},
    {"NEED", "memoryNeed", CTL_BYTES},
    {"USED", "memoryUsed", CTL_BYTES},
    {"CPU-NEED", "cpuNeed", CTL_CORES},
    {"CPU", "cpuMillis", CTL_CORES},
    {"IDLE", "idleMs", CTL_SECONDS},
    {"NAME", "name", CTL_TEXT},
};
static const struct ctl_column PROFILE_COLUMNS[] = {
    {"OF", "of", CTL_TEXT},
    {"MEMORY", "memoryBytes", CTL_BYTES},
    {"CPU", "cpuMillis", CTL_CORES},
    {"RUNS", "runs", CTL_TEXT},
    {"WHY", "why", CTL_TEXT},
};
static const struct ctl_column EVENT_COLUMNS[] = {
    {"TIME", "time", CTL_TEXT},
    {"EVENT", "event", CTL_TEXT},
    {"CONTAINER", "container", CTL_TEXT},
    {"TOOK", "tookUs", CTL_MILLIS},
    {"DETAIL", "detail", CTL_TEXT},
};
static const struct ctl_column CLEAN_COLUMNS[] = {
    {"NAME", "name", CTL_TEXT},
    {"REASON", "reason", CTL_TEXT},
    {"STATE", "state", CTL_TEXT},
    {"ACTION", "action", CTL_TEXT},
    {"AGE", "ageMs", CTL_SECONDS},
    {"MEMORY", "memoryBytes", CTL_BYTES},
    {"RESULT", "result", CTL_TEXT},
};

static const struct ctl_command COMMANDS[] = {
    {.name = "hosts", .arguments = "", .help = "invokers of the cluster and their load", .path = "/hosts", .list = "hosts", .id = "invoker", COLUMNS(HOST_COLUMNS)},
    {.name = "containers", .arguments = "", .help = "containers that the invoker holds", .path = "/containers", .list = "containers", .id = "name", COLUMNS(CONTAINER_COLUMNS)},
    {.name = "profile", .arguments = "ACTION", .help = "what an action needs, and why that is thought", .path = "/profile?action=%s", .list = "profile", .id = "of", COLUMNS(PROFILE_COLUMNS)},
    {.name = "events", .arguments = "", .help = "what has happened to containers; --watch goes on", .path = "/events", .list = "events", .id = "seq", COLUMNS(EVENT_COLUMNS), .run = ctl_run_events},
    {.name = "clean", .arguments = "[--dry-run]", .help = "removes containers that nobody needs, or only lists them", .path = "/clean", .list = "containers", .id = "name", COLUMNS(CLEAN_COLUMNS), .run = ctl_run_clean},
};
/* clang-format on */

static void usage(FILE *to)
{
    (void)fputs("usage: cwhisk ctl [options] COMMAND [arguments]\n\ncommands:\n", to);
    for (size_t i = 0; i < CW_ARRAY_LEN(COMMANDS); i++)
        (void)fprintf(to, "  %-10s %-12s %s\n", COMMANDS[i].name, COMMANDS[i].arguments,
                      COMMANDS[i].help);
    (void)fputs(
        "\noptions:\n"
        "  --url URL            The invoker's administration port; default: CWHISK_CTL_URL, or\n"
        "                       http://127.0.0.1:8080.\n"
        "  --credentials FILE   USER:PASSWORD; default: CONFIG_whisk_invoker_username and\n"
        "                       CONFIG_whisk_invoker_password, or the invoker's defaults.\n"
        "  --ca FILE            Authorities (PEM) that the invoker's certificate is checked "
        "with.\n"
        "  --cert FILE          Certificate (PEM) to show to the invoker, and\n"
        "  --key FILE           its key.\n"
        "  --insecure           Does not check the invoker's certificate.\n"
        "  --timeout TIME       For each answer; default: 10 s.\n"
        "  --json               The invoker's JSON instead of a table.\n"
        "  --watch[=TIME]       Again and again, each 2 s or TIME: a table in place on a "
        "terminal,\n"
        "                       else one line per change.\n"
        "  --help               Prints this, and exits.\n\nSee cwhisk-ctl(1).\n",
        to);
}

enum ctl_status ctl_fail(enum ctl_status status, const struct cw_err *err)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "cwhisk ctl: %s\n", err->msg);
    return status;
}

enum ctl_status ctl_bad_argument(const struct ctl *c, const char *argument)
{
    struct cw_err err = {0};

    (void)cw_fail(&err, CW_INVALID, "%s: unexpected argument \"%s\"; accepted: %s",
                  c->command->name, argument,
                  c->command->arguments[0] ? c->command->arguments : "none");
    return ctl_fail(CTL_USAGE, &err);
}

/* ---- lists ---- */

static enum ctl_status make_path(const struct ctl *c, char **arguments, struct cw_str *path)
{
    const char *hole = strstr(c->command->path, "%s");
    struct cw_err err = {0};

    if (hole && !arguments[0]) {
        (void)cw_fail(&err, CW_INVALID, "%s: %s is missing", c->command->name,
                      c->command->arguments);
        return ctl_fail(CTL_USAGE, &err);
    }
    if (arguments[0] && (!hole || arguments[1]))
        return ctl_bad_argument(c, arguments[hole ? 1 : 0]);
    if (!hole) {
        cw_str_addz(path, c->command->path);
        return CTL_DONE;
    }
    cw_str_add(path, c->command->path, (size_t)(hole - c->command->path));
    cw_url_encode(path, cw_slice_of(arguments[0]));
    cw_str_addz(path, hole + 2);
    return CTL_DONE;
}

static enum ctl_status show_once(struct ctl *c, const char *path, struct ctl_view *view,
                                 struct cw_err *err)
{
    cw_auto_json json_t *doc = NULL;
    const json_t *rows;
    enum ctl_status status = ctl_ask(c, "GET", path, 0, &doc, err);

    if (status != CTL_DONE)
        return status;
    rows = ctl_rows(c->command, doc, err);
    if (!rows)
        return CTL_FAILED;
    if (c->watch_ms)
        ctl_view_update(view, c, rows);
    else if (c->json)
        ctl_print_json(stdout, doc);
    else
        ctl_print_table(stdout, c->command, rows);
    return CTL_DONE;
}

/* An invoker that is away for a while is waited for; one that refuses is not. */
static bool goes_on(enum ctl_status status, enum ctl_status before, const struct cw_err *err)
{
    if (status == CTL_DONE)
        return true;
    if (status != CTL_UNREACHABLE && status != CTL_FAILED)
        return false;
    if (before == CTL_DONE)
        (void)ctl_fail(status, err);
    return true;
}

enum ctl_status ctl_run_list(struct ctl *c, char **arguments)
{
    struct ctl_view view = {0};
    struct cw_err err = {0};
    cw_auto_str struct cw_str path;
    enum ctl_status status, before;

    cw_str_init(&path, PATH_MAX_BYTES);
    status = make_path(c, arguments, &path);
    if (status != CTL_DONE)
        return status;
    status = show_once(c, path.p, &view, &err);
    while (c->watch_ms && status == CTL_DONE) { /* the first time has to succeed */
        do {
            ctl_wait(c, c->watch_ms);
            before = status;
            status = show_once(c, path.p, &view, &err);
        } while (goes_on(status, before, &err));
    }
    ctl_view_done(&view);
    return status == CTL_DONE ? status : ctl_fail(status, &err);
}

/* ---- options ---- */

enum option_id {
    OPT_URL = 256,
    OPT_CREDENTIALS,
    OPT_CA,
    OPT_CERT,
    OPT_KEY,
    OPT_INSECURE,
    OPT_TIMEOUT,
    OPT_JSON,
    OPT_WATCH,
    OPT_DRY_RUN,
    OPT_HELP
};

static const struct option OPTIONS[] = {
    {"url", required_argument, NULL, OPT_URL},
    {"credentials", required_argument, NULL, OPT_CREDENTIALS},
    {"ca", required_argument, NULL, OPT_CA},
    {"cert", required_argument, NULL, OPT_CERT},
    {"key", required_argument, NULL, OPT_KEY},
    {"insecure", no_argument, NULL, OPT_INSECURE},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"json", no_argument, NULL, OPT_JSON},
    {"watch", optional_argument, NULL, OPT_WATCH},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

/* A number without a unit is seconds here. */
static int parse_time(const char *text, const char *option, int64_t *ret_ms, struct cw_err *err)
{
    static const int64_t MAX_MS = INT64_C(86400000);
    bool plain = strspn(text, "0123456789.") == strlen(text);
    char with_unit[64];

    (void)snprintf(with_unit, sizeof(with_unit), "%s%s", text, plain ? " s" : "");
    if (strlen(text) > sizeof(with_unit) - 4 ||
        cw_parse_duration(cw_slice_of(with_unit), ret_ms, NULL) != 0 || *ret_ms < 1 ||
        *ret_ms > MAX_MS)
        return cw_fail(err, CW_INVALID, "--%s %s: accepted: 0.001 to 86400 seconds, or with a unit",
                       option, text);
    return 0;
}

static int take_option(struct ctl *c, struct ctl_access *a, int option, const char *word,
                       struct cw_err *err)
{
    switch (option) {
    case OPT_URL:
        a->url = optarg;
        return 0;
    case OPT_CREDENTIALS:
        a->credentials_file = optarg;
        return 0;
    case OPT_CA:
        a->ca_file = optarg;
        return 0;
    case OPT_CERT:
        a->cert_file = optarg;
        return 0;
    case OPT_KEY:
        a->key_file = optarg;
        return 0;
    case OPT_INSECURE:
        a->insecure = true;
        return 0;
    case OPT_JSON:
        c->json = true;
        return 0;
    case OPT_TIMEOUT:
        return parse_time(optarg, "timeout", &c->timeout_ms, err);
    case OPT_WATCH:
        c->watch_ms = DEFAULT_WATCH_MS;
        return optarg ? parse_time(optarg, "watch", &c->watch_ms, err) : 0;
    case ':':
        return cw_fail(err, CW_INVALID, "%s: its value is missing; see --help", word);
    default:
        return cw_fail(err, CW_INVALID, "%s: unknown option; see --help", word);
    }
}

static const struct ctl_command *find_command(const char *name)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(COMMANDS); i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    return NULL;
}

static enum ctl_status tell_unknown(const char *name)
{
    struct cw_err err = {0};
    char names[128] = "";
    size_t n = 0;

    for (size_t i = 0; i < CW_ARRAY_LEN(COMMANDS); i++)
        n +=
            (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", COMMANDS[i].name);
    (void)cw_fail(&err, CW_INVALID, "unknown command \"%s\"; accepted: %s", name, names);
    return ctl_fail(CTL_USAGE, &err);
}

static enum ctl_status run(struct ctl *c, const struct ctl_access *access, char **environment,
                           char **arguments)
{
    struct cw_err err = {0};
    enum ctl_status status;

    if (ctl_connect(c, access, environment, &err) != 0)
        status = ctl_fail(CTL_USAGE, &err);
    else
        status = c->command->run ? c->command->run(c, arguments) : ctl_run_list(c, arguments);
    ctl_disconnect(c);
    if (fflush(stdout) != 0 && status == CTL_DONE)
        status = CTL_FAILED;
    return status;
}

/* Options may stand before and after the command; what is no option of ours is the command's. */
int role_ctl(int argc, char **argv, char **environment)
{
    struct ctl c = {.timeout_ms = DEFAULT_TIMEOUT_MS};
    struct ctl_access access = {0};
    struct cw_err err = {0};
    char **arguments = cw_calloc((size_t)argc + 1, sizeof(*arguments));
    int option, status = CTL_USAGE, n = 0;

    (void)signal(SIGPIPE, SIG_DFL); /* `| head` ends us */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "-:h", OPTIONS, NULL)) != -1) {
        if (option == 1) {
            arguments[n++] = optarg;
        } else if (option == OPT_DRY_RUN) {
            arguments[n++] = argv[optind - 1]; /* the command's */
        } else if (option == 'h' || option == OPT_HELP) {
            usage(stdout);
            free(arguments);
            return CTL_DONE;
        } else if (take_option(&c, &access, option, argv[optind - 1], &err) != 0) {
            status = ctl_fail(CTL_USAGE, &err);
            free(arguments);
            return status;
        }
    }
    while (optind < argc) /* after "--" */
        arguments[n++] = argv[optind++];
    if (n == 0) {
        usage(stderr);
    } else if (!(c.command = find_command(arguments[0]))) {
        status = tell_unknown(arguments[0]);
    } else {
        status = run(&c, &access, environment, arguments + 1);
    }
    free(arguments);
    return status;
}
