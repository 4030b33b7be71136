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
/* Is path one or more names joined by '/' ("guest", "guest/utils"; at most 1024 bytes)? Empty parts
 * do not count, so slashes in front, behind and doubled are taken out, in place. */
bool cw_entity_path_normalize(char *path);
enum { CW_VERSION_MAX = 36 };
/* A version as stock reads it, written as stock writes it: "1.2" is 1.2.0, "1.2.3.4" is 1.2.3; none
 * of all zeros. */
bool cw_version_normalize(struct cw_slice text, char ret[CW_VERSION_MAX]);
/* 32 lower-case hexadecimal digits. */
bool cw_activation_id_ok(struct cw_slice id);
/* Id of a controller: 1..128 of letters, digits, '.', '_', '-'. */
bool cw_controller_id_ok(struct cw_slice id);
