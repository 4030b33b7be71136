/* Settings are collected per source, each marked with its own, which ranks them; nothing is judged
 * here except the form of the command line. */
#include "common/conf/conf_priv.h"

#include <ctype.h>
#include <stdio.h>

#include "common/base/err.h"

static const char CONFIG_PREFIX[] = "CONFIG_";
static const char OWN_PREFIX[] = "CWHISK_";
static const char OWN_KEYS[] = "cwhisk.";

enum {
    NAME_MAX_BYTES = 4096,
    KEY_MAX_BYTES = 2 * NAME_MAX_BYTES, /* kebab case is longer than camel case */
};

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *dup_slice(struct conf_settings *s, struct cw_slice text)
{
    return cw_arena_dup(&s->arena, text);
}

int conf_add(struct conf_settings *s, enum conf_source source, struct cw_slice key,
             const char *value, const char *origin, struct cw_err *err)
{
    struct conf_setting *at;

    if (key.n > NAME_MAX_BYTES)
        return cw_fail(err, CW_TOO_LARGE, "%.48s...: name over %d bytes", origin, NAME_MAX_BYTES);
    if (strlen(value) > CONF_VALUE_MAX)
        return cw_fail(err, CW_TOO_LARGE, "%.64s: value over %d bytes", origin, CONF_VALUE_MAX);
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->at = cw_realloc(s->at, s->cap * sizeof(*s->at));
    }
    at = &s->at[s->count++];
    *at = (struct conf_setting){
        .key = dup_slice(s, key),
        .value = dup_slice(s, cw_slice_of(value)),
        .origin = dup_slice(s, cw_slice_of(origin)),
        .source = source,
    };
    return 0;
}

/* ---- names ---- */

/* A part in PascalCase is a class name and stays; otherwise an upper-case letter behind a
 * lower-case one or a digit starts a word. */
static void add_kebab(struct cw_str *out, struct cw_slice part)
{
    bool pascal = part.n && isupper((unsigned char)part.p[0]);

    for (size_t i = 0; i < part.n; i++) {
        unsigned char c = (unsigned char)part.p[i];
        unsigned char before = i ? (unsigned char)part.p[i - 1] : 0;

        if (!pascal && isupper(c) && (islower(before) || isdigit(before))) {
            cw_str_addc(out, '-');
            c = (unsigned char)tolower(c);
        }
        cw_str_addc(out, (char)c);
    }
}

void conf_key_of_variable(const char *variable, struct cw_str *out)
{
    const char *p = variable;

    if (starts_with(p, CONFIG_PREFIX))
        p += sizeof(CONFIG_PREFIX) - 1;

    while (*(p += strspn(p, "_"))) {
        size_t n = strcspn(p, "_");

        if (out->n)
            cw_str_addc(out, '.');
        add_kebab(out, cw_slice(p, n));
        p += n;
    }
}

void conf_variable_of_key(const char *key, struct cw_str *out)
{
    char before = 0;

    cw_str_addz(out, CONFIG_PREFIX);
    for (; *key; before = *key++) {
        if (*key == '.')
            cw_str_addc(out, '_');
        else if (*key != '-')
            cw_str_addc(out, before == '-' ? (char)toupper((unsigned char)*key) : *key);
    }
}

void conf_plain_variable(const struct cw_conf_item *item, struct cw_str *out)
{
    if (item->env) {
        cw_str_addz(out, item->env);
    } else if (starts_with(item->key, OWN_KEYS)) {
        cw_str_addz(out, OWN_PREFIX);
        for (const char *p = item->key + sizeof(OWN_KEYS) - 1; *p; p++)
            cw_str_addc(out, *p == '.' || *p == '-' ? '_' : (char)toupper((unsigned char)*p));
    }
}

/* ---- environment ---- */

const char *conf_env(char *const *env, struct cw_slice name)
{
    for (; env && *env; env++)
        if (strncmp(*env, name.p, name.n) == 0 && (*env)[name.n] == '=')
            return *env + name.n + 1;
    return NULL;
}

/* "$NAME" stands for the value of NAME; where NAME is empty or not set, for itself: so stock. */
static const char *dereferenced(char *const *env, const char *value)
{
    const char *other = *value == '$' ? conf_env(env, cw_slice_of(value + 1)) : NULL;

    return other && *other ? other : value;
}

