/* Both bodies carry the activation's context: in /init as environment strings, in /run as members.
 * It is collected in a bag in which a later entry replaces an earlier one of the same name; that is
 * what makes the context win over arguments, and its fixed part over members of the key. */
#include "common/model/action_call.h"

#include <inttypes.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/map.h"
#include "common/json/raw.h"
#include "common/json/writer.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"

struct entry {
    struct cw_map_node node; /* key: the unescaped name */
    struct entry *next;
    struct cw_slice raw; /* JSON; n == 0: text counts */
    const char *text;
};

struct bag {
    struct cw_map map;
    struct cw_arena arena;
    struct entry *first, **last;
};

static void bag_init(struct bag *b)
{
    cw_map_init(&b->map);
    cw_arena_init(&b->arena);
    b->first = NULL;
    b->last = &b->first;
}

static void bag_done(struct bag *b)
{
    cw_map_done(&b->map);
    cw_arena_done(&b->arena);
}

#define cw_auto_bag CW_CLEANUP(bag_done)

static struct entry *bag_get(const struct bag *b, struct cw_slice name)
{
    struct cw_map_node *node = cw_map_get(&b->map, name);

    return node ? CW_CONTAINER_OF(node, struct entry, node) : NULL;
}

/* name lives as long as the bag. */
static struct entry *bag_put(struct bag *b, struct cw_slice name)
{
    struct entry *e = bag_get(b, name);

    if (e)
        return e;
    e = cw_arena_alloc(&b->arena, sizeof(*e));
    cw_map_put(&b->map, &e->node, name);
    *b->last = e;
    b->last = &e->next;
    return e;
}

static void put_raw(struct bag *b, struct cw_slice name, struct cw_slice raw)
{
    bag_put(b, name)->raw = raw;
}

static void put_text(struct bag *b, const char *name, const char *text)
{
    struct entry *e = bag_put(b, cw_slice_of(name));

    e->raw = (struct cw_slice){0};
    e->text = text;
}

static struct cw_slice unquoted(struct bag *b, struct cw_slice quoted)
{
    size_t n;
    const char *text;

    if (!memchr(quoted.p, '\\', quoted.n))
        return cw_slice(quoted.p + 1, quoted.n - 2);
    text = cw_raw_string(quoted, &b->arena, &n);
    return cw_slice(text, n);
}

/* ---- context ---- */

