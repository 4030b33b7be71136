/* Big-endian: magic, version, count; entries of tag, alias, time and what the tag says; SHA-1 over
 * the password as UTF-16, the words "Mighty Aphrodite" and everything before. */
#include "common/tls/jks.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/base/err.h"
#include "common/base/utf8.h"

enum {
    TAG_KEY = 1,
    TAG_TRUSTED = 2,
    DIGEST_BYTES = 20,
    HEAD_BYTES = 12,
    TIME_BYTES = 8,
    MAX_ENTRIES = 10000,
    MAX_CHAIN = 100,
    MAX_PASSWORD = 4096,
};

struct reader {
    struct cw_slice left;
    bool short_of; /* something reached beyond the end */
    uint32_t version;
    size_t keys;
    cw_jks_fn *fn;
    void *arg;
};

static struct cw_slice take(struct reader *r, size_t n)
{
    struct cw_slice piece = cw_slice(r->left.p, n);

    if (n > r->left.n) {
        r->short_of = true;
        r->left.n = 0;
        return cw_slice("", 0);
    }
    r->left.p += n;
    r->left.n -= n;
    return piece;
}

static uint32_t take_number(struct reader *r, size_t bytes)
{
    struct cw_slice piece = take(r, bytes);
    uint32_t value = 0;

    for (size_t i = 0; i < piece.n; i++)
        value = value << 8 | (unsigned char)piece.p[i];
    return value;
}

static uint32_t take_u32(struct reader *r)
{
    return take_number(r, 4);
}

static struct cw_slice take_text(struct reader *r)
{
    return take(r, take_number(r, 2));
}

static int cut_short(struct cw_err *err)
{
    return cw_fail(err, CW_INVALID, "the JKS store ends in the middle of an entry");
}

static int read_certificate(struct reader *r, size_t place, struct cw_err *err)
{
    struct cw_slice der;

    if (r->version == 2 && !cw_slice_is(take_text(r), "X.509") && !r->short_of)
        return cw_fail(err, CW_INVALID, "the JKS store has a certificate that is not X.509");
    der = take(r, take_u32(r));
    if (r->short_of)
        return cut_short(err);
    return r->fn(r->arg, der, place, err);
}

static int read_key(struct reader *r, struct cw_err *err)
{
    uint32_t count;

    (void)take(r, take_u32(r));
    count = take_u32(r);
    if (count > MAX_CHAIN)
        return cw_fail(err, CW_INVALID, "the JKS store has a chain of %" PRIu32 " certificates",
                       count);
    r->keys++;
    for (uint32_t i = 0; i < count; i++)
        if (read_certificate(r, i, err) != 0)
            return -1;
    return 0;
}

static int read_entry(struct reader *r, struct cw_err *err)
{
    uint32_t tag = take_u32(r);

    (void)take_text(r);
    (void)take(r, TIME_BYTES);
    if (r->short_of)
        return cut_short(err);
    if (tag == TAG_TRUSTED)
        return read_certificate(r, 0, err);
    if (tag == TAG_KEY)
        return read_key(r, err);
    return cw_fail(err, CW_INVALID, "the JKS store has an entry of unknown kind %" PRIu32, tag);
}

static int read_entries(struct reader *r, struct cw_err *err)
{
    uint32_t count;

    (void)take_u32(r); /* the magic number */
    r->version = take_u32(r);
    count = take_u32(r);
    if (r->version != 1 && r->version != 2)
        return cw_fail(err, CW_INVALID, "JKS version %" PRIu32 "; accepted: 1, 2", r->version);
    if (count > MAX_ENTRIES)
        return cw_fail(err, CW_INVALID, "the JKS store claims %" PRIu32 " entries; accepted: 0..%d",
                       count, MAX_ENTRIES);
    for (uint32_t i = 0; i < count; i++)
        if (read_entry(r, err) != 0)
            return -1;
    if (r->short_of)
        return cut_short(err);
    if (r->left.n)
        return cw_fail(err, CW_INVALID, "the JKS store has %zu bytes behind its entries",
                       r->left.n);
    return 0;
}

/* Two bytes of big-endian UTF-16. */
static void add_unit(struct cw_str *out, uint32_t unit)
{
    cw_str_addc(out, (char)(unit >> 8));
    cw_str_addc(out, (char)unit);
}

/* False when the text is not UTF-8. */
static bool add_utf16(struct cw_str *out, const char *text)
{
    for (size_t left = strlen(text), n; left > 0; text += n, left -= n) {
        static const unsigned char FIRST[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
        uint32_t c;

        if ((n = cw_utf8_seq(text, left)) == 0)
            return false;
        c = (unsigned char)text[0] & FIRST[n];
        for (size_t i = 1; i < n; i++)
            c = c << 6 | ((unsigned char)text[i] & 0x3F);
        if (c > 0xFFFF) {
            add_unit(out, 0xD800 + ((c - 0x10000) >> 10));
            c = 0xDC00 + ((c - 0x10000) & 0x3FF);
        }
        add_unit(out, c);
    }
    return true;
}

static bool digest(struct cw_slice data, const char *password, unsigned char ret[DIGEST_BYTES])
{
    static const char WORDS[] = "Mighty Aphrodite";
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    struct cw_str secret;
    bool ok;

    cw_str_init(&secret, MAX_PASSWORD);
    /* At once: a growing string would leave copies behind. */
    ok = cw_str_reserve(&secret, strlen(password) * 2) && add_utf16(&secret, password) && md &&
         EVP_DigestInit_ex(md, EVP_sha1(), NULL) == 1 &&
         EVP_DigestUpdate(md, secret.p, secret.n) == 1 &&
         EVP_DigestUpdate(md, WORDS, sizeof(WORDS) - 1) == 1 &&
         EVP_DigestUpdate(md, data.p, data.n) == 1 && EVP_DigestFinal_ex(md, ret, NULL) == 1;
    OPENSSL_cleanse(secret.p, secret.n);
    cw_str_done(&secret);
    EVP_MD_CTX_free(md);
    return ok;
}

static int check_digest(struct cw_slice file, const char *password, struct cw_err *err)
{
    struct cw_slice data = cw_slice(file.p, file.n - DIGEST_BYTES);
    unsigned char expected[DIGEST_BYTES];

    if (!digest(data, password, expected) ||
        CRYPTO_memcmp(expected, file.p + data.n, DIGEST_BYTES) != 0)
        return cw_fail(err, CW_INVALID, "wrong password, or the JKS store was tampered with");
    return 0;
}

bool cw_jks_is(struct cw_slice file)
{
    return file.n >= 4 && memcmp(file.p, "\xFE\xED\xFE\xED", 4) == 0;
}

int cw_jks_read(struct cw_slice file, const char *password, cw_jks_fn *fn, void *arg,
                size_t *ret_keys, struct cw_err *err)
{
    struct reader r = {.fn = fn, .arg = arg};

    if (!cw_jks_is(file) || file.n < HEAD_BYTES + DIGEST_BYTES)
        return cw_fail(err, CW_INVALID, "not a JKS store");
    if (password && check_digest(file, password, err) != 0)
        return -1;
    r.left = cw_slice(file.p, file.n - DIGEST_BYTES);
    if (read_entries(&r, err) != 0)
        return -1;
    if (ret_keys)
        *ret_keys = r.keys;
    return 0;
}
