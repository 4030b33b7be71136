/* HOCON text to a tree, by recursive descent. Values that need others (${}, concatenations with
 * such, +=) stay as they are written; each keeps what stood in its place before (`prior`). */
#include "common/conf/hocon_priv.h"

#include <stdio.h>

#include "common/base/err.h"

struct parser {
    struct hocon *h;
    const char *p, *end, *line_start;
    unsigned line;
};

static int parse_value(struct parser *s, struct hocon_node **ret);
static int parse_members(struct parser *s, struct hocon_node *object, bool braces);

/* ---- characters ---- */

static unsigned column_at(const struct parser *s, const char *p)
{
    return (unsigned)(p - s->line_start) + 1;
}

#define FAIL(s, ...) HOCON_FAIL((s)->h, (s)->line, column_at((s), (s)->p), __VA_ARGS__)

static bool at_end(const struct parser *s)
{
    return s->p == s->end;
}

static bool looking_at(const struct parser *s, const char *text)
{
    size_t n = strlen(text);

    return (size_t)(s->end - s->p) >= n && memcmp(s->p, text, n) == 0;
}

/* The length of a white space character that is not a newline; 0: none is here. */
static size_t blank_length(const struct parser *s)
{
    static const char *const WIDE[] = {"\u00a0", "\u1680", "\u2028", "\u2029",
                                       "\u202f", "\u205f", "\u3000", "\ufeff"};
    unsigned char c = at_end(s) ? 0 : (unsigned char)*s->p;

    if (c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' || (c >= 0x1c && c <= 0x1f))
        return 1;
    if (c < 0x80)
        return 0;
    for (size_t i = 0; i < CW_ARRAY_LEN(WIDE); i++)
        if (looking_at(s, WIDE[i]))
            return strlen(WIDE[i]);
    if (looking_at(s, "\xe2\x80") && s->end - s->p > 2 && (unsigned char)s->p[2] >= 0x80 &&
        (unsigned char)s->p[2] <= 0x8a)
        return 3; /* the spaces of U+2000.. */
    return 0;
}

static struct cw_slice take_blanks(struct parser *s)
{
    const char *from = s->p;
    size_t n;

    while ((n = blank_length(s)))
        s->p += n;
    return cw_slice(from, (size_t)(s->p - from));
}

static bool at_comment(const struct parser *s)
{
    return looking_at(s, "#") || looking_at(s, "//");
}

static void take_newline(struct parser *s)
{
    s->p++;
    s->line++;
    s->line_start = s->p;
}

/* White space and comments; true when a newline was among them. */
static bool skip(struct parser *s)
{
    bool newline = false;

    for (;;) {
        (void)take_blanks(s);
        if (at_comment(s)) {
            const char *to = memchr(s->p, '\n', (size_t)(s->end - s->p));

            s->p = to ? to : s->end;
        }
        if (at_end(s) || *s->p != '\n')
            return newline;
        take_newline(s);
        newline = true;
    }
}

static bool accept(struct parser *s, char c)
{
    if (at_end(s) || *s->p != c)
        return false;
    s->p++;
    return true;
}

/* What is here, for a message; a few static texts and one buffer of the caller. */
static const char *shown(const struct parser *s, char buf[8])
{
    if (at_end(s))
        return "the end of the text";
    if (*s->p == '\n')
        return "the end of the line";
    (void)snprintf(buf, 8, "\"%c\"", *s->p);
    return buf;
}

/* ---- strings ---- */

static int take_hex(struct parser *s, unsigned *ret)
{
    *ret = 0;
    for (int i = 0; i < 4; i++, s->p++) {
        static const char DIGITS[] = "0123456789abcdef";
        const char *at = at_end(s) || !*s->p ? NULL : strchr(DIGITS, *s->p | 0x20);

        if (!at || ((unsigned char)*s->p < '0'))
            return FAIL(s, "expected four hexadecimal digits after \\u");
        *ret = *ret << 4 | (unsigned)(at - DIGITS);
    }
    return 0;
}

static void add_utf8(struct cw_str *out, unsigned c)
{
    if (c < 0x80) {
        cw_str_addc(out, (char)c);
    } else if (c < 0x800) {
        cw_str_addc(out, (char)(0xc0 | c >> 6));
        cw_str_addc(out, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        cw_str_addc(out, (char)(0xe0 | c >> 12));
        cw_str_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
        cw_str_addc(out, (char)(0x80 | (c & 0x3f)));
    } else {
        cw_str_addc(out, (char)(0xf0 | c >> 18));
        cw_str_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
        cw_str_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
        cw_str_addc(out, (char)(0x80 | (c & 0x3f)));
    }
}

/* Behind "\u". */
static int take_unicode(struct parser *s, struct cw_str *out)
{
    unsigned c, low = 0;

    if (take_hex(s, &c) != 0)
        return -1;
    if (c >= 0xd800 && c < 0xdc00 && looking_at(s, "\\u")) {
        s->p += 2;
        if (take_hex(s, &low) != 0)
            return -1;
    }
    if (c == 0 || (c >= 0xd800 && c < 0xe000 && !(c < 0xdc00 && low >= 0xdc00 && low < 0xe000)))
        return FAIL(s, "\\u%04x cannot be used here", c);
    add_utf8(out, c >= 0xd800 && c < 0xe000 ? 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff)) : c);
    return 0;
}

