#include "tests/support/cmocka_all.h"

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/driver/docker_auth.h"

static char *warned; /* what the parser warned of */

static void on_warning(void *arg, const char *text)
{
    (void)arg;
    free(warned);
    warned = cw_strdup(text);
}

static struct cw_docker_auth *parse(const char *text)
{
    struct cw_err err = {0};
    struct cw_docker_auth *a = cw_docker_auth_parse(cw_slice_of(text), on_warning, NULL, &err);

    if (!a)
        fail_msg("%s", err.msg);
    return a;
}

/* What the engine reads from the header; NULL: no header. */
static char *sent_for(const struct cw_docker_auth *a, const char *image)
{
    cw_auto_str struct cw_str header, json;

    cw_str_init(&header, CW_DOCKER_MAX_AUTH);
    cw_str_init(&json, CW_DOCKER_MAX_AUTH);
    if (!cw_docker_auth_header(a, image, &header))
        return NULL;
    assert_int_equal(header.n % 4, 0); /* padded */
    assert_int_equal(cw_base64_decode(cw_str_slice(&header), CW_BASE64_URL, &json, NULL), 0);
    return cw_str_steal(&json);
}

static void assert_sent(const char *config, const char *image, const char *expected)
{
    struct cw_docker_auth *a = parse(config);
    cw_auto_free char *sent = sent_for(a, image);

    if (expected) {
        assert_non_null(sent);
        assert_string_equal(sent, expected);
    } else {
        assert_null(sent);
    }
    cw_docker_auth_free(a);
}

/* bob:secret, bob:a:b and NULs, bob: */
#define BOB "Ym9iOnNlY3JldA=="
#define BOB_COLON "Ym9iOmE6YgAA"

static void credentials_go_to_their_registry_only(void **state)
{
    static const char CONFIG[] = "{\"auths\":{\"reg.example:5000\":{\"auth\":\"" BOB "\"}}}";
    static const char SENT[] = "{\"username\":\"bob\",\"password\":\"secret\","
                               "\"serveraddress\":\"reg.example:5000\"}";

    (void)state;
    assert_sent(CONFIG, "reg.example:5000/a/b:1", SENT);
    assert_sent(CONFIG, "reg.example:5000/b", SENT);
    assert_sent(CONFIG, "reg.example/b", NULL);
    assert_sent(CONFIG, "reg.example:50001/b", NULL);
    assert_sent(CONFIG, "other.reg.example:5000/b", NULL);
    assert_sent(CONFIG, "bob/image", NULL);
    assert_sent(CONFIG, "image", NULL);
}

static void docker_hub_has_a_name_of_its_own(void **state)
{
    static const char *const IMAGES[] = {"image", "bob/image:1", "docker.io/bob/image",
                                         "index.docker.io/bob/image"};
    static const char *const KEYS[] = {"https://index.docker.io/v1/", "index.docker.io",
                                       "docker.io", "registry-1.docker.io"};

    (void)state;
    for (size_t k = 0; k < CW_ARRAY_LEN(KEYS); k++) {
        char config[200], sent[200];

        (void)snprintf(config, sizeof(config), "{\"auths\":{\"%s\":{\"auth\":\"" BOB "\"}}}",
                       KEYS[k]);
        (void)snprintf(sent, sizeof(sent),
                       "{\"username\":\"bob\",\"password\":\"secret\",\"serveraddress\":\"%s\"}",
                       KEYS[k]);
        for (size_t i = 0; i < CW_ARRAY_LEN(IMAGES); i++)
            assert_sent(config, IMAGES[i], sent);
        assert_sent(config, "localhost/image", NULL);
        assert_sent(config, "my.own/image", NULL);
    }
}

static void keys_may_be_urls(void **state)
{
    static const char *const KEYS[] = {"https://localhost:5000", "http://localhost:5000/v2/",
                                       "localhost:5000/path"};

    (void)state;
    for (size_t k = 0; k < CW_ARRAY_LEN(KEYS); k++) {
        struct cw_docker_auth *a;
        cw_auto_free char *sent = NULL;
        char config[200];

        (void)snprintf(config, sizeof(config), "{\"auths\":{\"%s\":{\"auth\":\"" BOB "\"}}}",
                       KEYS[k]);
        a = parse(config);
        sent = sent_for(a, "localhost:5000/x");
        assert_non_null(sent);
        cw_docker_auth_free(a);
    }
}

static void password_may_hold_colons_and_ends_at_a_nul(void **state)
{
    (void)state;
    assert_sent("{\"auths\":{\"r.io\":{\"auth\":\"" BOB_COLON "\"}}}", "r.io/x",
                "{\"username\":\"bob\",\"password\":\"a:b\",\"serveraddress\":\"r.io\"}");
}

static void every_kind_of_credential_is_sent(void **state)
{
    (void)state;
    assert_sent("{\"auths\":{\"r.io\":{\"username\":\"u\",\"password\":\"p\"}}}", "r.io/x",
                "{\"username\":\"u\",\"password\":\"p\",\"serveraddress\":\"r.io\"}");
    assert_sent("{\"auths\":{\"r.io\":{\"auth\":\"" BOB "\",\"identitytoken\":\"t\"}}}", "r.io/x",
                "{\"identitytoken\":\"t\",\"serveraddress\":\"r.io\"}");
    assert_sent("{\"auths\":{\"r.io\":{\"registrytoken\":\"t\"}}}", "r.io/x",
                "{\"registrytoken\":\"t\",\"serveraddress\":\"r.io\"}");
    /* bytes that the two base64 alphabets write differently */
    assert_sent(
        "{\"auths\":{\"r.io\":{\"username\":\"\xc3\xbf\xc3\xbe\",\"password\":\"?>~\"}}}", "r.io/x",
        "{\"username\":\"\xc3\xbf\xc3\xbe\",\"password\":\"?>~\",\"serveraddress\":\"r.io\"}");
}

