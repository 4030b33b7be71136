/* invoker/profile_ask.h -- GET /profile?action=ns/name.
 *
 * An action that this invoker has not run (it never ran, or ran on others) is read from the
 * catalog first, so that its limit, and what its code and its kind were seen to use, are told,
 * too. Where it cannot be read within 3 s, what profiles have of its name alone is. Thread: loop.
 */
#pragma once

struct cw_http_exchange;
struct cw_loop;
struct inv_catalog;
struct inv_profile_asks;
struct inv_profiles;

/* All are borrowed, and must outlive it. */
struct inv_profile_asks *inv_profile_asks_new(struct cw_loop *loop, struct inv_catalog *catalog,
                                              struct inv_profiles *profiles);
/* Those that wait get no answer: the HTTP server is gone. Accepts NULL. */
void inv_profile_asks_free(struct inv_profile_asks *asks);
/* An inv_admin_route.answer with the asks as arg. */
void inv_profile_asks_answer(void *asks, struct cw_http_exchange *ex);
