/* The content is written anew around the decrypted values; every other member is copied as the
 * bytes it arrived in. Plain text lives only in the message and in buffers that are wiped. */
#include "common/model/param_lock.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/base/map.h"
#include "common/json/raw.h"
#include "common/model/activation_message.h"

enum { SCHEMES = 2, KEY_MAX = 32, TAG_LEN = 16, HEAD_LEN = 4, KEY_TEXT_MAX = 256 };

struct param_key {
    unsigned char bytes[KEY_MAX];
    size_t n; /* 0: none */
};

struct cw_param_keys {
    struct param_key of[SCHEMES];
};

static const struct scheme {
    const char *name;
    size_t iv_len;
} SCHEME[SCHEMES] = {{"aes-128", 12}, {"aes-256", 128}};

/* ---- keys ---- */

static int read_key(struct param_key *key, const struct scheme *scheme, const char *text,
                    struct cw_err *err)
{
    struct cw_str bytes;
    int bad;

    if (!text || !*text)
        return 0;
    cw_str_init(&bytes, KEY_TEXT_MAX);
    bad = cw_base64_decode(cw_slice_of(text), CW_BASE64_STANDARD, &bytes, NULL);
    if (bad == 0 && (bytes.n == 16 || bytes.n == 24 || bytes.n == 32)) {
        memcpy(key->bytes, bytes.p, bytes.n);
        key->n = bytes.n;
    } else {
        bad = cw_fail(err, CW_INVALID,
                      "%s: the key is not base64 of 16, 24 or 32 bytes (%zu characters given)",
                      scheme->name, strlen(text));
    }
    OPENSSL_cleanse(bytes.p, bytes.n);
    cw_str_done(&bytes);
    return bad;
}

struct cw_param_keys *cw_param_keys_new(const char *aes_128, const char *aes_256,
                                        struct cw_err *err)
{
    struct cw_param_keys *k = cw_alloc(sizeof(*k));

    if (read_key(&k->of[0], &SCHEME[0], aes_128, err) != 0 ||
        read_key(&k->of[1], &SCHEME[1], aes_256, err) != 0) {
        cw_param_keys_free(k);
        return NULL;
    }
    return k;
}

void cw_param_keys_free(struct cw_param_keys *k)
{
    if (!k)
        return;
    OPENSSL_cleanse(k, sizeof(*k));
    free(k);
}

static int index_of(const struct cw_param_keys *k, struct cw_slice scheme)
{
    for (int i = 0; i < SCHEMES; i++)
        if (k->of[i].n && cw_slice_is(scheme, SCHEME[i].name))
            return i;
    return -1;
}

bool cw_param_keys_has(const struct cw_param_keys *k, struct cw_slice scheme)
{
    return index_of(k, scheme) >= 0;
}

/* ---- one value ---- */

static void wipe(struct cw_str *s)
{
    OPENSSL_cleanse(s->p, s->n);
    cw_str_done(s);
}

#define cw_auto_wiped CW_CLEANUP(wipe)

static const EVP_CIPHER *cipher_of(const struct param_key *key)
{
    return key->n == 16 ? EVP_aes_128_gcm() : key->n == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
}

static bool gcm_open(EVP_CIPHER_CTX *ctx, const struct param_key *key, struct cw_slice iv,
                     struct cw_slice text, const char *tag, unsigned char *out)
{
    int n = 0, rest = 0;

    return EVP_DecryptInit_ex(ctx, cipher_of(key), NULL, NULL, NULL) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)iv.n, NULL) == 1 &&
           EVP_DecryptInit_ex(ctx, NULL, NULL, key->bytes, (const unsigned char *)iv.p) == 1 &&
           EVP_DecryptUpdate(ctx, out, &n, (const unsigned char *)text.p, (int)text.n) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, (void *)tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, out + n, &rest) == 1;
}

/* bytes: IV length, IV, cipher text, tag. */
static int open_sealed(const struct param_key *key, const struct scheme *scheme,
                       struct cw_slice bytes, struct cw_str *out, struct cw_err *err)
{
    const unsigned char *head = (const unsigned char *)bytes.p;
    size_t least = HEAD_LEN + scheme->iv_len + TAG_LEN;
    struct cw_slice iv, text;
    EVP_CIPHER_CTX *ctx;
    char *to;
    bool ok;

    if (bytes.n < least || bytes.n > INT32_MAX)
        return cw_fail(err, CW_INVALID, "%zu bytes, at least %zu with %s", bytes.n, least,
                       scheme->name);
    if (head[0] || head[1] || head[2] || head[3] != scheme->iv_len)
        return cw_fail(err, CW_INVALID, "IV length is not the %zu of %s", scheme->iv_len,
                       scheme->name);
    iv = cw_slice(bytes.p + HEAD_LEN, scheme->iv_len);
    text = cw_slice(iv.p + iv.n, bytes.n - least);
    to = cw_str_reserve(out, text.n + 1);
    if (!to)
        return cw_fail(err, CW_TOO_LARGE, "%zu bytes are too many", text.n);
    ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return cw_fail(err, CW_INTERNAL, "no cipher context");
    ok = gcm_open(ctx, key, iv, text, text.p + text.n, (unsigned char *)to);
    EVP_CIPHER_CTX_free(ctx);
    if (!ok) {
        OPENSSL_cleanse(to, text.n); /* not authenticated, and so not to be seen */
        return cw_fail(err, CW_INVALID, "wrong key or changed cipher text (%s)", scheme->name);
    }
    cw_str_commit(out, text.n);
    return 0;
}

