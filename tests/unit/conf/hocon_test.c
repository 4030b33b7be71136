/* HOCON: one table of texts and the pairs they stand for, one of what is refused. */
#include "tests/support/cmocka_all.h"

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/conf/hocon.h"

enum { OUT_MAX = 4 << 20 };

struct run {
    struct cw_str pairs; /* "path=value;" */
    struct cw_str included;
    unsigned last_line;
    struct cw_err err;
};

static int on_value(void *arg, const char *path, const char *value, unsigned line,
                    struct cw_err *err)
{
    struct run *r = arg;

    (void)err;
    r->last_line = line;
    cw_str_addf(&r->pairs, "%s=%s;", path, value);
    return 0;
}

static const char *above(void *arg, const char *path)
{
    (void)arg;
    return strcmp(path, "forced.host") == 0 ? "above" : NULL;
}

static const char *below(void *arg, const char *path)
{
    (void)arg;
    if (strcmp(path, "HOME") == 0)
        return "/home/ow";
    return strcmp(path, "forced.host") == 0 || strcmp(path, "in.both") == 0 ? "below" : NULL;
}

static int on_include(void *arg, const struct cw_hocon_include *inc, struct cw_arena *arena,
                      struct cw_slice *ret, struct cw_err *err)
{
    struct run *r = arg;

    cw_str_addf(&r->included, "%d%s %s;", inc->kind, inc->required ? "!" : "", inc->name);
    if (strcmp(inc->name, "more") == 0)
        *ret = cw_slice_of(cw_arena_dup(arena, CW_SLICE("from = include\nx.y = 2")));
    else if (strcmp(inc->name, "broken") == 0)
        *ret = CW_SLICE("a = 1\nb = ]");
    else if (strcmp(inc->name, "itself") == 0)
        *ret = CW_SLICE("include \"itself\"");
    else if (strcmp(inc->name, "absent") == 0)
        return cw_fail(err, CW_NOT_FOUND, "absent: not there");
    return 0;
}

static int new_run(void **state)
{
    struct run *r = calloc(1, sizeof(*r));

    if (!r)
        return -1;
    cw_str_init(&r->pairs, OUT_MAX);
    cw_str_init(&r->included, OUT_MAX);
    *state = r;
    return 0;
}

static int free_run(void **state)
{
    struct run *r = *state;

    cw_str_done(&r->pairs);
    cw_str_done(&r->included);
    free(r);
    return 0;
}

static int read_text(struct run *r, struct cw_slice text)
{
    const struct cw_hocon_hooks hooks = {
        .above = above, .below = below, .include = on_include, .value = on_value, .arg = r};

    cw_str_reset(&r->pairs);
    cw_str_reset(&r->included);
    return cw_hocon_read(text, &hooks, &r->err);
}

