#include "invoker/redis_settings.h"

#include "common/base/err.h"
#include "common/kv/redis_kv.h"

int inv_redis_open(struct cw_loop *loop, const struct inv_redis_settings *redis,
                   const char *cluster, uint64_t seed, struct cw_kv **ret, struct cw_err *err)
{
    const struct cw_redis_conf conf = {
        .hosts = redis->hosts,
        .cluster = *cluster ? cluster : "default",
        .user = redis->user,
        .password = redis->password,
        .db = redis->db,
        .tls = redis->tls,
        .ca_file = redis->ca_file,
        .connect_ms = 2 * redis->ms,
        .answer_ms = redis->ms,
        .seed = seed,
    };

    *ret = NULL;
    if (!*redis->hosts)
        return 0;
    *ret = cw_redis_kv_new(loop, &conf, err);
    return *ret ? 0 : cw_err_wrap(err, "cwhisk.redis");
}
