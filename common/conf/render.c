/* One table, four readers: an operator who asks what is set, the documentation, the man page, and
 * --help. */
#include "common/conf/conf_priv.h"

#include <ctype.h>

enum { CELL_MAX = 4096, USAGE_COLUMN = 28 };

static const char MASK[] = "******";
static const char NO_EFFECT_HEADING[] = "Known, without effect here";
static const char NO_EFFECT_TEXT[] =
    "Deployments set these keys, alone or with keys under them. They are accepted and change "
    "nothing.";

/* Heading and body of a new section, when this item opens one. */
static bool opens_section(const struct cw_conf_table *t, size_t i)
{
    return t->items[i].section && (i == 0 || !t->items[i - 1].section ||
                                   strcmp(t->items[i].section, t->items[i - 1].section) != 0);
}

/* ---- --print-config ---- */

/* Some maps hold settings of a library, secret ones among them. */
static bool is_secret(const struct cw_conf_item *item, const char *name)
{
    static const char *const MARKS[] = {"password", "secret", "token", "credential", "jaas", "pem"};
    size_t n = name ? strlen(name) : 0;

    if (item->flags & CW_CONF_SECRET)
        return true;
    if (n >= 3 && strcasecmp(name + n - 3, "key") == 0) /* ssl-keystore-key */
        return true;
    for (size_t i = 0; name && i < CW_ARRAY_LEN(MARKS); i++)
        if (strcasestr(name, MARKS[i]))
            return true;
    return false;
}

/* A line stays a line. */
static void add_visible(struct cw_str *out, struct cw_slice text)
{
    for (size_t i = 0; i < text.n; i++)
        cw_str_addc(out, iscntrl((unsigned char)text.p[i]) ? ' ' : text.p[i]);
}

static void print_line(const struct cw_conf_item *item, const char *relative, struct cw_slice value,
                       struct cw_str *out)
{
    cw_str_addz(out, item->key);
    if (relative) {
        cw_str_addc(out, '.');
        add_visible(out, cw_slice_of(relative));
    }
    cw_str_addz(out, " =");
    if (value.n) {
        cw_str_addc(out, ' ');
        if (is_secret(item, relative))
            cw_str_addz(out, MASK);
        else
            add_visible(out, value);
    }
    cw_str_addc(out, '\n');
}

static bool any_has_comma(char *const *words)
{
    for (; *words; words++)
        if (strchr(*words, ','))
            return true;
    return false;
}

static void print_list(const struct cw_conf_item *item, char *const *words, struct cw_str *out)
{
    cw_auto_str struct cw_str line;

    cw_str_init(&line, out->max);
    if (any_has_comma(words)) {
        for (size_t i = 0; words[i]; i++) {
            cw_str_reset(&line);
            cw_str_addi(&line, (int64_t)i);
            print_line(item, line.p, cw_slice_of(words[i]), out);
        }
        return;
    }
    for (size_t i = 0; words[i]; i++) {
        cw_str_addz(&line, i ? "," : "");
        cw_str_addz(&line, words[i]);
    }
    print_line(item, NULL, cw_str_slice(&line), out);
}

static void print_map(const struct cw_conf_item *item, char *const *words, struct cw_str *out)
{
    if (!*words)
        print_line(item, NULL, cw_slice_of(NULL), out);
    for (; *words; words += 2)
        print_line(item, words[0], cw_slice_of(words[1]), out);
}

static void print_item(const struct cw_conf_item *item, const void *conf, struct cw_str *out)
{
    const void *field = conf_field_const(item, conf);
    cw_auto_str struct cw_str value;

    if (item->type == CW_CONF_LIST) {
        print_list(item, *(char **const *)field, out);
    } else if (item->type == CW_CONF_MAP) {
        print_map(item, *(char **const *)field, out);
    } else {
        cw_str_init(&value, CONF_VALUE_MAX);
        conf_value_format(item, conf, &value);
        print_line(item, NULL, cw_str_slice(&value), out);
    }
}

void cw_conf_print(const struct cw_conf_table *t, const void *conf, struct cw_str *out)
{
    for (size_t i = 0; i < t->count; i++) {
        if (opens_section(t, i))
            cw_str_addf(out, "%s# %s\n", i ? "\n" : "", t->items[i].section);
        print_item(&t->items[i], conf, out);
    }
}

/* ---- shared by the documents ---- */

/* Every spelling but the key: variables first, then the option. */
static void add_spellings(const struct cw_conf_item *item, const char *before, const char *after,
                          struct cw_str *out)
{
    cw_auto_str struct cw_str plain, config;
    const char *separator = "";

    cw_str_init(&plain, CELL_MAX);
    cw_str_init(&config, CELL_MAX);
    conf_plain_variable(item, &plain);
    if (plain.n) {
        cw_str_addf(out, "%s%s%s", before, plain.p, after);
        separator = ", ";
    }
    if (strncmp(item->key, "cwhisk.", 7) != 0) {
        conf_variable_of_key(item->key, &config);
        cw_str_addf(out, "%s%s%s%s", separator, before, config.p, after);
        separator = ", ";
    }
    if (item->cli)
        cw_str_addf(out, "%s%s--%s%s", separator, before, item->cli, after);
}

