/* Loading: collect the settings of all sources, bind each to its row of the table, then fill the
 * struct row by row, so that errors come in the table's order whatever the environment's is. */
#include "common/conf/conf_priv.h"

#include <ctype.h>

#include "common/base/err.h"

enum { LIST_INDEX_DIGITS = 4 };

/* ---- binding ---- */

/* One pair of single quotes around a value goes: stock's start script eats it, and deployments
 * rely on that. Blanks at both ends go too, except in secrets. */
static struct cw_slice unwrapped(const char *value, bool secret)
{
    struct cw_slice text = cw_slice_of(value);

    if (!secret)
        text = cw_slice_trim(text);
    if (text.n >= 2 && text.p[0] == '\'' &&
        memchr(text.p + 1, '\'', text.n - 1) == text.p + text.n - 1)
        text = cw_slice(text.p + 1, text.n - 2);
    return secret ? text : cw_slice_trim(text);
}

static bool is_index(const char *text)
{
    size_t n = strspn(text, "0123456789");

    return n > 0 && n <= LIST_INDEX_DIGITS && text[n] == '\0';
}

/* Does key name the item spelled `spelling`, or something under it? */
static bool names(const char *key, const char *spelling, enum cw_conf_type type,
                  const char **ret_relative)
{
    size_t n = spelling ? strlen(spelling) : 0;

    if (n == 0 || strncmp(key, spelling, n) != 0)
        return false;
    *ret_relative = NULL;
    if (key[n] == '\0')
        return true;
    if (key[n] != '.' || key[n + 1] == '\0')
        return false;
    *ret_relative = key + n + 1;
    return type == CW_CONF_MAP || (type == CW_CONF_LIST && is_index(*ret_relative));
}

/* The longest spelling wins: an item may live under the prefix of a map. */
static void bind_one(const struct cw_conf_table *t, struct conf_setting *s)
{
    size_t longest = 0;

    for (size_t i = 0; i < t->count; i++) {
        const struct cw_conf_item *item = &t->items[i];
        const char *const spellings[] = {item->key, item->alias};

        for (size_t k = 0; k < CW_ARRAY_LEN(spellings); k++) {
            const char *relative;

            if (!names(s->key, spellings[k], item->type, &relative) ||
                strlen(spellings[k]) <= longest)
                continue;
            longest = strlen(spellings[k]);
            s->item = item;
            s->relative = relative;
            s->alias = k == 1;
        }
    }
}

static bool ours(const char *key)
{
    return strncmp(key, "whisk.", 6) == 0 || strncmp(key, "cwhisk.", 7) == 0;
}

static bool reported_before(const struct conf_settings *all, const struct conf_setting *s)
{
    for (const struct conf_setting *o = all->at; o != s; o++)
        if (!o->item && strcmp(o->key, s->key) == 0 && *o->value)
            return true;
    return false;
}

/* Does the deployment set it for somebody else, or for what does not exist here? */
static bool is_without_effect(const struct cw_conf_table *t, const char *key)
{
    for (const struct cw_conf_no_effect *e = t->no_effect; e && e->key; e++) {
        size_t n = strlen(e->key);

        if (strncmp(key, e->key, n) == 0 && (key[n] == '\0' || key[n] == '.'))
            return true;
    }
    return false;
}

static void bind_all(const struct conf_input *in, struct conf_settings *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct conf_setting *s = &all->at[i];

        bind_one(in->table, s);
        if (s->item)
            s->text = unwrapped(s->value, s->item->flags & CW_CONF_SECRET);
        else if (in->note && *s->value && ours(s->key) && !is_without_effect(in->table, s->key) &&
                 !reported_before(all, s))
            in->note(in->arg, CW_CONF_UNKNOWN_KEY, s->key, s->origin);
    }
}

/* ---- filling ---- */

/* The settings of one item that are not empty, in order of rising priority; *pos starts at 0. */
struct cursor {
    const struct conf_settings *all;
    const struct cw_conf_item *item;
    unsigned rank; /* 2 * source + "not an alias" */
    size_t next;
};

