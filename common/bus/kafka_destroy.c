/* librdkafka 2.0.2 never ends destroying a consumer whose topic was deleted under it: its main
 * thread joins the broker's, which waits for a reference that nobody gives back. So an instance is
 * destroyed in a thread of its own, for which nobody waits longer than a while; one that does not
 * end is left behind. */
#include "common/bus/kafka_priv.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

struct kafka_destruction {
    struct cw_link link; /* bus->destructions */
    rd_kafka_t *rk;
    sem_t done;
    _Atomic int users; /* the thread and the bus */
};

static void release(struct kafka_destruction *d)
{
    if (atomic_fetch_sub(&d->users, 1) > 1)
        return;
    (void)sem_destroy(&d->done);
    free(d);
}

static void *destroy(void *arg)
{
    struct kafka_destruction *d = arg;

    rd_kafka_destroy_flags(CW_STEAL(d->rk), RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    (void)sem_post(&d->done);
    release(d);
    return NULL;
}

static bool start(struct kafka_destruction *d)
{
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t thread;
    int rc;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all); /* signals belong to the loop thread */
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&thread, &attr, destroy, d);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return rc == 0;
}

/* Those that have ended meanwhile. */
static void forget_ended(struct kafka_bus *bus)
{
    CW_LIST_EACH (&bus->destructions, n) {
        struct kafka_destruction *d = CW_LIST_ENTRY(n, struct kafka_destruction, link);

        if (sem_trywait(&d->done) != 0)
            continue;
        cw_list_remove(&bus->destructions, &d->link);
        release(d);
    }
}

void kafka_destroy(struct kafka_bus *bus, CW_TAKES rd_kafka_t *rk)
{
    struct kafka_destruction *d = cw_alloc(sizeof(*d));

    forget_ended(bus);
    d->rk = rk;
    d->users = 2;
    (void)sem_init(&d->done, 0, 0);
    cw_list_push_back(&bus->destructions, &d->link);
    if (!start(d)) {
        (void)destroy(d); /* no thread is to be had: here, then */
    }
}

bool kafka_destroy_wait(struct kafka_bus *bus, int64_t timeout_ms)
{
    struct timespec until;
    struct cw_link *n;
    bool all = true;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    while ((n = cw_list_pop_front(&bus->destructions))) {
        struct kafka_destruction *d = CW_LIST_ENTRY(n, struct kafka_destruction, link);

        while (sem_clockwait(&d->done, CLOCK_MONOTONIC, &until) != 0)
            if (errno != EINTR) {
                all = false;
                break;
            }
        release(d);
    }
    return all;
}
