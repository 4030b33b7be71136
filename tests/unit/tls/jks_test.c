/* The JKS reader: stores of keytool, and bytes that are none. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/base/err.h"
#include "common/tls/jks.h"

struct seen {
    size_t count, stop_at;
    size_t places[8];
};

static int note(void *arg, struct cw_slice der, size_t place, struct cw_err *err)
{
    struct seen *s = arg;

    assert_int_equal((unsigned char)der.p[0], 0x30); /* each is a SEQUENCE of its own */
    s->places[s->count++] = place;
    return s->count == s->stop_at ? cw_fail(err, CW_CONFLICT, "enough") : 0;
}

static struct cw_slice load(const char *name)
{
    static char bytes[1 << 16];
    char path[512];
    size_t n;
    FILE *f;

    (void)snprintf(path, sizeof(path), CW_TEST_DATA "/tls/%s", name);
    assert_non_null(f = fopen(path, "rbe"));
    n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    return cw_slice(bytes, n);
}

static void trusted_certificate_is_read(void **state)
{
    struct seen s = {0};
    struct cw_err err = {0};
    size_t keys = 7;

    (void)state;
    if (cw_jks_read(load("trust.jks"), "geheim", note, &s, &keys, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.places[0], 0);
    assert_int_equal(keys, 0);
}

static void keys_are_counted_and_their_chains_read_in_order(void **state)
{
    struct seen s = {0};
    size_t keys = 0, first[3] = {0};

    (void)state;
    assert_int_equal(cw_jks_read(load("key.jks"), "geheim", note, &s, &keys, NULL), 0);
    assert_int_equal(keys, 1);
    assert_int_equal(s.count, 4); /* three of the chain and one that is trusted, in either order */
    for (size_t i = 0; i < s.count; i++)
        if (s.places[i] < 3)
            first[s.places[i]]++;
    assert_int_equal(first[0], 2);
    assert_int_equal(first[1], 1);
    assert_int_equal(first[2], 1);
}

static void version_1_and_a_password_beyond_ascii(void **state)
{
    struct seen s = {0};

    (void)state;
    assert_int_equal(cw_jks_read(load("version1.jks"), "geh\xC3\xA4im\xE2\x82\xAC\xF0\x9D\x84\x9E",
                                 note, &s, NULL, NULL),
                     0);
    assert_int_equal(s.count, 1);
}

static void without_a_password_the_digest_is_not_checked(void **state)
{
    struct cw_slice file = load("trust.jks");
    struct seen s = {0};

    (void)state;
    ((char *)file.p)[file.n - 1] ^= 1;
    assert_int_equal(cw_jks_read(file, NULL, note, &s, NULL, NULL), 0);
    assert_int_equal(s.count, 1);
}

static void wrong_passwords_and_changed_bytes_are_refused(void **state)
{
    static const char *const PASSWORDS[] = {"", "geheim ", "Geheim", "geh", "\xFF\xFE"};
    struct seen s = {0};
    struct cw_err err;
    struct cw_slice file;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(PASSWORDS); i++) {
        assert_int_equal(cw_jks_read(load("trust.jks"), PASSWORDS[i], note, &s, NULL, &err), -1);
        assert_string_equal(err.msg, "wrong password, or the JKS store was tampered with");
    }
    file = load("trust.jks");
    ((char *)file.p)[200] ^= 1; /* in the certificate */
    assert_int_equal(cw_jks_read(file, "geheim", note, &s, NULL, NULL), -1);
    assert_int_equal(s.count, 0);
}

static void the_receiver_may_stop_it(void **state)
{
    struct seen s = {.stop_at = 2};
    struct cw_err err;

    (void)state;
    assert_int_equal(cw_jks_read(load("key.jks"), NULL, note, &s, NULL, &err), -1);
    assert_string_equal(err.msg, "enough");
    assert_int_equal(s.count, 2);
}

static void every_cut_is_refused(void **state)
{
    struct cw_slice whole = load("key.jks");
    char *copy = cw_memdup(whole.p, whole.n);

    (void)state;
    for (size_t n = 0; n < whole.n; n++) {
        struct seen s = {0};
        struct cw_err err = {0};
        /* An allocation of its own: the sanitizer sees a read beyond it. */
        char *piece = cw_alloc(n);

        memcpy(piece, copy, n);
        if (cw_jks_read(cw_slice(piece, n), NULL, note, &s, NULL, &err) == 0)
            fail_msg("%zu of %zu bytes were accepted", n, whole.n);
        assert_true(err.msg[0]);
        free(piece);
    }
    free(copy);
}

/* Header and one entry's tag, the rest zeroes. */
static void expect_refused(const char *head, size_t n, const char *why)
{
    char bytes[256] = {0};
    struct seen s = {0};
    struct cw_err err;

    memcpy(bytes, head, n);
    assert_int_equal(cw_jks_read(cw_slice(bytes, sizeof(bytes)), NULL, note, &s, NULL, &err), -1);
    assert_string_equal(err.msg, why);
}

static void nonsense_is_named(void **state)
{
    (void)state;
    expect_refused("\xFE\xED\xFE\xEE", 4, "not a JKS store");
    expect_refused("\xFE\xED\xFE\xED\0\0\0\3", 8, "JKS version 3; accepted: 1, 2");
    expect_refused("\xFE\xED\xFE\xED\0\0\0\2\xFF\xFF\xFF\xFF", 12,
                   "the JKS store claims 4294967295 entries; accepted: 0..10000");
    expect_refused("\xFE\xED\xFE\xED\0\0\0\2\0\0\0\1\0\0\0\3", 16,
                   "the JKS store has an entry of unknown kind 3");
    expect_refused("\xFE\xED\xFE\xED\0\0\0\2\0\0\0\1\0\0\0\2\0\0", 18,
                   "the JKS store has a certificate that is not X.509");
    expect_refused("\xFE\xED\xFE\xED\0\0\0\1\0\0\0\0", 12,
                   "the JKS store has 224 bytes behind its entries");
    /* a key of 4 GiB, and a chain of as many */
    expect_refused("\xFE\xED\xFE\xED\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF",
                   30, "the JKS store ends in the middle of an entry");
    expect_refused("\xFE\xED\xFE\xED\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0",
                   34, "the JKS store has a chain of 65536 certificates");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trusted_certificate_is_read),
        cmocka_unit_test(keys_are_counted_and_their_chains_read_in_order),
        cmocka_unit_test(version_1_and_a_password_beyond_ascii),
        cmocka_unit_test(without_a_password_the_digest_is_not_checked),
        cmocka_unit_test(wrong_passwords_and_changed_bytes_are_refused),
        cmocka_unit_test(the_receiver_may_stop_it),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(nonsense_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
