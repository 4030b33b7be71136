/* cwhisk ctl events: what the invoker's event log has, and with --watch what comes. */
#include <inttypes.h>

#include "cmd/ctl.h"
#include "common/base/err.h"
#include "common/json/doc.h"

enum { WAIT_S = 20, AWAY_MS = 1000 };

static void show(const struct ctl *c, const json_t *rows)
{
    size_t i;
    json_t *row;

    json_array_foreach((json_t *)rows, i, row)
    {
        if (c->json)
            ctl_print_json(stdout, row);
        else
            ctl_print_line(stdout, c->command, row);
    }
    (void)fflush(stdout);
}

/* All that is after *since, which moves on. wait: until there is something. */
static enum ctl_status next(struct ctl *c, int64_t *since, bool wait, struct cw_err *err)
{
    cw_auto_json json_t *doc = NULL;
    const json_t *rows;
    enum ctl_status status;
    char path[96];

    (void)snprintf(path, sizeof(path), "/events?since=%" PRId64 "&wait=%d", *since,
                   wait ? WAIT_S : 0);
    status = ctl_ask(c, "GET", path, wait ? WAIT_S * INT64_C(1000) : 0, &doc, err);
    if (status != CTL_DONE)
        return status;
    rows = ctl_rows(c->command, doc, err);
    if (!rows || cw_json_get_int(doc, "events", "next", true, 0, INT64_MAX, since, err) != 0)
        return CTL_FAILED;
    if (c->watch_ms)
        show(c, rows);
    else if (c->json)
        ctl_print_json(stdout, doc);
    else
        ctl_print_table(stdout, c->command, rows);
    return CTL_DONE;
}

enum ctl_status ctl_run_events(struct ctl *c, char **arguments)
{
    struct cw_err err = {0};
    enum ctl_status status, before;
    int64_t since = 0;

    if (arguments[0])
        return ctl_bad_argument(c, arguments[0]);
    status = next(c, &since, false, &err);
    while (status == CTL_DONE && c->watch_ms) {
        before = status;
        status = next(c, &since, true, &err);
        while (status == CTL_UNREACHABLE) { /* it is restarted, perhaps */
            if (before == CTL_DONE)
                (void)ctl_fail(status, &err);
            before = status;
            since = 0; /* the next one counts anew */
            ctl_wait(c, AWAY_MS);
            status = next(c, &since, true, &err);
        }
    }
    return status == CTL_DONE ? status : ctl_fail(status, &err);
}
