/* cwhisk agent: options, settings, log, loop, agent. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/roles.h"
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "invoker/agent/agent.h"
#include "invoker/agent/agent_settings.h"

enum { TEXT_MAX_BYTES = 1 << 16, NAME_MAX_BYTES = 128 };

static void print_help(void)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, TEXT_MAX_BYTES);
    cw_conf_usage(inv_agent_settings_table(), &text);
    (void)printf(
        "usage: cwhisk agent [options]\n\n"
        "Watches what the containers of a host use, where no invoker runs: by their control "
        "groups,\nwithout asking any engine. GET /metrics, /containers, /ping.\n\n"
        "options:\n%s"
        "  -Dkey=value               Sets any key.\n"
        "  --print-config            Prints all settings as they would be used, and exits.\n"
        "  --help                    Prints this, and exits.\n\n"
        "See cwhisk-agent(8).\n",
        text.p);
}

/* For docs: scripts/gen-docs. */
static int print_reference(const char *format)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, TEXT_MAX_BYTES);
    if (!format || strcmp(format, "man") != 0) {
        (void)fprintf(stderr, "cwhisk agent: --print-reference takes man\n");
        return 2;
    }
    cw_conf_man(inv_agent_settings_table(), &text);
    (void)fputs(text.p, stdout);
    return 0;
}

/* Is it among the words, which it is taken out of? */
static bool take_word(char **argv, const char *word)
{
    char **to = argv;
    bool found = false;

    for (char **from = argv; *from; from++) {
        if (strcmp(*from, word) == 0)
            found = true;
        else
            *to++ = *from;
    }
    *to = NULL;
    return found;
}

static int choose_name(struct inv_agent_settings *s, struct cw_err *err)
{
    char host[NAME_MAX_BYTES] = "";

    if (!*s->name) {
        if (gethostname(host, sizeof(host) - 1) != 0 || !host[0])
            return cw_fail(err, CW_INVALID, "cwhisk.agent.name: the machine has no name; give one");
        free(s->name);
        s->name = cw_strdup(host);
    }
    if (strlen(s->name) >= NAME_MAX_BYTES ||
        strspn(s->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
            strlen(s->name))
        return cw_fail(err, CW_INVALID,
                       "cwhisk.agent.name: \"%.80s\": expected 1..%d of [a-zA-Z0-9_.-]", s->name,
                       NAME_MAX_BYTES - 1);
    return 0;
}

static void stop(void *arg)
{
    cw_loop_stop(arg);
}

/* Settings that are not the agent's: said once there is a log. */
static void on_note(void *arg, enum cw_conf_note what, const char *text, const char *origin)
{
    struct cw_str *unknown = arg;

    (void)what, (void)origin;
    cw_str_addz(unknown, unknown->n ? ", " : "");
    cw_str_addz(unknown, text);
}

static int run(const struct inv_agent_settings *s)
{
    struct cw_err err = {0};
    struct cw_loop *loop = cw_loop_new(NULL, &err);
    struct inv_agent *agent = loop ? inv_agent_new(loop, s, &err) : NULL;
    struct cw_watch term, interrupt;

    if (agent) {
        cw_watch_signal(&term, loop, SIGTERM, stop, loop);
        cw_watch_signal(&interrupt, loop, SIGINT, stop, loop);
        cw_loop_run(loop);
        cw_watch_done(&term);
        cw_watch_done(&interrupt);
        cw_log(CW_LOG_INFO, NULL, "Agent", "stopped");
    } else {
        cw_log(CW_LOG_ERROR, NULL, "Agent", "%s", err.msg);
    }
    inv_agent_free(agent);
    cw_loop_free(loop);
    return agent ? 0 : 1;
}

static int start(const struct inv_agent_settings *s, bool print, const struct cw_str *unknown)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, TEXT_MAX_BYTES);
    if (print) {
        cw_conf_print(inv_agent_settings_table(), s, &text);
        (void)fputs(text.p, stdout);
        return 0;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    cw_log_setup(&(struct cw_log_conf){.level = (enum cw_log_level)s->log_level,
                                       .format = (enum cw_log_format)s->log_format,
                                       .fd = 1});
    if (unknown->n)
        cw_log(CW_LOG_WARN, NULL, "Agent", "settings ignored here: %s", unknown->p);
    return run(s);
}

int role_agent(int argc, char **argv, char **environment)
{
    struct inv_agent_settings settings;
    cw_auto_str struct cw_str unknown;
    struct cw_err err = {0};
    int status = 1;
    bool print;

    cw_str_init(&unknown, TEXT_MAX_BYTES);
    if (argc > 1 && strcmp(argv[1], "--print-reference") == 0)
        return print_reference(argv[2]);
    if (take_word(argv, "--help") || take_word(argv, "-h")) {
        print_help();
        return 0;
    }
    print = take_word(argv, "--print-config");
    if (cw_conf_load(inv_agent_settings_table(), environment, argv, on_note, &unknown, &settings,
                     &err) != 0) {
        (void)fprintf(stderr, "cwhisk agent: %s\n", err.msg);
        return status;
    }
    if (choose_name(&settings, &err) != 0)
        (void)fprintf(stderr, "cwhisk agent: %s\n", err.msg);
    else
        status = start(&settings, print, &unknown);
    cw_conf_free(inv_agent_settings_table(), &settings);
    return status;
}
