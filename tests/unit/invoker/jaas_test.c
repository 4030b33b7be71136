/* The line of a JAAS configuration, read as Kafka reads it. */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "invoker/jaas.h"

static struct cw_arena arena;

static int set_up(void **state)
{
    (void)state;
    cw_arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cw_arena_done(&arena);
    return 0;
}

static struct inv_jaas parse(const char *text)
{
    struct cw_err err = {0};
    struct inv_jaas jaas;

    if (inv_jaas_parse(text, &arena, &jaas, &err) != 0)
        fail_msg("%s", err.msg);
    return jaas;
}

static void the_usual_line(void **state)
{
    struct inv_jaas jaas = parse("org.x.PlainLoginModule required username=\"u\" password=\"p\";");

    (void)state;
    assert_string_equal(jaas.module, "org.x.PlainLoginModule");
    assert_string_equal(jaas.flag, "required");
    assert_int_equal(jaas.count, 2);
    assert_string_equal(inv_jaas_option(&jaas, "username"), "u");
    assert_string_equal(inv_jaas_option(&jaas, "password"), "p");
    assert_null(inv_jaas_option(&jaas, "Username"));
}

static void blanks_comments_quotes_and_a_missing_end(void **state)
{
    struct inv_jaas jaas = parse("  a.B\n\trequired // who\n  user_a-b = 'it is' /* and\n */ "
                                 "debug=true x=\"\"  ");

    (void)state;
    assert_string_equal(jaas.module, "a.B");
    assert_string_equal(inv_jaas_option(&jaas, "user_a-b"), "it is");
    assert_string_equal(inv_jaas_option(&jaas, "debug"), "true");
    assert_string_equal(inv_jaas_option(&jaas, "x"), "");
}

static void strings_have_java_s_escapes(void **state)
{
    struct inv_jaas jaas =
        parse("M required p=\"a\\\"b\\\\c\\td\\101\\7z\\q;=\xC3\xA4//\" q='\"';");

    (void)state;
    assert_string_equal(inv_jaas_option(&jaas, "p"), "a\"b\\c\tdA\az"
                                                     "q;=\xC3\xA4//");
    assert_string_equal(inv_jaas_option(&jaas, "q"), "\"");
}

static void nonsense_is_refused_without_its_words(void **state)
{
    static const struct {
        const char *text, *why;
    } CASES[] = {
        {"", "no login module"},
        {"\"geheim\" required;", "no login module"},
        {"M", "no flag behind the login module"},
        {"M ;", "no flag behind the login module"},
        {"M required geheim;", "an option without a value"},
        {"M required a=;", "an option without a value"},
        {"M required a=\"geheim;", "a string without its end"},
        {"M required a=\"ge\nheim\";", "a string without its end"},
        {"M required a=\"ge\\0heim\";", "a string without its end"},
        {"M required =\"geheim\";", "a misplaced sign"},
        {"M required \"geheim\"=x;", "a misplaced sign"},
        {"M required a=b; N required;", "more than one login module"},
        {"M required a=\"\\", "a string without its end"},
        {"M required /* geheim", NULL},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_err err = {0};
        struct inv_jaas jaas;

        if (!CASES[i].why) {
            assert_int_equal(inv_jaas_parse(CASES[i].text, &arena, &jaas, &err), 0);
            continue;
        }
        if (inv_jaas_parse(CASES[i].text, &arena, &jaas, &err) == 0)
            fail_msg("accepted: %s", CASES[i].text);
        if (strncmp(err.msg, CASES[i].why, strlen(CASES[i].why)) != 0)
            fail_msg("%s: %s", CASES[i].text, err.msg);
        assert_null(strstr(err.msg, "geheim"));
    }
}

static void options_and_length_are_bounded(void **state)
{
    cw_auto_str struct cw_str text;
    struct inv_jaas jaas;
    struct cw_err err;

    (void)state;
    cw_str_init(&text, 1 << 20);
    cw_str_addz(&text, "M required");
    for (int i = 0; i <= INV_JAAS_MAX_OPTIONS; i++)
        cw_str_addf(&text, " a%d=1", i);
    assert_int_equal(inv_jaas_parse(text.p, &arena, &jaas, &err), -1);
    assert_non_null(strstr(err.msg, "too many options"));
    while (text.n < 100000)
        cw_str_addc(&text, ' ');
    assert_int_equal(inv_jaas_parse(text.p, &arena, &jaas, &err), -1);
    assert_int_equal(err.code, CW_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_usual_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(blanks_comments_quotes_and_a_missing_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(strings_have_java_s_escapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_is_refused_without_its_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(options_and_length_are_bounded, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
