#include "invoker/logs/log_store.h"

#include <string.h>

#include "common/base/err.h"

static const struct {
    const char *name; /* without "Provider" */
    enum inv_log_store store;
} STORES[] = {
    {"DockerToActivationLogStore", INV_LOG_STORE_RECORD},
    {"DockerToActivationFileLogStore", INV_LOG_STORE_FILE},
    {"ElasticSearchLogStore", INV_LOG_STORE_FILE},
    {"LogDriverLogStore", INV_LOG_STORE_DRIVER},
    {"SplunkLogStore", INV_LOG_STORE_DRIVER},
    {"DockerCliLogStore", INV_LOG_STORE_ENGINE},
};

static bool is_provider(const char *last, const char *store)
{
    size_t n = strlen(store);

    return strncmp(last, store, n) == 0 && strcmp(last + n, "Provider") == 0;
}

int inv_log_store_parse(const char *class_name, enum inv_log_store *ret, struct cw_err *err)
{
    const char *dot = strrchr(class_name, '.');
    const char *last = dot ? dot + 1 : class_name;

    for (size_t i = 0; i < CW_ARRAY_LEN(STORES); i++) {
        if (is_provider(last, STORES[i].name)) {
            *ret = STORES[i].store;
            return 0;
        }
    }
    return cw_fail(
        err, CW_INVALID,
        "whisk.spi.LogStoreProvider: \"%.40s\" is not known; accepted: DockerToActivation,"
        " DockerToActivationFile, ElasticSearch, LogDriver, Splunk, DockerCli, each with "
        "\"LogStoreProvider\" behind it",
        last);
}

bool inv_log_store_collects(const char *class_name)
{
    enum inv_log_store store;

    return inv_log_store_parse(class_name, &store, NULL) == 0 && store != INV_LOG_STORE_DRIVER;
}