static const struct conf_setting *next_setting(struct cursor *c)
{
    for (; c->rank < 2 * CONF_SOURCE_COUNT; c->rank++, c->next = 0) {
        while (c->next < c->all->count) {
            const struct conf_setting *s = &c->all->at[c->next++];

            if (s->item == c->item && s->text.n && 2 * (unsigned)s->source + !s->alias == c->rank)
                return s;
        }
    }
    return NULL;
}

/* A list or a map in the making; a list's names are its indices. */
struct entry {
    struct cw_slice name, value;
    unsigned index;
};

struct entries {
    struct entry *at;
    size_t count, cap;
};

static struct entry *entry_add(struct entries *e, struct entry v)
{
    if (e->count == e->cap) {
        e->cap = e->cap ? 2 * e->cap : 8;
        e->at = cw_realloc(e->at, e->cap * sizeof(*e->at));
    }
    e->at[e->count] = v;
    return &e->at[e->count++];
}

static void entry_set(struct entries *e, struct entry v)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->at[i].index == v.index && cw_slice_eq(e->at[i].name, v.name)) {
            e->at[i].value = v.value;
            return;
        }
    }
    (void)entry_add(e, v);
}

/* The next non-empty comma-separated part of *rest, trimmed. */
static bool take_part(struct cw_slice *rest, struct cw_slice *part)
{
    while (rest->n) {
        const char *comma = memchr(rest->p, ',', rest->n);
        size_t n = comma ? (size_t)(comma - rest->p) : rest->n;

        *part = cw_slice_trim(cw_slice(rest->p, n));
        n += comma != NULL;
        *rest = cw_slice(rest->p + n, rest->n - n);
        if (part->n)
            return true;
    }
    return false;
}

static char **steal_words(char **words, size_t count)
{
    words[count] = NULL;
    return words;
}

static int by_index(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return (x->index > y->index) - (x->index < y->index);
}

static char **list_words(struct entries *e)
{
    char **words = cw_calloc(e->count + 1, sizeof(*words));

    if (e->count)
        qsort(e->at, e->count, sizeof(*e->at), by_index);
    for (size_t i = 0; i < e->count; i++)
        words[i] = cw_slice_dup(e->at[i].value);
    return steal_words(words, e->count);
}

static void list_split(struct entries *e, struct cw_slice text)
{
    struct cw_slice part;

    e->count = 0;
    while (take_part(&text, &part))
        (void)entry_add(e, (struct entry){.value = part, .index = (unsigned)e->count});
}

/* A whole list replaces; numbered elements replace a whole list and join other numbered ones. The
 * elements of a list in a text are a whole one. */
static int fill_list(struct cursor *c, void *conf)
{
    struct entries e = {0};
    const struct conf_setting *s;
    bool numbered = false, in_text = false;

    list_split(&e, cw_slice_of(c->item->def));
    while ((s = next_setting(c))) {
        if (!s->relative) {
            list_split(&e, s->text);
            numbered = false;
            continue;
        }
        if (!numbered || in_text != (s->source == CONF_FROM_TEXT))
            e.count = 0;
        numbered = true;
        in_text = s->source == CONF_FROM_TEXT;
        entry_set(&e, (struct entry){.value = s->text,
                                     .index = (unsigned)strtoul(s->relative, NULL, 10)});
    }
    *(char ***)conf_field(c->item, conf) = list_words(&e);
    free(e.at);
    return 0;
}

/* In the order that people count in: label.2 before label.10. */
static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    cw_auto_free char *p = cw_slice_dup(x->name), *q = cw_slice_dup(y->name);

    return strverscmp(p, q);
}

static char **map_words(struct entries *e)
{
    char **words = cw_calloc(2 * e->count + 1, sizeof(*words));

    if (e->count)
        qsort(e->at, e->count, sizeof(*e->at), by_name);
    for (size_t i = 0; i < e->count; i++) {
        words[2 * i] = cw_slice_dup(e->at[i].name);
        words[2 * i + 1] = cw_slice_dup(e->at[i].value);
    }
    return steal_words(words, 2 * e->count);
}

