/* invoker/container/spec.h -- what a container of an action looks like to the engine (openwhisk
 * container.md 6, 7).
 *
 * Thread: any. */
#pragma once

#include <stdint.h>

#include "common/base/arena.h"
#include "common/driver/container_driver.h"

struct cw_action;
struct cw_err;
struct cw_manifest;
struct cw_runtime;
struct inv_settings;

/* "wsk" + unique name + id + "_": what all container names of an invoker start with. */
void inv_container_prefix(const struct inv_settings *s, int64_t instance, struct cw_str *out);

/* n: process-wide counter from 1. Everything in *ret is in the arena or borrowed from s. Fails when
 * the kind is unknown to the manifest. */
int inv_container_spec(const struct inv_settings *s, const struct cw_manifest *m, int64_t instance,
                       uint64_t n, const char *namespace_name, const struct cw_action *a,
                       struct cw_arena *arena, struct cw_container_spec *ret,
                       struct cw_err *err) CW_MUST_CHECK;
/* The same for a prewarmed container: "…_prewarm_<kind>", no labels of an action. */
void inv_container_spec_prewarmed(const struct inv_settings *s, int64_t instance, uint64_t n,
                                  const struct cw_runtime *rt, uint32_t memory_mb,
                                  struct cw_arena *arena, struct cw_container_spec *ret);
/* cpu shares: max(int(1024 / (whole div memory)), 2); whole: inv_cpu_memory_bytes, which is stock's
 * user memory where what is declared is charged. */
uint32_t inv_cpu_shares(int64_t whole_bytes, int64_t memory_bytes);
/* CPUs that a container of this size may use at most, its part of user-cpus likewise; 0: no quota.
 */
double inv_cpu_quota(const struct inv_settings *s, int64_t memory_bytes);