static const struct {
    const char *name, *text, *pairs;
} MEANT[] = {
    {"nothing", "", ""},
    {"only_comments", " # one\n// two\n", ""},
    {"json", "{\"a\": {\"b\": 1, \"c\": [true, \"x\"]}}", "a.b=1;a.c.0=true;a.c.1=x;"},
    {"no_braces_at_the_root", "a = 1\nb : 2", "a=1;b=2;"},
    {"braces_with_space_around", "\n { a = 1 } \n # end\n", "a=1;"},
    {"no_separator_before_an_object", "a { b { c = 1 } }", "a.b.c=1;"},
    {"dotted_keys", "a.b.c = 1\na.b.d = 2", "a.b.c=1;a.b.d=2;"},
    {"dotted_and_nested_are_the_same", "a.b { c = 1 }\na { b.d = 2 }", "a.b.c=1;a.b.d=2;"},
    {"quoted_keys", "\"a b\".\"c.d\" = 1", "a b.c.d=1;"},
    {"key_with_blanks", "a b . c = 1", "a b.c=1;"},
    {"key_of_a_quoted_and_a_bare_piece", "a\"b c\"d = 1", "ab cd=1;"},
    {"key_of_digits", "1.2.x = 3", "1.2.x=3;"},
    {"key_with_dashes_and_underscores", "user-memory_x = 1", "user-memory_x=1;"},
    {"separator_on_the_next_line", "a\n = \n 1", "a=1;"},
    {"commas_and_newlines", "a = 1, b = 2\n, c = 3,\n d = 4,", "a=1;b=2;c=3;d=4;"},
    {"one_line_object", "{a=1,b=2}", "a=1;b=2;"},
    {"comment_behind_a_value", "a = 1 # no\nb = 2 // no\nc=3#no", "a=1;b=2;c=3;"},
    {"comment_between", "a = 1\n# a = 2\n// a = 3\n", "a=1;"},
    {"comment_in_a_list", "a = [ # first\n1 // one\n2 # two\n]", "a.0=1;a.1=2;"},
    {"value_with_blanks", "a = 10 minutes  ", "a=10 minutes;"},
    {"value_with_inner_blanks_kept", "a = x  y\tz", "a=x  y\tz;"},
    {"value_of_mixed_quotes", "a = \"x \" y \"z\"", "a=x  y z;"},
    {"slash_in_a_value", "a = /var/run/docker.sock", "a=/var/run/docker.sock;"},
    {"number_keeps_its_text", "a = 1.50, b = 007, c = -3, d = 1e3", "a=1.50;b=007;c=-3;d=1e3;"},
    {"percent", "a = 90%", "a=90%;"},
    {"empty_string", "a = \"\"", "a=;"},
    {"escapes", "a = \"q\\\" b\\\\ s\\/ t\\t u\\u00e9 p\\ud83d\\ude00\"",
     "a=q\" b\\ s/ t\t u\u00e9 p\U0001f600;"},
    {"separators_in_quotes", "a = \"x=y,{z}[w] # no // no ${no}\"",
     "a=x=y,{z}[w] # no // no ${no};"},
    {"triple_quotes", "a = \"\"\"one \"two\" \\n\nthree\"\"\"", "a=one \"two\" \\n\nthree;"},
    {"triple_quotes_with_quotes_at_the_end", "a = \"\"\"x\"\"\"\"\"", "a=x\"\";"},
    {"manifest_in_triple_quotes", "runtimes.manifest = \"\"\"{\"runtimes\":{}}\"\"\"",
     "runtimes.manifest={\"runtimes\":{}};"},
    {"lists", "a = [1, 2\n3,\n4,]", "a.0=1;a.1=2;a.2=3;a.3=4;"},
    {"list_of_texts_with_blanks", "a = [one two, \"three\"]", "a.0=one two;a.1=three;"},
    {"list_of_objects", "a = [{x=1},{x=2}]", "a.0.x=1;a.1.x=2;"},
    {"list_of_lists", "a = [[1],[2,3]]", "a.0.0=1;a.1.0=2;a.1.1=3;"},
    {"empty_list_and_object", "a = [], b = {}, c = 1", "c=1;"},
    {"lists_put_together", "a = [1] [2]", "a.0=1;a.1=2;"},
    {"objects_put_together", "a = {x=1,y=1} {y=2}", "a.x=1;a.y=2;"},
    {"append", "a = [1]\na += 2\na += [3]", "a.0=1;a.1=2;a.2.0=3;"},
    {"append_to_nothing", "a += 1\na += 2", "a.0=1;a.1=2;"},
    {"append_to_a_reference", "b = [1]\na = ${b}\na += 2", "b.0=1;a.0=1;a.1=2;"},
    {"append_without_blanks", "a+=1,a+=2", "a.0=1;a.1=2;"},
    {"later_wins", "a = 1\na = 2", "a=2;"},
    {"later_list_replaces", "a = [1,2,3]\na = [4]", "a.0=4;"},
    {"objects_merge", "a { b = 1, c { d = 2 } }\na { c { e = 3 }, b = 4 }",
     "a.b=4;a.c.d=2;a.c.e=3;"},
    {"text_replaces_an_object", "a { b = 1 }\na = 2", "a=2;"},
    {"object_replaces_a_text", "a = 2\na { b = 1 }", "a.b=1;"},
    {"text_between_objects_hides_the_first", "a { b = 1 }\na = 2\na { c = 3 }", "a.c=3;"},
    {"null_takes_back", "a = 1\na = null", ""},
    {"null_of_an_object", "a { b = 1 }\na = null\na { c = 2 }", "a.c=2;"},
    {"quoted_null_is_a_text", "a = \"null\"", "a=null;"},
    {"null_within_a_text", "a = null x", "a=null x;"},
    {"reference", "a = 1\nb = ${a}", "a=1;b=1;"},
    {"reference_forwards", "b = ${a}\na = 1", "b=1;a=1;"},
    {"reference_to_a_path", "a.b.c = x\nd = ${a.b.c}", "a.b.c=x;d=x;"},
    {"reference_to_a_quoted_path", "a.\"b.c\" = x\nd = ${a.\"b.c\"}", "a.b.c=x;d=x;"},
    {"reference_in_a_text", "a = 5\nb = ${a} minutes", "a=5;b=5 minutes;"},
    {"reference_next_to_quotes", "h = x\nu = \"http://\"${h}\":80\"", "h=x;u=http://x:80;"},
    {"references_with_blanks", "a = 1, b = 2\nc = ${a} ${b}", "a=1;b=2;c=1 2;"},
    {"reference_in_a_list", "a = 1\nb = [${a}, 2]", "a=1;b.0=1;b.1=2;"},
    {"reference_to_a_list", "a = [1,2]\nb = ${a}", "a.0=1;a.1=2;b.0=1;b.1=2;"},
    {"list_with_a_reference_to_a_list", "a = [1]\nb = ${a} [2]", "a.0=1;b.0=1;b.1=2;"},
    {"reference_to_an_object", "a {x=1}\nb = ${a}", "a.x=1;b.x=1;"},
    {"object_over_a_reference", "a {x=1,y=1}\nb = ${a} {y=2,z=3}",
     "a.x=1;a.y=1;b.x=1;b.y=2;b.z=3;"},
    {"object_later_over_a_reference", "a {x=1,y=1}\nb = ${a}\nb { y = 2 }",
     "a.x=1;a.y=1;b.x=1;b.y=2;"},
    {"reference_into_a_reference", "a {x=1}\nb = ${a}\nc = ${b.x}", "a.x=1;b.x=1;c=1;"},
    {"reference_sees_the_last_value", "a = 1\nb = ${a}\na = 2", "a=2;b=2;"},
    {"reference_sees_merged_objects", "a {x=1}\nb = ${a}\na {y=2}", "a.x=1;a.y=2;b.x=1;b.y=2;"},
    {"reference_within_its_own_object", "a { x = 1, y = ${a.x} }", "a.x=1;a.y=1;"},
    {"reference_to_itself_means_before", "a = x\na = ${a}y\na = ${a}z", "a=xyz;"},
    {"list_extends_itself", "a = [1]\na = ${a} [2]", "a.0=1;a.1=2;"},
    {"object_extends_itself", "a {x=1}\na = ${a} {y=2}", "a.x=1;a.y=2;"},
    {"optional_reference_to_itself", "a = ${?a}x", "a=x;"},
    {"optional_reference_to_nothing", "a = ${?none}\nb = 1", "b=1;"},
    {"optional_reference_keeps_the_value", "a = 1\na = ${?none}", "a=1;"},
    {"optional_reference_overrides", "a = 1\na = ${?HOME}", "a=/home/ow;"},
    {"optional_reference_in_a_text", "a = x${?none}y", "a=xy;"},
    {"optional_reference_in_a_list", "a = [1, ${?none}, 2]", "a.0=1;a.1=2;"},
    {"optional_reference_beside_a_list", "a = ${?none} [1]", "a.0=1;"},
    {"environment", "a = ${HOME}/x", "a=/home/ow/x;"},
    {"path_before_environment", "HOME = mine\na = ${HOME}", "HOME=mine;a=mine;"},
    {"above_beats_the_text", "forced.host = text\na = ${forced.host}", "forced.host=text;a=above;"},
    {"text_beats_below", "in.both = text\na = ${in.both}", "in.both=text;a=text;"},
    {"byte_order_mark_and_wide_blanks", "\ufeffa\u00a0=\u20021\u3000", "a=1;"},
    {"carriage_returns", "a = 1\r\nb {\r\n c = x y\r\n}\r\n", "a=1;b.c=x y;"},
    {"include_is_a_key_too", "include = 1, include.x = 2", "include.x=2;"},
    {"included_text_is_merged", "x.y = 1\nx.z = 1\ninclude \"more\"\nfrom = here",
     "x.y=2;x.z=1;from=here;"},
    {"include_in_an_object", "o { include \"more\" }", "o.from=include;o.x.y=2;"},
    {"deployment",
     "include \"application.conf\"\n"
     "whisk {\n  metrics {\n    prometheus-enabled = true\n  }\n}\n"
     "kamon.environment.service = openwhisk-invoker\n",
     "whisk.metrics.prometheus-enabled=true;kamon.environment.service=openwhisk-invoker;"},
};

