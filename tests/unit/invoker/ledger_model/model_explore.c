#include "tests/unit/invoker/ledger_model/model_explore.h"

#include "invoker/journal/journal_format.h"
#include "tests/support/cmocka_all.h"

enum {
    FIRST_ROOM = 1 << 12,
    DEPTH_MAX = 256,
    LINE_MAX_BYTES = 160,
    TRACE_MAX_BYTES = DEPTH_MAX * LINE_MAX_BYTES,
    IN_RECORD = 7, /* a tear inside of one */
};

struct node {
    struct model_state state;
    uint64_t ledger; /* digest of the process, or of the disk while there is none */
    uint32_t parent;
    struct model_step step;
};

struct explorer {
    const struct model_conf *conf;
    struct model_process process;
    struct model_report *report;
    struct node *nodes;
    size_t count, room;
    struct {
        uint64_t hash;
        uint32_t node; /* + 1; 0: free */
    } * seen;
    size_t seen_room; /* a power of two */
    struct model_image **images;
    size_t image_count, image_room;
    struct model_image scratch;
};

/* ---- what was seen ---- */

static size_t slot_of(const struct explorer *x, uint64_t hash)
{
    size_t at = hash & (x->seen_room - 1);

    while (x->seen[at].node && x->seen[at].hash != hash)
        at = (at + 1) & (x->seen_room - 1);
    return at;
}

static void grow_seen(struct explorer *x)
{
    size_t old_room = x->seen_room;
    __auto_type old = x->seen;

    x->seen_room = old_room ? 2 * old_room : 2 * FIRST_ROOM;
    x->seen = cw_calloc(x->seen_room, sizeof(*x->seen));
    for (size_t i = 0; i < old_room; i++)
        if (old[i].node)
            x->seen[slot_of(x, old[i].hash)] = old[i];
    free(old);
}

/* true: it is new. */
static bool add(struct explorer *x, const struct node *node)
{
    uint64_t hash = model_hash(node->ledger, &node->state.facts, sizeof(node->state.facts));
    size_t at;

    x->report->steps++;
    if (2 * (x->count + 1) > x->seen_room)
        grow_seen(x);
    at = slot_of(x, hash);
    if (x->seen[at].node)
        return false;
    if (x->count == x->room) {
        x->room = x->room ? 2 * x->room : FIRST_ROOM;
        x->nodes = cw_realloc(x->nodes, x->room * sizeof(*x->nodes));
    }
    x->seen[at].hash = hash;
    x->seen[at].node = (uint32_t)x->count + 1;
    x->nodes[x->count++] = *node;
    return true;
}

static uint32_t add_image(struct explorer *x, const struct model_image *image)
{
    if (x->image_count == x->image_room) {
        x->image_room = x->image_room ? 2 * x->image_room : 64;
        x->images = cw_realloc(x->images, x->image_room * sizeof(struct model_image *));
    }
    x->images[x->image_count] = (struct model_image *)cw_memdup(image, sizeof(*image));
    return (uint32_t)x->image_count++;
}

static void add_without_process(struct explorer *x, struct node *node)
{
    struct model_digest digest;
    uint64_t hash;

    model_process_kill(&x->process);
    model_digest_make(&x->process.disk.image, &digest);
    hash = model_hash(0, digest.states, offsetof(struct model_digest, file));
    node->ledger = hash;
    node->state.calls.count = 0;
    if (add(x, node))
        x->nodes[x->count - 1].state.image = add_image(x, &x->process.disk.image);
}

/* ---- steps ---- */

static void stand_at(struct explorer *x, const struct node *from)
{
    const struct model_image *image = x->images[from->state.image];

    if (from->state.facts.phase == PHASE_DOWN) {
        model_process_kill(&x->process);
        x->process.disk.image = *image;
        x->process.disk.left = SIZE_MAX;
        x->process.disk.written = 0;
    } else {
        model_process_make(&x->process, image, &from->state.calls);
    }
}

