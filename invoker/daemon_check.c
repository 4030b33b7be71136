/* What is wrong with the settings beyond single values, before anything is touched. */
#include <string.h>

#include "common/base/err.h"
#include "common/driver/docker_flags.h"
#include "common/obs/log.h"
#include "invoker/daemon_priv.h"
#include "invoker/limits.h"
#include "invoker/logs/log_store.h"
#include "invoker/providers.h"
#include "invoker/redis_settings.h"
#include "invoker/settings.h"

enum { FLAG_NAMES_MAX = 4096 };

static int check_extra_args(const struct inv_settings *s, struct cw_err *err)
{
    struct cw_docker_flags *flags = cw_docker_flags_parse((const char *const *)s->extra_args, err);
    cw_auto_str struct cw_str names;

    cw_str_init(&names, FLAG_NAMES_MAX);
    if (flags) {
        cw_docker_flags_free(flags);
        return 0;
    }
    cw_docker_flags_names(&names);
    cw_log(CW_LOG_ERROR, NULL, COMPONENT, "flags of docker run that extra-args may hold: %s",
           names.p);
    return cw_err_wrap(err, "whisk.container-factory.container-args.extra-args");
}

static bool is_header_name(const char *text)
{
    return *text && strlen(text) <= 64 &&
           text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")] ==
               '\0';
}

static int check_network(const struct inv_settings *s, struct cw_err *err)
{
    if (strcmp(s->network, "host") == 0 || strcmp(s->network, "none") == 0 ||
        strncmp(s->network, "container:", 10) == 0)
        return cw_fail(err, CW_INVALID,
                       "whisk.container-factory.container-args.network: \"%.60s\" gives containers "
                       "no address of their own; accepted: bridge, or the name of a network",
                       s->network);
    return 0;
}

static int check_engine(const struct inv_settings *s, struct cw_err *err)
{
    const char *engine = inv_daemon_engine(s);
    bool tcp = strncmp(engine, "tcp://", 6) == 0;

    if (!tcp && engine[0] != '/' && strncmp(engine, "unix:///", 8) != 0)
        return cw_fail(err, CW_INVALID,
                       "%s: \"%.80s\" is not supported; accepted: unix:///path, tcp://host:port",
                       engine == s->docker_host ? "DOCKER_HOST" : "cwhisk.docker-socket", engine);
    if (tcp && s->docker_tls_verify && s->docker_tls_verify[0])
        return cw_fail(err, CW_INVALID,
                       "DOCKER_TLS_VERIFY: TLS to the engine is not supported; accepted: "
                       "DOCKER_HOST=unix:///path, or tcp:// without TLS");
    return check_network(s, err);
}

int inv_daemon_check_settings(const struct inv_settings *s, struct cw_err *err)
{
    enum inv_log_store store;

    if (inv_limits_check(s, err) != 0)
        return -1;
    if (strcmp(s->couch_provider, "CouchDB") != 0 && strcmp(s->couch_provider, "Cloudant") != 0)
        return cw_fail(err, CW_INVALID,
                       "whisk.couchdb.provider: \"%s\" is not known; accepted: CouchDB, Cloudant",
                       s->couch_provider);
    if (!is_header_name(s->transactions_header))
        return cw_fail(err, CW_INVALID,
                       "whisk.transactions.header: \"%.60s\" is no header; accepted: letters, "
                       "digits, - and _",
                       s->transactions_header);
    if (inv_providers_check(s, err) != 0 ||
        inv_log_store_parse(s->log_store_provider, &store, err) != 0 || check_engine(s, err) != 0 ||
        inv_redis_check(&s->redis, err) != 0)
        return -1;
    if (s->janitor_others && !s->cluster[0])
        return cw_fail(err, CW_INVALID,
                       "cwhisk.janitor.others: needs cwhisk.cluster, which tells our invokers from "
                       "those of other deployments on the same engine");
    return check_extra_args(s, err);
}
