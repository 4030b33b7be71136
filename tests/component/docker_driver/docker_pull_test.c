/* Images: pulls, alone and shared, and the credentials for them. */
#include "tests/component/docker_driver/docker_world.h"

#include "tests/support/cmocka_all.h"

#include "common/base/base64.h"

/* ---- pulls ---- */
#define DENIED PROGRESS "{\"errorDetail\":{\"message\":\"denied\"},\"error\":\"denied\"}\r\n"

static void image_is_pulled_before_the_create(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    scripted_http_expect(
        f->peer, &(struct scripted_step){.path = PULL_PATH, .body = PROGRESS, .chunked = true});
    answer_create(f);
    assert_true(create(f, CW_PULL_ALWAYS).ok);
    assert_string_equal(path_of(f, 1), PULL_PATH);
    assert_string_equal(path_of(f, 2), CREATE_PATH);
    assert_int_equal(observed(f, "histogram_invoker_docker_pull_finish_seconds"), 1);
}

/* ---- credentials ---- */
#define AUTH(user) "{\"auths\":{\"reg.example\":{\"username\":\"" user "\",\"password\":\"p\"}}}"

static void write_config(const char *folder, const char *text)
{
    char path[256];
    FILE *out;

    (void)snprintf(path, sizeof(path), "%s/config.json", folder);
    out = fopen(path, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void remove_config(const char *folder)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/config.json", folder);
    (void)remove(path);
    (void)remove(folder);
}

/* Pulls and creates from that image; the X-Registry-Auth that was sent, decoded, "" without. */
static void pull_auth(struct fixture *f, const char *image, char *out, size_t size)
{
    struct result r = {.f = f};
    struct cw_container_spec spec = spec_of(NAME, CW_PULL_ALWAYS);
    size_t before = scripted_http_count(f->peer);
    char header[1024];
    cw_auto_str struct cw_str json;

    cw_str_init(&json, 1024);
    spec.image = image;
    answer(f, "POST", V "/images/create*", 200, PROGRESS);
    answer_create(f);
    r.call = f->driver->ops->create(f->driver, &spec, created_fn, &r);
    wait_for(&r);
    assert_true(r.ok);
    out[0] = '\0';
    if (!scripted_http_header(scripted_http_request(f->peer, before), "X-Registry-Auth", header,
                              sizeof(header)))
        return;
    assert_int_equal(cw_base64_decode(cw_slice_of(header), CW_BASE64_URL, &json, NULL), 0);
    (void)snprintf(out, size, "%s", json.p);
}

static void note_warning(void *arg, const char *text)
{
    (void)snprintf(arg, 512, "%s", text);
}

static void pulls_carry_the_credentials_of_the_images_registry(void **state)
{
    struct fixture *f = *state;
    char folder[] = "/tmp/cw-docker.XXXXXX", sent[256];

    assert_non_null(mkdtemp(folder));
    write_config(folder, AUTH("bob"));
    ready_driver(f, &(struct cw_docker_conf){.config_folder = folder});
    pull_auth(f, "reg.example/a:1", sent, sizeof(sent));
    assert_string_equal(sent, "{\"username\":\"bob\",\"password\":\"p\","
                              "\"serveraddress\":\"reg.example\"}");
    pull_auth(f, "other.example/a:1", sent, sizeof(sent));
    assert_string_equal(sent, "");
    remove_config(folder);
}

static void credentials_that_change_count_at_the_next_pull(void **state)
{
    struct fixture *f = *state;
    char folder[] = "/tmp/cw-docker.XXXXXX", sent[256], warning[512] = "";

    assert_non_null(mkdtemp(folder));
    ready_driver(f, &(struct cw_docker_conf){
                        .config_folder = folder, .warn = note_warning, .warn_arg = warning});
    pull_auth(f, "reg.example/a:1", sent, sizeof(sent));
    assert_string_equal(sent, ""); /* no file yet */
    assert_string_equal(warning, "");
    write_config(folder, AUTH("ann"));
    pull_auth(f, "reg.example/a:1", sent, sizeof(sent));
    assert_non_null(strstr(sent, "\"ann\""));
    write_config(folder, AUTH("robert"));
    pull_auth(f, "reg.example/a:1", sent, sizeof(sent));
    assert_non_null(strstr(sent, "\"robert\""));
    write_config(folder, "{ not json");
    pull_auth(f, "reg.example/a:1", sent, sizeof(sent));
    assert_string_equal(sent, "");
    assert_non_null(strstr(warning, folder));
    remove_config(folder);
}

static void error_in_the_progress_stream_fails_the_pull(void **state)
{
    static const char *const STREAMS[] = {
        DENIED,
        "{\"error\":\"denied\"}", /* no line end */
        "<html>denied</html>",
    };
    struct fixture *f = *state;

    ready_driver(f, NULL);
    for (size_t i = 0; i < CW_ARRAY_LEN(STREAMS); i++) {
        struct result r;

        answer(f, "POST", PULL_PATH, 200, STREAMS[i]);
        r = create(f, CW_PULL_ALWAYS);
        assert_false(r.ok);
        assert_int_equal(r.failure, CW_CREATE_PULL);
        assert_non_null(strstr(r.err.msg, "docker pull"));
    }
    assert_int_equal(counter(f, "counter_invoker_docker_pull_error_total"), 3);
    assert_int_equal(counter(f, "counter_invoker_docker_run_start_total"), 0);
    assert_true(idle(f));
}

static void pull_line_without_end_fails_the_pull(void **state)
{
    struct fixture *f = *state;
    size_t n = 100 << 10;
    cw_auto_free char *line = cw_alloc(n + 1);
    struct result r;

    memset(line, ' ', n);
    ready_driver(f, NULL);
    answer(f, "POST", PULL_PATH, 200, line);
    r = create(f, CW_PULL_ALWAYS);
    assert_failed(&r, CW_CREATE_PULL, CW_TOO_LARGE, "line over 65536 bytes");
}

static void refused_pull_is_the_images_fault_but_a_lost_engine_is_not(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, &(struct cw_docker_conf){.pull_ms = 60});
    answer(f, "POST", PULL_PATH, 404, "{\"message\":\"manifest unknown\"}");
    r = create(f, CW_PULL_ALWAYS);
    assert_failed(&r, CW_CREATE_PULL, CW_NOT_FOUND, "pull img: 404: manifest unknown");
    act(f, "POST", PULL_PATH, SCRIPTED_HANG);
    r = create(f, CW_PULL_ALWAYS);
    assert_failed(&r, CW_CREATE_PULL, CW_TIMEOUT, "pull img");
    act(f, "POST", PULL_PATH, SCRIPTED_RESET);
    r = create(f, CW_PULL_ALWAYS);
    assert_failed(&r, CW_CREATE_AWAY, CW_UNAVAILABLE, "pull img");
}

