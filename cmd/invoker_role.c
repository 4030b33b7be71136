/* cwhisk invoker: options, settings, log, loop, daemon. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/roles.h"
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "invoker/daemon.h"
#include "invoker/id_assign.h"
#include "invoker/settings.h"

enum {
    TEXT_MAX_BYTES = 1 << 20,
    LOG_AGAIN_MS = 20,
    LOG_END_MS = 500, /* for a log that nobody reads */
};

static void print_help(void)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, TEXT_MAX_BYTES);
    cw_conf_usage(inv_settings_table(), &text);
    (void)printf(
        "usage: cwhisk invoker {--id N | --uniqueName NAME} [options]\n\n"
        "Takes activation messages from Kafka, runs them in containers, acknowledges them "
        "and stores their\n"
        "records in CouchDB, in place of OpenWhisk's invoker and with its environment "
        "variables.\n\n"
        "options:\n%s"
        "  -Dkey=value               Sets any key, as in INVOKER_OPTS.\n"
        "  --print-config            Prints all settings as they would be used, and exits.\n"
        "  --print-reference F       Prints the reference of all settings as markdown or "
        "man, and exits.\n"
        "  --help                    Prints this, and exits.\n\n"
        "See cwhisk-invoker(8).\n",
        text.p);
}

/* What only prints: 0 or higher is the exit status, -1 means go on. */
static int print_and_exit(int argc, char **argv)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, TEXT_MAX_BYTES);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return 0;
        }
        if (strcmp(argv[i], "--print-reference") == 0) {
            if (i + 1 < argc && strcmp(argv[i + 1], "markdown") == 0)
                cw_conf_markdown(inv_settings_table(), &text);
            else if (i + 1 < argc && strcmp(argv[i + 1], "man") == 0)
                cw_conf_man(inv_settings_table(), &text);
            else
                return (void)fprintf(stderr,
                                     "cwhisk invoker: --print-reference takes markdown or man\n"),
                       2;
            (void)fputs(text.p, stdout);
            return 0;
        }
    }
    return -1;
}

/* Takes --print-config out of argv, which the settings do not know. */
static bool take_print_config(char **argv)
{
    char **to = argv;
    bool found = false;

    for (char **from = argv; *from; from++) {
        if (strcmp(*from, "--print-config") == 0)
            found = true;
        else
            *to++ = *from;
    }
    *to = NULL;
    return found;
}

/* What is said about the settings once there is a log. */
struct notes {
    struct cw_str unknown, includes;
};

static void on_note(void *arg, enum cw_conf_note what, const char *text, const char *origin)
{
    struct notes *n = arg;
    struct cw_str *out = what == CW_CONF_INCLUDE ? &n->includes : &n->unknown;

    cw_str_addz(out, out->n ? ", " : "");
    if (what == CW_CONF_INCLUDE)
        cw_str_addf(out, "\"%s\" (%s)", text, origin);
    else
        cw_str_addz(out, text);
}

static void log_notes(const struct notes *n)
{
    if (n->includes.n)
        cw_log(CW_LOG_INFO, NULL, "Invoker",
               "includes that are not read, the built-in defaults stand for them: %s",
               n->includes.p);
    if (n->unknown.n)
        cw_log(CW_LOG_INFO, NULL, "Invoker", "settings ignored here: %s", n->unknown.p);
}

static void use_mounted_containers_dir(struct inv_settings *s)
{
    struct stat st;

    if (s->containers_dir && s->containers_dir[0])
        return;
    free(s->containers_dir);
    s->containers_dir =
        stat("/containers", &st) == 0 && S_ISDIR(st.st_mode) ? cw_strdup("/containers") : NULL;
}

/* Where the docker command would look. */
static void use_home_docker_config(struct inv_settings *s, char *const *environment)
{
    cw_auto_str struct cw_str folder;

    cw_str_init(&folder, TEXT_MAX_BYTES);
    if (s->docker_config && s->docker_config[0])
        return;
    for (; *environment; environment++) {
        if (strncmp(*environment, "HOME=/", 6) != 0)
            continue;
        cw_str_addf(&folder, "%s/.docker", *environment + strlen("HOME="));
        free(s->docker_config);
        s->docker_config = cw_str_steal(&folder);
        return;
    }
}