static void texts_stand_for_their_pairs(void **state)
{
    struct run *r = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(MEANT); i++) {
        if (read_text(r, cw_slice_of(MEANT[i].text)) != 0)
            fail_msg("%s: %s", MEANT[i].name, r->err.msg);
        if (strcmp(r->pairs.p, MEANT[i].pairs) != 0)
            fail_msg("%s: \"%s\", expected \"%s\"", MEANT[i].name, r->pairs.p, MEANT[i].pairs);
    }
}

static const struct {
    const char *name, *text, *message;
} REFUSED[] = {
    {"no_value", "a =", "1:4: expected a value, found the end of the text"},
    {"no_value_before_a_brace", "a { b = }", "1:9: expected a value, found \"}\""},
    {"no_separator", "a\nb = 1", "2:1: expected =, : or { behind a key, found \"b\""},
    {"no_key", "= 1", "1:1: expected a key, found \"=\""},
    {"empty_part_of_a_key", "a..b = 1", "1:3: expected a key, found \".\""},
    {"two_members_in_a_line", "a = {} b = 1", "1:10: \"=\" needs quotes here"},
    {"two_commas", "a = 1,,b = 2", "1:7: expected a key, found \",\""},
    {"open_brace", "a {\n b = 1\n", "3:1: \"}\" is missing"},
    {"open_bracket", "a = [1, 2", "1:10: \"]\" is missing"},
    {"closed_twice", "{a = 1}}", "1:8: there is more text behind the last \"}\""},
    {"stray_closing", "a = 1\n}", "2:1: expected a key, found \"}\""},
    {"wrong_closing", "a = [1}", "1:7: expected a comma or a new line, found \"}\""},
    {"list_as_the_root", "[1, 2]", "1:1: a list cannot be the whole configuration"},
    {"open_quote", "a = \"x\nb = 1", "1:7: a quoted string is not closed"},
    {"open_triple_quote", "x = 1\na = \"\"\"x\n\n", "2:5: a string in triple quotes is not closed"},
    {"bad_escape", "a = \"\\x\"", "1:7: \\ stands before \" \\ / b f n r t or uXXXX"},
    {"bad_hex", "a = \"\\u12g4\"", "1:10: expected four hexadecimal digits after \\u"},
    {"lone_surrogate", "a = \"\\ud800x\"", "1:12: \\ud800 cannot be used here"},
    {"nul_escape", "a = \"\\u0000\"", "1:12: \\u0000 cannot be used here"},
    {"reserved_character", "a = x@y", "1:6: \"@\" needs quotes here"},
    {"url_without_quotes", "a = http://x", "1:9: \":\" needs quotes here"},
    {"dollar", "a = $HOME", "1:5: \"$\" needs quotes here"},
    {"open_reference", "a = ${x",
     "1:8: expected \"}\" at the end of ${...}, found the end of the "
     "text"},
    {"empty_reference", "a = ${}", "1:7: expected a key, found \"}\""},
    {"reference_to_nothing", "x = 1\na = ${none.there}",
     "2:5: ${none.there} stands for nothing that is set"},
    {"reference_to_itself", "a = ${a}", "1:5: ${a} refers to itself"},
    {"circle", "a = ${b}\nb = ${a}", "2:5: ${a} refers to itself"},
    {"text_and_list", "b = [1]\na = x ${b}",
     "2:5: texts, lists and objects cannot be put together"},
    {"list_and_object", "a = [1] {x = 1}", "1:5: texts, lists and objects cannot be put together"},
    {"append_to_a_text", "a = 1\na += 2", "2:3: += needs a list before it"},
    {"include_without_a_name", "include file(x)", "1:14: expected a quoted name to include"},
    {"include_not_closed", "include file(\"x\"", "1:17: expected \")\" behind the name to include"},
    {"broken_include", "a = 1\n include \"broken\"",
     "2:2: include \"broken\": 2:5: expected a value, "
     "found \"]\""},
    {"include_that_fails", "include \"absent\"", "1:1: absent: not there"},
    {"include_without_end", "include \"itself\"", "over 32 includes"},
};

