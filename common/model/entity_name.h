/* common/model/entity_name.h -- what counts as a name, a path, a version, an id (openwhisk kafka.md
 * 4.3).
 *
 * Names end up in document ids, topics and container names, so they are checked where they come in.
 * Thread: any. */
#pragma once

#include <stdbool.h>

#include "common/base/str.h"

/* 1..256 characters: first a letter, digit or '_', then also '@ . & -' and inner spaces. */
bool cw_entity_name_ok(struct cw_slice name);
/* One or more names joined by '/': "guest", "guest/utils". At most 1024 bytes. */
bool cw_entity_path_ok(struct cw_slice path);
/* "1", "0.0.1": one to three numbers of at most 9 digits. */
bool cw_version_ok(struct cw_slice version);
/* 32 lower-case hexadecimal digits. */
bool cw_activation_id_ok(struct cw_slice id);
/* Id of a controller: 1..128 of letters, digits, '.', '_', '-'. */
bool cw_controller_id_ok(struct cw_slice id);