static void tolerated_pull_failure_is_forgotten_when_the_image_is_there(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    answer(f, "POST", PULL_PATH, 500, "{\"message\":\"registry away\"}");
    answer_create(f);
    assert_true(create(f, CW_PULL_TRY).ok);
}

static void tolerated_pull_failure_is_the_verdict_when_the_image_is_missing(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", PULL_PATH, 500, "{\"message\":\"registry away\"}");
    answer(f, "POST", CREATE_PATH, 404, "{\"message\":\"No such image: img\"}");
    r = create(f, CW_PULL_TRY);
    assert_failed(&r, CW_CREATE_PULL, CW_NOT_FOUND, "No such image");
    /* any other failure of the run is the platform's */
    answer(f, "POST", PULL_PATH, 500, "{\"message\":\"registry away\"}");
    answer(f, "POST", CREATE_PATH, 500, "{\"message\":\"no space\"}");
    r = create(f, CW_PULL_TRY);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_INTERNAL, "no space");
}

static void pulls_of_one_image_at_the_same_time_are_one_request(void **state)
{
    struct fixture *f = *state;
    struct result a = {.f = f}, b = {.f = f};

    ready_driver(f, NULL);
    act(f, "POST", PULL_PATH, SCRIPTED_STREAM);
    start_create(&a, NAME, CW_PULL_ALWAYS);
    wait_for_requests(f, 2);
    start_create(&b, "wsk00_2_b", CW_PULL_TRY);
    answer_create(f);
    answer_second(f);
    spin(f);
    assert_int_equal(scripted_http_count(f->peer), 2);
    (void)scripted_http_push(f->peer, PROGRESS, strlen(PROGRESS));
    scripted_http_finish(f->peer);
    wait_for(&a);
    wait_for(&b);
    assert_true(a.ok && b.ok);
    assert_int_equal(counter(f, "counter_invoker_docker_pull_start_total"), 1);
    /* later ones pull again */
    answer(f, "POST", PULL_PATH, 200, PROGRESS);
    answer_create(f);
    assert_true(create(f, CW_PULL_ALWAYS).ok);
}

