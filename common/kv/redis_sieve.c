/* An answer is a tree of items in prefix order, so it is enough to count how many are due: an array
 * adds its items, everything else takes one away. What is taken out is counted in the same way. */
#include "common/kv/redis_sieve_priv.h"

#include "common/base/err.h"

/* More than that is not even skipped; Redis' own limit of a string. */
#define SKIP_MAX_BYTES (INT64_C(512) << 20)
#define SKIP_MAX_ITEMS (INT64_C(16) << 20)

static void item_ends(struct redis_sieve *s)
{
    s->state = SIEVE_TYPE;
    s->due--;
    if (s->skip)
        s->skip--;
    if (s->due == 0)
        s->bytes = s->items = 0;
}

static void let_through(const struct redis_sieve *s, const char *p, size_t n, struct cw_str *out)
{
    if (!s->skip)
        cw_str_add(out, p, n);
}

static int not_redis(struct cw_err *err)
{
    return cw_fail(err, CW_INVALID, "what it answers is not Redis' protocol (RESP2)");
}

static int begin_item(struct redis_sieve *s, char type, struct cw_str *out, struct cw_err *err)
{
    if (s->due == 0)
        s->due = 1;
    s->header_len = 0;
    if (type == '$' || type == '*') {
        s->state = SIEVE_LENGTH;
    } else if (type == '+' || type == '-' || type == ':') {
        s->state = SIEVE_TEXT;
        s->return_seen = false;
    } else {
        return not_redis(err);
    }
    if (s->state == SIEVE_LENGTH)
        s->header[s->header_len++] = type;
    else
        let_through(s, &type, 1, out);
    return 0;
}

static int take_string(struct redis_sieve *s, int64_t length, struct cw_str *out,
                       struct cw_err *err)
{
    if (length > SKIP_MAX_BYTES)
        return cw_fail(err, CW_TOO_LARGE, "an answer has over %llu bytes",
                       (unsigned long long)s->limits.bytes);
    s->dropping = s->skip || (uint64_t)length > s->limits.bytes - s->bytes;
    if (!s->dropping) {
        s->bytes += (uint64_t)length;
        let_through(s, s->header, s->header_len, out);
    } else {
        let_through(s, "$-1\r\n", 5, out);
    }
    s->left = (uint64_t)length + 2; /* with its line's end */
    s->state = SIEVE_STRING;
    return 0;
}

static int take_array(struct redis_sieve *s, int64_t count, struct cw_str *out, struct cw_err *err)
{
    bool whole = s->due == 1 && s->items == 0;

    if (count > SKIP_MAX_ITEMS || s->due > (uint64_t)SKIP_MAX_ITEMS)
        return cw_fail(err, CW_TOO_LARGE, "an answer has over %llu items",
                       (unsigned long long)s->limits.items);
    s->due += (uint64_t)count; /* and the array itself ends at once */
    if (s->skip) {
        s->skip += (uint64_t)count;
    } else if ((uint64_t)count <= s->limits.items - s->items) {
        s->items += (uint64_t)count;
        let_through(s, s->header, s->header_len, out);
    } else {
        if (whole)
            cw_str_addf(out, "-TOOLARGE an answer of over %llu items\r\n",
                        (unsigned long long)s->limits.items);
        else
            let_through(s, "*-1\r\n", 5, out);
        s->skip = (uint64_t)count + 1;
    }
    item_ends(s);
    return 0;
}

/* Type and length are there, with the line's end. */
static int take_header(struct redis_sieve *s, struct cw_str *out, struct cw_err *err)
{
    const char *digits = s->header + 1;
    size_t n = s->header_len - 2;
    int64_t length;

    if (n == 0 || digits[n - 1] != '\r' ||
        cw_parse_i64(cw_slice(digits, n - 1), "length", -1, INT64_MAX, &length, NULL) != 0)
        return not_redis(err);
    if (length > 0 || (length == 0 && s->header[0] == '$'))
        return s->header[0] == '$' ? take_string(s, length, out, err)
                                   : take_array(s, length, out, err);
    let_through(s, s->header, s->header_len, out);
    item_ends(s);
    return 0;
}

static int take_length(struct redis_sieve *s, char c, struct cw_str *out, struct cw_err *err)
{
    s->header[s->header_len++] = c;
    if (c == '\n')
        return take_header(s, out, err);
    return s->header_len < sizeof(s->header) ? 0 : not_redis(err);
}

/* How many of n bytes belong to the text. It ends where hiredis sees its end: with both bytes. */
static size_t take_text(struct redis_sieve *s, const char *p, size_t n, struct cw_str *out)
{
    size_t took = 0;
    bool ends = false;

    while (took < n && !ends) {
        ends = s->return_seen && p[took] == '\n';
        s->return_seen = p[took++] == '\r';
    }
    let_through(s, p, took, out);
    if (ends)
        item_ends(s);
    return took;
}

static size_t take_bytes(struct redis_sieve *s, const char *p, size_t n, struct cw_str *out)
{
    size_t took = n < s->left ? n : (size_t)s->left;

    if (!s->dropping)
        let_through(s, p, took, out);
    s->left -= took;
    if (s->left == 0)
        item_ends(s);
    return took;
}

int redis_sieve(struct redis_sieve *s, const char *p, size_t n, struct cw_str *out,
                struct cw_err *err)
{
    for (size_t at = 0; at < n;) {
        switch (s->state) {
        case SIEVE_TYPE:
            if (begin_item(s, p[at++], out, err) != 0)
                return -1;
            break;
        case SIEVE_LENGTH:
            if (take_length(s, p[at++], out, err) != 0)
                return -1;
            break;
        case SIEVE_TEXT:
            at += take_text(s, p + at, n - at, out);
            break;
        case SIEVE_STRING:
            at += take_bytes(s, p + at, n - at, out);
            break;
        }
    }
    return 0;
}
