/* What a client, hostile or not, sends to the probe: over a socket in pieces of all sizes, through
 * the server itself. Only the whole right question is answered, and nothing gets out of its bounds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "docker/probe/server.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKEN "0123456789abcdef0123456789abcdef"
#define QUESTION "cwhisk-probe/1 " TOKEN "\n"

/* One byte says how long the next piece is. */
static void feed(struct pb_server *s, int fd, const uint8_t *data, size_t size)
{
    struct pollfd fds[PB_POLLED];
    int64_t now_ns = 1;

    while (size > 1 && s->clients[0].fd >= 0) {
        size_t n = 1 + data[0] % 200U;

        n = n < size - 1 ? n : size - 1;
        if (send(fd, data + 1, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
            return;
        data += 1 + n;
        size -= 1 + n;
        do {
            (void)pb_server_poll(s, now_ns, fds);
            (void)poll(fds, PB_POLLED, 0);
            pb_server_turn(s, now_ns, fds);
        } while (s->clients[0].fd >= 0 && fds[0].revents);
        require(s->clients[0].fd < 0 || s->clients[0].n < CW_PROBE_REQUEST_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pb_figures figures = {.last = {.time_ns = 1, .cpu_ns = 1, .memory_bytes = 1}};
    struct pb_server s;
    bool has_question = memmem(data, size, TOKEN, sizeof(TOKEN) - 1) != NULL;
    int pair[2];
    char answer[16];

    pb_server_init(&s, TOKEN, &figures);
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    s.clients[0] = (struct pb_client){.fd = pair[0], .since_ns = 1};
    feed(&s, pair[1], data, size);
    if (recv(pair[1], answer, sizeof(answer), MSG_DONTWAIT) > 0)
        require(s.asked > 0 && (has_question || size > sizeof(QUESTION)));
    if (s.clients[0].fd >= 0)
        (void)close(s.clients[0].fd);
    (void)close(pair[1]);
    return 0;
}
