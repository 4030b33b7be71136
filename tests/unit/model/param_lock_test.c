/* Locked parameters. The vectors were made with another implementation of AES-GCM. */
#include "tests/support/cmocka_all.h"

#include <openssl/evp.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/model/activation_message.h"
#include "common/model/param_lock.h"
#include "tests/unit/model/samples.h"

#define KEY_256 "5mboNxwK0Sk1yAIpmfKoLAen67zgmEzD5hGFIwc6H10="
#define KEY_128 "oxmKH4gQLs+h4BZaiQRElg=="
#define SECRET_256                                                                                 \
    "AAAAgN1z+sw9cjVgn4cV/NgyiO849SkIwnz+U4896SG6tf0wWSPJ8LXIl1LryaUrCR5CvdwY6vQa255Mj2+"          \
    "UkiDyhQXcInQoQTZqN74nbhhz2VE8CYvn7EKF4+HkxND9ZWrUiq+WyxDvTWleYn6dGvz4TRoK/"                   \
    "bJD3hlqs3lIUEeT7ZskEd7+9VrmLbLvGfDBeUDOhQLQgkhVCtuVDcHP"
#define PORT_256                                                                                   \
    "AAAAgMsH67I14aoSiSgT2S51v8TqHHopClVpwXFiJgJm5Jb7l04ZppkrMy2x6gIxyhnt2fMsf+"                   \
    "jnGEANOot4g1Cpdtcf3XAfECcizrdp60nEwQ2iTKDcYuap4SAiBSk2N11MXO7q+"                              \
    "jrcUe9TTXh5famxul2VibNdq+U4ETV77GKcM1pWE5c/Vie+rle1zsyP+R99PWyJ76g="
#define SECRET_128 "AAAADFY5ZgLSm2eCVN46hmmEBU04yBfKl7PVs6dfXuaZdnde1azgFuoc6Q=="
#define PORT_128 "AAAADLzhWDFkdK27LGSIkkWcLBc/V8b8xIQxuTrSLzAJ+bkp"

static struct cw_param_keys *both_keys(void)
{
    struct cw_err err = {0};
    struct cw_param_keys *k = cw_param_keys_new(KEY_128, KEY_256, &err);

    if (!k)
        fail_msg("%s", err.msg);
    return k;
}

static struct cw_activation_message *message(const char *content, const char *locked)
{
    cw_auto_str struct cw_str s;

    cw_str_init(&s, 1 << 20);
    cw_str_addf(&s,
                "{\"transid\":[\"tid\",5],\"action\":{\"path\":\"guest\",\"name\":\"a\"},"
                "\"revision\":null,\"user\":{\"subject\":\"alice\",\"namespace\":{\"name\":\"n\","
                "\"uuid\":\"u\"},\"authkey\":{}},\"activationId\":"
                "\"0123456789abcdef0123456789abcdef\",\"rootControllerIndex\":{\"asString\":\"0\"},"
                "\"blocking\":false,\"content\":%s,\"lockedArgs\":%s}",
                content, locked);
    return test_message(s.p);
}

/* The text of a locked value whose plain text is `plain`, under KEY_128. */
static void seal_128(const char *plain, struct cw_str *out)
{
    static const unsigned char IV[12] = "twelve bytes";
    cw_auto_str struct cw_str key, sealed;
    unsigned char text[512], tag[16];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    cw_str_init(&key, 64);
    cw_str_init(&sealed, 1024);
    assert_int_equal(cw_base64_decode(CW_SLICE(KEY_128), CW_BASE64_STANDARD, &key, NULL), 0);
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, (unsigned char *)key.p, IV),
                     1);
    assert_int_equal(
        EVP_EncryptUpdate(ctx, text, &n, (const unsigned char *)plain, (int)strlen(plain)), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, text + n, &(int){0}), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
    EVP_CIPHER_CTX_free(ctx);
    cw_str_add(&sealed, "\0\0\0\x0c", 4);
    cw_str_add(&sealed, IV, sizeof(IV));
    cw_str_add(&sealed, text, (size_t)n);
    cw_str_add(&sealed, tag, sizeof(tag));
    cw_base64_encode(cw_str_slice(&sealed), out);
}

static void check_unlocked(const char *content, const char *locked, const char *want)
{
    struct cw_activation_message *m = message(content, locked);
    struct cw_param_keys *k = both_keys();
    struct cw_err err = {0};

    if (cw_param_unlock(k, m, NULL, &err) != 0)
        fail_msg("%s", err.msg);
    if (!cw_slice_is(m->content, want))
        fail_msg("%.*s", (int)m->content.n, m->content.p);
    cw_param_keys_free(k);
    cw_activation_message_free(m);
}

