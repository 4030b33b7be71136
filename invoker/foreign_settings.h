/* invoker/foreign_settings.h -- keys that deployments set for other parts of OpenWhisk, for the
 * scheduler's protocol, or for what does not exist here. Accepted and listed in the reference; what
 * is neither here nor a setting is reported as ignored. Thread: any. */
#pragma once

#include "common/conf/conf.h"

/* Ends with a key of NULL. */
extern const struct cw_conf_no_effect INV_FOREIGN_SETTINGS[];
