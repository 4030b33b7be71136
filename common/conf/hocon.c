/* From the tree to pairs. Values are resolved on demand and once; a node that is asked for while it
 * is being resolved refers to itself, and then means its prior. Steps are counted, so that text
 * which refers to itself many times over ends in an error, not in all our memory. */
#include "common/conf/hocon.h"

#include "common/conf/hocon_priv.h"

enum { RESOLVE_DEPTH_MAX = 200 };

/* ---- the tree ---- */

struct hocon_node *hocon_node(struct hocon *h, enum hocon_type type, unsigned line, unsigned column)
{
    struct hocon_node *n;

    if (h->nodes == HOCON_NODES_MAX) {
        (void)HOCON_FAIL(h, line, column, "over %d values", HOCON_NODES_MAX);
        return NULL;
    }
    h->nodes++;
    n = cw_arena_alloc(&h->arena, sizeof(*n));
    n->type = type;
    n->line = line;
    n->column = column;
    return n;
}

void hocon_push(struct hocon *h, struct hocon_node *parent, struct cw_slice name,
                struct hocon_node *kid)
{
    if (++h->steps > HOCON_STEPS_MAX ||
        (parent->type == HOCON_OBJECT && parent->count == HOCON_PAIRS_MAX)) {
        h->over = true;
        return;
    }
    if (parent->count == parent->cap) {
        size_t cap = parent->cap ? 2 * parent->cap : 4;
        struct cw_slice *names = cw_arena_alloc(&h->arena, cap * sizeof(*names));
        struct hocon_node **kids = cw_arena_alloc(&h->arena, cap * sizeof(struct hocon_node *));

        if (parent->count) {
            memcpy(names, parent->names, parent->count * sizeof(*names));
            memcpy(kids, parent->kids, parent->count * sizeof(struct hocon_node *));
        }
        parent->names = names;
        parent->kids = kids;
        parent->cap = cap;
    }
    parent->names[parent->count] = name;
    parent->kids[parent->count++] = kid;
}

struct hocon_node **hocon_field(const struct hocon_node *object, struct cw_slice name)
{
    for (size_t i = 0; i < object->count; i++)
        if (cw_slice_eq(object->names[i], name))
            return &object->kids[i];
    return NULL;
}

/* What an object's field becomes when value is assigned over old. */
static struct hocon_node *over(struct hocon *h, struct hocon_node *old, struct hocon_node *value)
{
    struct hocon_node *oldest = value;

    while (oldest->prior)
        oldest = oldest->prior;
    if (oldest->type == HOCON_STRING || oldest->type == HOCON_NULL || oldest->type == HOCON_LIST)
        return value; /* hides what was before */
    if (oldest == value && value->type == HOCON_OBJECT && old->type == HOCON_OBJECT) {
        for (size_t i = 0; i < value->count; i++)
            hocon_set(h, old, value->names[i], value->kids[i]);
        return old;
    }
    if (oldest == value && value->type == HOCON_APPEND && old->type == HOCON_LIST) {
        hocon_push(h, old, cw_slice(NULL, 0), value->kids[0]);
        return old;
    }
    oldest->prior = old;
    return value;
}

void hocon_set(struct hocon *h, struct hocon_node *object, struct cw_slice name,
               struct hocon_node *value)
{
    struct hocon_node **field = hocon_field(object, name);

    if (field)
        *field = over(h, *field, value);
    else
        hocon_push(h, object, name, value);
}

/* ---- resolving: -1 with the error set; else *ret, NULL where there is no value ---- */

static int resolve(struct hocon *h, struct hocon_node *n, struct hocon_node **ret);

static int deeper(struct hocon *h, const struct hocon_node *n)
{
    if (h->over)
        return HOCON_FAIL(h, n->line, n->column, "too many values: at most %d in one object",
                          HOCON_PAIRS_MAX);
    if (h->depth >= RESOLVE_DEPTH_MAX)
        return HOCON_FAIL(h, n->line, n->column, "over %d values refer to each other here",
                          RESOLVE_DEPTH_MAX);
    h->depth++;
    return 0;
}

static struct hocon_node *new_like(struct hocon *h, enum hocon_type type,
                                   const struct hocon_node *n)
{
    struct hocon_node *made = hocon_node(h, type, n->line, n->column);

    if (made) {
        made->state = HOCON_DONE;
        made->result = made;
    }
    return made;
}