/* Behind the backslash. */
static int take_escape(struct parser *s, struct cw_str *out)
{
    static const char NAMES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    const char *at = at_end(s) || !*s->p ? NULL : strchr(NAMES, *s->p);

    if (accept(s, 'u'))
        return take_unicode(s, out);
    if (!at)
        return FAIL(s, "\\ stands before \" \\ / b f n r t or uXXXX");
    cw_str_addc(out, MEANT[at - NAMES]);
    s->p++;
    return 0;
}

static int take_quoted(struct parser *s, struct cw_slice *ret)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, HOCON_TEXT_MAX);
    for (s->p++; !accept(s, '"');) {
        if (at_end(s) || *s->p == '\n')
            return FAIL(s, "a quoted string is not closed");
        if (accept(s, '\\')) {
            if (take_escape(s, &text) != 0)
                return -1;
        } else {
            cw_str_addc(&text, *s->p++);
        }
    }
    *ret = cw_slice(cw_arena_dup(&s->h->arena, cw_str_slice(&text)), text.n);
    return 0;
}

/* """ to """; quotes before the last three belong to the text. Nothing is escaped. */
static int take_triple_quoted(struct parser *s, struct cw_slice *ret)
{
    unsigned line = s->line, column = column_at(s, s->p);
    const char *from = s->p += 3;

    while (!looking_at(s, "\"\"\"")) {
        if (at_end(s))
            return HOCON_FAIL(s->h, line, column, "a string in triple quotes is not closed");
        if (*s->p == '\n')
            take_newline(s);
        else
            s->p++;
    }
    for (s->p += 3; accept(s, '"');)
        ;
    *ret = cw_slice(from, (size_t)(s->p - 3 - from));
    return 0;
}

static int take_any_quoted(struct parser *s, struct cw_slice *ret)
{
    return looking_at(s, "\"\"\"") ? take_triple_quoted(s, ret) : take_quoted(s, ret);
}

/* Characters of an unquoted string; `more` are those that end it besides the forbidden ones. */
static struct cw_slice take_bare(struct parser *s, const char *more)
{
    const char *from = s->p;

    while (!at_end(s) && *s->p != '\n' && !strchr("$\"{}[]:=,+#`^?!@*&\\", *s->p) &&
           !strchr(more, *s->p) && !at_comment(s) && blank_length(s) == 0)
        s->p++;
    return cw_slice(from, (size_t)(s->p - from));
}

/* ---- paths: a.b."c.d" ---- */

struct path {
    struct cw_slice parts[HOCON_PARTS_MAX];
    size_t count;
};

