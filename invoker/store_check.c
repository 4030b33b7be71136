#include "invoker/store_check.h"

#include <stdio.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/store/docstore.h"

#define COMPONENT "DatabaseCheck"

enum { RETRY_MIN_MS = 1000, RETRY_MAX_MS = 60000 }; /* CouchDB locks accounts that keep failing */

struct database {
    struct inv_store_check *c;
    const char *name;
    struct cw_docstore_call *call;
    bool usable;
    char said[sizeof(((struct cw_err *)0)->msg)]; /* what was logged last */
};

struct inv_store_check {
    struct inv_store_check_conf conf;
    struct database dbs[INV_STORE_CHECK_DBS];
    struct cw_timer retry;
    int64_t retry_ms;
};

static bool is_used(const struct database *db)
{
    return db->name && *db->name;
}

static void on_answer(void *arg, struct cw_slice body, const struct cw_err *err)
{
    struct database *db = arg;
    struct inv_store_check *c = db->c;

    (void)body;
    db->call = NULL;
    if (!err) {
        db->usable = true;
        if (db->said[0])
            cw_log(CW_LOG_INFO, NULL, COMPONENT, "database %s answers now", db->name);
        return;
    }
    if (strcmp(db->said, err->msg) != 0)
        cw_log(CW_LOG_ERROR, NULL, COMPONENT, "database %s cannot be used by user %s: %s", db->name,
               c->conf.user, err->msg);
    (void)snprintf(db->said, sizeof(db->said), "%s", err->msg);
    if (!cw_timer_pending(&c->retry)) {
        cw_timer_set_ms(&c->retry, c->retry_ms);
        c->retry_ms = c->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : c->retry_ms * 2;
    }
}

static void ask(void *arg)
{
    struct inv_store_check *c = arg;

    for (int i = 0; i < INV_STORE_CHECK_DBS; i++) {
        struct database *db = &c->dbs[i];

        if (is_used(db) && !db->usable && !db->call)
            db->call = c->conf.store->ops->check(c->conf.store, db->name, on_answer, db);
    }
}

struct inv_store_check *inv_store_check_new(const struct inv_store_check_conf *conf)
{
    struct inv_store_check *c = cw_alloc(sizeof(*c));

    c->conf = *conf;
    c->retry_ms = conf->retry_ms ? conf->retry_ms : RETRY_MIN_MS;
    cw_timer_init(&c->retry, conf->loop, ask, c);
    for (int i = 0; i < INV_STORE_CHECK_DBS; i++)
        c->dbs[i] = (struct database){.c = c, .name = conf->dbs[i]};
    ask(c);
    return c;
}

void inv_store_check_free(struct inv_store_check *c)
{
    if (!c)
        return;
    for (int i = 0; i < INV_STORE_CHECK_DBS; i++)
        if (c->dbs[i].call)
            c->conf.store->ops->cancel(c->conf.store, c->dbs[i].call);
    cw_timer_done(&c->retry);
    free(c);
}

const char *inv_store_check_missing(const struct inv_store_check *c)
{
    for (int i = 0; i < INV_STORE_CHECK_DBS; i++)
        if (is_used(&c->dbs[i]) && !c->dbs[i].usable)
            return c->dbs[i].name;
    return NULL;
}