static void found(struct explorer *x, const struct node *last, const char *why)
{
    struct cw_str *out = &x->report->trace;
    const struct node *way[DEPTH_MAX] = {last};
    size_t n = 1;
    char line[LINE_MAX_BYTES];

    for (const struct node *at = last; at != x->nodes; at = way[n++] = &x->nodes[at->parent])
        assert_true(n < DEPTH_MAX);
    x->report->why = why;
    for (size_t i = n - 1; i-- > 0;) {
        model_describe(&way[i]->step, &way[i + 1]->state.facts, &way[i]->state.facts, line,
                       sizeof(line));
        cw_str_addf(out, "%3zu. %s\n", n - 1 - i, line);
    }
    cw_str_addf(out, "  => %s\n", why);
}

/* Returns how many bytes the process wrote. */
static size_t step(struct explorer *x, size_t index, const struct model_step *what)
{
    struct node next = x->nodes[index];
    const char *why = NULL;
    enum model_outcome outcome;
    size_t written;
    bool calls = model_calls_process(x->conf, what->kind);
    bool dies = what->kind == STEP_CRASH || what->torn;

    if (what->kind == STEP_RECREATE && next.state.facts.phase == PHASE_DOWN)
        calls = false;
    next.parent = (uint32_t)index;
    next.step = *what;
    if (calls || what->kind == STEP_CRASH)
        stand_at(x, &x->nodes[index]);
    if (what->torn)
        x->process.disk.left = what->torn;
    outcome = model_apply(x->conf, &next.state, what, &x->process, &why);
    written = calls ? x->process.disk.written : 0;
    if (outcome == OUTCOME_BAD) {
        found(x, &next, why);
        return 0;
    }
    assert_int_equal(outcome == OUTCOME_DIED, dies);
    if (dies)
        model_crash(&next.state.facts);
    if (dies || what->kind == STEP_EXIT) {
        add_without_process(x, &next);
    } else {
        if (calls)
            next.ledger = model_process_digest(&x->process, &next.state.facts.pending);
        (void)add(x, &next);
    }
    return written;
}

/* At each record of what the step writes, and inside each. */
static void step_torn(struct explorer *x, size_t index, const struct model_step *what,
                      size_t written)
{
    /* before /run is sent there is a moment more */
    size_t end = what->kind == STEP_START ? written : written - 1;
    struct model_step torn = *what;

    for (size_t at = IN_RECORD; at <= end && !x->report->why;
         at += at % JOURNAL_RECORD_BYTES ? JOURNAL_RECORD_BYTES - IN_RECORD : IN_RECORD) {
        torn.torn = (uint16_t)at;
        (void)step(x, index, &torn);
    }
}

static void expand(struct explorer *x, size_t index)
{
    struct model_step steps[MODEL_STEPS];
    const struct model_facts facts = x->nodes[index].state.facts;
    unsigned count = model_enabled(x->conf, &facts, steps);
    size_t written;
    bool ends = true;

    for (unsigned i = 0; i < count && !x->report->why; i++) {
        ends &= steps[i].kind == STEP_CRASH || steps[i].kind == STEP_STOP ||
                steps[i].kind == STEP_RECREATE || steps[i].kind == STEP_PEER_DIES;
        written = step(x, index, &steps[i]);
        if (written && facts.crashes < x->conf->crashes && !x->report->why)
            step_torn(x, index, &steps[i], written);
    }
    if (!ends || x->report->why)
        return;
    x->report->ends++;
    if (model_final(x->conf, &facts))
        found(x, &x->nodes[index], model_final(x->conf, &facts));
}

void model_explore(const struct model_conf *conf, struct model_report *ret)
{
    struct explorer *x = cw_alloc(sizeof(*x));
    struct node first = {0};

    *ret = (struct model_report){0};
    cw_str_init(&ret->trace, TRACE_MAX_BYTES);
    x->conf = conf;
    x->report = ret;
    model_process_init(&x->process, conf->mistake == MISTAKE_BLIND);
    model_begin(conf, &first.state.facts);
    add_without_process(x, &first);
    for (size_t i = 0; i < x->count && !ret->why; i++)
        expand(x, i);
    ret->states = x->count;
    model_process_done(&x->process);
    for (size_t i = 0; i < x->image_count; i++)
        free(x->images[i]);
    free(x->images);
    free(x->nodes);
    free(x->seen);
    free(x);
}