/* By name, from ZooKeeper. A stop signal ends the waiting: CW_CANCELLED. */
static int assign_id(struct inv_settings *s, const sigset_t *stop, struct cw_err *err)
{
    struct inv_id_request request = {
        .zookeeper_hosts = s->zookeeper_hosts,
        .unique_name = s->unique_name,
        .overwrite_id = s->overwrite_id,
        .timeout_ms = s->zookeeper_ms,
    };
    int rc;

    if (!s->unique_name || !s->unique_name[0])
        return cw_fail(err, CW_INVALID,
                       "Either --id or --uniqueName must be configured with correct values: --id "
                       "0..1000000, or a name that ZooKeeper keeps an id for");
    if (inv_daemon_check(s, err) != 0)
        return -1;
    request.stop_fd = signalfd(-1, stop, SFD_CLOEXEC);
    if (request.stop_fd < 0)
        return cw_fail_errno(err, errno, "signalfd");
    rc = inv_id_assign(&request, &s->id, err);
    (void)close(request.stop_fd);
    return rc;
}

static void setup_log(const struct inv_settings *s, bool gather)
{
    cw_log_setup(&(struct cw_log_conf){.level = (enum cw_log_level)s->log_level,
                                       .format = (enum cw_log_format)s->log_format,
                                       .fd = 1,
                                       .gather = gather});
}

/* Lines that a full log does not take are tried again without waiting for other work. */
static void flush_log(void *arg)
{
    struct cw_timer *again = arg;

    if (!cw_log_flush() && !cw_timer_pending(again))
        cw_timer_set_ms(again, LOG_AGAIN_MS);
}

static void wake(void *arg)
{
    (void)arg; /* each turn flushes */
}

static int run_daemon(const struct inv_settings *s, const sigset_t *unblocked)
{
    struct cw_err err = {0};
    struct cw_loop *loop = cw_loop_new(NULL, &err);
    struct inv_daemon *daemon = loop ? inv_daemon_new(loop, s, &err) : NULL;
    struct cw_timer log_again;
    int status = 1;

    (void)sigprocmask(SIG_SETMASK, unblocked, NULL);
    if (daemon) {
        setup_log(s, true);
        cw_timer_init(&log_again, loop, wake, NULL);
        cw_loop_each_turn(loop, flush_log, &log_again);
        cw_loop_run(loop);
        cw_loop_each_turn(loop, NULL, NULL);
        cw_timer_done(&log_again);
        status = inv_daemon_status(daemon);
    } else {
        cw_log(CW_LOG_ERROR, NULL, "Invoker", "%s", err.msg);
    }
    inv_daemon_free(daemon);
    cw_loop_free(loop);
    cw_log_end(LOG_END_MS);
    return status;
}

/* Stop signals are held back until somebody takes them: the id's assignment by a descriptor, then
 * the loop. Process 1 of a container would lose those that come before it has handlers. */
static int run(struct inv_settings *s)
{
    struct cw_err err = {0};
    bool given = s->id >= 0;
    sigset_t stop, before;

    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &stop, &before);
    if ((given ? inv_daemon_check(s, &err) : assign_id(s, &stop, &err)) != 0) {
        cw_log(err.code == CW_CANCELLED ? CW_LOG_INFO : CW_LOG_ERROR, NULL, "Invoker", "%s",
               err.msg);
        return err.code == CW_CANCELLED ? 0 : 1;
    }
    if (given)
        cw_log(CW_LOG_INFO, NULL, "Invoker", "invokerReg: using proposedInvokerId %lld",
               (long long)s->id);
    return run_daemon(s, &before);
}

static void print_settings(const struct inv_settings *s)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, TEXT_MAX_BYTES);
    cw_conf_print(inv_settings_table(), s, &text);
    (void)fputs(text.p, stdout);
}

static int start(struct inv_settings *s, const struct notes *notes)
{
    (void)signal(SIGPIPE, SIG_IGN);
    setup_log(s, false);
    log_notes(notes);
    return run(s);
}

int role_invoker(int argc, char **argv, char **environment)
{
    struct inv_settings settings;
    struct cw_err err = {0};
    struct notes notes;
    bool print_config;
    int status = print_and_exit(argc, argv);

    if (status >= 0)
        return status;
    print_config = take_print_config(argv);
    cw_str_init(&notes.unknown, TEXT_MAX_BYTES);
    cw_str_init(&notes.includes, TEXT_MAX_BYTES);
    status = 0;
    if (cw_conf_load(inv_settings_table(), environment, argv, on_note, &notes, &settings, &err) !=
        0) {
        (void)fprintf(stderr, "cwhisk invoker: %s\n", err.msg);
        status = 1;
    } else {
        use_mounted_containers_dir(&settings);
        use_home_docker_config(&settings, environment);
        if (print_config)
            print_settings(&settings);
        else
            status = start(&settings, &notes);
        cw_conf_free(inv_settings_table(), &settings);
    }
    cw_str_done(&notes.unknown);
    cw_str_done(&notes.includes);
    return status;
}
