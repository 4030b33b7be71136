/* Containers that run under cwhisk-probe: what the engine is asked for, and what happens where that
 * cannot be. */
#include "tests/component/docker_driver/docker_world.h"

#include "common/driver/docker_probe.h"
#include "tests/support/cmocka_all.h"

#define IMAGE_PATH V "/images/img/json"
#define IMAGE "{\"Config\":{\"Entrypoint\":[\"/bin/tini\",\"-s\"],\"Cmd\":[\"run\",\"a b\"]}}"
#define NO_FILE                                                                                    \
    "{\"message\":\"invalid mount config for type \\\"bind\\\": bind source path does not exist: " \
    "/opt/probe\"}"

static char warning[1024];
static unsigned warnings;

static void on_warning(void *arg, const char *text)
{
    (void)arg;
    (void)snprintf(warning, sizeof(warning), "%s", text);
    warnings++;
}

static void probing_driver(struct fixture *f)
{
    warnings = 0;
    ready_driver(f, &(struct cw_docker_conf){
                        .probe_path = "/opt/probe", .probe_port = 10779, .warn = on_warning});
}

static void start_probed(struct result *r, const char *image)
{
    struct cw_container_spec spec = spec_of(NAME, CW_PULL_NEVER);

    spec.probe = true;
    spec.image = image;
    r->call = r->f->driver->ops->create(r->f->driver, &spec, created_fn, r);
}

static struct result create_probed(struct fixture *f)
{
    struct result r = {.f = f};

    start_probed(&r, "img");
    wait_for(&r);
    return r;
}

static void what_the_image_runs_is_run_by_the_probe(void **state)
{
    struct fixture *f = *state;
    const char *body;
    char variable[80];
    struct result r;

    probing_driver(f);
    answer(f, "GET", IMAGE_PATH, 200, IMAGE);
    answer_create(f);
    r = create_probed(f);
    assert_true(r.ok);
    assert_int_equal(r.made.probe_port, 10779);
    assert_int_equal(strlen(r.made.probe_token), 32);
    body = scripted_http_request(f->peer, 2)->body;
    assert_non_null(
        strstr(body, "\"Entrypoint\":[\"/.cwhisk-probe\",\"--\",\"/bin/tini\",\"-s\"]"));
    assert_non_null(strstr(body, "\"Cmd\":[\"run\",\"a b\"]"));
    assert_non_null(strstr(body, "{\"Type\":\"bind\",\"Source\":\"/opt/probe\","
                                 "\"Target\":\"/.cwhisk-probe\",\"ReadOnly\":true}"));
    (void)snprintf(variable, sizeof(variable), "\"CWHISK_PROBE_TOKEN=%s\"", r.made.probe_token);
    assert_non_null(strstr(body, variable));
    assert_non_null(strstr(body, "\"CWHISK_PROBE_PORT=10779\""));
    assert_int_equal(warnings, 0);
}

static void each_container_has_a_token_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct result first, second;

    probing_driver(f);
    answer(f, "GET", IMAGE_PATH, 200, IMAGE);
    answer_create(f);
    first = create_probed(f);
    answer(f, "GET", IMAGE_PATH, 200, IMAGE);
    answer_create(f);
    second = create_probed(f);
    assert_true(first.ok && second.ok);
    assert_string_not_equal(first.made.probe_token, second.made.probe_token);
}

static void containers_that_want_none_are_created_as_ever(void **state)
{
    struct fixture *f = *state;
    struct result r;

    probing_driver(f);
    answer_create(f);
    r = create(f, CW_PULL_NEVER);
    assert_true(r.ok);
    assert_int_equal(r.made.probe_port, 0);
    assert_null(strstr(scripted_http_request(f->peer, 1)->body, "robe"));
}

static void a_missing_image_is_pulled_and_then_asked_about(void **state)
{
    struct fixture *f = *state;

    probing_driver(f);
    answer(f, "GET", IMAGE_PATH, 404, NO_IMAGE);
    answer(f, "POST", CREATE_PATH, 404, NO_IMAGE);
    answer(f, "POST", PULL_PATH, 200, PROGRESS);
    answer(f, "GET", IMAGE_PATH, 200, IMAGE);
    answer_create(f);
    assert_int_equal(create_probed(f).made.probe_port, 10779);
}

static void a_probe_that_is_not_on_the_host_is_done_without(void **state)
{
    struct fixture *f = *state;
    struct result r;

    probing_driver(f);
    answer(f, "GET", IMAGE_PATH, 200, IMAGE);
    answer(f, "POST", CREATE_PATH, 400, NO_FILE);
    answer_create(f);
    r = create_probed(f);
    assert_true(r.ok);
    assert_int_equal(r.made.probe_port, 0);
    assert_null(strstr(scripted_http_request(f->peer, 3)->body, "robe"));
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(warning, "/opt/probe is not on the engine's host"));
    answer_create(f); /* from now on nobody asks about the image */
    assert_true(create_probed(f).ok);
    assert_int_equal(warnings, 1);
}