static const char *print(struct bag *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static const char *print(struct bag *b, const char *fmt, ...)
{
    cw_auto_str struct cw_str s;
    va_list ap;

    cw_str_init(&s, 1 << 20);
    va_start(ap, fmt);
    cw_str_addv(&s, fmt, ap);
    va_end(ap);
    return cw_arena_dup(&b->arena, cw_str_slice(&s));
}

static struct cw_slice environment_name(struct bag *b, struct cw_slice name)
{
    static const char PREFIX[] = "__OW_";
    size_t n = sizeof(PREFIX) - 1;
    char *p = cw_arena_alloc(&b->arena, n + name.n + 1);

    memcpy(p, PREFIX, n);
    for (size_t i = 0; i < name.n; i++)
        p[n + i] = name.p[i] >= 'a' && name.p[i] <= 'z' ? (char)(name.p[i] - 'a' + 'A') : name.p[i];
    return cw_slice(p, n + name.n);
}

/* Everything that the authentication knows about the caller, whatever it is called. */
static void put_authkey(struct bag *b, struct cw_slice authkey, bool as_environment)
{
    struct cw_raw_iter it = cw_raw_iter(authkey);
    struct cw_slice key, value, name;

    while (cw_raw_next_member(&it, &key, &value)) {
        name = unquoted(b, key);
        put_raw(b, as_environment ? environment_name(b, name) : name, value);
    }
}

static void put_context(struct bag *b, const struct cw_activation_message *m,
                        const struct cw_action *a, int64_t deadline_ms, bool env)
{
    if (a->provide_api_key)
        put_authkey(b, m->user.authkey, env);
    put_text(b, env ? "__OW_NAMESPACE" : "namespace", m->user.namespace_name);
    put_text(b, env ? "__OW_ACTION_NAME" : "action_name", print(b, "/%s", m->action.full));
    put_text(b, env ? "__OW_ACTION_VERSION" : "action_version", m->action.version);
    put_text(b, env ? "__OW_ACTIVATION_ID" : "activation_id", m->activation_id);
    put_text(b, env ? "__OW_TRANSACTION_ID" : "transaction_id", m->tx.id);
    put_text(b, env ? "__OW_DEADLINE" : "deadline", print(b, "%" PRId64, deadline_ms));
}

/* ---- arguments ---- */

static void put_init_names(struct bag *b, const struct cw_activation_message *m)
{
    struct cw_raw_iter it;
    struct cw_slice name;

    if (!m->init_args.n)
        return;
    for (it = cw_raw_iter(m->init_args); cw_raw_next_element(&it, &name);)
        (void)bag_put(b, unquoted(b, name));
}

static bool has_init_args(const struct cw_activation_message *m, struct cw_slice content)
{
    return m->init_args.n && content.n && cw_raw_type(content) == CW_RAW_OBJECT;
}

static void put_init_args(struct bag *b, const struct cw_activation_message *m,
                          struct cw_slice content)
{
    struct cw_raw_iter it;
    struct cw_slice key, value, name;
    cw_auto_bag struct bag names;

    bag_init(&names);
    if (!has_init_args(m, content))
        return;
    put_init_names(&names, m);
    for (it = cw_raw_iter(content); cw_raw_next_member(&it, &key, &value);) {
        name = unquoted(b, key);
        if (bag_get(&names, name))
            put_raw(b, name, value);
    }
}

/* What is left keeps its bytes, duplicates and order. */
static void write_other_args(struct cw_str *out, const struct cw_activation_message *m,
                             struct cw_slice content)
{
    struct cw_raw_iter it = cw_raw_iter(content);
    struct cw_slice key, value;
    cw_auto_bag struct bag names;
    bool first = true;

    bag_init(&names);
    put_init_names(&names, m);
    cw_str_addc(out, '{');
    while (cw_raw_next_member(&it, &key, &value)) {
        if (bag_get(&names, unquoted(&names, key)))
            continue;
        if (!first)
            cw_str_addc(out, ',');
        first = false;
        cw_str_adds(out, key);
        cw_str_addc(out, ':');
        cw_str_adds(out, value);
    }
    cw_str_addc(out, '}');
}

/* ---- values of environment variables ---- */

/* JSON without the white space between its tokens. */
static void add_compact(struct cw_str *out, struct cw_slice json)
{
    bool in_string = false;

    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];

        if (in_string && c == '\\') {
            cw_str_addc(out, c);
            c = json.p[++i];
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            continue;
        }
        cw_str_addc(out, c);
    }
}

/* What stock makes of a JSON value that has to be an environment string. */
static void write_as_string(struct cw_json_writer *w, struct cw_slice raw)
{
    cw_auto_str struct cw_str compact;

    cw_str_init(&compact, raw.n);
    switch (cw_raw_type(raw)) {
    case CW_RAW_STRING:
        cw_json_raw(w, raw);
        break;
    case CW_RAW_NULL:
        cw_json_string(w, "");
        break;
    case CW_RAW_BOOL:
    case CW_RAW_NUMBER:
        cw_json_string_slice(w, raw);
        break;
    default:
        add_compact(&compact, raw);
        cw_json_string_slice(w, cw_str_slice(&compact));
    }
}

/* ---- bodies ---- */

void cw_call_body_init(struct cw_call_body *b, size_t max_bytes)
{
    *b = (struct cw_call_body){0};
    cw_str_init(&b->before, max_bytes);
    cw_str_init(&b->after, max_bytes);
}

void cw_call_body_done(struct cw_call_body *b)
{
    cw_str_done(&b->before);
    cw_str_done(&b->after);
    b->piece_count = 0;
}

