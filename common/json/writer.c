#include "common/json/writer.h"

#include <assert.h>

#include "common/json/scan_priv.h"

/* In front of a key, or of a value that has none. */
static void separate(struct cw_json_writer *w)
{
    if (w->comma)
        cw_str_addc(w->out, ',');
    w->comma = true;
}

static void open_level(struct cw_json_writer *w, char bracket)
{
    assert(w->depth < CW_JSON_MAX_NESTING);
    separate(w);
    cw_str_addc(w->out, bracket);
    w->depth++;
    w->comma = false;
}

static void close_level(struct cw_json_writer *w, char bracket)
{
    assert(w->depth > 0);
    cw_str_addc(w->out, bracket);
    w->depth--;
    w->comma = true;
}

/* First byte that cannot stand in a string as it is. */
static const char *find_special(const char *p, const char *end)
{
    while (end - p >= CW_SCAN_LANES) {
        uint64_t v = cw_scan_load(p);
        uint64_t flags = cw_scan_equal(v, '"') | cw_scan_equal(v, '\\') | cw_scan_below(v, ' ');

        if (flags)
            return p + cw_scan_first(flags);
        p += CW_SCAN_LANES;
    }
    while (p < end && (cw_scan_is(*p, CW_CH_PLAIN) || (unsigned char)*p >= 0x80))
        p++;
    return p;
}

static void add_escape(struct cw_str *out, unsigned char c)
{
    static const char HEX[] = "0123456789abcdef";
    static const char SHORT[' '] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
    };
    char text[6] = {'\\', 'u', '0', '0'};

    if (c >= ' ') { /* quote, backslash */
        text[1] = (char)c;
        cw_str_add(out, text, 2);
    } else if (SHORT[c]) {
        text[1] = SHORT[c];
        cw_str_add(out, text, 2);
    } else {
        text[4] = HEX[c >> 4];
        text[5] = HEX[c & 15];
        cw_str_add(out, text, 6);
    }
}

static void add_quoted(struct cw_str *out, struct cw_slice text)
{
    cw_str_addc(out, '"');
    while (text.n) {
        size_t n = (size_t)(find_special(text.p, text.p + text.n) - text.p);

        cw_str_add(out, text.p, n);
        text = cw_slice(text.p + n, text.n - n);
        if (text.n == 0)
            break;
        add_escape(out, (unsigned char)text.p[0]);
        text = cw_slice(text.p + 1, text.n - 1);
    }
    cw_str_addc(out, '"');
}

void cw_json_begin(struct cw_json_writer *w, struct cw_str *out)
{
    *w = (struct cw_json_writer){.out = out};
}

void cw_json_object(struct cw_json_writer *w)
{
    open_level(w, '{');
}

void cw_json_object_end(struct cw_json_writer *w)
{
    close_level(w, '}');
}

void cw_json_array(struct cw_json_writer *w)
{
    open_level(w, '[');
}

void cw_json_array_end(struct cw_json_writer *w)
{
    close_level(w, ']');
}

void cw_json_key(struct cw_json_writer *w, const char *key)
{
    assert(w->depth > 0);
    separate(w);
    add_quoted(w->out, cw_slice_of(key));
    cw_str_addc(w->out, ':');
    w->comma = false;
}

void cw_json_string(struct cw_json_writer *w, const char *text)
{
    if (text)
        cw_json_string_slice(w, cw_slice_of(text));
    else
        cw_json_null(w);
}

void cw_json_string_slice(struct cw_json_writer *w, struct cw_slice text)
{
    separate(w);
    add_quoted(w->out, text);
}

void cw_json_int(struct cw_json_writer *w, int64_t v)
{
    separate(w);
    cw_str_addi(w->out, v);
}

void cw_json_bool(struct cw_json_writer *w, bool v)
{
    cw_json_raw(w, v ? CW_SLICE("true") : CW_SLICE("false"));
}

void cw_json_null(struct cw_json_writer *w)
{
    cw_json_raw(w, CW_SLICE("null"));
}

void cw_json_raw(struct cw_json_writer *w, struct cw_slice value)
{
    assert(value.n > 0);
    separate(w);
    cw_str_adds(w->out, value);
}

void cw_json_kv_string(struct cw_json_writer *w, const char *key, const char *text)
{
    if (!text)
        return;
    cw_json_key(w, key);
    cw_json_string(w, text);
}

void cw_json_kv_int(struct cw_json_writer *w, const char *key, int64_t v)
{
    cw_json_key(w, key);
    cw_json_int(w, v);
}

void cw_json_kv_bool(struct cw_json_writer *w, const char *key, bool v)
{
    cw_json_key(w, key);
    cw_json_bool(w, v);
}

void cw_json_kv_raw(struct cw_json_writer *w, const char *key, struct cw_slice value)
{
    if (value.n == 0)
        return;
    cw_json_key(w, key);
    cw_json_raw(w, value);
}
