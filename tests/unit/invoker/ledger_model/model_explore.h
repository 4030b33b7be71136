/* Goes through everything that the rules allow, breadth first, so that what it finds is a shortest
 * way to it. What is reached on two ways is gone on from once. */
#pragma once

#include "common/base/str.h"
#include "tests/unit/invoker/ledger_model/model_rules.h"

struct model_report {
    size_t states, steps, ends; /* ends: complete runs, where nothing more can happen */
    const char *why;            /* NULL: every property holds */
    struct cw_str trace;        /* one line a step; freed by the caller */
};

void model_explore(const struct model_conf *conf, struct model_report *ret);
