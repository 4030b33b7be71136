/* common/model/action_doc_priv.h -- what action_doc.c (the document) and action_exec.c (its code)
 * share. */
#pragma once

#include "common/model/action_doc.h"

struct action_doc {
    struct cw_action pub; /* first: the public pointer is ours */
    struct cw_str code;   /* JSON form of attached code */
    struct cw_slice parameters, exec, binding;
    bool publish;
    bool warm_limits;       /* cw_limit_defaults */
    int64_t instances;      /* -1: absent */
    int64_t attached_bytes; /* that the attachment must have; -1: unknown */
};

/* Reads `exec` and looks at `_attachments` (n == 0 when absent). Error codes as cw_action_decode.
 */
int action_read_exec(struct action_doc *a, struct cw_slice exec, struct cw_slice stubs,
                     const struct cw_manifest *manifest, struct cw_err *err) CW_MUST_CHECK;
/* Makes bytes the action's code: fills a->code and points code_quoted at it. */
int action_quote_code(struct action_doc *a, struct cw_slice bytes,
                      struct cw_err *err) CW_MUST_CHECK;
