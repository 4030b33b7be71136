/* invoker/logs/log_store.h -- where logs of activations go: whisk.spi.LogStoreProvider (openwhisk
 * container.md 3).
 *
 * Pure. Thread: any. */
#pragma once

#include <stdbool.h>

#include "common/base/mem.h"

struct cw_err;

enum inv_log_store {
    INV_LOG_STORE_RECORD, /* into the record */
    INV_LOG_STORE_FILE,   /* into the record and into files (inv_userlogs) */
    INV_LOG_STORE_ENGINE, /* into the record, read from the engine's stream */
    INV_LOG_STORE_DRIVER, /* not collected: the engine's log driver takes them elsewhere */
};

/* By the last part of the class name. Those that fetch logs from somewhere for the controller are,
 * for an invoker, the store that they extend: ElasticSearch the files, Splunk the log driver. */
int inv_log_store_parse(const char *class_name, enum inv_log_store *ret,
                        struct cw_err *err) CW_MUST_CHECK;
/* Are logs read here after each activation? class_name must have been checked. */
bool inv_log_store_collects(const char *class_name);