/* Stock takes every variable whose name has CONFIG_ in it, and cuts it off at the beginning only.
 */
static bool is_config_variable(const char *entry)
{
    const char *at = strstr(entry, CONFIG_PREFIX);

    return at && at < strchrnul(entry, '=');
}

static int add_config_variable(char *const *env, const char *entry, struct conf_settings *s,
                               struct cw_err *err)
{
    const char *equals = strchr(entry, '=');
    cw_auto_str struct cw_str key;
    const char *name;

    cw_str_init(&key, KEY_MAX_BYTES);
    if (!equals)
        return 0;
    name = dup_slice(s, cw_slice(entry, (size_t)(equals - entry)));
    conf_key_of_variable(name, &key);
    return conf_add(s, CONF_FROM_CONFIG, cw_str_slice(&key), dereferenced(env, equals + 1), name,
                    err);
}

static int collect_config(char *const *env, struct conf_settings *s, struct cw_err *err)
{
    for (char *const *e = env; e && *e; e++)
        if (is_config_variable(*e) && add_config_variable(env, *e, s, err) != 0)
            return -1;
    return 0;
}

static bool is_a_plain_variable(const struct cw_conf_table *t, struct cw_slice name)
{
    for (size_t i = 0; i < t->count; i++) {
        cw_auto_str struct cw_str have;

        cw_str_init(&have, NAME_MAX_BYTES);
        conf_plain_variable(&t->items[i], &have);
        if (cw_slice_eq(cw_str_slice(&have), name))
            return true;
    }
    return false;
}

/* A CWHISK_ variable of no item goes in under the key that it looks like, to be reported. */
static int add_stray_variable(const char *entry, struct cw_slice name, struct conf_settings *s,
                              struct cw_err *err)
{
    cw_auto_str struct cw_str key;

    cw_str_init(&key, NAME_MAX_BYTES);
    cw_str_addz(&key, OWN_KEYS);
    for (size_t i = sizeof(OWN_PREFIX) - 1; i < name.n; i++)
        cw_str_addc(&key, name.p[i] == '_' ? '-' : (char)tolower((unsigned char)name.p[i]));
    return conf_add(s, CONF_FROM_PLAIN, cw_str_slice(&key), entry + name.n + 1, dup_slice(s, name),
                    err);
}

