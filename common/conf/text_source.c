/* A configuration file as a source of settings: OPENWHISK_CONFIG, OPENWHISK_ENCODED_CONFIG, or what
 * -Dconfig.file names. Stock reads it in place of its application.conf, which it therefore
 * includes; here the defaults of the table stand for that one in any case. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/conf/conf_priv.h"
#include "common/conf/hocon.h"

enum { TEXT_MAX = 1 << 20, ORIGIN_MAX = 192 };

static const char PLAIN[] = "OPENWHISK_CONFIG";
static const char ENCODED[] = "OPENWHISK_ENCODED_CONFIG";
static const char FILE_KEY[] = "config.file";

struct source {
    const struct conf_input *in;
    struct conf_settings *settings;
    const char *name; /* for errors and origins */
};

/* ---- files ---- */

static int read_open_file(int fd, const char *path, struct cw_str *out, struct cw_err *err)
{
    struct stat st;
    ssize_t n = 1;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return cw_fail(err, CW_INVALID, "%.80s: not a file", path);
    while (n > 0 && !out->failed) {
        char buf[4096];

        n = read(fd, buf, sizeof(buf));
        if (n > 0)
            cw_str_add(out, buf, (size_t)n);
    }
    if (out->failed)
        return cw_fail(err, CW_TOO_LARGE, "%.80s: over %d bytes", path, TEXT_MAX);
    return n < 0 ? cw_fail_errno(err, errno, "%.80s", path) : 0;
}

static int read_file(const char *path, struct cw_str *out, struct cw_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc;

    if (fd < 0)
        return cw_fail_errno(err, errno, "%.80s", path);
    rc = read_open_file(fd, path, out, err);
    (void)close(fd);
    return rc;
}

/* ---- hooks ---- */

static const char *from_above(void *arg, const char *path)
{
    const struct source *s = arg;
    const struct conf_setting *best = NULL;

    for (size_t i = 0; i < s->settings->count; i++) {
        const struct conf_setting *at = &s->settings->at[i];

        if (at->source != CONF_FROM_TEXT && *at->value && strcmp(at->key, path) == 0 &&
            (!best || at->source >= best->source))
            best = at;
    }
    return best ? best->value : NULL;
}

static const char *from_below(void *arg, const char *path)
{
    const struct source *s = arg;
    const struct cw_conf_table *t = s->in->table;

    for (size_t i = 0; i < t->count; i++)
        if (t->items[i].def && strcmp(t->items[i].key, path) == 0)
            return t->items[i].def;
    return conf_env(s->in->env, cw_slice_of(path));
}

static int on_value(void *arg, const char *path, const char *value, unsigned line,
                    struct cw_err *err)
{
    const struct source *s = arg;
    char origin[ORIGIN_MAX];

    (void)snprintf(origin, sizeof(origin), "%s line %u", s->name, line);
    return conf_add(s->settings, CONF_FROM_TEXT, cw_slice_of(path), value, origin, err);
}

/* Relative names count from the folder where stock would have put the text: $HOME. */
static void path_of(const struct source *s, const struct cw_hocon_include *inc, struct cw_str *out)
{
    const char *home = conf_env(s->in->env, CW_SLICE("HOME"));

    if (inc->name[0] != '/' && inc->kind == CW_HOCON_INCLUDE_ANY && home)
        cw_str_addf(out, "%s/", home);
    cw_str_addz(out, inc->name);
}

static int on_include(void *arg, const struct cw_hocon_include *inc, struct cw_arena *arena,
                      struct cw_slice *ret, struct cw_err *err)
{
    const struct source *s = arg;
    bool file = inc->kind == CW_HOCON_INCLUDE_FILE || inc->kind == CW_HOCON_INCLUDE_ANY;
    cw_auto_str struct cw_str path, text;

    cw_str_init(&path, TEXT_MAX);
    cw_str_init(&text, TEXT_MAX);
    path_of(s, inc, &path);
    if (file && access(path.p, F_OK) == 0) {
        if (read_file(path.p, &text, err) != 0)
            return -1;
        *ret = cw_slice(cw_arena_dup(arena, cw_str_slice(&text)), text.n);
        return 0;
    }
    if (inc->kind == CW_HOCON_INCLUDE_FILE && inc->required)
        return cw_fail(err, CW_NOT_FOUND, "%.80s: required, but not there", inc->name);
    if (s->in->note)
        s->in->note(s->in->arg, CW_CONF_INCLUDE, inc->name, s->name);
    return 0;
}

/* ---- the text ---- */

static int decode(const char *encoded, struct cw_str *out, struct cw_err *err)
{
    cw_auto_str struct cw_str bare;

    cw_str_init(&bare, 2 * TEXT_MAX);
    for (const char *p = encoded; *p; p++)
        if (!strchr(" \t\r\n", *p)) /* base64 breaks lines at 76 columns */
            cw_str_addc(&bare, *p);
    if (bare.failed)
        return cw_fail(err, CW_TOO_LARGE, "over %d bytes", TEXT_MAX);
    return cw_base64_decode(cw_str_slice(&bare), CW_BASE64_STANDARD, out, err);
}

/* The text that counts, and what it is called; *ret_name is NULL when there is none. */
static int find_text(const struct source *s, struct cw_str *out, const char **ret_name,
                     struct cw_err *err)
{
    const char *plain = conf_env(s->in->env, cw_slice_of(PLAIN));
    const char *encoded = conf_env(s->in->env, cw_slice_of(ENCODED));
    const char *file = from_above((void *)s, FILE_KEY);

    *ret_name = NULL;
    if (plain && *plain) {
        *ret_name = PLAIN;
        cw_str_addz(out, plain);
        return out->failed ? cw_fail(err, CW_TOO_LARGE, "over %d bytes", TEXT_MAX) : 0;
    }
    if (encoded && *encoded) {
        *ret_name = ENCODED;
        return decode(encoded, out, err);
    }
    if (!file)
        return 0;
    *ret_name = FILE_KEY;
    return read_file(file, out, err);
}

int conf_collect_text(const struct conf_input *in, struct conf_settings *out, struct cw_err *err)
{
    struct source s = {.in = in, .settings = out};
    const struct cw_hocon_hooks hooks = {.above = from_above,
                                         .below = from_below,
                                         .include = on_include,
                                         .value = on_value,
                                         .arg = &s};
    cw_auto_str struct cw_str text;
    int rc;

    cw_str_init(&text, TEXT_MAX);
    rc = find_text(&s, &text, &s.name, err);
    if (rc == 0 && s.name)
        rc = cw_hocon_read(cw_str_slice(&text), &hooks, err);
    return rc == 0 ? 0 : cw_err_wrap(err, "%s", s.name);
}