static void mistakes_are_named_with_line_and_column(void **state)
{
    struct run *r = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(REFUSED); i++) {
        if (read_text(r, cw_slice_of(REFUSED[i].text)) != -1)
            fail_msg("%s: read as \"%s\"", REFUSED[i].name, r->pairs.p);
        if (!strstr(r->err.msg, REFUSED[i].message))
            fail_msg("%s: \"%s\", expected \"%s\"", REFUSED[i].name, r->err.msg,
                     REFUSED[i].message);
        assert_int_not_equal(r->err.code, CW_OK);
    }
}

static void includes_are_told_by_kind(void **state)
{
    struct run *r = *state;

    assert_int_equal(read_text(r, CW_SLICE("include \"a\"\ninclude file(\"b\")\n"
                                           "include classpath( \"c\" )\ninclude url(\"d\"), "
                                           "include required(file(\"e\"))\n"
                                           "include required(\"f\")")),
                     0);
    assert_string_equal(r->included.p, "0 a;1 b;3 c;2 d;1! e;0! f;");
}

static void lines_of_values_are_told(void **state)
{
    struct run *r = *state;

    assert_int_equal(read_text(r, CW_SLICE("a {\n\n  b =\n    x\n}\n")), 0);
    assert_int_equal(r->last_line, 4);
}

