/* One stream into SHA-256. Every item starts with a tag and says its length or end, so that
 * different structures give different streams; the unescaped length of a JSON string is not known
 * beforehand, so strings are hashed on their own and stand in the stream as that digest. Members
 * are sorted by their unescaped key. Recursion is bounded by the depth that cw_raw_check let
 * through. */
#include "common/model/content_hash.h"

#include <openssl/evp.h>

#include "common/base/arena.h"
#include "common/json/raw.h"

enum { ESCAPES_AT_ONCE = 4096 };

struct cw_content_hash {
    EVP_MD_CTX *md;
    EVP_MD_CTX *string_md;
};

struct member {
    struct cw_slice key; /* unescaped */
    struct cw_slice value;
    size_t position;
};

struct members {
    struct member *at;
    size_t n, cap;
    struct cw_arena keys;
};

static void must(int ok)
{
    if (!ok)
        abort(); /* only memory can be short here */
}

struct cw_content_hash *cw_content_hash_new(void)
{
    struct cw_content_hash *h = cw_alloc(sizeof(*h));

    h->md = EVP_MD_CTX_new();
    h->string_md = EVP_MD_CTX_new();
    must(h->md && h->string_md);
    must(EVP_DigestInit_ex(h->md, EVP_sha256(), NULL));
    return h;
}

void cw_content_hash_free(struct cw_content_hash *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->md);
    EVP_MD_CTX_free(h->string_md);
    free(h);
}

static void feed(struct cw_content_hash *h, const void *p, size_t n)
{
    if (n)
        must(EVP_DigestUpdate(h->md, p, n));
}

static void feed_tag(struct cw_content_hash *h, char tag)
{
    feed(h, &tag, 1);
}

static void feed_u64(struct cw_content_hash *h, uint64_t v)
{
    unsigned char bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(v >> 8 * i);
    feed(h, bytes, sizeof(bytes));
}

static void feed_counted(struct cw_content_hash *h, char tag, struct cw_slice text)
{
    feed_tag(h, tag);
    feed_u64(h, text.n);
    feed(h, text.p, text.n);
}

/* The run of \uXXXX at s, whole: a surrogate pair must not be taken apart. */
static size_t run_of_escapes(const char *s, size_t n)
{
    size_t i = 0;

    while (i + 6 <= n && s[i] == '\\' && s[i + 1] == 'u') {
        bool high = (s[i + 2] == 'd' || s[i + 2] == 'D') && strchr("89abAB", s[i + 3]);

        i += 6;
        if ((i >= ESCAPES_AT_ONCE / 2 && !high) || i + 6 > ESCAPES_AT_ONCE)
            break; /* the second case: nothing but high surrogates, none of them part of a pair */
    }
    return i ? i : 2;
}

static void feed_escapes(EVP_MD_CTX *md, const char *p, size_t n)
{
    char quoted[ESCAPES_AT_ONCE + 64];
    cw_auto_str struct cw_str plain;

    cw_str_init(&plain, 2 * sizeof(quoted));
    quoted[0] = '"';
    memcpy(quoted + 1, p, n);
    quoted[n + 1] = '"';
    cw_raw_unescape(cw_slice(quoted, n + 2), &plain);
    must(plain.n == 0 || EVP_DigestUpdate(md, plain.p, plain.n));
}

/* Without an unescaped copy: code can be tens of megabytes. */
static void feed_quoted(struct cw_content_hash *h, struct cw_slice quoted)
{
    const char *p = quoted.p + 1, *end = quoted.p + quoted.n - 1, *stop;
    unsigned char digest[CW_CONTENT_HASH_LEN];

    must(EVP_DigestInit_ex(h->string_md, EVP_sha256(), NULL));
    for (; p < end; p = stop) {
        stop = memchr(p, '\\', (size_t)(end - p));
        if (!stop)
            stop = end;
        if (stop != p) {
            must(EVP_DigestUpdate(h->string_md, p, (size_t)(stop - p)));
            continue;
        }
        stop = p + run_of_escapes(p, (size_t)(end - p));
        feed_escapes(h->string_md, p, (size_t)(stop - p));
    }
    must(EVP_DigestFinal_ex(h->string_md, digest, NULL));
    feed_tag(h, 's');
    feed(h, digest, sizeof(digest));
}

/* The digits without sign, point, leading and trailing zeros; *ret_exponent is the power of ten of
 * the last digit kept. */
static void digits_of(struct cw_slice mantissa, struct cw_str *out, int64_t *ret_exponent)
{
    bool point = false;
    size_t zeros = 0;

    *ret_exponent = 0;
    for (size_t i = 0; i < mantissa.n; i++) {
        char c = mantissa.p[i];

        if (c == '.')
            point = true;
        if (c < '0' || c > '9')
            continue;
        *ret_exponent -= point;
        if (c == '0') {
            zeros += out->n > 0;
            continue;
        }
        for (; zeros; zeros--)
            cw_str_addc(out, '0');
        cw_str_addc(out, c);
    }
    *ret_exponent += (int64_t)zeros;
}

