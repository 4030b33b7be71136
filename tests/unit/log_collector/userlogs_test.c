/* Files of log lines, in a folder of the test's own. */
#include "tests/support/cmocka_all.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/logs/userlogs.h"
#include "tests/support/scratch.h"

enum { WAIT_MS = 5000 };

struct fixture {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    char folder[SCRATCH_MAX];
    char logs[80]; /* where files go; not there in the beginning */
    struct inv_userlogs *u;
    const char *awaited;
};

static int setup(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));

    f->loop = cw_loop_new(NULL, NULL);
    f->metrics = cw_metrics_new();
    scratch_make(f->folder);
    (void)snprintf(f->logs, sizeof(f->logs), "%s/logs", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    inv_userlogs_free(f->u);
    cw_metrics_free(f->metrics);
    cw_loop_free(f->loop);
    scratch_remove(f->folder);
    free(f);
    return 0;
}

static void open_store(struct fixture *f, size_t max_file, size_t max_waiting)
{
    f->u = inv_userlogs_new(&(struct inv_userlogs_conf){.loop = f->loop,
                                                        .metrics = f->metrics,
                                                        .folder = f->logs,
                                                        .max_file = max_file,
                                                        .max_waiting = max_waiting},
                            NULL);
    assert_non_null(f->u);
}

/* The files in the order of their names, i.e. of their making. */
static int list(const struct fixture *f, struct dirent ***ret)
{
    return scandir(f->logs, ret, NULL, alphasort);
}

static void read_all(const struct fixture *f, struct cw_str *out, int *files)
{
    struct dirent **names = NULL;
    int n = list(f, &names);

    *files = 0;
    for (int i = 0; i < n; i++) {
        char path[400], buf[4096];
        FILE *file;
        size_t got;

        (void)snprintf(path, sizeof(path), "%s/%s", f->logs, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            ++*files;
            assert_non_null((file = fopen(path, "r")));
            while ((got = fread(buf, 1, sizeof(buf), file)) > 0)
                cw_str_add(out, buf, got);
            (void)fclose(file);
            cw_str_addc(out, '|');
        }
        free(names[i]);
    }
    free(names);
}

static void expect(const struct fixture *f, const char *text, int files)
{
    cw_auto_str struct cw_str all;
    int n;

    cw_str_init(&all, 1 << 20);
    read_all(f, &all, &n);
    assert_string_equal(all.p, text);
    assert_int_equal(n, files);
}

static bool shows(void *arg)
{
    struct fixture *f = arg;
    cw_auto_str struct cw_str text;

    cw_str_init(&text, 1 << 20);
    cw_metrics_render(f->metrics, &text);
    return strstr(text.p, f->awaited) != NULL;
}

static void await(struct fixture *f, const char *metric)
{
    f->awaited = metric;
    if (!cw_loop_run_until(f->loop, shows, f, WAIT_MS))
        fail_msg("no %s", metric);
}

static void lines_are_appended_to_a_file_that_others_may_write(void **state)
{
    struct fixture *f = *state;
    struct dirent **names = NULL;
    mode_t old = umask(077);
    struct stat st;
    char path[400];

    assert_int_equal(mkdir(f->logs, 0700), 0);
    open_store(f, 0, 0);
    inv_userlogs_write(f->u, CW_SLICE("a\n"));
    await(f, "cwhisk_userlogs_written_bytes_total 2\n");
    inv_userlogs_write(f->u, CW_SLICE("b\n"));
    inv_userlogs_write(f->u, CW_SLICE("c\n"));
    await(f, "cwhisk_userlogs_written_bytes_total 6\n");
    (void)umask(old);
    expect(f, "a\nb\nc\n|", 1);
    assert_int_equal(list(f, &names), 3);
    (void)snprintf(path, sizeof(path), "%s/%s", f->logs, names[2]->d_name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    assert_int_equal(strncmp(names[2]->d_name, "userlogs-", 9), 0);
    assert_string_equal(names[2]->d_name + 9 + 13, ".log"); /* milliseconds have 13 digits */
    for (int i = 0; i < 3; i++)
        free(names[i]);
    free(names);
}

static void a_piece_that_would_not_fit_begins_a_new_file(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(f->logs, 0700), 0);
    open_store(f, 6, 0);
    inv_userlogs_write(f->u, CW_SLICE("aaa\n"));
    await(f, "cwhisk_userlogs_written_bytes_total 4\n");
    inv_userlogs_write(f->u, CW_SLICE("b\n"));
    await(f, "cwhisk_userlogs_written_bytes_total 6\n");
    inv_userlogs_write(f->u, CW_SLICE("c\n"));
    await(f, "cwhisk_userlogs_written_bytes_total 8\n");
    expect(f, "aaa\nb\n|c\n|", 2);
}

static void what_cannot_be_written_is_counted_and_writing_goes_on_later(void **state)
{
    struct fixture *f = *state;

    open_store(f, 0, 0); /* no folder */
    inv_userlogs_write(f->u, CW_SLICE("lost\n"));
    await(f, "cwhisk_userlogs_lost_bytes_total 5\n");
    assert_int_equal(mkdir(f->logs, 0700), 0);
    inv_userlogs_write(f->u, CW_SLICE("kept\n"));
    await(f, "cwhisk_userlogs_written_bytes_total 5\n");
    expect(f, "kept\n|", 1);
}

static void what_waits_for_the_disk_is_bounded(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(f->logs, 0700), 0);
    open_store(f, 0, 4);
    inv_userlogs_write(f->u, CW_SLICE("aa\n")); /* with the worker: the loop has not turned */
    inv_userlogs_write(f->u, CW_SLICE("bb\n"));
    inv_userlogs_write(f->u, CW_SLICE("cc\n"));
    await(f, "cwhisk_userlogs_lost_bytes_total 3\n");
    await(f, "cwhisk_userlogs_written_bytes_total 6\n");
    expect(f, "aa\nbb\n|", 1);
}

static void the_end_writes_what_waits(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(f->logs, 0700), 0);
    open_store(f, 0, 0);
    inv_userlogs_write(f->u, CW_SLICE("a\n"));
    inv_userlogs_write(f->u, CW_SLICE("b\n"));
    inv_userlogs_free(CW_STEAL(f->u));
    expect(f, "a\nb\n|", 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(lines_are_appended_to_a_file_that_others_may_write),
        T(a_piece_that_would_not_fit_begins_a_new_file),
        T(what_cannot_be_written_is_counted_and_writing_goes_on_later),
        T(what_waits_for_the_disk_is_bounded),
        T(the_end_writes_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
