/* The Docker driver against a real engine: CW_TEST_DOCKER names its socket, and the images are
 * those that real-images (next to this file) imports. Skipped, with exit status 77, without it. */
#include "tests/support/cmocka_all.h"

#include <arpa/inet.h>
#include <glob.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/cgroup/freezer.h"
#include "common/cgroup/usage.h"
#include "common/driver/docker_driver.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "tests/support/scratch.h"

enum { WAIT_MS = 60000, ROUNDS = 10, SKIPPED = 77 };

struct fixture {
    struct cw_loop *loop;
    struct cw_http *http;
    struct cw_driver *driver;
    char prefix[32];
    unsigned next_name;
};

struct result {
    unsigned calls;
    bool ok;
    struct cw_err err;
    enum cw_create_failure failure;
    struct cw_container made;
    bool oom;
    size_t count, paused, running;
};

static const char *const ENV[] = {"__OW_API_HOST=http://10.0.0.1", NULL};
static const char *const CAPS[] = {"NET_RAW", "NET_ADMIN", NULL};
static const char *const LABELS[] = {"cwhisk.test=1", NULL};
static const char *const DNS[] = {"10.0.0.2", NULL};
static const char *const LOG_OPTIONS[] = {"max-size=10m", NULL};

/* ---- callbacks and waiting ---- */

static void done_fn(void *arg, const struct cw_err *err)
{
    struct result *r = arg;

    r->calls++;
    r->ok = !err;
    if (err)
        r->err = *err;
}

static void created_fn(void *arg, const struct cw_container *c, enum cw_create_failure failure,
                       const struct cw_err *err)
{
    struct result *r = arg;

    done_fn(arg, err);
    r->failure = failure;
    if (c)
        r->made = *c;
}

static void oom_fn(void *arg, bool oom)
{
    struct result *r = arg;

    done_fn(arg, NULL);
    r->oom = oom;
}

static void listed_fn(void *arg, const struct cw_owned_container *list, size_t count,
                      const struct cw_err *err)
{
    struct result *r = arg;

    done_fn(arg, err);
    r->count = count;
    for (size_t i = 0; i < count; i++) {
        r->paused += list[i].paused;
        r->running += list[i].running;
    }
}

static bool called(void *arg)
{
    return ((struct result *)arg)->calls > 0;
}

static bool idle(void *arg)
{
    struct fixture *f = arg;

    return f->driver->ops->busy(f->driver) == 0;
}

static void wait_for(struct fixture *f, struct result *r)
{
    assert_true(cw_loop_run_until(f->loop, called, r, WAIT_MS));
}

/* ---- operations ---- */

typedef struct cw_driver_call *verb_fn(struct cw_driver *d, const char *id, cw_driver_done_fn *fn,
                                       void *arg);

static struct cw_container_spec spec_of(struct fixture *f, const char *image, char name[64])
{
    (void)snprintf(name, 64, "%s%u_test", f->prefix, f->next_name++);
    return (struct cw_container_spec){
        .name = name,
        .image = image,
        .memory_mb = 64,
        .cpu_shares = 256,
        .cpus = 0.5,
        .env = ENV,
        .dns_servers = DNS,
        .labels = LABELS,
        .cap_drop = CAPS,
        .pids_limit = 1024,
        .nofile = 1024,
        .log_driver = "json-file",
        .log_options = LOG_OPTIONS,
    };
}

static struct result create(struct fixture *f, const char *image, enum cw_pull_policy pull)
{
    struct result r = {0};
    char name[64];
    struct cw_container_spec spec = spec_of(f, image, name);

    spec.pull = pull;
    f->driver->ops->create(f->driver, &spec, created_fn, &r);
    wait_for(f, &r);
    return r;
}

static struct result create_ok(struct fixture *f, const char *image)
{
    struct result r = create(f, image, CW_PULL_NEVER);

    if (!r.ok)
        fail_msg("%s", r.err.msg);
    return r;
}

static struct result run_verb(struct fixture *f, verb_fn *verb, const char *id)
{
    struct result r = {0};

    verb(f->driver, id, done_fn, &r);
    wait_for(f, &r);
    return r;
}