static void merged_pull_goes_on_until_the_last_waiter_is_gone(void **state)
{
    struct fixture *f = *state;
    struct result a = {.f = f}, b = {.f = f};

    ready_driver(f, NULL);
    scripted_http_drop(f->peer);
    act(f, "POST", PULL_PATH, SCRIPTED_STREAM);
    start_create(&a, NAME, CW_PULL_ALWAYS);
    start_create(&b, "wsk00_2_b", CW_PULL_ALWAYS);
    wait_for_requests(f, 2);
    cancel(&a);
    spin(f);
    assert_int_equal(scripted_http_open(f->peer), 1);
    cancel(&b);
    assert_true(cw_loop_run_until(f->loop, no_connection, f, WAIT_MS));
    assert_true(idle(f));
    assert_int_equal(a.calls + b.calls, 0);
}

static void waiter_may_cancel_another_one_when_their_pull_fails(void **state)
{
    struct fixture *f = *state;
    struct result a = {.f = f}, b = {.f = f};

    ready_driver(f, NULL);
    answer(f, "POST", PULL_PATH, 200, DENIED);
    a.cancel = &b;
    start_create(&a, NAME, CW_PULL_ALWAYS);
    start_create(&b, "wsk00_2_b", CW_PULL_ALWAYS);
    wait_for(&a);
    spin(f);
    assert_int_equal(b.calls, 0);
}

static void waiter_may_free_the_driver_when_its_pull_fails(void **state)
{
    struct fixture *f = *state;
    struct result a = {.f = f, .free_driver = true}, b = {.f = f};

    ready_driver(f, NULL);
    answer(f, "POST", PULL_PATH, 200, DENIED);
    start_create(&a, NAME, CW_PULL_ALWAYS);
    start_create(&b, "wsk00_2_b", CW_PULL_ALWAYS);
    wait_for(&a);
    spin(f);
    assert_int_equal(b.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOCKER_CASE(image_is_pulled_before_the_create),
        DOCKER_CASE(pulls_carry_the_credentials_of_the_images_registry),
        DOCKER_CASE(credentials_that_change_count_at_the_next_pull),
        DOCKER_CASE(error_in_the_progress_stream_fails_the_pull),
        DOCKER_CASE(pull_line_without_end_fails_the_pull),
        DOCKER_CASE(refused_pull_is_the_images_fault_but_a_lost_engine_is_not),
        DOCKER_CASE(tolerated_pull_failure_is_forgotten_when_the_image_is_there),
        DOCKER_CASE(tolerated_pull_failure_is_the_verdict_when_the_image_is_missing),
        DOCKER_CASE(pulls_of_one_image_at_the_same_time_are_one_request),
        DOCKER_CASE(merged_pull_goes_on_until_the_last_waiter_is_gone),
        DOCKER_CASE(waiter_may_cancel_another_one_when_their_pull_fails),
        DOCKER_CASE(waiter_may_free_the_driver_when_its_pull_fails),
    };

    return cmocka_run_group_tests_name("docker_pull", tests, NULL, NULL);
}