static int collect_plain(const struct cw_conf_table *t, char *const *env, struct conf_settings *s,
                         struct cw_err *err)
{
    for (size_t i = 0; i < t->count; i++) {
        cw_auto_str struct cw_str name;
        const char *value;

        cw_str_init(&name, NAME_MAX_BYTES);
        conf_plain_variable(&t->items[i], &name);
        value = name.n ? conf_env(env, cw_str_slice(&name)) : NULL;
        if (value &&
            conf_add(s, CONF_FROM_PLAIN, cw_slice_of(t->items[i].key), value, name.p, err) != 0)
            return -1;
    }
    for (char *const *e = env; e && *e; e++) {
        struct cw_slice name = cw_slice(*e, strcspn(*e, "="));

        if (starts_with(*e, OWN_PREFIX) && (*e)[name.n] && !is_a_plain_variable(t, name) &&
            add_stray_variable(*e, name, s, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- -D words ---- */

static int add_define(const char *word, enum conf_source source, const char *origin,
                      struct conf_settings *s, struct cw_err *err)
{
    const char *key = word + 2;
    const char *equals = strchr(key, '=');
    struct cw_slice name = cw_slice(key, equals ? (size_t)(equals - key) : strlen(key));

    return conf_add(s, source, name, equals ? equals + 1 : "", origin, err);
}

/* $NAME and ${NAME} at *p, which points behind the dollar; a dollar before anything else stays. */
static const char *expand(char *const *env, const char *p, struct cw_str *out)
{
    bool braces = *p == '{';
    const char *name = p + braces;
    size_t n = 0;
    const char *value;

    while (isalnum((unsigned char)name[n]) || name[n] == '_')
        n++;
    if (n == 0 || isdigit((unsigned char)*name) || (braces && name[n] != '}')) {
        cw_str_addc(out, '$');
        return p;
    }
    value = conf_env(env, cw_slice(name, n));
    if (value)
        cw_str_addz(out, value);
    return name + n + braces;
}

/* Stock's start script lets the shell read INVOKER_OPTS, so blanks, quotes, backslashes and
 * variables mean what they mean there. Takes one word from *p; false at the end. */
static bool take_word(char *const *env, const char **p, struct cw_str *out)
{
    const char *s = *p + strspn(*p, " \t\r\n");
    char quote = 0;

    if (!*s)
        return false;
    for (; *s && (quote || !strchr(" \t\r\n", *s));) {
        char c = *s++;

        if (quote ? c == quote : c == '\'' || c == '"')
            quote = quote ? 0 : c;
        else if (c == '\\' && quote != '\'' && *s)
            cw_str_addc(out, *s++);
        else if (c == '$' && quote != '\'')
            s = expand(env, s, out);
        else
            cw_str_addc(out, c);
    }
    *p = s;
    return true;
}

static int collect_opts(char *const *env, const char *name, struct conf_settings *s,
                        struct cw_err *err)
{
    const char *p = conf_env(env, cw_slice_of(name));
    bool more = p != NULL;

    while (more) {
        cw_auto_str struct cw_str word, origin;

        cw_str_init(&word, CONF_VALUE_MAX);
        cw_str_init(&origin, CONF_VALUE_MAX + 64);
        more = take_word(env, &p, &word);
        if (word.failed)
            return cw_fail(err, CW_TOO_LARGE, "%s: word over %d bytes", name, CONF_VALUE_MAX);
        if (!more || !starts_with(word.p, "-D"))
            continue;
        cw_str_addf(&origin, "%.*s in %s", (int)strcspn(word.p, "="), word.p, name);
        if (add_define(word.p, CONF_FROM_OPTS, origin.p, s, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- command line ---- */

static const struct cw_conf_item *item_of_option(const struct cw_conf_table *t,
                                                 struct cw_slice name)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->items[i].cli && cw_slice_is(name, t->items[i].cli))
            return &t->items[i];
    return NULL;
}

/* *argv points to "--name…" and is left on the last word used. */
static int add_option(const struct cw_conf_table *t, char *const **argv, struct conf_settings *s,
                      struct cw_err *err)
{
    const char *name = **argv + 2;
    struct cw_slice bare = cw_slice(name, strcspn(name, "="));
    const struct cw_conf_item *item = item_of_option(t, bare);
    const char *value = name[bare.n] ? name + bare.n + 1 : NULL;
    char origin[128];

    if (!item)
        return cw_fail(err, CW_INVALID, "--%.*s: unknown option; see %s --help",
                       (int)(bare.n > 64 ? 64 : bare.n), bare.p, t->program);
    (void)snprintf(origin, sizeof(origin), "--%s", item->cli);
    if (!value && item->type == CW_CONF_BOOL)
        value = "true"; /* a switch */
    else if (!value)
        value = *++*argv;
    if (!value || (!*value && item->type != CW_CONF_STRING))
        return cw_fail(err, CW_INVALID, "%s: needs a value", origin);
    return conf_add(s, CONF_FROM_ARGV, cw_slice_of(item->key), value, origin, err);
}

static int collect_argv(const struct cw_conf_table *t, char *const *argv, struct conf_settings *s,
                        struct cw_err *err)
{
    int rc = 0;

    if (!argv || !*argv)
        return 0;
    for (argv++; *argv && rc == 0; argv++) {
        if (starts_with(*argv, "-D")) {
            char origin[128];

            (void)snprintf(origin, sizeof(origin), "%.*s", (int)strcspn(*argv, "="), *argv);
            rc = add_define(*argv, CONF_FROM_ARGV, origin, s, err);
        } else if (starts_with(*argv, "--") && (*argv)[2]) {
            rc = add_option(t, &argv, s, err);
            if (!*argv)
                break;
        } else {
            rc = cw_fail(err, CW_INVALID, "\"%.64s\": unexpected argument; see %s --help", *argv,
                         t->program);
        }
    }
    return rc;
}

int conf_collect(const struct conf_input *in, struct conf_settings *out, struct cw_err *err)
{
    if (collect_opts(in->env, "JAVA_OPTS", out, err) != 0 ||
        collect_opts(in->env, "INVOKER_OPTS", out, err) != 0 ||
        collect_config(in->env, out, err) != 0 ||
        collect_plain(in->table, in->env, out, err) != 0 ||
        collect_argv(in->table, in->argv, out, err) != 0)
        return -1;
    return conf_collect_text(in, out, err);
}