int cw_param_decrypt(const struct cw_param_keys *k, struct cw_slice scheme, struct cw_slice base64,
                     struct cw_str *out, struct cw_err *err)
{
    cw_auto_str struct cw_str bytes;
    int i = index_of(k, scheme);

    cw_str_init(&bytes, base64.n + 1); /* the decoder wants room for one more */
    if (i < 0)
        return cw_fail(err, CW_NOT_FOUND, "no key for %.*s", scheme.n > 40 ? 40 : (int)scheme.n,
                       scheme.p);
    if (cw_base64_decode(base64, CW_BASE64_STANDARD, &bytes, NULL) != 0)
        return cw_fail(err, CW_INVALID, "not base64");
    return open_sealed(&k->of[i], &SCHEME[i], cw_str_slice(&bytes), out, err);
}

/* ---- the arguments of a message ---- */

/* A locked argument: its name leads to the scheme. */
struct lock {
    struct cw_map_node node;
    struct cw_slice scheme;
};

static struct cw_slice unquoted(struct cw_arena *arena, struct cw_slice quoted)
{
    struct cw_slice s;

    s.p = cw_raw_string(quoted, arena, &s.n);
    return s;
}

static void read_locks(struct cw_map *locks, struct cw_arena *arena, struct cw_slice locked_args)
{
    struct cw_raw_iter it = cw_raw_iter(locked_args);
    struct cw_slice key, scheme;

    while (cw_raw_next_member(&it, &key, &scheme)) {
        struct cw_slice name = unquoted(arena, key);
        struct cw_map_node *node = cw_map_get(locks, name);
        struct lock *lock;

        if (node) { /* the last one counts */
            CW_CONTAINER_OF(node, struct lock, node)->scheme = unquoted(arena, scheme);
            continue;
        }
        lock = cw_arena_alloc(arena, sizeof(*lock));
        lock->scheme = unquoted(arena, scheme);
        cw_map_put(locks, &lock->node, name);
    }
}

/* Appends the JSON that the quoted value was made from. */
static int unlock_value(const struct cw_param_keys *k, struct cw_slice scheme,
                        struct cw_slice quoted, struct cw_str *out, struct cw_err *err)
{
    cw_auto_wiped struct cw_str plain, repaired;
    cw_auto_str struct cw_str base64;
    struct cw_slice text, value;

    cw_str_init(&plain, quoted.n);
    cw_str_init(&repaired, 3 * quoted.n);
    cw_str_init(&base64, quoted.n);
    cw_raw_unescape(quoted, &base64);
    if (cw_param_decrypt(k, scheme, cw_str_slice(&base64), &plain, err) != 0)
        return -1;
    text = cw_str_slice(&plain);
    if (cw_utf8_repair(text, &repaired))
        text = cw_str_slice(&repaired);
    if (cw_raw_check(text, CW_RAW_MAX_DEPTH - 1, &value, NULL) != 0)
        return cw_fail(err, CW_INVALID, "what was encrypted is not JSON");
    cw_str_adds(out, value);
    return 0;
}

static int write_member(const struct cw_param_keys *k, const struct lock *lock, struct cw_slice key,
                        struct cw_slice value, struct cw_str *out, struct cw_err *err)
{
    if (out->n > 1)
        cw_str_addc(out, ',');
    cw_str_adds(out, key);
    cw_str_addc(out, ':');
    if (!lock || cw_raw_type(value) != CW_RAW_STRING || !cw_param_keys_has(k, lock->scheme)) {
        cw_str_adds(out, value);
        return 0;
    }
    if (unlock_value(k, lock->scheme, value, out, err) != 0)
        return cw_err_wrap(err, "argument %.*s", key.n > 80 ? 80 : (int)key.n, key.p);
    return 0;
}

static int write_content(const struct cw_param_keys *k, struct cw_map *locks,
                         struct cw_activation_message *m, struct cw_str *out, const char **ret_left,
                         struct cw_err *err)
{
    struct cw_raw_iter it = cw_raw_iter(m->content);
    struct cw_slice key, value;

    cw_str_addc(out, '{');
    while (cw_raw_next_member(&it, &key, &value)) {
        struct cw_map_node *node = cw_map_get(locks, unquoted(&m->arena, key));
        struct lock *lock = node ? CW_CONTAINER_OF(node, struct lock, node) : NULL;

        if (lock && !cw_param_keys_has(k, lock->scheme))
            *ret_left = lock->scheme.p;
        if (write_member(k, lock, key, value, out, err) != 0)
            return -1;
    }
    cw_str_addc(out, '}');
    return 0;
}

int cw_param_unlock(const struct cw_param_keys *k, struct cw_activation_message *m,
                    const char **ret_left, struct cw_err *err)
{
    cw_auto_wiped struct cw_str out;
    const char *left = NULL;
    struct cw_map locks;
    int bad;

    /* Plain text is shorter than its base64, except where broken UTF-8 has to be repaired. */
    cw_str_init(&out, 3 * m->content.n + 2);
    (void)cw_str_reserve(&out, m->content.n + 2); /* no half-grown copies left behind */
    if (ret_left)
        *ret_left = NULL;
    if (!m->locked_args.n || !m->content.n || m->content_is_array)
        return 0;
    cw_map_init(&locks);
    read_locks(&locks, &m->arena, m->locked_args);
    bad = write_content(k, &locks, m, &out, &left, err);
    cw_map_done(&locks);
    if (bad)
        return -1;
    m->content = cw_slice(cw_arena_dup(&m->arena, cw_str_slice(&out)), out.n);
    if (ret_left)
        *ret_left = left;
    return 0;
}
