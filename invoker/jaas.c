/* The tokens are those of java.io.StreamTokenizer as Kafka sets it up: words, strings in double or
 * single quotes with Java's escapes, single characters, comments. */
#include "invoker/jaas.h"

#include <ctype.h>

#include "common/base/err.h"

enum { MAX_TEXT = 64 * 1024 };

enum kind { END, WORD, STRING, SIGN, BROKEN };

struct lexer {
    const char *p;
    struct cw_str token;
    enum kind kind;
};

static void skip_blanks(struct lexer *lx)
{
    for (;;) {
        lx->p += strspn(lx->p, " \t\r\n\f");
        if (strncmp(lx->p, "//", 2) == 0) {
            lx->p += strcspn(lx->p, "\n");
        } else if (strncmp(lx->p, "/*", 2) == 0) {
            const char *end = strstr(lx->p + 2, "*/");

            lx->p = end ? end + 2 : lx->p + strlen(lx->p);
        } else {
            return;
        }
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || (c && strchr("._$-", c));
}

/* Behind a backslash: up to three octal digits, a letter with a meaning, or itself. */
static char unescape(struct lexer *lx)
{
    static const char LETTERS[] = "abfnrtv", MEANINGS[] = "\a\b\f\n\r\t\v";
    const char *letter;
    int c = 0;

    if (*lx->p >= '0' && *lx->p <= '7') {
        for (int i = 0, most = *lx->p <= '3' ? 3 : 2; i < most && *lx->p >= '0' && *lx->p <= '7';
             i++)
            c = c * 8 + (*lx->p++ - '0');
        return (char)c;
    }
    letter = strchr(LETTERS, *lx->p);
    lx->p++;
    return letter ? MEANINGS[letter - LETTERS] : lx->p[-1];
}

static enum kind read_string(struct lexer *lx)
{
    char quote = *lx->p++;

    while (*lx->p && *lx->p != quote && *lx->p != '\n' && *lx->p != '\r') {
        char c = *lx->p++;

        if (c == '\\' && *lx->p)
            c = unescape(lx);
        if (c == '\0') /* an escaped one: no credential of ours can hold it */
            return BROKEN;
        cw_str_addc(&lx->token, c);
    }
    if (*lx->p != quote)
        return BROKEN;
    lx->p++;
    return STRING;
}

static void next(struct lexer *lx)
{
    skip_blanks(lx);
    cw_str_reset(&lx->token);
    if (*lx->p == '\0') {
        lx->kind = END;
    } else if (*lx->p == '"' || *lx->p == '\'') {
        lx->kind = read_string(lx);
    } else if (is_word(*lx->p)) {
        lx->kind = WORD;
        while (is_word(*lx->p))
            cw_str_addc(&lx->token, *lx->p++);
    } else {
        lx->kind = SIGN;
        cw_str_addc(&lx->token, *lx->p++);
    }
}

static bool is_sign(const struct lexer *lx, char sign)
{
    return lx->kind == SIGN && lx->token.p[0] == sign;
}

static int refuse(struct cw_err *err, const char *what)
{
    return cw_fail(err, CW_INVALID,
                   "%s; accepted: CLASS required username=\"...\" password=\"...\";", what);
}

static const char *keep(struct lexer *lx, struct cw_arena *arena)
{
    const char *text = cw_arena_dup(arena, cw_str_slice(&lx->token));

    next(lx);
    return text;
}

static int parse_option(struct lexer *lx, struct cw_arena *arena, struct inv_jaas *jaas,
                        struct cw_err *err)
{
    if (jaas->count == INV_JAAS_MAX_OPTIONS)
        return refuse(err, "too many options");
    if (lx->kind != WORD)
        return refuse(err, lx->kind == BROKEN ? "a string without its end" : "a misplaced sign");
    jaas->options[jaas->count].name = keep(lx, arena);
    if (!is_sign(lx, '='))
        return refuse(err, "an option without a value");
    next(lx);
    if (lx->kind == BROKEN)
        return refuse(err, "a string without its end");
    if (lx->kind != WORD && lx->kind != STRING)
        return refuse(err, "an option without a value");
    jaas->options[jaas->count++].value = keep(lx, arena);
    return 0;
}

static int parse(struct lexer *lx, struct cw_arena *arena, struct inv_jaas *jaas,
                 struct cw_err *err)
{
    next(lx);
    if (lx->kind != WORD)
        return refuse(err, "no login module");
    jaas->module = keep(lx, arena);
    if (lx->kind != WORD)
        return refuse(err, "no flag behind the login module");
    jaas->flag = keep(lx, arena);
    while (lx->kind != END && !is_sign(lx, ';'))
        if (parse_option(lx, arena, jaas, err) != 0)
            return -1;
    if (lx->kind == END)
        return 0;
    next(lx);
    return lx->kind == END ? 0 : refuse(err, "more than one login module");
}

int inv_jaas_parse(const char *text, struct cw_arena *arena, struct inv_jaas *ret,
                   struct cw_err *err)
{
    struct lexer lx = {.p = text};
    int rc;

    *ret = (struct inv_jaas){0};
    if (strlen(text) > MAX_TEXT)
        return cw_fail(err, CW_TOO_LARGE, "longer than %d bytes", MAX_TEXT);
    cw_str_init(&lx.token, MAX_TEXT);
    rc = parse(&lx, arena, ret, err);
    cw_str_done(&lx.token);
    return rc;
}

const char *inv_jaas_option(const struct inv_jaas *jaas, const char *name)
{
    for (size_t i = 0; i < jaas->count; i++)
        if (strcmp(jaas->options[i].name, name) == 0)
            return jaas->options[i].value;
    return NULL;
}