static void an_answer_that_is_none_leaves_the_container_without(void **state)
{
    static const char *const ANSWERS[] = {"garbage", "{}", "{\"Config\":{\"Cmd\":\"sh\"}}",
                                          "{\"Config\":{\"Entrypoint\":[1]}}"};
    struct fixture *f = *state;

    probing_driver(f);
    for (unsigned i = 0; i < CW_ARRAY_LEN(ANSWERS); i++) {
        struct result r;

        answer(f, "GET", IMAGE_PATH, 200, ANSWERS[i]);
        answer_create(f);
        r = create_probed(f);
        assert_true(r.ok);
        assert_int_equal(r.made.probe_port, 0);
        assert_int_equal(warnings, i + 1);
    }
}

static void a_create_given_up_while_asking_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    probing_driver(f);
    act(f, "GET", IMAGE_PATH, SCRIPTED_HANG);
    start_probed(&r, "img");
    wait_for_requests(f, 2);
    cancel(&r);
    spin(f);
    assert_int_equal(r.calls, 0);
    assert_true(idle(f));
}

/* ---- the request, alone ---- */

static void assert_wrapped(const char *body, const char *image, int expected, const char *part)
{
    const struct cw_docker_probe probe = {.path = "/p", .port = 1, .token = "t"};
    cw_auto_str struct cw_str out;

    cw_str_init(&out, 1 << 16);
    assert_int_equal(
        cw_docker_probe_wrap(cw_slice_of(body), cw_slice_of(image), &probe, &out, NULL), expected);
    if (expected == 1 && !strstr(out.p, part))
        fail_msg("%s is not in %s", part, out.p);
}

static void what_runs_is_what_the_engine_would_have_run(void **state)
{
    (void)state;
    assert_wrapped("{}", "{\"Config\":{\"Entrypoint\":null,\"Cmd\":[\"/x\"]}}", 1,
                   "\"Cmd\":[\"/x\"],\"Entrypoint\":[\"/.cwhisk-probe\",\"--\"]");
    assert_wrapped("{\"Entrypoint\":[\"/mine\"]}",
                   "{\"Config\":{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"/x\"]}}", 1,
                   "\"Entrypoint\":[\"/.cwhisk-probe\",\"--\",\"/mine\"],\"Cmd\":null");
    assert_wrapped("{\"Cmd\":[\"arg\"]}", "{\"Config\":{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"/x\"]}}",
                   1, "\"Cmd\":[\"arg\"],\"Entrypoint\":[\"/.cwhisk-probe\",\"--\",\"/e\"]");
    assert_wrapped("{\"Env\":[\"A=b\"],\"HostConfig\":{\"Mounts\":[{}]}}",
                   "{\"Config\":{\"Cmd\":[\"/x\"]}}", 1,
                   "\"Env\":[\"A=b\",\"CWHISK_PROBE_TOKEN=t\"");
    assert_wrapped("{}", "{\"Config\":{\"Entrypoint\":[],\"Cmd\":[]}}", 0, "");
    assert_wrapped("{}", "[]", -1, "");
}

static void names_that_could_change_a_path_are_not_asked_about(void **state)
{
    static const char *const BAD[] = {"", "a?b", "a/../b", "a//b", "a%2fb", "a b", "a\nb"};
    cw_auto_str struct cw_str path;

    (void)state;
    cw_str_init(&path, 256);
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++)
        assert_false(cw_docker_probe_image_path(BAD[i], &path));
    assert_true(cw_docker_probe_image_path("reg.io:5000/ns/img@sha256:0a", &path));
    assert_string_equal(path.p, "/images/reg.io:5000/ns/img@sha256:0a/json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOCKER_CASE(what_the_image_runs_is_run_by_the_probe),
        DOCKER_CASE(each_container_has_a_token_of_its_own),
        DOCKER_CASE(containers_that_want_none_are_created_as_ever),
        DOCKER_CASE(a_missing_image_is_pulled_and_then_asked_about),
        DOCKER_CASE(a_probe_that_is_not_on_the_host_is_done_without),
        DOCKER_CASE(an_answer_that_is_none_leaves_the_container_without),
        DOCKER_CASE(a_create_given_up_while_asking_leaves_nothing),
        cmocka_unit_test(what_runs_is_what_the_engine_would_have_run),
        cmocka_unit_test(names_that_could_change_a_path_are_not_asked_about),
    };

    return cmocka_run_group_tests_name("docker_probe", tests, NULL, NULL);
}