static void add_default(const struct cw_conf_item *item, const char *before, const char *after,
                        struct cw_str *out)
{
    if (item->flags & CW_CONF_REQUIRED)
        cw_str_addz(out, "required");
    else if (item->def && *item->def)
        cw_str_addf(out, "%s%s%s", before, item->def, after);
    else
        cw_str_addz(out, "none");
}

/* ---- docs/config.md ---- */

/* Plain text: nothing in it ends the cell or is markup ("<id>" would vanish as an HTML tag). */
static void add_cell(struct cw_str *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("|<*", *text))
            cw_str_addc(out, '\\');
        cw_str_addc(out, *text == '\n' ? ' ' : *text);
    }
}

static void markdown_row(const struct cw_conf_item *item, struct cw_str *out)
{
    cw_auto_str struct cw_str accepted;

    cw_str_init(&accepted, CELL_MAX);
    conf_value_accepted(item, &accepted);
    cw_str_addf(out, "| `%s` | ", item->key);
    add_spellings(item, "`", "`", out);
    cw_str_addf(out, " | %s: ", conf_type_name(item->type));
    add_cell(out, accepted.p);
    cw_str_addz(out, " | ");
    add_default(item, "`", "`", out);
    cw_str_addz(out, " | ");
    add_cell(out, item->help);
    if (item->alias)
        cw_str_addf(out, " Older spelling: `%s`.", item->alias);
    cw_str_addz(out, " |\n");
}

void cw_conf_markdown(const struct cw_conf_table *t, struct cw_str *out)
{
    for (size_t i = 0; i < t->count; i++) {
        if (opens_section(t, i))
            cw_str_addf(out,
                        "%s## %s\n\n| Key | Variables and options | Values | Default | Meaning |\n"
                        "| --- | --- | --- | --- | --- |\n",
                        i ? "\n" : "", t->items[i].section);
        markdown_row(&t->items[i], out);
    }
    if (t->no_effect)
        cw_str_addf(out, "\n## %s\n\n%s\n\n| Key | Why |\n| --- | --- |\n", NO_EFFECT_HEADING,
                    NO_EFFECT_TEXT);
    for (const struct cw_conf_no_effect *e = t->no_effect; e && e->key; e++) {
        cw_str_addf(out, "| `%s` | ", e->key);
        add_cell(out, e->why);
        cw_str_addz(out, " |\n");
    }
}

/* ---- man page ---- */

static void add_roff(struct cw_str *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\')
            cw_str_addz(out, "\\e");
        else if (*text == '-')
            cw_str_addz(out, "\\-");
        else
            cw_str_addc(out, *text == '\n' ? ' ' : *text);
    }
}

/* A paragraph; \& keeps a leading dot or quote from being a request. */
static void add_roff_text(struct cw_str *out, const char *text)
{
    cw_str_addz(out, *text == '.' || *text == '\'' ? "\\&" : "");
    add_roff(out, text);
    cw_str_addc(out, '\n');
}

static void man_item(const struct cw_conf_item *item, struct cw_str *out)
{
    cw_auto_str struct cw_str line;

    cw_str_init(&line, CELL_MAX);
    cw_str_addz(out, ".TP\n.B ");
    add_roff_text(out, item->key);
    add_roff_text(out, item->help);
    cw_str_addz(&line, "Values: ");
    conf_value_accepted(item, &line);
    cw_str_addz(&line, ". Default: ");
    add_default(item, "", "", &line);
    cw_str_addz(&line, ". Also: ");
    add_spellings(item, "", "", &line);
    cw_str_addc(&line, '.');
    cw_str_addz(out, ".br\n");
    add_roff_text(out, line.p);
}

void cw_conf_man(const struct cw_conf_table *t, struct cw_str *out)
{
    for (size_t i = 0; i < t->count; i++) {
        if (opens_section(t, i)) {
            cw_str_addz(out, ".SS ");
            add_roff_text(out, t->items[i].section);
        }
        man_item(&t->items[i], out);
    }
    if (t->no_effect) {
        cw_str_addf(out, ".SS %s\n", NO_EFFECT_HEADING);
        add_roff_text(out, NO_EFFECT_TEXT);
    }
    for (const struct cw_conf_no_effect *e = t->no_effect; e && e->key; e++) {
        cw_str_addz(out, ".TP\n.B ");
        add_roff_text(out, e->key);
        add_roff_text(out, e->why);
    }
}

/* ---- --help ---- */

void cw_conf_usage(const struct cw_conf_table *t, struct cw_str *out)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct cw_conf_item *item = &t->items[i];
        cw_auto_str struct cw_str head;

        cw_str_init(&head, CELL_MAX);
        if (!item->cli)
            continue;
        cw_str_addf(&head, "  --%s", item->cli);
        if (item->type != CW_CONF_BOOL) {
            cw_str_addc(&head, ' ');
            conf_value_placeholder(item, &head);
        }
        if (head.n >= USAGE_COLUMN)
            cw_str_addf(out, "%s\n%*s%s\n", head.p, USAGE_COLUMN, "", item->help);
        else
            cw_str_addf(out, "%-*s%s\n", USAGE_COLUMN, head.p, item->help);
    }
}
