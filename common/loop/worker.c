#include "common/loop/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/loop/mailbox.h"

enum { MAX_THREADS = 64 };

struct job {
    struct cw_mail mail; /* on the queue first, in the mailbox afterwards */
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
    const char *what; /* done, for cw_loop_mark */
    struct cw_loop *loop;
};

struct cw_worker {
    struct cw_loop *loop;
    struct cw_mailbox *box;
    unsigned thread_count;
    pthread_t threads[MAX_THREADS];
    struct {
        pthread_mutex_t lock; /* guards the rest */
        pthread_cond_t wake;
        struct cw_list queue; /* struct job */
        bool stop;
    } shared;
};

static void deliver(void *arg, struct cw_mail *mail)
{
    struct job *job = CW_CONTAINER_OF(mail, struct job, mail);

    (void)arg;
    cw_loop_mark(job->loop, job->what);
    job->done(job->arg);
    free(job);
}

static void *serve(void *arg)
{
    struct cw_worker *w = arg;

    for (;;) {
        struct cw_link *n;
        struct job *job;

        pthread_mutex_lock(&w->shared.lock);
        while (cw_list_empty(&w->shared.queue) && !w->shared.stop)
            pthread_cond_wait(&w->shared.wake, &w->shared.lock);
        n = w->shared.stop ? NULL : cw_list_pop_front(&w->shared.queue);
        pthread_mutex_unlock(&w->shared.lock);
        if (!n)
            return NULL;
        job = CW_CONTAINER_OF(CW_LIST_ENTRY(n, struct cw_mail, link), struct job, mail);
        job->work(job->arg);
        cw_mailbox_post(w->box, &job->mail);
    }
}

struct cw_worker *cw_worker_new(struct cw_loop *loop, unsigned threads, struct cw_err *err)
{
    struct cw_worker *w;
    sigset_t all, old;

    if (threads < 1 || threads > MAX_THREADS) {
        (void)cw_fail(err, CW_INVALID, "worker: %u threads, accepted 1..%d", threads, MAX_THREADS);
        return NULL;
    }
    w = cw_alloc(sizeof(*w));
    w->loop = loop;
    pthread_mutex_init(&w->shared.lock, NULL);
    pthread_cond_init(&w->shared.wake, NULL);
    cw_list_init(&w->shared.queue);
    w->box = cw_mailbox_new(loop, deliver, NULL, err);
    if (!w->box) {
        cw_worker_free(w);
        return NULL;
    }
    sigfillset(&all); /* signals belong to the loop thread */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (; w->thread_count < threads; w->thread_count++) {
        int rc = pthread_create(&w->threads[w->thread_count], NULL, serve, w);

        if (rc != 0) {
            pthread_sigmask(SIG_SETMASK, &old, NULL);
            cw_worker_free(w);
            (void)cw_fail_errno(err, rc, "worker: thread");
            return NULL;
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return w;
}

void cw_worker_free(struct cw_worker *w)
{
    struct cw_link *n;

    if (!w)
        return;
    pthread_mutex_lock(&w->shared.lock);
    w->shared.stop = true;
    pthread_cond_broadcast(&w->shared.wake);
    pthread_mutex_unlock(&w->shared.lock);
    for (unsigned i = 0; i < w->thread_count; i++)
        pthread_join(w->threads[i], NULL);
    cw_mailbox_free(w->box, deliver, NULL);
    while ((n = cw_list_pop_front(&w->shared.queue)))
        deliver(NULL, CW_LIST_ENTRY(n, struct cw_mail, link));
    pthread_cond_destroy(&w->shared.wake);
    pthread_mutex_destroy(&w->shared.lock);
    free(w);
}

void cw_worker_run_as(struct cw_worker *w, void (*work)(void *arg), void (*done)(void *arg),
                      void *arg, const char *what)
{
    struct job *job = cw_alloc(sizeof(*job));

    job->work = work;
    job->done = done;
    job->arg = arg;
    job->what = what;
    job->loop = w->loop;
    pthread_mutex_lock(&w->shared.lock);
    cw_list_push_back(&w->shared.queue, &job->mail.link);
    pthread_cond_signal(&w->shared.wake);
    pthread_mutex_unlock(&w->shared.lock);
}
