#include "invoker/redis_settings.h"

#include "common/base/err.h"
#include "common/kv/redis_kv.h"

static struct cw_redis_conf conf_of(const struct inv_redis_settings *redis)
{
    return (struct cw_redis_conf){
        .hosts = redis->hosts,
        .user = redis->user,
        .password = redis->password,
        .db = redis->db,
        .tls = redis->tls,
        .ca_file = redis->ca_file,
        .connect_ms = 2 * redis->ms,
        .answer_ms = redis->ms,
    };
}

int inv_redis_check(const struct inv_redis_settings *redis, struct cw_err *err)
{
    const struct cw_redis_conf conf = conf_of(redis);

    if (!*redis->hosts || cw_redis_conf_check(&conf, err) == 0)
        return 0;
    return cw_err_wrap(err, "cwhisk.redis");
}

int inv_redis_open(struct cw_loop *loop, const struct inv_redis_settings *redis,
                   const char *cluster, uint64_t seed, struct cw_kv **ret, struct cw_err *err)
{
    struct cw_redis_conf conf = conf_of(redis);

    conf.cluster = *cluster ? cluster : "default";
    conf.seed = seed;
    *ret = NULL;
    if (!*redis->hosts)
        return 0;
    *ret = cw_redis_kv_new(loop, &conf, err);
    return *ret ? 0 : cw_err_wrap(err, "cwhisk.redis");
}