static void run_ok(struct fixture *f, verb_fn *verb, const char *id)
{
    struct result r = run_verb(f, verb, id);

    if (!r.ok)
        fail_msg("%s", r.err.msg);
}

static struct result list(struct fixture *f)
{
    struct result r = {0};

    f->driver->ops->list(f->driver, f->prefix, listed_fn, &r);
    wait_for(f, &r);
    if (!r.ok)
        fail_msg("%s", r.err.msg);
    return r;
}

static bool was_oom_killed(struct fixture *f, const char *id)
{
    struct result r = {0};

    f->driver->ops->was_oom_killed(f->driver, id, oom_fn, &r);
    wait_for(f, &r);
    return r.oom;
}

static void assert_nothing_left(struct fixture *f)
{
    assert_true(cw_loop_run_until(f->loop, idle, f, WAIT_MS));
    assert_int_equal(list(f).count, 0);
}

/* ---- fixture ---- */

static int64_t oom_kills(void *arg, const char *id)
{
    struct cw_usage_source *source = cw_usage_source_new("/sys/fs/cgroup", "/proc", NULL);
    int64_t count = cw_usage_oom_kills(source, id);

    (void)arg;
    cw_usage_source_free(source);
    return count;
}

/* Podman's own default for processes is more than a machine may allow. */
static const char *const PODMAN_FLAGS[] = {"ulimit.0", "nofile=1024:1024", "ulimit.1",
                                           "nproc=1024:1024", NULL};

static int setup(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));
    struct cw_docker_conf conf = {.engine = getenv("CW_TEST_DOCKER"), .parallel_creates = 10};
    struct result r = {0};

    conf.oom_kills = oom_kills;
    if (getenv("CW_TEST_PODMAN"))
        conf.run_flags = PODMAN_FLAGS;
    f->loop = cw_loop_new(NULL, NULL);
    f->http = cw_http_new(f->loop, &(struct cw_http_conf){0}, NULL);
    f->driver = cw_docker_driver_new(f->loop, f->http, &conf, NULL);
    assert_non_null(f->driver);
    (void)snprintf(f->prefix, sizeof(f->prefix), "cwreal%d_", (int)getpid());
    f->driver->ops->check(f->driver, done_fn, &r);
    wait_for(f, &r);
    if (!r.ok)
        fail_msg("%s", r.err.msg);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    cw_driver_free(f->driver);
    cw_http_free(f->http);
    cw_loop_free(f->loop);
    free(f);
    return 0;
}

/* ---- tests ---- */

static void container_lives_from_create_to_remove(void **state)
{
    struct fixture *f = *state;
    struct result r = create_ok(f, "cwhisk-test:sleep");
    struct in_addr address;
    struct stat st;
    struct result seen;

    assert_int_equal(inet_pton(AF_INET, r.made.address, &address), 1);
    assert_int_equal(r.made.port, 8080);
    assert_non_null(strstr(r.made.log_path, r.made.id));
    if (geteuid() == 0)
        assert_int_equal(stat(r.made.log_path, &st), 0);
    seen = list(f);
    assert_true(seen.count == 1 && seen.running == 1 && seen.paused == 0);
    run_ok(f, f->driver->ops->pause, r.made.id);
    assert_int_equal(list(f).paused, 1);
    seen = run_verb(f, f->driver->ops->pause, r.made.id);
    assert_true(!seen.ok && seen.err.code == CW_CONFLICT);
    run_ok(f, f->driver->ops->resume, r.made.id);
    assert_int_equal(list(f).paused, 0);
    assert_false(run_verb(f, f->driver->ops->resume, r.made.id).ok);
    run_ok(f, f->driver->ops->remove, r.made.id);
    run_ok(f, f->driver->ops->remove, r.made.id); /* gone is success */
    assert_nothing_left(f);
}

struct log_text {
    const char *path;
    bool readable;
    char text[2048];
};

