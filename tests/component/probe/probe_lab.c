/* What probe_test.py runs under the probe: programs that use a known amount of something, say so on
 * standard output, and wait for the end of their input. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int wait_for_end(const char *said)
{
    char c;

    (void)puts(said);
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &c, 1) > 0)
        ;
    return 0;
}

static int64_t cpu_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int burn(int ms, bool end)
{
    while (cpu_ms() < ms)
        ;
    return end ? 0 : wait_for_end("burnt");
}

static char *touched(int mib)
{
    size_t n = (size_t)mib << 20;
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        exit(1);
    memset(p, 1, n);
    return p;
}

static int release(int mib)
{
    (void)munmap(touched(mib), (size_t)mib << 20);
    return wait_for_end("released");
}

static int share(int mib, int children)
{
    (void)touched(mib);
    for (int i = 0; i < children; i++)
        if (fork() == 0) {
            (void)pause();
            return 0;
        }
    return wait_for_end("held");
}

static void *idle(void *arg)
{
    (void)pause();
    return arg;
}

static int threads(int count)
{
    pthread_t thread;

    for (int i = 1; i < count; i++)
        if (pthread_create(&thread, NULL, idle, NULL) != 0)
            return 1;
    return wait_for_end("started");
}

static int echo_signal(int number)
{
    sigset_t set;
    int got;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)puts("ready");
    (void)fflush(stdout);
    if (sigwait(&set, &got) != 0)
        return 1;
    (void)printf("got %d\n", got);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    int n = argc > 2 ? atoi(argv[2]) : 0;

    if (strcmp(what, "burn-ms") == 0)
        return burn(n, argc > 3);
    if (strcmp(what, "hold-mib") == 0)
        return touched(n) ? wait_for_end("held") : 1;
    if (strcmp(what, "held-mib") == 0)
        return release(n);
    if (strcmp(what, "share-mib") == 0 && argc > 3)
        return share(n, atoi(argv[3]));
    if (strcmp(what, "threads") == 0)
        return threads(n);
    if (strcmp(what, "echo-signal") == 0)
        return echo_signal(n);
    return 2;
}
