/* common/loop/mailbox.h -- messages from other threads to the loop thread.
 *
 * A mutex, a list, and an eventfd. The lock is held only to splice; messages are handed out on the
 * loop thread in the order of posting, outside the lock. */
#pragma once

#include "common/base/list.h"

struct cw_err;
struct cw_loop;
struct cw_mailbox;

/* Embed in the message. */
struct cw_mail {
    struct cw_link link;
};

typedef void cw_mail_fn(void *arg, struct cw_mail *mail);

/* on_mail is called on the loop thread for each message and becomes its owner. Thread: loop. */
struct cw_mailbox *cw_mailbox_new(struct cw_loop *loop, cw_mail_fn *on_mail, void *arg,
                                  struct cw_err *err) CW_MUST_CHECK;
/* Messages not yet handed out go to drop (may be NULL when there cannot be any). No thread may post
 * any more. Accepts NULL. Thread: loop. */
void cw_mailbox_free(struct cw_mailbox *box, cw_mail_fn *drop, void *arg);
/* The mailbox becomes the owner until on_mail or drop. Thread: any. */
void cw_mailbox_post(struct cw_mailbox *box, struct cw_mail *mail);