static void values_of_both_schemes_become_what_they_were(void **state)
{
    (void)state;
    check_unlocked("{\"secret\":\"" SECRET_256 "\",\"port\":\"" PORT_256 "\"}",
                   "{\"secret\":\"aes-256\",\"port\":\"aes-256\"}",
                   "{\"secret\":\"s3cret \xc3\xbc\",\"port\":5432}");
    check_unlocked("{\"secret\":\"" SECRET_128 "\",\"port\":\"" PORT_128 "\"}",
                   "{\"secret\":\"aes-128\",\"port\":\"aes-128\"}",
                   "{\"secret\":\"s3cret \xc3\xbc\",\"port\":5432}");
}

static void any_json_value_can_be_locked(void **state)
{
    static const char *const VALUES[] = {"null", "true",  "-1.50e3",
                                         "\"\"", "[1,2]", "{\"a\":{\"b\":\"\\u00e9\"}}"};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(VALUES); i++) {
        cw_auto_str struct cw_str content, want;

        cw_str_init(&content, 4096);
        cw_str_init(&want, 4096);
        cw_str_addz(&content, "{\"v\":\"");
        seal_128(VALUES[i], &content);
        cw_str_addz(&content, "\"}");
        cw_str_addf(&want, "{\"v\":%s}", VALUES[i]);
        check_unlocked(content.p, "{\"v\":\"aes-128\"}", want.p);
    }
}

static void everything_else_keeps_its_bytes(void **state)
{
    (void)state;
    check_unlocked("{ \"a\" : 1.0e400 ,\"port\":\"" PORT_128 "\",\"b\":[ 1, 2 ],\"a\":\"\\u0041\"}",
                   "{\"port\":\"aes-128\"}",
                   "{\"a\":1.0e400,\"port\":5432,\"b\":[ 1, 2 ],\"a\":\"\\u0041\"}");
    /* escapes in the name and in the base64 */
    check_unlocked("{\"p\\u006frt\":\"AAAADLzhWDFkdK27LGSIkkWcLBc\\/V8b8xIQxuTrSLzAJ+bkp\"}",
                   "{\"port\":\"aes-128\"}", "{\"p\\u006frt\":5432}");
}

static void only_strings_of_objects_are_touched(void **state)
{
    (void)state;
    check_unlocked("[\"" PORT_128 "\"]", "{\"0\":\"aes-128\"}", "[\"" PORT_128 "\"]");
    check_unlocked("{\"n\":7,\"o\":{\"port\":\"" PORT_128 "\"}}",
                   "{\"n\":\"aes-128\",\"o\":\"aes-128\",\"missing\":\"aes-128\"}",
                   "{\"n\":7,\"o\":{\"port\":\"" PORT_128 "\"}}");
    check_unlocked("{\"port\":\"" PORT_128 "\"}", "{}", "{\"port\":\"" PORT_128 "\"}");
}

static void scheme_without_a_key_leaves_the_value_and_is_told(void **state)
{
    struct cw_activation_message *m = message("{\"a\":\"QQ==\",\"port\":\"" PORT_128 "\"}",
                                              "{\"a\":\"rot-13\",\"port\":\"aes-128\"}");
    struct cw_param_keys *k = cw_param_keys_new(KEY_128, "", NULL), *none;
    struct cw_err err = {0};
    const char *left = "";

    (void)state;
    assert_int_equal(cw_param_unlock(k, m, &left, &err), 0);
    assert_true(cw_slice_is(m->content, "{\"a\":\"QQ==\",\"port\":5432}"));
    assert_string_equal(left, "rot-13");
    cw_activation_message_free(m);
    cw_param_keys_free(k);

    none = cw_param_keys_new(NULL, NULL, NULL);
    m = message("{\"port\":\"" PORT_128 "\"}", "{\"port\":\"aes-128\"}");
    assert_int_equal(cw_param_unlock(none, m, &left, &err), 0);
    assert_true(cw_slice_is(m->content, "{\"port\":\"" PORT_128 "\"}"));
    assert_string_equal(left, "aes-128");
    cw_activation_message_free(m);
    cw_param_keys_free(none);
}