static void nul_bytes_are_refused(void **state)
{
    struct run *r = *state;

    assert_int_equal(read_text(r, cw_slice("a = \0", 5)), -1);
    assert_non_null(strstr(r->err.msg, "NUL"));
}

/* ---- bounds ---- */

static void refuses_over(struct run *r, const struct cw_str *text, const char *what)
{
    assert_false(text->failed);
    assert_int_equal(read_text(r, cw_str_slice(text)), -1);
    if (!strstr(r->err.msg, what))
        fail_msg("\"%s\", expected \"%s\"", r->err.msg, what);
}

static void depth_is_bounded(void **state)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, OUT_MAX);
    for (int i = 0; i < 65; i++)
        cw_str_addz(&text, i % 2 ? "{b=" : "[");
    refuses_over(*state, &text, "a list cannot");
    cw_str_reset(&text);
    for (int i = 0; i < 65; i++)
        cw_str_addz(&text, "a{");
    refuses_over(*state, &text, "nested deeper than 64 levels");
    cw_str_reset(&text);
    for (int i = 0; i < 65; i++)
        cw_str_addz(&text, i ? ".a" : "a");
    refuses_over(*state, &text, "a path of over 64 parts");
    cw_str_reset(&text);
    cw_str_addz(&text, "x0 = 1\n");
    for (int i = 1; i <= 300; i++)
        cw_str_addf(&text, "x%d { a.a.a = ${x%d} }\n", i, i - 1);
    refuses_over(*state, &text, "nested deeper than 64 levels");
}

static void chains_are_bounded(void **state)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, OUT_MAX);
    for (int i = 0; i < 500; i++)
        cw_str_addf(&text, "x%d = ${x%d}\n", i, i + 1);
    refuses_over(*state, &text, "values refer to each other");
}

static void sizes_are_bounded(void **state)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, OUT_MAX);
    for (int i = 0; i < (1 << 20) + 1; i++)
        cw_str_addc(&text, ' ');
    refuses_over(*state, &text, "over 1048576 bytes");
    cw_str_reset(&text);
    for (int i = 0; i < 10001; i++)
        cw_str_addf(&text, "k%d=1\n", i);
    refuses_over(*state, &text, "too many values");
    cw_str_reset(&text);
    for (int i = 0; i < 4097; i++)
        cw_str_addc(&text, 'k');
    cw_str_addz(&text, "=1");
    refuses_over(*state, &text, "a key over 4096 bytes");
}

/* Each line doubles the one before: a few hundred bytes that stand for more than any memory. */
static void doubling_is_bounded(void **state)
{
    static const struct {
        const char *first, *fmt, *what;
    } KINDS[] = {{"x0 = [1]\n", "x%d = ${x%d} ${x%d}\n", "too many values"},
                 {"x0 = 0123456789\n", "x%d = ${x%d} ${x%d}\n", "a value over 1048576 bytes"},
                 {"x0 = y\n", "x%d = [${x%d}, ${x%d}]\n", "over 10000 settings"}};
    cw_auto_str struct cw_str text;

    cw_str_init(&text, OUT_MAX);
    for (size_t k = 0; k < CW_ARRAY_LEN(KINDS); k++) {
        cw_str_reset(&text);
        cw_str_addz(&text, KINDS[k].first);
        for (int i = 1; i < 40; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            cw_str_addf(&text, KINDS[k].fmt, i, i - 1, i - 1);
#pragma GCC diagnostic pop
        }
        refuses_over(*state, &text, KINDS[k].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts_stand_for_their_pairs, new_run, free_run),
        cmocka_unit_test_setup_teardown(mistakes_are_named_with_line_and_column, new_run, free_run),
        cmocka_unit_test_setup_teardown(includes_are_told_by_kind, new_run, free_run),
        cmocka_unit_test_setup_teardown(lines_of_values_are_told, new_run, free_run),
        cmocka_unit_test_setup_teardown(nul_bytes_are_refused, new_run, free_run),
        cmocka_unit_test_setup_teardown(depth_is_bounded, new_run, free_run),
        cmocka_unit_test_setup_teardown(chains_are_bounded, new_run, free_run),
        cmocka_unit_test_setup_teardown(sizes_are_bounded, new_run, free_run),
        cmocka_unit_test_setup_teardown(doubling_is_bounded, new_run, free_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