static void feed_number(struct cw_content_hash *h, struct cw_slice number)
{
    struct cw_slice mantissa = number, exponent_text;
    cw_auto_str struct cw_str digits;
    int64_t exponent = 0, shift;

    cw_str_init(&digits, number.n);
    for (mantissa.n = 0; mantissa.n < number.n; mantissa.n++)
        if (number.p[mantissa.n] == 'e' || number.p[mantissa.n] == 'E')
            break;
    if (mantissa.n < number.n) {
        exponent_text = cw_slice(number.p + mantissa.n + 1, number.n - mantissa.n - 1);
        if (exponent_text.n && exponent_text.p[0] == '+')
            exponent_text = cw_slice(exponent_text.p + 1, exponent_text.n - 1);
        if (cw_parse_i64(exponent_text, "exponent", INT32_MIN, INT32_MAX, &exponent, NULL)) {
            feed_counted(h, 'N', number); /* far outside of what anybody computes with */
            return;
        }
    }
    digits_of(mantissa, &digits, &shift);
    feed_tag(h, digits.n && number.p[0] == '-' ? '-' : '+');
    feed_counted(h, 'n', cw_str_slice(&digits));
    feed_u64(h, digits.n ? (uint64_t)(exponent + shift) : 0);
}

static void members_add(struct members *m, struct cw_slice quoted_key, struct cw_slice value)
{
    size_t n;
    const char *key = cw_raw_string(quoted_key, &m->keys, &n);

    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 8;
        m->at = cw_realloc(m->at, m->cap * sizeof(*m->at));
    }
    m->at[m->n] = (struct member){cw_slice(key, n), value, m->n};
    m->n++;
}

static int by_key(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
    int order = n ? memcmp(x->key.p, y->key.p, n) : 0;

    if (order)
        return order;
    if (x->key.n != y->key.n)
        return x->key.n < y->key.n ? -1 : 1;
    return x->position < y->position ? -1 : 1;
}

/* Sorted, and of equal keys only the last one. */
static void members_settle(struct members *m)
{
    size_t kept = 0;

    if (m->n)
        qsort(m->at, m->n, sizeof(*m->at), by_key);
    for (size_t i = 0; i < m->n; i++)
        if (i + 1 == m->n || !cw_slice_eq(m->at[i].key, m->at[i + 1].key))
            m->at[kept++] = m->at[i];
    m->n = kept;
}

static void members_done(struct members *m)
{
    free(m->at);
    cw_arena_done(&m->keys);
}

static void feed_members(struct cw_content_hash *h, char tag, struct members *m)
{
    members_settle(m);
    feed_tag(h, tag);
    feed_u64(h, m->n);
    for (size_t i = 0; i < m->n; i++) {
        feed_counted(h, 'k', m->at[i].key);
        cw_content_hash_json(h, m->at[i].value);
    }
    members_done(m);
}

static void feed_object(struct cw_content_hash *h, struct cw_slice object)
{
    struct cw_raw_iter it = cw_raw_iter(object);
    struct members m = {0};
    struct cw_slice key, value;

    while (cw_raw_next_member(&it, &key, &value))
        members_add(&m, key, value);
    feed_members(h, 'o', &m);
}

static void feed_array(struct cw_content_hash *h, struct cw_slice array)
{
    struct cw_raw_iter it = cw_raw_iter(array);
    struct cw_slice value;

    feed_tag(h, 'a');
    while (cw_raw_next_element(&it, &value))
        cw_content_hash_json(h, value);
    feed_tag(h, 'e');
}

void cw_content_hash_json(struct cw_content_hash *h, struct cw_slice value)
{
    if (!value.n) {
        feed_tag(h, '?');
        return;
    }
    switch (cw_raw_type(value)) {
    case CW_RAW_NULL:
        feed_tag(h, '0');
        break;
    case CW_RAW_BOOL:
        feed_tag(h, cw_raw_is_true(value) ? 't' : 'f');
        break;
    case CW_RAW_NUMBER:
        feed_number(h, value);
        break;
    case CW_RAW_STRING:
        feed_quoted(h, value);
        break;
    case CW_RAW_ARRAY:
        feed_array(h, value);
        break;
    case CW_RAW_OBJECT:
        feed_object(h, value);
        break;
    }
}

static bool begins_with(struct cw_slice text, const char *prefix)
{
    size_t n = strlen(prefix);

    return text.n >= n && memcmp(text.p, prefix, n) == 0;
}

/* prefix NULL: all of them. */
static void feed_parameters(struct cw_content_hash *h, struct cw_slice array, const char *prefix)
{
    struct cw_raw_iter it = cw_raw_iter(array);
    struct members m = {0};
    struct cw_slice element, key;

    while (cw_raw_next_element(&it, &element)) {
        if (!cw_raw_get(element, "key", &key) || cw_raw_type(key) != CW_RAW_STRING)
            continue;
        members_add(&m, key, element);
        if (prefix && begins_with(m.at[m.n - 1].key, prefix))
            m.n--; /* once its key is unescaped it can be told */
    }
    feed_members(h, 'p', &m);
}

void cw_content_hash_parameters(struct cw_content_hash *h, struct cw_slice array)
{
    feed_parameters(h, array, NULL);
}

void cw_content_hash_parameters_but(struct cw_content_hash *h, struct cw_slice array,
                                    const char *prefix)
{
    feed_parameters(h, array, prefix);
}

void cw_content_hash_text(struct cw_content_hash *h, const char *text)
{
    if (text)
        feed_counted(h, 'x', cw_slice_of(text));
    else
        feed_tag(h, '?');
}

void cw_content_hash_int(struct cw_content_hash *h, int64_t v)
{
    feed_tag(h, 'i');
    feed_u64(h, (uint64_t)v);
}

void cw_content_hash_end(struct cw_content_hash *h, unsigned char ret[CW_CONTENT_HASH_LEN])
{
    must(EVP_DigestFinal_ex(h->md, ret, NULL));
}