/* One part: quoted and unquoted pieces, with the blanks between them. */
static int take_part(struct parser *s, struct cw_slice *ret)
{
    cw_auto_str struct cw_str part;
    struct cw_slice blanks = {0}, piece;
    bool any = false;
    char buf[8];

    cw_str_init(&part, HOCON_PATH_MAX);
    for (;; any = true) {
        bool quoted = looking_at(s, "\"");

        if (!quoted)
            piece = take_bare(s, ".");
        else if (take_any_quoted(s, &piece) != 0)
            return -1;
        if (!quoted && piece.n == 0)
            break;
        cw_str_adds(&part, blanks);
        cw_str_adds(&part, piece);
        blanks = take_blanks(s);
    }
    if (part.failed)
        return FAIL(s, "a key over %d bytes", HOCON_PATH_MAX);
    if (!any)
        return FAIL(s, "expected a key, found %s", shown(s, buf));
    *ret = cw_slice(cw_arena_dup(&s->h->arena, cw_str_slice(&part)), part.n);
    return 0;
}

static int take_path(struct parser *s, struct path *ret)
{
    ret->count = 0;
    do {
        if (ret->count == HOCON_PARTS_MAX)
            return FAIL(s, "a path of over %d parts", HOCON_PARTS_MAX);
        (void)take_blanks(s);
        if (take_part(s, &ret->parts[ret->count++]) != 0)
            return -1;
    } while (accept(s, '.'));
    return 0;
}

/* ---- values ---- */

static struct hocon_node *node_here(struct parser *s, enum hocon_type type)
{
    return hocon_node(s->h, type, s->line, column_at(s, s->p));
}

static int parse_string(struct parser *s, struct hocon_node **ret)
{
    if (!(*ret = node_here(s, HOCON_STRING)))
        return -1;
    return take_any_quoted(s, &(*ret)->text);
}

static int parse_bare(struct parser *s, struct hocon_node **ret)
{
    char buf[8];

    if (!(*ret = node_here(s, HOCON_STRING)))
        return -1;
    (*ret)->text = take_bare(s, "");
    (*ret)->bare = true;
    if ((*ret)->text.n == 0)
        return FAIL(s, "%s needs quotes here", shown(s, buf));
    return 0;
}

static int parse_subst(struct parser *s, struct hocon_node **ret)
{
    struct path path;
    char buf[8];

    if (!(*ret = node_here(s, HOCON_SUBST)))
        return -1;
    s->p += 2;
    (*ret)->optional = accept(s, '?');
    if (take_path(s, &path) != 0)
        return -1;
    if (!accept(s, '}'))
        return FAIL(s, "expected \"}\" at the end of ${...}, found %s", shown(s, buf));
    for (size_t i = 0; i < path.count; i++)
        hocon_push(s->h, *ret, path.parts[i], NULL);
    return 0;
}

static int enter(struct parser *s)
{
    if (s->h->depth >= HOCON_DEPTH_MAX)
        return FAIL(s, "nested deeper than %d levels", HOCON_DEPTH_MAX);
    s->h->depth++;
    return 0;
}

static int parse_object(struct parser *s, struct hocon_node **ret)
{
    int rc;

    if (!(*ret = node_here(s, HOCON_OBJECT)) || enter(s) != 0)
        return -1;
    s->p++;
    rc = parse_members(s, *ret, true);
    s->h->depth--;
    return rc;
}

/* Behind an element: a comma or a newline (*ret_more), or the closing character, taken. */
static int take_separator(struct parser *s, char close, bool *ret_more)
{
    bool newline = skip(s);
    char buf[8];

    if (accept(s, ',')) {
        (void)skip(s);
        newline = true;
    }
    if (close ? accept(s, close) : at_end(s)) {
        *ret_more = false;
        return 0;
    }
    if (at_end(s))
        return FAIL(s, "\"%c\" is missing", close);
    *ret_more = true;
    return newline ? 0 : FAIL(s, "expected a comma or a new line, found %s", shown(s, buf));
}

static int parse_list(struct parser *s, struct hocon_node **ret)
{
    bool more;

    if (!(*ret = node_here(s, HOCON_LIST)) || enter(s) != 0)
        return -1;
    s->p++;
    (void)skip(s);
    for (more = !accept(s, ']'); more;) {
        struct hocon_node *item;

        if (parse_value(s, &item) != 0)
            return -1;
        hocon_push(s->h, *ret, cw_slice(NULL, 0), item);
        if (take_separator(s, ']', &more) != 0)
            return -1;
    }
    s->h->depth--;
    return 0;
}

