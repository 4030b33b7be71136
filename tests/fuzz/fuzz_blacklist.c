/* The database's answer to the view of blocked namespaces: it is taken whole, and then blocks each
 * namespace that it names and no other; or it changes nothing and is told in one line. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jansson.h>

#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "common/store/docstore.h"
#include "invoker/blacklist.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A store with one answer. */
struct store {
    struct cw_docstore base;
    cw_docstore_body_fn *fn;
    void *arg;
};

static struct cw_docstore_call *note_view(struct cw_docstore *base, const char *db,
                                          const struct cw_view_query *q, cw_docstore_body_fn *fn,
                                          void *arg)
{
    struct store *s = (struct store *)base;

    (void)db, (void)q;
    s->fn = fn;
    s->arg = arg;
    return NULL;
}

/* By another reader of JSON than the one that is tested. */
static void check_blocked(const struct inv_blacklist *b, struct cw_slice answer)
{
    json_t *doc = json_loadb(answer.p, answer.n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(doc, "rows"), i, row)
    {
        const json_t *key = json_object_get(row, "key");
        const char *name = json_string_value(key);

        if (name && strlen(name) == json_string_length(key))
            require(inv_blacklist_has(b, name));
    }
    require(!doc || inv_blacklist_count(b) <= json_array_size(json_object_get(doc, "rows")));
    json_decref(doc);
}

static void check_one_line(int fd, const char *level)
{
    char line[4096];
    ssize_t n = pread(fd, line, sizeof(line), 0);

    require(n > 0 && memchr(line, '\n', (size_t)n) == line + n - 1);
    require(memmem(line, (size_t)n, level, strlen(level)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cw_docstore_ops OPS = {.view = note_view};
    struct store store = {.base.ops = &OPS};
    struct cw_slice answer = cw_slice((const char *)data, size);
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_metrics *metrics = cw_metrics_new();
    int fd = memfd_create("log", MFD_CLOEXEC);
    struct inv_blacklist *b;
    bool taken;

    cw_log_setup(&(struct cw_log_conf){.level = CW_LOG_INFO, .fd = fd});
    b = inv_blacklist_new(&(struct inv_blacklist_conf){.loop = loop,
                                                       .store = &store.base,
                                                       .db = "subjects",
                                                       .metrics = metrics,
                                                       .poll_ms = INT64_MAX,
                                                       .retry_ms = INT64_MAX});
    store.fn(store.arg, CW_SLICE("{\"rows\":[{\"key\":\"\\u0000\"}]}"), NULL);
    require(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    store.fn(store.arg, answer, NULL);
    taken = cw_counter_value(
                cw_metrics_counter(metrics, "cwhisk_blacklist_failures_total", NULL, NULL)) == 0;
    check_one_line(fd, taken ? "[INFO]" : "[ERROR]");
    if (taken)
        check_blocked(b, answer);
    else
        require(inv_blacklist_count(b) == 1);
    inv_blacklist_free(b);
    cw_metrics_free(metrics);
    cw_loop_free(loop);
    close(fd);
    return 0;
}