/* Has the container printed its last line, or can the engine's log not be read at all? */
static bool log_is_complete(void *arg)
{
    struct log_text *log = arg;
    FILE *f = fopen(log->path, "r");
    size_t n;

    log->readable = f != NULL;
    if (!f)
        return true;
    n = fread(log->text, 1, sizeof(log->text) - 1, f);
    log->text[n] = '\0';
    (void)fclose(f);
    return strstr(log->text, "last line") != NULL;
}

static void container_has_no_way_to_gain_privileges(void **state)
{
    struct fixture *f = *state;
    struct result r = create_ok(f, "cwhisk-test:limits"); /* prints its own */
    struct log_text log = {.path = r.made.log_path};

    assert_true(cw_loop_run_until(f->loop, log_is_complete, &log, WAIT_MS));
    run_ok(f, f->driver->ops->remove, r.made.id);
    if (!log.readable) {
        print_message("cannot read %s\n", r.made.log_path);
        skip();
    }
    assert_non_null(strstr(log.text, "NoNewPrivs:\\u00091"));
    /* The engine's usual set, a80425fb, without NET_RAW (bit 13): */
    assert_non_null(strstr(log.text, "CapBnd:\\u000900000000a80405fb"));
    assert_non_null(strstr(log.text, "files 1024\\n"));
}

static void paused_container_can_be_removed(void **state)
{
    struct fixture *f = *state;
    struct result r = create_ok(f, "cwhisk-test:sleep");

    run_ok(f, f->driver->ops->pause, r.made.id);
    run_ok(f, f->driver->ops->remove, r.made.id);
    assert_nothing_left(f);
}

static int freeze_by_file(void *arg, const char *id)
{
    return cw_freezer_freeze(arg, id);
}

static int thaw_by_file(void *arg, const char *id, struct cw_err *err)
{
    return cw_freezer_thaw(arg, id, err);
}

static void release_by_file(void *arg, const char *id)
{
    cw_freezer_release(arg, id);
}

/* A second driver on the same engine. */
static struct cw_driver *driver_with_files(struct fixture *f, struct cw_freezer *freezer)
{
    struct cw_docker_conf conf = {.engine = getenv("CW_TEST_DOCKER")};
    struct cw_driver *driver;

    conf.freezer =
        (struct cw_docker_freezer){freeze_by_file, thaw_by_file, release_by_file, freezer};
    driver = cw_docker_driver_new(f->loop, f->http, &conf, NULL);
    assert_non_null(driver);
    return driver;
}

/* Whatever the version and the engine. */
static bool has_frozen_file(const char *id)
{
    static const struct {
        const char *above, *file;
    } PLACES[] = {{"/sys/fs/cgroup/freezer/*", "freezer.state"},
                  {"/sys/fs/cgroup/*", "cgroup.events"}};
    bool frozen = false;

    for (size_t i = 0; i < CW_ARRAY_LEN(PLACES); i++) {
        char pattern[256], text[256];
        glob_t found = {0};

        (void)snprintf(pattern, sizeof(pattern), "%s/*%s*/%s", PLACES[i].above, id, PLACES[i].file);
        (void)glob(pattern, 0, NULL, &found);
        for (size_t k = 0; k < found.gl_pathc; k++)
            frozen = frozen || (scratch_get("/", found.gl_pathv[k], text, sizeof(text)) &&
                                (strstr(text, "FROZEN") || strstr(text, "frozen 1")));
        globfree(&found);
    }
    return frozen;
}

static void files_freeze_without_the_engine_and_removal_thaws(void **state)
{
    struct fixture *f = *state;
    struct cw_freezer *freezer = cw_freezer_new("/sys/fs/cgroup", NULL);
    struct cw_driver *own = f->driver, *by_file = driver_with_files(f, freezer);
    struct result r = create_ok(f, "cwhisk-test:sleep");

    f->driver = by_file;
    for (int round = 0; round < 3; round++) {
        run_ok(f, f->driver->ops->pause, r.made.id);
        assert_true(list(f).paused || has_frozen_file(r.made.id)); /* else by the engine */
        run_ok(f, f->driver->ops->resume, r.made.id);
        assert_false(list(f).paused || has_frozen_file(r.made.id));
    }
    run_ok(f, f->driver->ops->pause, r.made.id);
    run_ok(f, f->driver->ops->remove, r.made.id);
    assert_nothing_left(f);
    f->driver = own;
    cw_driver_free(by_file);
    cw_freezer_free(freezer);
}