static int map_add_pairs(struct entries *e, struct cw_slice text, const struct cw_conf_item *item,
                         const char *origin, struct cw_err *err)
{
    struct cw_slice part;

    while (take_part(&text, &part)) {
        const char *equals = memchr(part.p, '=', part.n);
        size_t n = equals ? (size_t)(equals - part.p) : 0;
        struct cw_slice name = cw_slice_trim(cw_slice(part.p, n));

        if (name.n == 0)
            return cw_fail(err, CW_INVALID,
                           "%s (%s): no name before \"=\"; accepted: key=value pairs separated by "
                           "commas",
                           item->key, origin);
        entry_set(e,
                  (struct entry){.name = name,
                                 .value = cw_slice_trim(cw_slice(part.p + n + 1, part.n - n - 1))});
    }
    return 0;
}

static int fill_map(struct cursor *c, void *conf, struct cw_err *err)
{
    struct entries e = {0};
    const struct conf_setting *s;
    int rc = map_add_pairs(&e, cw_slice_of(c->item->def), c->item, "default", err);

    while (rc == 0 && (s = next_setting(c))) {
        if (s->relative)
            entry_set(&e, (struct entry){.name = cw_slice_of(s->relative), .value = s->text});
        else
            rc = map_add_pairs(&e, s->text, c->item, s->origin, err);
    }
    if (rc == 0)
        *(char ***)conf_field(c->item, conf) = map_words(&e);
    free(e.at);
    return rc;
}

static int missing(const struct cw_conf_item *item, struct cw_err *err)
{
    cw_auto_str struct cw_str how;

    cw_str_init(&how, 1024);
    if (item->cli)
        cw_str_addf(&how, "--%s or ", item->cli);
    if (item->env)
        cw_str_addz(&how, item->env);
    else
        conf_variable_of_key(item->key, &how);
    return cw_fail(err, CW_INVALID, "%s: required, but not set; set %s", item->key, how.p);
}

static int fill_scalar(struct cursor *c, void *conf, struct cw_err *err)
{
    const struct conf_setting *s, *last = NULL;

    while ((s = next_setting(c)))
        last = s;
    if (last) {
        if (c->item->flags & CW_CONF_OPTIONAL)
            ((struct cw_conf_opt *)conf_field(c->item, conf))->set = true;
        return conf_value_parse(c->item, last->text, last->origin, conf, err);
    }
    if (c->item->def)
        return conf_value_parse(c->item, cw_slice_of(c->item->def), "default", conf, err);
    return c->item->flags & CW_CONF_REQUIRED ? missing(c->item, err) : 0;
}

static int fill_item(const struct conf_settings *all, const struct cw_conf_item *item, void *conf,
                     struct cw_err *err)
{
    struct cursor c = {.all = all, .item = item};
    char **words;

    if (conf_is_scalar(item))
        return fill_scalar(&c, conf, err);
    if ((item->type == CW_CONF_LIST ? fill_list(&c, conf) : fill_map(&c, conf, err)) != 0)
        return -1;
    words = *(char ***)conf_field(item, conf);
    return !words[0] && item->flags & CW_CONF_REQUIRED ? missing(item, err) : 0;
}

int cw_conf_load(const struct cw_conf_table *t, char *const *env, char *const *argv,
                 cw_conf_note_fn *note, void *arg, void *out, struct cw_err *err)
{
    const struct conf_input in = {.table = t, .env = env, .argv = argv, .note = note, .arg = arg};
    struct conf_settings all = {0};
    int rc;

    memset(out, 0, t->struct_size);
    cw_arena_init(&all.arena);
    rc = conf_collect(&in, &all, err);
    if (rc == 0)
        bind_all(&in, &all);
    for (size_t i = 0; rc == 0 && i < t->count; i++)
        rc = fill_item(&all, &t->items[i], out, err);
    if (rc != 0)
        cw_conf_free(t, out);
    free(all.at);
    cw_arena_done(&all.arena);
    return rc;
}

static void free_words(char **words)
{
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

void cw_conf_free(const struct cw_conf_table *t, void *conf)
{
    for (size_t i = 0; i < t->count; i++) {
        void *field = conf_field(&t->items[i], conf);

        if (t->items[i].type == CW_CONF_STRING)
            free(*(char **)field);
        else if (!conf_is_scalar(&t->items[i]))
            free_words(*(char ***)field);
    }
    memset(conf, 0, t->struct_size);
}
