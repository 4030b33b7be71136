/* cwhisk ctl clean: lets the invoker's janitor do its round now, or say what it would do. */
#include "cmd/ctl.h"
#include "common/base/err.h"
#include "common/json/doc.h"

enum { ROUND_MS = 120000 /* many removals take their time */ };

static void sum_up(const struct ctl *c, const json_t *doc, const json_t *rows, bool dry_run)
{
    double freed = json_number_value(json_object_get(doc, "freedBytes"));

    if (json_array_size(rows))
        ctl_print_table(stdout, c->command, rows);
    (void)printf("%s%zu of %d containers %s, %.1f MiB\n", json_array_size(rows) ? "\n" : "",
                 json_array_size(rows), (int)json_integer_value(json_object_get(doc, "seen")),
                 dry_run ? "would be removed" : "removed", freed / (1 << 20));
}

enum ctl_status ctl_run_clean(struct ctl *c, char **arguments)
{
    cw_auto_json json_t *doc = NULL;
    struct cw_err err = {0};
    const json_t *rows;
    bool dry_run = false;
    enum ctl_status status;

    for (; *arguments; arguments++) {
        if (strcmp(*arguments, "--dry-run") != 0)
            return ctl_bad_argument(c, *arguments);
        dry_run = true;
    }
    if (c->watch_ms) {
        (void)cw_fail(&err, CW_INVALID, "clean: --watch does not go with it");
        return ctl_fail(CTL_USAGE, &err);
    }
    status = ctl_ask(c, dry_run ? "GET" : "POST", dry_run ? "/clean?dry-run" : "/clean", ROUND_MS,
                     &doc, &err);
    if (status != CTL_DONE)
        return ctl_fail(status, &err);
    rows = ctl_rows(c->command, doc, &err);
    if (!rows)
        return ctl_fail(CTL_FAILED, &err);
    if (c->json)
        ctl_print_json(stdout, doc);
    else
        sum_up(c, doc, rows, dry_run || json_is_true(json_object_get(doc, "dryRun")));
    return CTL_DONE;
}