/* A new object: below's fields, above's over them. Both are resolved. */
static int merge(struct hocon *h, const struct hocon_node *below, const struct hocon_node *above,
                 struct hocon_node **ret)
{
    struct hocon_node *all = new_like(h, HOCON_OBJECT, above);
    int rc = all ? deeper(h, above) : -1;

    if (rc != 0)
        return -1;
    for (size_t i = 0; i < below->count; i++)
        hocon_push(h, all, below->names[i], below->kids[i]);
    for (size_t i = 0; rc == 0 && i < above->count; i++) {
        struct hocon_node **field = hocon_field(all, above->names[i]);

        if (!field)
            hocon_push(h, all, above->names[i], above->kids[i]);
        else if ((*field)->type == HOCON_OBJECT && above->kids[i]->type == HOCON_OBJECT)
            rc = merge(h, *field, above->kids[i], field);
        else
            *field = above->kids[i];
    }
    h->depth--;
    *ret = all;
    return rc;
}

/* *ret, the value of a node that had a prior: an object goes over an object. */
static int over_prior(struct hocon *h, struct hocon_node *prior, struct hocon_node **ret)
{
    struct hocon_node *old;

    if (!prior || (*ret && (*ret)->type != HOCON_OBJECT))
        return 0;
    if (resolve(h, prior, &old) != 0)
        return -1;
    if (!*ret)
        *ret = old;
    else if (old && old->type == HOCON_OBJECT)
        return merge(h, old, *ret, ret);
    return 0;
}

static struct cw_slice path_text(struct hocon *h, const struct hocon_node *subst)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, HOCON_TEXT_MAX);
    for (size_t i = 0; i < subst->count; i++) {
        cw_str_addz(&text, i ? "." : "");
        cw_str_adds(&text, subst->names[i]);
    }
    return cw_slice(cw_arena_dup(&h->arena, cw_str_slice(&text)), text.n);
}

/* A value being looked for: the names of a substitution. */
struct search {
    const struct hocon_node *subst;
    bool cycle; /* something on the way was being resolved */
};

static int search(struct hocon *h, struct search *s, struct hocon_node *n, size_t at,
                  struct hocon_node **ret);

/* The field is the last of the path, or the way goes on in it. */
static int search_field(struct hocon *h, struct search *s, struct hocon_node *field, size_t at,
                        struct hocon_node **ret)
{
    if (at + 1 < s->subst->count)
        return search(h, s, field, at + 1, ret);
    for (; field && field->state == HOCON_BUSY; field = field->prior)
        s->cycle = true;
    return field ? resolve(h, field, ret) : 0;
}

static int search_object(struct hocon *h, struct search *s, struct hocon_node *n, size_t at,
                         struct hocon_node **ret)
{
    struct hocon_node **field = hocon_field(n, s->subst->names[at]), *old = NULL;

    if (field && search_field(h, s, *field, at, ret) != 0)
        return -1;
    if (!n->prior || (*ret && (*ret)->type != HOCON_OBJECT))
        return 0;
    if (search(h, s, n->prior, at, &old) != 0)
        return -1;
    if (!*ret)
        *ret = old;
    else if (old && old->type == HOCON_OBJECT)
        return merge(h, old, *ret, ret);
    return 0;
}

/* The value at the path's parts from `at` on, below n; *ret is NULL before. */
static int search(struct hocon *h, struct search *s, struct hocon_node *n, size_t at,
                  struct hocon_node **ret)
{
    int rc = deeper(h, s->subst);

    if (rc != 0)
        return -1;
    while (n && n->type > HOCON_LIST) { /* becomes something only when resolved */
        if (n->state == HOCON_BUSY) {
            s->cycle = true;
            n = n->prior;
        } else if ((rc = resolve(h, n, &n)) != 0) {
            n = NULL;
        }
    }
    if (n && n->type == HOCON_OBJECT)
        rc = search_object(h, s, n, at, ret);
    h->depth--;
    return rc;
}

static int outside(struct hocon *h, const char *(*look)(void *arg, const char *path),
                   const struct hocon_node *subst, const char *path, struct hocon_node **ret)
{
    const char *text = look ? look(h->hooks->arg, path) : NULL;

    if (!text)
        return 0;
    if (!(*ret = new_like(h, HOCON_STRING, subst)))
        return -1;
    (*ret)->text = cw_slice_of(text);
    return 0;
}