static void config_without_credentials_sends_none(void **state)
{
    (void)state;
    assert_sent("{}", "r.io/x", NULL);
    assert_sent("{\"auths\":{}}", "r.io/x", NULL);
    assert_sent("{\"auths\":null,\"HttpHeaders\":{\"A\":\"b\"}}", "r.io/x", NULL);
    assert_sent("{\"auths\":{\"r.io\":{}}}", "r.io/x", NULL);
    assert_sent("{\"auths\":{\"r.io\":{\"auth\":\"\",\"email\":\"a@b\"}}}", "r.io/x", NULL);
    assert_false(cw_docker_auth_header(NULL, "r.io/x", NULL));
    assert_null(warned);
}

static void helper_programs_are_told_to_be_without_effect(void **state)
{
    (void)state;
    assert_sent("{\"credsStore\":\"desktop\",\"auths\":{\"r.io\":{}}}", "r.io/x", NULL);
    assert_non_null(warned);
    assert_non_null(strstr(warned, "credentials in the store desktop are not supported"));
    free(CW_STEAL(warned));
    assert_sent("{\"credHelpers\":{\"gcr.io\":\"gcloud\"},"
                "\"auths\":{\"r.io\":{\"registrytoken\":\"t\"}}}",
                "r.io/x", "{\"registrytoken\":\"t\",\"serveraddress\":\"r.io\"}");
    assert_non_null(warned);
    assert_non_null(strstr(warned, "helpers are not supported"));
    free(CW_STEAL(warned));
}

static void nonsense_is_refused_by_the_member(void **state)
{
    static const struct {
        const char *text, *message;
    } CASES[] = {
        {"", "config.json"},
        {"[]", "expected an object"},
        {"{\"auths\":[]}", "auths"},
        {"{\"auths\":{\"r.io\":7}}", "auths.r.io: expected an object"},
        {"{\"auths\":{\"r.io\":{\"auth\":7}}}", "auths.r.io.auth"},
        {"{\"auths\":{\"r.io\":{\"auth\":\"!\"}}}", "auths.r.io.auth: expected base64"},
        {"{\"auths\":{\"r.io\":{\"auth\":\"Ym9i\"}}}", "user:password"},         /* bob */
        {"{\"auths\":{\"r.io\":{\"auth\":\"OnNlY3JldA==\"}}}", "user:password"}, /* :secret */
        {"{\"auths\":{\"r.io\":{\"auth\":\"Ym9iOv8=\"}}}", "in UTF-8"},          /* bob:\xff */
        {"{\"auths\":{\"r.io\":{\"identitytoken\":{}}}}", "identitytoken"},
        {"{\"credsStore\":1}", "credsStore"},
        {"{\"credHelpers\":\"x\"}", "credHelpers"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_err err = {0};

        assert_null(cw_docker_auth_parse(cw_slice_of(CASES[i].text), NULL, NULL, &err));
        if (!strstr(err.msg, CASES[i].message))
            fail_msg("\"%s\" is not in \"%s\"", CASES[i].message, err.msg);
    }
}

static void errors_keep_the_secret(void **state)
{
    struct cw_err err = {0};

    (void)state;
    assert_null(cw_docker_auth_parse(
        CW_SLICE("{\"auths\":{\"r.io\":{\"auth\":\"hunter2!\",\"password\":\"hunter2\"}}}"), NULL,
        NULL, &err));
    assert_null(strstr(err.msg, "hunter2"));
}

static void registry_is_the_first_part_if_it_could_be_a_host(void **state)
{
    static const struct {
        const char *image, *registry;
    } CASES[] = {
        {"a", "docker.io"},
        {"a:5000", "docker.io"},
        {"a/b", "docker.io"},
        {"a.b/c", "a.b"},
        {"a:5/c", "a:5"},
        {"localhost/c", "localhost"},
        {"localhostx/c", "docker.io"},
        {"a.b/c.d/e@sha256:0", "a.b"},
        {"", "docker.io"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++)
        assert_true(cw_slice_is(cw_docker_image_registry(CASES[i].image), CASES[i].registry));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_go_to_their_registry_only),
        cmocka_unit_test(docker_hub_has_a_name_of_its_own),
        cmocka_unit_test(keys_may_be_urls),
        cmocka_unit_test(password_may_hold_colons_and_ends_at_a_nul),
        cmocka_unit_test(every_kind_of_credential_is_sent),
        cmocka_unit_test(config_without_credentials_sends_none),
        cmocka_unit_test(helper_programs_are_told_to_be_without_effect),
        cmocka_unit_test(nonsense_is_refused_by_the_member),
        cmocka_unit_test(errors_keep_the_secret),
        cmocka_unit_test(registry_is_the_first_part_if_it_could_be_a_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