static int assemble(struct cw_call_body *b, struct cw_slice borrowed, const char *what,
                    struct cw_err *err)
{
    if (b->before.failed || b->after.failed || b->before.n + b->after.n > b->before.max)
        return cw_fail(err, CW_TOO_LARGE, "body of %s: over %zu bytes", what, b->before.max);
    b->piece_count = 0;
    b->pieces[b->piece_count++] = cw_str_slice(&b->before);
    if (borrowed.n)
        b->pieces[b->piece_count++] = borrowed;
    if (b->after.n)
        b->pieces[b->piece_count++] = cw_str_slice(&b->after);
    return 0;
}

static void reset(struct cw_call_body *b)
{
    cw_str_reset(&b->before);
    cw_str_reset(&b->after);
}

static void write_entry(struct cw_str *out, const struct entry *e, bool as_string)
{
    struct cw_json_writer w;

    cw_json_begin(&w, out);
    cw_json_string_slice(&w, e->node.key);
    cw_str_addc(out, ':');
    cw_json_begin(&w, out);
    if (!e->raw.n)
        cw_json_string(&w, e->text || !as_string ? e->text : "");
    else if (as_string)
        write_as_string(&w, e->raw);
    else
        cw_json_raw(&w, e->raw);
}

static void write_init_head(struct cw_str *out, const struct cw_activation_message *m,
                            const struct cw_action *a)
{
    struct cw_json_writer w;

    cw_str_addz(out, "{\"value\":{\"name\":");
    cw_json_begin(&w, out);
    cw_json_string(&w, m->action.name);
    cw_str_addf(out, ",\"binary\":%s,\"main\":", a->binary ? "true" : "false");
    cw_json_begin(&w, out);
    cw_json_string(&w, a->main ? a->main : "main");
    if (a->code_place == CW_CODE_INLINE)
        cw_str_addz(out, ",\"code\":");
}

static void write_init_tail(struct cw_str *out, const struct bag *environment)
{
    cw_str_addz(out, ",\"env\":{");
    for (const struct entry *e = environment->first; e; e = e->next) {
        if (e != environment->first)
            cw_str_addc(out, ',');
        write_entry(out, e, true);
    }
    cw_str_addz(out, "}}}");
}

int cw_init_body(const struct cw_activation_message *m, const struct cw_action *a,
                 struct cw_slice content, int64_t deadline_ms, struct cw_call_body *b,
                 struct cw_err *err)
{
    cw_auto_bag struct bag environment;

    bag_init(&environment);
    if (a->code_place == CW_CODE_ATTACHED)
        return cw_fail(err, CW_INTERNAL, "body of /init: code of %s has not been fetched", a->id);
    reset(b);
    put_init_args(&environment, m, content);
    put_context(&environment, m, a, deadline_ms, true);
    write_init_head(&b->before, m, a);
    write_init_tail(&b->after, &environment);
    return assemble(b, a->code_place == CW_CODE_INLINE ? a->code_quoted : (struct cw_slice){0},
                    "/init", err);
}

static void write_run_tail(struct cw_str *out, const struct bag *context)
{
    for (const struct entry *e = context->first; e; e = e->next) {
        if (cw_slice_is(e->node.key, "value"))
            continue; /* a member of the key by that name must not replace the arguments */
        cw_str_addc(out, ',');
        write_entry(out, e, false);
    }
    cw_str_addc(out, '}');
}

int cw_run_body(const struct cw_activation_message *m, const struct cw_action *a,
                struct cw_slice content, int64_t deadline_ms, struct cw_call_body *b,
                struct cw_err *err)
{
    struct cw_slice value = content.n ? content : CW_SLICE("{}");
    cw_auto_bag struct bag context;

    bag_init(&context);
    reset(b);
    put_context(&context, m, a, deadline_ms, false);
    cw_str_addz(&b->before, "{\"value\":");
    if (has_init_args(m, content)) {
        write_other_args(&b->before, m, content);
        value = (struct cw_slice){0};
    }
    write_run_tail(&b->after, &context);
    return assemble(b, value, "/run", err);
}