static int resolve_subst(struct hocon *h, struct hocon_node *n, struct hocon_node **ret)
{
    struct search s = {.subst = n};
    struct cw_slice path = path_text(h, n);

    *ret = NULL;
    if (outside(h, h->hooks->above, n, path.p, ret) != 0 ||
        (!*ret && search(h, &s, h->root, 0, ret) != 0) ||
        (!*ret && outside(h, h->hooks->below, n, path.p, ret) != 0))
        return -1;
    if (!*ret && !n->optional)
        return HOCON_FAIL(h, n->line, n->column, "${%.60s} %s", path.p,
                          s.cycle ? "refers to itself" : "stands for nothing that is set");
    return over_prior(h, n->prior, ret);
}

static int resolve_object(struct hocon *h, struct hocon_node *n, struct hocon_node **ret)
{
    struct hocon_node *all = new_like(h, HOCON_OBJECT, n);

    for (size_t i = 0; all && i < n->count; i++) {
        struct hocon_node *value;

        if (resolve(h, n->kids[i], &value) != 0)
            return -1;
        if (value)
            hocon_push(h, all, n->names[i], value);
    }
    *ret = all;
    return all ? over_prior(h, n->prior, ret) : -1;
}

/* Appends the resolved items of a list, or of several, to all. */
static int add_items(struct hocon *h, const struct hocon_node *from, struct hocon_node *all)
{
    for (size_t i = 0; i < from->count; i++) {
        struct hocon_node *value;

        if (resolve(h, from->kids[i], &value) != 0)
            return -1;
        if (value)
            hocon_push(h, all, cw_slice(NULL, 0), value);
    }
    return 0;
}

static int resolve_list(struct hocon *h, struct hocon_node *n, struct hocon_node **ret)
{
    *ret = new_like(h, HOCON_LIST, n);
    return *ret ? add_items(h, n, *ret) : -1;
}

static int resolve_append(struct hocon *h, struct hocon_node *n, struct hocon_node **ret)
{
    struct hocon_node *old = NULL;

    if ((n->prior && resolve(h, n->prior, &old) != 0) || !(*ret = new_like(h, HOCON_LIST, n)))
        return -1;
    if (old && old->type != HOCON_LIST)
        return HOCON_FAIL(h, n->line, n->column, "+= needs a list before it");
    return (old && add_items(h, old, *ret) != 0) || add_items(h, n, *ret) != 0 ? -1 : 0;
}

/* ---- concatenation: pieces are resolved, NULL where there is no value ---- */

static int concat_texts(struct hocon *h, const struct hocon_node *n, struct hocon_node **pieces,
                        struct hocon_node **ret)
{
    cw_auto_str struct cw_str text;
    bool any = false;

    cw_str_init(&text, HOCON_TEXT_MAX);
    for (size_t i = 0; i < n->count; i++) {
        any = any || (pieces[i] && !n->kids[i]->blank);
        if (pieces[i])
            cw_str_adds(&text, pieces[i]->type == HOCON_NULL ? CW_SLICE("null") : pieces[i]->text);
    }
    h->made += text.n;
    if (text.failed || h->made > HOCON_MADE_MAX)
        return HOCON_FAIL(h, n->line, n->column, "a value over %d bytes", HOCON_TEXT_MAX);
    *ret = any ? new_like(h, HOCON_STRING, n) : NULL;
    if (any && !*ret)
        return -1;
    if (any)
        (*ret)->text = cw_slice(cw_arena_dup(&h->arena, cw_str_slice(&text)), text.n);
    return 0;
}

static int concat_add(struct hocon *h, struct hocon_node *piece, struct hocon_node **ret)
{
    struct hocon_node *all;

    if (!*ret) {
        *ret = piece;
        return 0;
    }
    if (piece->type == HOCON_OBJECT)
        return merge(h, *ret, piece, ret);
    if (!(all = new_like(h, HOCON_LIST, piece)) || add_items(h, *ret, all) != 0 ||
        add_items(h, piece, all) != 0)
        return -1;
    *ret = all;
    return 0;
}

/* Lists or objects, blanks between them do not count. */
static int concat_structures(struct hocon *h, const struct hocon_node *n,
                             struct hocon_node **pieces, enum hocon_type type,
                             struct hocon_node **ret)
{
    *ret = NULL;
    for (size_t i = 0; i < n->count; i++) {
        if (!pieces[i] || n->kids[i]->blank)
            continue;
        if (pieces[i]->type != type)
            return HOCON_FAIL(h, n->line, n->column,
                              "texts, lists and objects cannot be put together");
        if (concat_add(h, pieces[i], ret) != 0)
            return -1;
    }
    return 0;
}

