/* invoker/owner_lock.h -- keeps processes that can see each other from working under one invoker
 * id: a name in the network namespace, and a lock file in the data directory if there is one.
 *
 * Both vanish with the process, however it ends. Thread: any, one at a time. */
#pragma once

#include "common/base/mem.h"
#include "common/base/str.h"

struct cw_err;
struct inv_owner_lock;

/* name: what the lock is for ("invoker0"); scope: what makes the name unique (the brokers).
 * data_dir NULL or "": no file. All copied. */
struct inv_owner_lock *inv_owner_lock_new(const char *name, const char *scope,
                                          const char *data_dir);
/* Gives back what is held. Accepts NULL. */
void inv_owner_lock_free(struct inv_owner_lock *l);
/* 0: held (again). 1: another process holds it, and who is appended to *who. -1: *err. */
int inv_owner_lock_try(struct inv_owner_lock *l, struct cw_str *who,
                       struct cw_err *err) CW_MUST_CHECK;