static void removals_at_the_same_time_both_succeed(void **state)
{
    struct fixture *f = *state;
    struct result made = create_ok(f, "cwhisk-test:sleep"), a = {0}, b = {0};

    f->driver->ops->remove(f->driver, made.made.id, done_fn, &a);
    f->driver->ops->remove(f->driver, made.made.id, done_fn, &b);
    wait_for(f, &a);
    wait_for(f, &b);
    if (!a.ok || !b.ok)
        fail_msg("%s", a.ok ? b.err.msg : a.err.msg);
    assert_nothing_left(f);
}

static void out_of_memory_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct result oom = create_ok(f, "cwhisk-test:oom"); /* dies after a moment */
    struct result fine = create_ok(f, "cwhisk-test:exit");

    assert_true(was_oom_killed(f, oom.made.id));
    assert_false(was_oom_killed(f, fine.made.id));
    run_ok(f, f->driver->ops->remove, oom.made.id);
    assert_false(was_oom_killed(f, oom.made.id));
    run_ok(f, f->driver->ops->remove, fine.made.id);
    assert_nothing_left(f);
}

/* The main process lives on; some engines never tell. */
static void out_of_memory_of_a_child_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct result oom = create_ok(f, "cwhisk-test:childoom");

    assert_true(was_oom_killed(f, oom.made.id));
    run_ok(f, f->driver->ops->pause, oom.made.id); /* it runs */
    run_ok(f, f->driver->ops->remove, oom.made.id);
    assert_nothing_left(f);
}

static void missing_image_is_told_by_policy(void **state)
{
    struct fixture *f = *state;
    /* Port 1 of the loopback is a registry that refuses. */
    struct result r = create(f, "localhost:1/cwhisk-test:missing", CW_PULL_NEVER);

    assert_true(!r.ok && r.failure == CW_CREATE_PLATFORM);
    assert_non_null(strstr(r.err.msg, "pull")); /* as "docker run" does it */
    r = create(f, "localhost:1/cwhisk-test:missing", CW_PULL_ALWAYS);
    assert_true(!r.ok && r.failure == CW_CREATE_PULL);
    r = create(f, "localhost:1/cwhisk-test:missing", CW_PULL_TRY);
    assert_true(!r.ok && r.failure == CW_CREATE_PULL && r.err.code == CW_NOT_FOUND);
    assert_nothing_left(f);
}

static void failed_pull_is_tolerated_when_the_image_is_there(void **state)
{
    struct fixture *f = *state;
    struct result r = create(f, "localhost:1/cwhisk-test:sleep", CW_PULL_TRY);

    if (!r.ok)
        fail_msg("%s", r.err.msg);
    run_ok(f, f->driver->ops->remove, r.made.id);
    assert_nothing_left(f);
}

static void missing_executable_is_told(void **state)
{
    struct fixture *f = *state;
    struct result r = create(f, "cwhisk-test:nofile", CW_PULL_NEVER);

    assert_true(!r.ok && r.failure == CW_CREATE_EXECUTABLE);
    r = create(f, "cwhisk-test:noprog", CW_PULL_NEVER);
    assert_true(!r.ok && r.failure == CW_CREATE_EXECUTABLE);
    assert_nothing_left(f);
}

static void taken_name_is_replaced_even_when_its_container_is_paused(void **state)
{
    struct fixture *f = *state;
    struct result old = create_ok(f, "cwhisk-test:sleep"), fresh;

    run_ok(f, f->driver->ops->pause, old.made.id);
    f->next_name--;
    fresh = create_ok(f, "cwhisk-test:sleep");
    assert_string_not_equal(old.made.id, fresh.made.id);
    assert_int_equal(list(f).count, 1);
    run_ok(f, f->driver->ops->remove, fresh.made.id);
    assert_nothing_left(f);
}

