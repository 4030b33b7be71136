/* The file of events, with a disk and a thread of its own. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/event_file.h"
#include "invoker/event_log.h"
#include "tests/support/scratch.h"

enum { WITHIN_MS = 60000, TEXT_MAX_BYTES = 4 << 20, PATH_BYTES = SCRATCH_MAX + 32 };

struct world {
    char folder[SCRATCH_MAX], path[PATH_BYTES], old_path[PATH_BYTES];
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct inv_event_file *file;
    uint64_t expected;
    const char *metric;
};

static void open_file(struct world *w)
{
    struct cw_err err = {0};

    w->file = inv_event_file_new(
        &(struct inv_event_file_conf){
            .loop = w->loop, .metrics = w->metrics, .path = w->path, .max_bytes = 1 << 20},
        &err);
    assert_non_null(w->file);
}

static int begin(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    scratch_make(w->folder);
    (void)snprintf(w->path, sizeof(w->path), "%s/events.json", w->folder);
    (void)snprintf(w->old_path, sizeof(w->old_path), "%s/events.json.1", w->folder);
    w->loop = cw_loop_new(NULL, NULL);
    w->metrics = cw_metrics_new();
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    inv_event_file_free(w->file);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
    scratch_remove(w->folder);
    free(w);
    return 0;
}

static bool is_counted(void *arg)
{
    struct world *w = arg;

    return cw_counter_value(cw_metrics_counter(w->metrics, w->metric, NULL, NULL)) == w->expected;
}

static void wait_for(struct world *w, const char *metric, uint64_t events)
{
    w->metric = metric;
    w->expected = events;
    assert_true(cw_loop_run_until(w->loop, is_counted, w, WITHIN_MS));
}

/* Freed by the caller. */
static char *content(const char *path)
{
    char *text = cw_alloc(TEXT_MAX_BYTES);
    FILE *f = fopen(path, "re");

    if (f) {
        text[fread(text, 1, TEXT_MAX_BYTES - 1, f)] = '\0';
        (void)fclose(f);
    }
    return text;
}

static void assert_content(const char *path, const char *expected)
{
    cw_auto_free char *text = content(path);

    assert_string_equal(text, expected);
}

static void each_event_is_a_line_and_what_was_there_stays(void **state)
{
    struct world *w = *state;

    open_file(w);
    inv_event_file_put(w->file, "{\"seq\":1}");
    inv_event_file_put(w->file, "{\"seq\":2}");
    wait_for(w, "cwhisk_events_written_total", 2);
    assert_content(w->path, "{\"seq\":1}\n{\"seq\":2}\n");
    inv_event_file_free(CW_STEAL(w->file));
    open_file(w);
    inv_event_file_put(w->file, "{\"seq\":1}");
    inv_event_file_free(CW_STEAL(w->file)); /* writes what waits */
    assert_content(w->path, "{\"seq\":1}\n{\"seq\":2}\n{\"seq\":1}\n");
}

static off_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_size : 0;
}

static void file_and_the_one_before_stay_within_their_size(void **state)
{
    struct world *w = *state;
    char event[200001];

    memset(event, 'x', sizeof(event) - 1);
    event[sizeof(event) - 1] = '\0';
    open_file(w);
    for (uint64_t n = 1; n <= 14; n++) {
        inv_event_file_put(w->file, event);
        wait_for(w, "cwhisk_events_written_total", n);
        assert_true(size_of(w->path) <= 1 << 20);
    }
    assert_int_equal(size_of(w->old_path), 5 * sizeof(event));
    assert_int_equal(size_of(w->path), 4 * sizeof(event));
}

static void file_that_was_moved_or_removed_is_begun_anew(void **state)
{
    struct world *w = *state;
    char moved[PATH_BYTES];

    (void)snprintf(moved, sizeof(moved), "%s/moved", w->folder);
    open_file(w);
    inv_event_file_put(w->file, "1");
    wait_for(w, "cwhisk_events_written_total", 1);
    assert_int_equal(rename(w->path, moved), 0);
    inv_event_file_put(w->file, "2");
    wait_for(w, "cwhisk_events_written_total", 2);
    assert_content(moved, "1\n");
    assert_content(w->path, "2\n");
    assert_int_equal(unlink(w->path), 0);
    inv_event_file_put(w->file, "3");
    wait_for(w, "cwhisk_events_written_total", 3);
    assert_content(w->path, "3\n");
}

static void events_are_lost_and_counted_while_it_cannot_be_written(void **state)
{
    struct world *w = *state;

    assert_int_equal(mkdir(w->path, 0700), 0); /* in its place */
    open_file(w);
    inv_event_file_put(w->file, "1");
    wait_for(w, "cwhisk_events_lost_total", 1);
    assert_int_equal(rmdir(w->path), 0);
    inv_event_file_put(w->file, "2");
    wait_for(w, "cwhisk_events_written_total", 1);
    assert_content(w->path, "2\n");
}

static void what_is_no_file_is_left_alone(void **state)
{
    struct world *w = *state;

    assert_int_equal(mkfifo(w->path, 0600), 0);
    open_file(w);
    inv_event_file_put(w->file, "1");
    wait_for(w, "cwhisk_events_lost_total", 1);
}

static void what_waits_for_the_disk_is_bounded(void **state)
{
    struct world *w = *state;
    char event[200001];

    memset(event, 'x', sizeof(event) - 1);
    event[sizeof(event) - 1] = '\0';
    open_file(w); /* the first batch is under way as long as the loop does not turn */
    for (int n = 0; n < 7; n++)
        inv_event_file_put(w->file, event);
    wait_for(w, "cwhisk_events_lost_total", 2);
    wait_for(w, "cwhisk_events_written_total", 5);
    assert_int_equal(size_of(w->path), 5 * sizeof(event));
}

static void log_of_no_events_writes_them_all_the_same(void **state)
{
    struct world *w = *state;
    struct inv_event_log *log = inv_event_log_new(w->loop, 0);
    cw_auto_free char *text = NULL;

    open_file(w);
    inv_event_log_use_file(log, CW_STEAL(w->file));
    inv_event_log_add(log,
                      &(struct inv_event){.what = "start", .container = "wsk0_1", .took_us = 7});
    inv_event_log_free(log);
    text = content(w->path);
    assert_non_null(strstr(text, "{\"seq\":1,\"time\":\""));
    assert_non_null(strstr(text, "\"event\":\"start\",\"container\":\"wsk0_1\",\"tookUs\":7}\n"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_event_is_a_line_and_what_was_there_stays),
        CASE(file_and_the_one_before_stay_within_their_size),
        CASE(file_that_was_moved_or_removed_is_begun_anew),
        CASE(events_are_lost_and_counted_while_it_cannot_be_written),
        CASE(what_is_no_file_is_left_alone),
        CASE(what_waits_for_the_disk_is_bounded),
        CASE(log_of_no_events_writes_them_all_the_same),
    };

    return cmocka_run_group_tests_name("event_file", tests, NULL, NULL);
}
