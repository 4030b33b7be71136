#include "common/loop/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"

struct cw_mailbox {
    cw_mail_fn *on_mail;
    void *arg;
    int wake_fd;
    struct cw_watch watch;
    struct {
        pthread_mutex_t lock; /* guards mails */
        struct cw_list mails;
    } shared;
};

static struct cw_link *take_one(struct cw_mailbox *box)
{
    struct cw_link *n;

    pthread_mutex_lock(&box->shared.lock);
    n = cw_list_pop_front(&box->shared.mails);
    pthread_mutex_unlock(&box->shared.lock);
    return n;
}

static void on_wake(void *arg)
{
    struct cw_mailbox *box = arg;
    uint64_t count;
    size_t waiting;
    struct cw_link *n;

    (void)!read(box->wake_fd, &count, sizeof(count));
    pthread_mutex_lock(&box->shared.lock);
    waiting = box->shared.mails.count;
    pthread_mutex_unlock(&box->shared.lock);
    /* Those that arrive meanwhile wake us again: their post wrote to the eventfd after our read. */
    while (waiting-- > 0 && (n = take_one(box)))
        box->on_mail(box->arg, CW_LIST_ENTRY(n, struct cw_mail, link));
}

struct cw_mailbox *cw_mailbox_new(struct cw_loop *loop, cw_mail_fn *on_mail, void *arg,
                                  struct cw_err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct cw_mailbox *box;

    if (fd < 0) {
        (void)cw_fail_errno(err, errno, "mailbox: eventfd");
        return NULL;
    }
    box = cw_alloc(sizeof(*box));
    box->on_mail = on_mail;
    box->arg = arg;
    box->wake_fd = fd;
    pthread_mutex_init(&box->shared.lock, NULL);
    cw_list_init(&box->shared.mails);
    cw_watch_read(&box->watch, loop, fd, on_wake, box);
    return box;
}

void cw_mailbox_free(struct cw_mailbox *box, cw_mail_fn *drop, void *arg)
{
    struct cw_link *n;

    if (!box)
        return;
    cw_watch_done(&box->watch);
    while ((n = take_one(box)))
        if (drop)
            drop(arg, CW_LIST_ENTRY(n, struct cw_mail, link));
    close(box->wake_fd);
    pthread_mutex_destroy(&box->shared.lock);
    free(box);
}

void cw_mailbox_post(struct cw_mailbox *box, struct cw_mail *mail)
{
    static const uint64_t ONE = 1;

    pthread_mutex_lock(&box->shared.lock);
    cw_list_push_back(&box->shared.mails, &mail->link);
    pthread_mutex_unlock(&box->shared.lock);
    (void)!write(box->wake_fd, &ONE,
                 sizeof(ONE)); /* EAGAIN: the counter is full, so a wake-up is due anyway */
}