static int parse_piece(struct parser *s, struct hocon_node **ret)
{
    switch (*s->p) {
    case '{':
        return parse_object(s, ret);
    case '[':
        return parse_list(s, ret);
    case '"':
        return parse_string(s, ret);
    case '$':
        return looking_at(s, "${") ? parse_subst(s, ret) : parse_bare(s, ret);
    default:
        return parse_bare(s, ret);
    }
}

static bool value_ends(const struct parser *s)
{
    return at_end(s) || strchr("\n,}]", *s->p) || at_comment(s);
}

/* Pieces that are all texts are one text; so only values that need others stay in pieces. */
static struct hocon_node *simplified(struct parser *s, struct hocon_node *all)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, HOCON_TEXT_MAX);
    if (all->count == 1) {
        struct hocon_node *only = all->kids[0];

        if (only->type == HOCON_STRING && only->bare && cw_slice_is(only->text, "null"))
            only->type = HOCON_NULL;
        return only;
    }
    for (size_t i = 0; i < all->count; i++) {
        if (all->kids[i]->type != HOCON_STRING)
            return all;
        cw_str_adds(&text, all->kids[i]->text);
    }
    all->type = HOCON_STRING;
    all->text = cw_slice(cw_arena_dup(&s->h->arena, cw_str_slice(&text)), text.n);
    return all;
}

static int parse_value(struct parser *s, struct hocon_node **ret)
{
    struct hocon_node *all = node_here(s, HOCON_CONCAT), *piece;
    char buf[8];

    if (!all)
        return -1;
    if (value_ends(s))
        return FAIL(s, "expected a value, found %s", shown(s, buf));
    while (!value_ends(s)) {
        struct cw_slice blanks = take_blanks(s);

        if (value_ends(s))
            break; /* blanks at the end do not count */
        if (blanks.n) {
            if (!(piece = node_here(s, HOCON_STRING)))
                return -1;
            piece->text = blanks;
            piece->blank = true;
            hocon_push(s->h, all, cw_slice(NULL, 0), piece);
        }
        if (parse_piece(s, &piece) != 0)
            return -1;
        hocon_push(s->h, all, cw_slice(NULL, 0), piece);
    }
    *ret = simplified(s, all);
    return 0;
}

/* ---- include ---- */

/* Behind "include": "name", file("name"), required(file("name"))...; false: it is a key. */
static bool at_include(const struct parser *s)
{
    static const char *const WORDS[] = {"\"", "file(", "url(", "classpath(", "required("};
    struct parser look = *s;

    if (!looking_at(&look, "include"))
        return false;
    look.p += strlen("include");
    if (take_blanks(&look).n == 0)
        return false;
    for (size_t i = 0; i < CW_ARRAY_LEN(WORDS); i++)
        if (looking_at(&look, WORDS[i]))
            return true;
    return false;
}

static bool accept_word(struct parser *s, const char *word)
{
    if (!looking_at(s, word))
        return false;
    s->p += strlen(word);
    (void)take_blanks(s);
    return true;
}

static int take_include(struct parser *s, struct cw_hocon_include *ret)
{
    static const struct {
        const char *word;
        enum cw_hocon_include_kind kind;
    } KINDS[] = {{"file(", CW_HOCON_INCLUDE_FILE},
                 {"url(", CW_HOCON_INCLUDE_URL},
                 {"classpath(", CW_HOCON_INCLUDE_CLASSPATH}};
    unsigned open = 0;
    struct cw_slice name;

    s->p += strlen("include");
    (void)take_blanks(s);
    ret->required = accept_word(s, "required(");
    open += ret->required;
    for (size_t i = 0; i < CW_ARRAY_LEN(KINDS); i++) {
        if (accept_word(s, KINDS[i].word)) {
            ret->kind = KINDS[i].kind;
            open++;
            break;
        }
    }
    if (!looking_at(s, "\""))
        return FAIL(s, "expected a quoted name to include");
    if (take_any_quoted(s, &name) != 0)
        return -1;
    ret->name = cw_arena_dup(&s->h->arena, name);
    for (; open; open--) {
        (void)take_blanks(s);
        if (!accept(s, ')'))
            return FAIL(s, "expected \")\" behind the name to include");
    }
    return 0;
}

