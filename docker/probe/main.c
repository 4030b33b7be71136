/* docker/probe/main.c -- runs a program and tells, over TCP, what the container uses.
 *
 * Static and small, so that it can be mounted into any image. The program comes first: whatever of
 * the probe's own does not work (no token, the port is taken) is not served, and the program runs
 * all the same. Whoever asks then gets no connection, and says so. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "docker/probe/child.h"
#include "docker/probe/server.h"

enum { CANNOT_RUN = 126, USAGE_STATUS = 2 };

static int usage(FILE *to, int status)
{
    (void)fprintf(
        to,
        "usage: cwhisk-probe [--] PROGRAM [ARGUMENT...]\n\n"
        "Runs PROGRAM as an image's entrypoint, forwards signals to it, reaps what it leaves, ends "
        "with its status,\nand answers over TCP what the container uses: CPU time, memory, "
        "processes.\n\n"
        "environment, which PROGRAM does not get:\n"
        "  " CW_PROBE_TOKEN_ENV "   %d hexadecimal digits; without, nobody is answered\n"
        "  " CW_PROBE_PORT_ENV "    port, default %d\n",
        CW_PROBE_TOKEN_LEN, CW_PROBE_PORT);
    return status;
}

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct conf {
    bool serve;
    uint16_t port;
    char token[CW_PROBE_TOKEN_LEN + 1];
};

/* Takes both variables out of the environment, and the token out of what /proc shows of it. */
static void read_environment(struct conf *conf)
{
    char *token = getenv(CW_PROBE_TOKEN_ENV);
    int64_t port = CW_PROBE_PORT;
    const char *port_text = getenv(CW_PROBE_PORT_ENV);

    conf->serve =
        token && cw_probe_is_token(cw_slice_of(token)) &&
        (!port_text || cw_parse_i64(cw_slice_of(port_text), "", 1, 65535, &port, NULL) == 0);
    conf->port = (uint16_t)port;
    if (conf->serve)
        memcpy(conf->token, token, sizeof(conf->token));
    if (token)
        explicit_bzero(token, strlen(token));
    (void)unsetenv(CW_PROBE_TOKEN_ENV);
    (void)unsetenv(CW_PROBE_PORT_ENV);
}

static int watch(struct pb_child *child, struct pb_server *server)
{
    struct pollfd fds[PB_POLLED + 1];
    int status;

    for (;;) {
        int wait_ms = pb_server_poll(server, now_ns(), fds);

        fds[PB_POLLED] = (struct pollfd){.fd = child->signal_fd, .events = POLLIN};
        (void)poll(fds, PB_POLLED + 1, wait_ms);
        if (pb_child_signals(child, &status))
            return status;
        pb_server_turn(server, now_ns(), fds);
    }
}

static int run(char *const argv[])
{
    struct pb_child child;
    struct pb_server server;
    struct pb_figures figures;
    struct conf conf;

    read_environment(&conf);
    pb_figures_init(&figures, "/proc");
    pb_server_init(&server, conf.token, &figures);
    if (conf.serve)
        (void)pb_server_listen(&server, conf.port); /* before the program can take the port */
    if (!pb_child_prepare(&child) || !pb_child_start(&child, argv)) {
        (void)fprintf(stderr, "cwhisk-probe: cannot run %s: %s\n", argv[0], strerrordesc_np(errno));
        return CANNOT_RUN;
    }
    return watch(&child, &server);
}

int main(int argc, char **argv)
{
    int first = 1;

    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return (void)printf("cwhisk-probe %s\n", CW_VERSION), 0;
    if (argc > 1 && strcmp(argv[1], "--") == 0)
        first++;
    if (first >= argc || (first == 1 && argv[1][0] == '-'))
        return usage(stderr, USAGE_STATUS);
    return run(argv + first);
}