static void value_that_cannot_be_decrypted_names_the_argument_only(void **state)
{
    static const struct {
        const char *value, *scheme, *why;
    } CASES[] = {
        {"not base64!", "aes-128", "not base64"},
        {"", "aes-128", "0 bytes"},
        {"AAAADFY5", "aes-128", "6 bytes, at least 32"},
        {SECRET_128, "aes-256", "43 bytes, at least 148"},
        {SECRET_256, "aes-128", "IV length"},
        {"AAAADFY5ZgLSm2eCVN46hmmEBU04yBfKl7PVs6dfXuaZdnde1azgFuoc6A==", "aes-128", "wrong key"},
        {"AAAADFY5ZgLSm2eCVN46hmmEBU04yBfKl7PVs6dfXuaZdnde1azgFuoc7Q==", "aes-128", "wrong key"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        cw_auto_str struct cw_str content, locked;
        struct cw_param_keys *k = both_keys();
        struct cw_activation_message *m;
        struct cw_err err = {0};

        cw_str_init(&content, 4096);
        cw_str_init(&locked, 4096);
        cw_str_addf(&content, "{\"ok\":1,\"key name\":\"%s\"}", CASES[i].value);
        cw_str_addf(&locked, "{\"key name\":\"%s\"}", CASES[i].scheme);
        m = message(content.p, locked.p);
        assert_int_equal(cw_param_unlock(k, m, NULL, &err), -1);
        assert_int_equal(err.code, CW_INVALID);
        assert_non_null(strstr(err.msg, "argument \"key name\": "));
        if (!strstr(err.msg, CASES[i].why))
            fail_msg("%s", err.msg);
        if (CASES[i].value[0])
            assert_null(strstr(err.msg, CASES[i].value));
        assert_true(cw_slice_is(m->content, content.p)); /* as it was */
        cw_param_keys_free(k);
        cw_activation_message_free(m);
    }
}

static void plain_text_that_is_not_json_is_refused_and_not_shown(void **state)
{
    cw_auto_str struct cw_str content;
    struct cw_param_keys *k = both_keys();
    struct cw_activation_message *m;
    struct cw_err err = {0};

    (void)state;
    cw_str_init(&content, 4096);
    cw_str_addz(&content, "{\"v\":\"");
    seal_128("hunter2", &content);
    cw_str_addz(&content, "\"}");
    m = message(content.p, "{\"v\":\"aes-128\"}");
    assert_int_equal(cw_param_unlock(k, m, NULL, &err), -1);
    assert_non_null(strstr(err.msg, "not JSON"));
    assert_null(strstr(err.msg, "hunter2"));
    cw_param_keys_free(k);
    cw_activation_message_free(m);
}

static void keys_have_the_length_of_a_cipher(void **state)
{
    static const struct {
        const char *aes_128, *aes_256, *named; /* NULL: accepted */
    } CASES[] = {
        {NULL, NULL, NULL},
        {"", "", NULL},
        {KEY_128, KEY_256, NULL},
        {KEY_256, KEY_128, NULL}, /* Java, too, goes by the key's length */
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, NULL},
        {"short", NULL, "aes-128:"},
        {"not base64 at all", NULL, "aes-128:"},
        {NULL, "AAAA", "aes-256:"},
        {NULL, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "aes-256:"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_err err = {0};
        struct cw_param_keys *k = cw_param_keys_new(CASES[i].aes_128, CASES[i].aes_256, &err);

        assert_int_equal(k != NULL, CASES[i].named == NULL);
        if (CASES[i].named) {
            assert_non_null(strstr(err.msg, CASES[i].named));
            assert_non_null(strstr(err.msg, "16, 24 or 32 bytes"));
            assert_null(strstr(err.msg, CASES[i].aes_128 ? CASES[i].aes_128 : CASES[i].aes_256));
        }
        cw_param_keys_free(k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_both_schemes_become_what_they_were),
        cmocka_unit_test(any_json_value_can_be_locked),
        cmocka_unit_test(everything_else_keeps_its_bytes),
        cmocka_unit_test(only_strings_of_objects_are_touched),
        cmocka_unit_test(scheme_without_a_key_leaves_the_value_and_is_told),
        cmocka_unit_test(value_that_cannot_be_decrypted_names_the_argument_only),
        cmocka_unit_test(plain_text_that_is_not_json_is_refused_and_not_shown),
        cmocka_unit_test(keys_have_the_length_of_a_cipher),
    };

    return cmocka_run_group_tests_name("param_lock", tests, NULL, NULL);
}
