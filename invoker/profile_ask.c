#include "invoker/profile_ask.h"

#include <stdio.h>

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/http/server.h"
#include "common/loop/loop.h"
#include "invoker/admin.h"
#include "invoker/catalog.h"
#include "invoker/profiles.h"

enum { NAME_MAX_BYTES = 960, ASKS_MAX = 64, PATIENCE_MS = 3000 };

struct inv_profile_asks {
    struct cw_loop *loop;
    struct inv_catalog *catalog;
    struct inv_profiles *profiles;
    struct cw_list waiting; /* struct ask */
};

struct ask {
    struct cw_link link;
    struct inv_profile_asks *asks;
    struct cw_http_exchange *ex;
    struct cw_timer patience;
    char name[NAME_MAX_BYTES];
};

struct inv_profile_asks *inv_profile_asks_new(struct cw_loop *loop, struct inv_catalog *catalog,
                                              struct inv_profiles *profiles)
{
    struct inv_profile_asks *asks = cw_alloc(sizeof(*asks));

    asks->loop = loop;
    asks->catalog = catalog;
    asks->profiles = profiles;
    cw_list_init(&asks->waiting);
    return asks;
}

static void free_ask(struct ask *a)
{
    cw_timer_done(&a->patience);
    cw_list_remove(&a->asks->waiting, &a->link);
    free(a);
}

static void on_action(void *arg, struct cw_action *action, const struct inv_fetch_failure *failure)
{
    struct ask *a = arg;

    if (action)
        inv_profiles_remember(a->asks->profiles, action);
    inv_profiles_answer(a->asks->profiles, a->ex, action ? action->path : a->name,
                        failure ? failure->text : NULL);
    free_ask(a);
}

static void on_patience(void *arg)
{
    struct ask *a = arg;

    inv_catalog_abandon(a->asks->catalog, on_action, a);
    inv_profiles_answer(a->asks->profiles, a->ex, a->name,
                        "The database has not answered within 3 s.");
    free_ask(a);
}

static void read_first(struct inv_profile_asks *asks, struct cw_http_exchange *ex, const char *name)
{
    struct ask *a = cw_alloc(sizeof(*a));

    a->asks = asks;
    a->ex = ex;
    (void)snprintf(a->name, sizeof(a->name), "%s", name);
    cw_list_push_back(&asks->waiting, &a->link);
    cw_timer_init(&a->patience, asks->loop, on_patience, a);
    cw_timer_set_ms(&a->patience, PATIENCE_MS);
    inv_catalog_get(asks->catalog, name, NULL, on_action, a);
}

void inv_profile_asks_answer(void *asks, struct cw_http_exchange *ex)
{
    struct inv_profile_asks *all = asks;
    char text[NAME_MAX_BYTES];
    const char *name = text;

    if (!cw_http_query(ex, "action", text, sizeof(text)) || !text[0]) {
        inv_admin_refuse(ex, 400,
                         "action: required, at most 959 bytes; accepted: namespace/name, or "
                         "namespace/package/name");
        return;
    }
    name += *name == '/';
    if (inv_profiles_knows(all->profiles, name) || all->waiting.count >= ASKS_MAX)
        inv_profiles_answer(all->profiles, ex, name, NULL);
    else
        read_first(all, ex, name);
}

void inv_profile_asks_free(struct inv_profile_asks *asks)
{
    if (!asks)
        return;
    CW_LIST_EACH (&asks->waiting, n) {
        struct ask *a = CW_LIST_ENTRY(n, struct ask, link);

        inv_catalog_abandon(asks->catalog, on_action, a);
        free_ask(a);
    }
    free(asks);
}
