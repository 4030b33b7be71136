/* Docker references as users write them: [registry/][prefix/]name[:tag]. The first part is a
 * registry when it could be a host (a dot, a port, "localhost"), as docker itself decides. Digests
 * ("name@sha256:…") are not part of the grammar that actions may use. */
#include "common/base/err.h"
#include "common/model/manifest.h"

enum { MAX_IMAGE = 512, MAX_TAG = 128 };

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_separator(char c)
{
    return c == '.' || c == '_' || c == '-';
}

/* Lower-case letters and digits, separated by '.', '_' or '-'. */
static bool component_ok(struct cw_slice s)
{
    if (s.n == 0 || !is_lower_alnum(s.p[0]) || !is_lower_alnum(s.p[s.n - 1]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_lower_alnum(s.p[i]) && !is_separator(s.p[i]))
            return false;
    return true;
}

static bool tag_ok(struct cw_slice s)
{
    if (s.n == 0 || s.n > MAX_TAG || s.p[0] == '.' || s.p[0] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && !is_separator(s.p[i]))
            return false;
    return true;
}

static bool port_ok(struct cw_slice s)
{
    int64_t port;

    return cw_parse_i64(s, "port", 1, 65535, &port, NULL) == 0;
}

static bool host_ok(struct cw_slice s)
{
    if (s.n == 0 || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && s.p[i] != '.' && s.p[i] != '-')
            return false;
    return true;
}

/* Cuts s at the first c: returns what is before it and leaves the rest; false when there is no c.
 */
static bool cut(struct cw_slice *s, char c, struct cw_slice *ret_before)
{
    const char *at = s->n ? memchr(s->p, c, s->n) : NULL;

    if (!at)
        return false;
    *ret_before = cw_slice(s->p, (size_t)(at - s->p));
    *s = cw_slice(at + 1, s->n - ret_before->n - 1);
    return true;
}

static bool registry_ok(struct cw_slice s)
{
    struct cw_slice host;

    if (cut(&s, ':', &host))
        return host_ok(host) && port_ok(s);
    return host_ok(s);
}

static bool looks_like_host(struct cw_slice s)
{
    return s.n && (memchr(s.p, '.', s.n) || memchr(s.p, ':', s.n) || cw_slice_is(s, "localhost"));
}

static bool prefix_ok(struct cw_slice s)
{
    struct cw_slice part;

    while (cut(&s, '/', &part))
        if (!component_ok(part))
            return false;
    return component_ok(s);
}

static bool split(struct cw_slice text, struct cw_image_ref *ret)
{
    const char *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
    struct cw_slice name;

    *ret = (struct cw_image_ref){0};
    if (slash && looks_like_host(cw_slice(text.p, (size_t)(slash - text.p))) &&
        (!cut(&text, '/', &ret->registry) || !registry_ok(ret->registry)))
        return false;
    if ((slash = text.n ? memrchr(text.p, '/', text.n) : NULL)) {
        ret->prefix = cw_slice(text.p, (size_t)(slash - text.p));
        text = cw_slice(slash + 1, text.n - ret->prefix.n - 1);
        if (!prefix_ok(ret->prefix))
            return false;
    }
    if (cut(&text, ':', &name)) {
        ret->tag = text;
        if (!tag_ok(ret->tag))
            return false;
    } else {
        name = text;
    }
    ret->name = name;
    return component_ok(ret->name);
}

int cw_image_split(struct cw_slice text, struct cw_image_ref *ret, struct cw_err *err)
{
    if (text.n > MAX_IMAGE || !split(text, ret))
        return cw_fail(err, CW_INVALID,
                       "image \"%.*s\" is not [registry/][prefix/]name[:tag] of at most %d bytes",
                       (int)(text.n > 80 ? 80 : text.n), text.n ? text.p : "", MAX_IMAGE);
    return 0;
}

static void add_with_slash(struct cw_str *out, const char *text)
{
    size_t n = strlen(text);

    while (n && text[n - 1] == '/')
        n--;
    if (!n)
        return;
    cw_str_add(out, text, n);
    cw_str_addc(out, '/');
}

void cw_image_print(const struct cw_image *image, const char *default_registry, struct cw_str *out)
{
    if (*image->registry)
        add_with_slash(out, image->registry);
    else if (default_registry)
        add_with_slash(out, default_registry);
    add_with_slash(out, image->prefix);
    cw_str_addz(out, image->name);
    if (*image->tag) {
        cw_str_addc(out, ':');
        cw_str_addz(out, image->tag);
    }
}
