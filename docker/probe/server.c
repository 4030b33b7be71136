#include "docker/probe/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 16 };

static const int64_t MS_NS = 1000000;

static int listen_on(int family, const struct sockaddr *address, socklen_t size)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, off = 0;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, address, size) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

void pb_server_init(struct pb_server *s, const char *token, struct pb_figures *figures)
{
    *s = (struct pb_server){.fd = -1, .token = token, .figures = figures};
    for (size_t i = 0; i < PB_CLIENTS; i++)
        s->clients[i].fd = -1;
}

bool pb_server_listen(struct pb_server *s, uint16_t port)
{
    const struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};

    s->fd = listen_on(AF_INET6, (const struct sockaddr *)&six, sizeof(six));
    if (s->fd < 0)
        s->fd = listen_on(AF_INET, (const struct sockaddr *)&four, sizeof(four));
    return s->fd >= 0;
}

static void drop(struct pb_client *c)
{
    (void)close(c->fd);
    c->fd = -1;
}

/* ---- questions ---- */

/* The answer fits into what a socket takes at once; a client that does not read its answers goes.
 */
static bool answer(struct pb_server *s, struct pb_client *c, int64_t now_ns)
{
    const struct cw_probe_figures *figures;
    char text[CW_PROBE_ANSWER_MAX];
    size_t n;

    if (++s->asked > PB_QUESTIONS)
        return false;
    figures = pb_figures_now(s->figures, now_ns);
    if (!figures)
        return false;
    n = cw_probe_put_answer(text, figures);
    c->since_ns = now_ns;
    return send(c->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}

/* The oldest of those that have shown the token, if they are too many now. */
static void make_trusted(struct pb_server *s, struct pb_client *c)
{
    struct pb_client *oldest = &s->clients[0];
    unsigned trusted = 0;

    if (c->trusted)
        return;
    c->trusted = true;
    for (size_t i = 0; i < PB_CLIENTS; i++) {
        struct pb_client *other = &s->clients[i];

        if (other == c || other->fd < 0 || !other->trusted)
            continue;
        trusted++;
        if (!oldest || other->since_ns < oldest->since_ns)
            oldest = other;
    }
    if (trusted >= PB_TRUSTED)
        drop(oldest);
}

/* false: it is to go. Questions may come in pieces, or several at once. */
static bool take_lines(struct pb_server *s, struct pb_client *c, int64_t now_ns)
{
    char *end;

    while ((end = memchr(c->line, '\n', c->n))) {
        size_t used = (size_t)(end - c->line) + 1;

        if (!cw_probe_is_request(cw_slice(c->line, used - 1), s->token))
            return false;
        make_trusted(s, c);
        if (!answer(s, c, now_ns))
            return false;
        c->n -= used;
        memmove(c->line, c->line + used, c->n);
    }
    return c->n < sizeof(c->line);
}

static void read_client(struct pb_server *s, struct pb_client *c, int64_t now_ns)
{
    ssize_t n = recv(c->fd, c->line + c->n, sizeof(c->line) - c->n, MSG_DONTWAIT);

    if (n > 0)
        c->n += (size_t)n;
    if (n <= 0 || !take_lines(s, c, now_ns))
        drop(c);
}

/* ---- connections ---- */

/* A free place, or that of the oldest who has not shown the token: there always is one. */
static size_t place(struct pb_server *s)
{
    struct pb_client *all = s->clients;
    size_t oldest = 0;

    for (size_t i = 0; i < PB_CLIENTS; i++) {
        if (all[i].fd < 0)
            return i;
        if (!all[i].trusted && (all[oldest].trusted || all[i].since_ns < all[oldest].since_ns))
            oldest = i;
    }
    drop(&all[oldest]);
    return oldest;
}

static bool may_accept(const struct pb_server *s)
{
    return s->accepted < PB_ACCEPTS;
}

static void accept_all(struct pb_server *s, int64_t now_ns)
{
    int on = 1;

    while (may_accept(s)) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        s->accepted++;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        s->clients[place(s)] = (struct pb_client){.fd = fd, .since_ns = now_ns};
    }
}

/* ---- turns ---- */

/* What is left, rounded up; 0 when it is over. */
static int ms_until(int64_t then_ns, int64_t now_ns)
{
    return then_ns <= now_ns ? 0 : (int)((then_ns - now_ns + MS_NS - 1) / MS_NS);
}

static int shorter(int a_ms, int b_ms)
{
    return a_ms < 0 || b_ms < a_ms ? b_ms : a_ms;
}

int pb_server_poll(const struct pb_server *s, int64_t now_ns, struct pollfd fds[PB_POLLED])
{
    int wait_ms = -1;

    fds[PB_CLIENTS] = (struct pollfd){.fd = may_accept(s) ? s->fd : -1, .events = POLLIN};
    if (!may_accept(s))
        wait_ms = ms_until(s->span_ns + PB_ACCEPT_MS * MS_NS, now_ns);
    for (size_t i = 0; i < PB_CLIENTS; i++) {
        const struct pb_client *c = &s->clients[i];

        fds[i] = (struct pollfd){.fd = c->fd, .events = POLLIN};
        if (c->fd >= 0 && !c->trusted)
            wait_ms = shorter(wait_ms, ms_until(c->since_ns + PB_PATIENCE_MS * MS_NS, now_ns));
    }
    return wait_ms;
}

void pb_server_turn(struct pb_server *s, int64_t now_ns, const struct pollfd fds[PB_POLLED])
{
    if (now_ns - s->span_ns >= PB_ACCEPT_MS * MS_NS) {
        s->span_ns = now_ns;
        s->accepted = s->asked = 0;
    }
    for (size_t i = 0; i < PB_CLIENTS; i++) {
        struct pb_client *c = &s->clients[i];

        if (c->fd < 0 || c->fd != fds[i].fd)
            continue;
        if (fds[i].revents)
            read_client(s, c, now_ns);
        else if (!c->trusted && now_ns - c->since_ns >= PB_PATIENCE_MS * MS_NS)
            drop(c);
    }
    if (fds[PB_CLIENTS].revents)
        accept_all(s, now_ns);
}
