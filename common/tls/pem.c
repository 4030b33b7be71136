/* Blocks are cut out and laid out anew before OpenSSL gets them, because a PEM text that came
 * through a variable often has spaces where its line ends were. */
#include "common/tls/keystore_priv.h"

#include <ctype.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/base/err.h"

enum { MAX_BLOCK = 1 << 20, LINE = 64, MAX_LABEL = 64 };

static const char BEGIN[] = "-----BEGIN ", END[] = "-----END ", DASHES[] = "-----";

struct block {
    struct cw_slice label; /* "CERTIFICATE" */
    struct cw_slice body;  /* between the two marks */
    struct cw_slice whole;
};

static struct cw_slice find(struct cw_slice in, const char *what)
{
    const char *p = in.n ? memmem(in.p, in.n, what, strlen(what)) : NULL;

    return p ? cw_slice(p, (size_t)(in.p + in.n - p)) : cw_slice(NULL, 0);
}

static struct cw_slice behind(struct cw_slice s, size_t n)
{
    return cw_slice(s.p + n, s.n - n);
}

/* The next block of *text, which moves behind it. 0: there is none. */
static int next_block(struct cw_slice *text, struct block *b, struct cw_err *err)
{
    struct cw_slice begin = find(*text, BEGIN), label, dashes, end, close;

    if (!begin.p)
        return 0;
    label = behind(begin, sizeof(BEGIN) - 1);
    dashes = find(label, DASHES);
    b->label = cw_slice(label.p, label.n - dashes.n);
    if (!dashes.p || b->label.n == 0 || b->label.n > MAX_LABEL)
        return cw_fail(err, CW_INVALID, "a PEM block whose first line does not end");
    dashes = behind(dashes, sizeof(DASHES) - 1);
    end = find(dashes, END);
    close = end.p ? find(behind(end, sizeof(END) - 1), DASHES) : end;
    if (!close.p || !cw_slice_eq(b->label, cw_slice(end.p + sizeof(END) - 1,
                                                    (size_t)(close.p - end.p) - sizeof(END) + 1)))
        return cw_fail(err, CW_INVALID, "a PEM block %.*s without its end", (int)b->label.n,
                       b->label.p);
    *text = behind(close, sizeof(DASHES) - 1);
    b->body = cw_slice(dashes.p, dashes.n - end.n);
    b->whole = cw_slice(begin.p, begin.n - text->n);
    return 1;
}

/* Base64 in lines of 64. A block with header lines (old encrypted keys) stays as it is. */
static void lay_out(const struct block *b, struct cw_str *out)
{
    size_t column = 0;

    if (memchr(b->body.p, ':', b->body.n)) {
        cw_str_adds(out, b->whole);
        cw_str_addc(out, '\n');
        return;
    }
    cw_str_addf(out, "%s%.*s%s\n", BEGIN, (int)b->label.n, b->label.p, DASHES);
    for (size_t i = 0; i < b->body.n; i++) {
        if (isspace((unsigned char)b->body.p[i]))
            continue;
        cw_str_addc(out, b->body.p[i]);
        if (++column % LINE == 0)
            cw_str_addc(out, '\n');
    }
    cw_str_addf(out, "%s%s%.*s%s\n", column % LINE ? "\n" : "", END, (int)b->label.n, b->label.p,
                DASHES);
}

/* pem_password_cb. Without it OpenSSL would ask on the terminal. */
static int give_password(char *buf, int size, int rwflag, void *arg)
{
    const char *password = arg;
    size_t n = password ? strlen(password) : 0;

    (void)rwflag;
    if (!password || n > (size_t)size)
        return -1;
    memcpy(buf, password, n);
    return (int)n;
}

static int take_key(struct cw_keystore *ks, BIO *bio, const struct cw_keystore_source *src,
                    struct cw_err *err)
{
    const char *password = src->key_password ? src->key_password : src->password;

    if (ks->key)
        return 0; /* the first one counts */
    ks->key = PEM_read_bio_PrivateKey(bio, NULL, give_password, (void *)password);
    if (ks->key)
        return 0;
    return cw_fail(err, CW_INVALID, "unreadable private key (%s): %s",
                   password ? "wrong password?" : "does it need a password?", keystore_reason());
}

static int take_certificate(struct cw_keystore *ks, BIO *bio, struct cw_err *err)
{
    X509 *cert = PEM_read_bio_X509(bio, NULL, give_password, NULL);

    if (!cert)
        return cw_fail(err, CW_INVALID, "unreadable certificate %d: %s", sk_X509_num(ks->all) + 1,
                       keystore_reason());
    return keystore_add(ks->all, cert, err);
}

static bool ends_with(struct cw_slice s, const char *end)
{
    size_t n = strlen(end);

    return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

/* Other blocks (parameters, requests) are none of ours. */
static int take_block(struct cw_keystore *ks, const struct block *b,
                      const struct cw_keystore_source *src, struct cw_err *err)
{
    bool key = ends_with(b->label, "PRIVATE KEY"), cert = ends_with(b->label, "CERTIFICATE");
    struct cw_str text;
    BIO *bio;
    int rc;

    if (!key && !cert)
        return 0;
    cw_str_init(&text, MAX_BLOCK);
    if (!cw_str_reserve(&text, b->whole.n + b->whole.n / LINE + 2 * MAX_LABEL))
        return cw_fail(err, CW_TOO_LARGE, "a PEM block of over %d bytes", MAX_BLOCK);
    lay_out(b, &text);
    bio = BIO_new_mem_buf(text.p, (int)text.n);
    if (!bio)
        abort();
    rc = key ? take_key(ks, bio, src, err) : take_certificate(ks, bio, err);
    BIO_free(bio);
    OPENSSL_cleanse(text.p, text.n);
    cw_str_done(&text);
    return rc;
}

bool pem_is(struct cw_slice bytes)
{
    return find(bytes, BEGIN).p != NULL;
}

int pem_read(struct cw_keystore *ks, struct cw_slice bytes, const struct cw_keystore_source *src,
             struct cw_err *err)
{
    struct block b = {0};
    int got;

    while ((got = next_block(&bytes, &b, err)) > 0)
        if (take_block(ks, &b, src, err) != 0)
            return -1;
    return got;
}