static int parse_text(struct hocon *h, struct cw_slice text, struct hocon_node *object);

static int parse_include(struct parser *s, struct hocon_node *object)
{
    struct hocon *h = s->h;
    unsigned line = s->line, column = column_at(s, s->p);
    struct cw_hocon_include inc = {0};
    struct cw_slice text = {0};
    int rc = take_include(s, &inc);

    if (rc == 0 && h->hooks->include)
        rc = h->hooks->include(h->hooks->arg, &inc, &h->arena, &text, h->err) != 0
                 ? cw_err_wrap(h->err, "%u:%u", line, column)
                 : 0;
    if (rc != 0 || text.n == 0)
        return rc;
    if (h->includes++ == HOCON_INCLUDES_MAX)
        return HOCON_FAIL(h, line, column, "over %d includes", HOCON_INCLUDES_MAX);
    rc = parse_text(h, text, object);
    if (rc != 0 && !h->located) { /* of includes in each other, the innermost is told */
        h->located = true;
        (void)cw_err_wrap(h->err, "%u:%u: include \"%.40s\"", line, column, inc.name);
    }
    return rc;
}

/* ---- members ---- */

static int set_at(struct parser *s, struct hocon_node *object, const struct path *path,
                  struct hocon_node *value)
{
    for (size_t i = path->count - 1; i > 0; i--) {
        struct hocon_node *around = hocon_node(s->h, HOCON_OBJECT, value->line, value->column);

        if (!around)
            return -1;
        hocon_push(s->h, around, path->parts[i], value);
        value = around;
    }
    hocon_set(s->h, object, path->parts[0], value);
    return 0;
}

static int parse_assigned(struct parser *s, struct hocon_node **ret)
{
    char buf[8];

    if (looking_at(s, "{"))
        return parse_value(s, ret);
    if (looking_at(s, "+=")) {
        struct hocon_node *item;

        if (!(*ret = node_here(s, HOCON_APPEND)))
            return -1;
        s->p += 2;
        (void)skip(s);
        if (parse_value(s, &item) != 0)
            return -1;
        hocon_push(s->h, *ret, cw_slice(NULL, 0), item);
        return 0;
    }
    if (!accept(s, '=') && !accept(s, ':'))
        return FAIL(s, "expected =, : or { behind a key, found %s", shown(s, buf));
    (void)skip(s);
    return parse_value(s, ret);
}

static int parse_member(struct parser *s, struct hocon_node *object)
{
    struct path path;
    struct hocon_node *value;

    if (at_include(s))
        return parse_include(s, object);
    if (take_path(s, &path) != 0)
        return -1;
    (void)skip(s);
    if (parse_assigned(s, &value) != 0)
        return -1;
    return set_at(s, object, &path, value);
}

/* Behind "{" when there are braces, to and with "}"; else to the end. */
static int parse_members(struct parser *s, struct hocon_node *object, bool braces)
{
    bool more;

    (void)skip(s);
    more = braces ? !accept(s, '}') : !at_end(s);
    while (more)
        if (parse_member(s, object) != 0 || take_separator(s, braces ? '}' : '\0', &more) != 0)
            return -1;
    return 0;
}

static int parse_text(struct hocon *h, struct cw_slice text, struct hocon_node *object)
{
    struct parser s = {
        .h = h, .p = text.p, .end = text.p + text.n, .line_start = text.p, .line = 1};

    if (text.n > HOCON_TEXT_MAX)
        return FAIL(&s, "over %d bytes", HOCON_TEXT_MAX);
    if (memchr(text.p, '\0', text.n))
        return FAIL(&s, "there is a NUL byte in the text");
    (void)skip(&s);
    if (looking_at(&s, "["))
        return FAIL(&s, "a list cannot be the whole configuration");
    if (!accept(&s, '{'))
        return parse_members(&s, object, false);
    if (parse_members(&s, object, true) != 0)
        return -1;
    (void)skip(&s);
    return at_end(&s) ? 0 : FAIL(&s, "there is more text behind the last \"}\"");
}

int hocon_parse(struct hocon *h, struct cw_slice text)
{
    return text.n ? parse_text(h, text, h->root) : 0;
}