static bool all_called(void *arg)
{
    struct result *r = arg;

    for (int i = 0; i < 6; i++)
        if (!r[i].calls)
            return false;
    return true;
}

static void creates_at_the_same_time_get_addresses_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct result r[6] = {0};

    for (int i = 0; i < 6; i++) {
        char name[64];
        struct cw_container_spec spec = spec_of(f, "cwhisk-test:sleep", name);

        f->driver->ops->create(f->driver, &spec, created_fn, &r[i]);
    }
    assert_true(cw_loop_run_until(f->loop, all_called, r, WAIT_MS));
    for (int i = 0; i < 6; i++) {
        assert_true(r[i].ok);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(r[i].made.address, r[j].made.address);
    }
    for (int i = 0; i < 6; i++)
        run_ok(f, f->driver->ops->remove, r[i].made.id);
    assert_nothing_left(f);
}

static void cancelled_creates_leave_nothing_whenever_it_happens(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 12; i++) {
        struct result r = {0};
        char name[64];
        struct cw_container_spec spec = spec_of(f, "cwhisk-test:sleep", name);
        struct cw_driver_call *call;

        call = f->driver->ops->create(f->driver, &spec, created_fn, &r);
        if (cw_loop_run_until(f->loop, called, &r, i * 25L)) {
            run_ok(f, f->driver->ops->remove, r.made.id);
            continue;
        }
        f->driver->ops->cancel(f->driver, call);
        assert_true(cw_loop_run_until(f->loop, idle, f, WAIT_MS));
        assert_int_equal(r.calls, 0);
    }
    assert_nothing_left(f);
}

/* ---- times ---- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void report(const char *what, int64_t us[ROUNDS])
{
    qsort(us, ROUNDS, sizeof(us[0]), by_value);
    print_message("%-14s median %7.2f ms, min %7.2f, max %7.2f (%d rounds)\n", what,
                  (double)us[ROUNDS / 2] / 1e3, (double)us[0] / 1e3, (double)us[ROUNDS - 1] / 1e3,
                  ROUNDS);
}

static int64_t timed(struct fixture *f, verb_fn *verb, const char *id)
{
    int64_t begun_us = cw_loop_mono_us(f->loop);

    run_ok(f, verb, id);
    return cw_loop_mono_us(f->loop) - begun_us;
}

static void operations_are_timed(void **state)
{
    struct fixture *f = *state;
    int64_t create_us[ROUNDS], pause_us[ROUNDS], resume_us[ROUNDS], remove_us[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        int64_t begun_us = cw_loop_mono_us(f->loop);
        struct result r = create_ok(f, "cwhisk-test:sleep");

        create_us[i] = cw_loop_mono_us(f->loop) - begun_us;
        pause_us[i] = timed(f, f->driver->ops->pause, r.made.id);
        resume_us[i] = timed(f, f->driver->ops->resume, r.made.id);
        remove_us[i] = timed(f, f->driver->ops->remove, r.made.id);
    }
    report("create+start", create_us);
    report("pause", pause_us);
    report("resume", resume_us);
    report("remove", remove_us);
    assert_nothing_left(f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(container_lives_from_create_to_remove),
        CASE(container_has_no_way_to_gain_privileges),
        CASE(paused_container_can_be_removed),
        CASE(files_freeze_without_the_engine_and_removal_thaws),
        CASE(removals_at_the_same_time_both_succeed),
        CASE(out_of_memory_is_noticed),
        CASE(out_of_memory_of_a_child_is_noticed),
        CASE(missing_image_is_told_by_policy),
        CASE(failed_pull_is_tolerated_when_the_image_is_there),
        CASE(missing_executable_is_told),
        CASE(taken_name_is_replaced_even_when_its_container_is_paused),
        CASE(creates_at_the_same_time_get_addresses_of_their_own),
        CASE(cancelled_creates_leave_nothing_whenever_it_happens),
        CASE(operations_are_timed),
    };

    if (!getenv("CW_TEST_DOCKER")) {
        print_message(
            "skipped: CW_TEST_DOCKER does not name an engine's socket (see docker-real)\n");
        return SKIPPED;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("docker_real", tests, NULL, NULL);
}
