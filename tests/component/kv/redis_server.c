/* Debian's redis-server is a link to redis-check-rdb, which looks at its name: no package with a
 * service is needed. */
#include "tests/component/kv/redis_server.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"

enum { WORDS_MAX = 32 };

struct redis_server {
    pid_t pid;
};

static void must(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

uint16_t redis_free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)&addr, &len) == 0, "getsockname");
    (void)close(fd);
    return ntohs(addr.sin_port);
}

static void run(uint16_t port, const char *const *words)
{
    char text[8];
    const char *argv[WORDS_MAX] = {"redis-server", "--bind", "127.0.0.1", "--save", "",
                                   "--appendonly", "no",     "--dir",     "/tmp",   "--logfile",
                                   "/dev/null",    "--port", text};
    size_t n = 13;

    (void)snprintf(text, sizeof(text), "%u", port);
    for (; words && *words && n < WORDS_MAX - 1; words++)
        argv[n++] = *words;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)execvp("redis-check-rdb", (char *const *)(uintptr_t)argv);
    perror("redis-check-rdb (package redis-tools)");
    _exit(127);
}

struct redis_server *redis_server_start(uint16_t port, const char *const *words)
{
    struct redis_server *s = cw_alloc(sizeof(*s));

    s->pid = fork();
    must(s->pid >= 0, "fork");
    if (s->pid == 0)
        run(port, words);
    return s;
}

void redis_server_kill(struct redis_server *s)
{
    int status;

    if (!s)
        return;
    (void)kill(s->pid, SIGKILL);
    must(waitpid(s->pid, &status, 0) == s->pid, "waitpid");
    free(s);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        abort(); /* there was no Redis */
}