static int resolve_concat(struct hocon *h, struct hocon_node *n, struct hocon_node **ret)
{
    struct hocon_node **pieces = cw_arena_alloc(&h->arena, n->count * sizeof(*pieces));
    enum hocon_type type = HOCON_STRING;

    for (size_t i = 0; i < n->count; i++) {
        if (resolve(h, n->kids[i], &pieces[i]) != 0)
            return -1;
        if (pieces[i] && (pieces[i]->type == HOCON_OBJECT || pieces[i]->type == HOCON_LIST))
            type = pieces[i]->type;
    }
    if ((type == HOCON_STRING ? concat_texts(h, n, pieces, ret)
                              : concat_structures(h, n, pieces, type, ret)) != 0)
        return -1;
    return over_prior(h, n->prior, ret);
}

static int resolve_new(struct hocon *h, struct hocon_node *n, struct hocon_node **ret)
{
    switch (n->type) {
    case HOCON_OBJECT:
        return resolve_object(h, n, ret);
    case HOCON_LIST:
        return resolve_list(h, n, ret);
    case HOCON_SUBST:
        return resolve_subst(h, n, ret);
    case HOCON_CONCAT:
        return resolve_concat(h, n, ret);
    case HOCON_APPEND:
        return resolve_append(h, n, ret);
    default:
        *ret = n;
        return 0;
    }
}

static int resolve(struct hocon *h, struct hocon_node *n, struct hocon_node **ret)
{
    int rc = 0;

    if (n->state != HOCON_DONE) {
        if (n->state == HOCON_BUSY)
            return HOCON_FAIL(h, n->line, n->column, "a value refers to itself");
        if (deeper(h, n) != 0)
            return -1;
        n->state = HOCON_BUSY;
        n->result = NULL;
        rc = resolve_new(h, n, &n->result);
        if (rc == 0 && h->over)
            rc = deeper(h, n);
        n->state = HOCON_DONE;
        h->depth--;
    }
    *ret = n->result;
    return rc;
}

/* ---- pairs ---- */

struct output {
    struct hocon *h;
    struct cw_str path;
    size_t pairs;
    unsigned depth;
};

static int put(struct output *o, const struct hocon_node *n);

static int put_text(struct output *o, const struct hocon_node *n)
{
    struct hocon *h = o->h;

    if (++o->pairs > HOCON_PAIRS_MAX)
        return HOCON_FAIL(h, n->line, n->column, "over %d settings", HOCON_PAIRS_MAX);
    return h->hooks->value(h->hooks->arg, o->path.p, cw_arena_dup(&h->arena, n->text), n->line,
                           h->err);
}

static int put_kid(struct output *o, const struct hocon_node *n, size_t i)
{
    size_t before = o->path.n;
    int rc;

    cw_str_addz(&o->path, before ? "." : "");
    if (n->type == HOCON_OBJECT)
        cw_str_adds(&o->path, n->names[i]);
    else
        cw_str_addi(&o->path, (int64_t)i);
    if (o->path.failed)
        return HOCON_FAIL(o->h, n->line, n->column, "a path over %d bytes", HOCON_PATH_MAX);
    rc = put(o, n->kids[i]);
    o->path.n = before;
    o->path.p[before] = '\0';
    return rc;
}

static int put(struct output *o, const struct hocon_node *n)
{
    int rc = 0;

    if (n->type == HOCON_STRING)
        return put_text(o, n);
    if (n->type == HOCON_NULL)
        return 0;
    if (o->depth == HOCON_DEPTH_MAX + 1)
        return HOCON_FAIL(o->h, n->line, n->column, "nested deeper than %d levels",
                          HOCON_DEPTH_MAX);
    o->depth++;
    for (size_t i = 0; rc == 0 && i < n->count; i++)
        rc = put_kid(o, n, i);
    o->depth--;
    return rc;
}

static int put_all(struct hocon *h, const struct hocon_node *root)
{
    struct output o = {.h = h};
    int rc;

    cw_str_init(&o.path, HOCON_PATH_MAX);
    rc = put(&o, root);
    cw_str_done(&o.path);
    return rc;
}

int cw_hocon_read(struct cw_slice text, const struct cw_hocon_hooks *hooks, struct cw_err *err)
{
    struct hocon h = {.hooks = hooks, .err = err};
    struct hocon_node *root = NULL;
    int rc = -1;

    cw_arena_init(&h.arena);
    h.root = hocon_node(&h, HOCON_OBJECT, 1, 1);
    if (h.root && hocon_parse(&h, text) == 0 && resolve(&h, h.root, &root) == 0 && root)
        rc = put_all(&h, root);
    cw_arena_done(&h.arena);
    return rc;
}
