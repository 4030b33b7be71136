/* Names that are taken. */
#include "tests/component/docker_driver/docker_world.h"

#include "tests/support/cmocka_all.h"

static void container_left_under_the_name_is_replaced(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
    answer_create(f);
    assert_true(create(f, CW_PULL_NEVER).ok);
    wait_for_idle(f);
}

static void name_that_is_taken_on_podman_is_replaced_too(void **state)
{
    struct fixture *f = *state;

    ready_driver(f, NULL);
    answer(
        f, "POST", CREATE_PATH, 500,
        "{\"cause\":\"that name is already in use\",\"message\":\"container create: the container "
        "name is already in use by 1: that name is already in use\",\"response\":500}");
    answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
    answer_create(f);
    assert_true(create(f, CW_PULL_NEVER).ok);
    wait_for_idle(f);
}

/* A predecessor began to remove it, and the engine takes its time. */
static void name_whose_holder_is_being_removed_is_waited_for(void **state)
{
    static const char GOING[] = "{\"message\":\"removal of container x is already in progress\"}";
    struct fixture *f = *state;

    ready_driver(f, NULL);
    for (int i = 0; i < 3; i++) {
        answer(f, "POST", CREATE_PATH, 409, CONFLICT);
        answer(f, "DELETE", REMOVE_NAME_PATH, 409, GOING);
    }
    answer_create(f);
    assert_true(create(f, CW_PULL_NEVER).ok);
    wait_for_idle(f);
}

static void name_that_stays_taken_fails_in_the_end(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, &(struct cw_docker_conf){.run_ms = 200});
    scripted_http_expect(f->peer,
                         &(struct scripted_step){
                             .path = CREATE_PATH, .status = 409, .body = CONFLICT, .repeat = true});
    scripted_http_expect(
        f->peer, &(struct scripted_step){.method = "DELETE", .status = 204, .repeat = true});
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_CONFLICT, "already in use");
    wait_for_idle(f);
}

static void name_whose_holder_cannot_be_removed_fails(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, NULL);
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    answer(f, "DELETE", REMOVE_NAME_PATH, 500, "{\"message\":\"stuck\"}");
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_INTERNAL, "stuck");
    wait_for_idle(f);
}

#define OWNED_BY(cluster) "{\"Config\":{\"Labels\":{\"org.cwhisk.cluster\":\"" cluster "\"}}}"

static void name_that_another_cluster_holds_fails_and_its_container_stays(void **state)
{
    struct fixture *f = *state;
    struct result r;

    ready_driver(f, &(struct cw_docker_conf){.cluster = "blue"});
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    answer(f, "GET", V "/containers/" NAME "/json", 200, OWNED_BY("green"));
    r = create(f, CW_PULL_NEVER);
    assert_failed(&r, CW_CREATE_PLATFORM, CW_CONFLICT, "container of cluster \"green\" has it");
    assert_true(idle(f));
}

static void name_that_the_own_cluster_or_nobody_holds_is_replaced(void **state)
{
    static const struct {
        int status;
        const char *body;
    } HOLDERS[] = {
        {200, OWNED_BY("blue")},
        {200, "{\"Config\":{\"Labels\":{}}}"},
        {200, "{}"},
        {404, "{\"message\":\"No such container\"}"},
    };
    struct fixture *f = *state;

    ready_driver(f, &(struct cw_docker_conf){.cluster = "blue"});
    for (size_t i = 0; i < CW_ARRAY_LEN(HOLDERS); i++) {
        answer(f, "POST", CREATE_PATH, 409, CONFLICT);
        answer(f, "GET", V "/containers/" NAME "/json", HOLDERS[i].status, HOLDERS[i].body);
        answer(f, "DELETE", REMOVE_NAME_PATH, 204, NULL);
        answer_create(f);
        assert_true(create(f, CW_PULL_NEVER).ok);
        wait_for_idle(f);
    }
}

static void create_cancelled_while_looking_whose_a_name_is_removes_nothing(void **state)
{
    struct fixture *f = *state;
    struct result r = {.f = f};

    ready_driver(f, &(struct cw_docker_conf){.cluster = "blue"});
    answer(f, "POST", CREATE_PATH, 409, CONFLICT);
    answer(f, "GET", V "/containers/" NAME "/json", 200, OWNED_BY("blue"));
    start_create(&r, NAME, CW_PULL_NEVER);
    wait_for_requests(f, 3);
    cancel(&r);
    wait_for_idle(f);
    assert_int_equal(r.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOCKER_CASE(container_left_under_the_name_is_replaced),
        DOCKER_CASE(name_that_is_taken_on_podman_is_replaced_too),
        DOCKER_CASE(name_whose_holder_is_being_removed_is_waited_for),
        DOCKER_CASE(name_that_stays_taken_fails_in_the_end),
        DOCKER_CASE(name_whose_holder_cannot_be_removed_fails),
        DOCKER_CASE(name_that_another_cluster_holds_fails_and_its_container_stays),
        DOCKER_CASE(name_that_the_own_cluster_or_nobody_holds_is_replaced),
        DOCKER_CASE(create_cancelled_while_looking_whose_a_name_is_removes_nothing),
    };

    return cmocka_run_group_tests_name("docker_names", tests, NULL, NULL);
}
