/* The journal on a disk that the test holds: it can fail, and it can stop at any byte. */
#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "common/base/bytes.h"
#include "common/base/disk.h"
#include "common/base/err.h"
#include "invoker/journal/journal.h"
#include "invoker/journal/journal_format.h"
#include "invoker/journal/journal_index.h"

enum {
    FILE_BYTES = 128 << 10,
    WRITES_MAX = 4096,
    OFFSETS = 48, /* of the crash test */
};

/* ---- a disk ---- */

struct write {
    int fd;
    size_t at, n;
    unsigned char *bytes;
};

struct disk {
    struct cw_disk base;
    uint64_t opened; /* so many journals over it */
    unsigned char files[2][FILE_BYTES];
    struct write writes[WRITES_MAX];
    size_t write_count;
    bool keeps_writes;
    int fail_open, fail_write, fail_read; /* errno, 0: works */
    size_t most;                          /* bytes a write takes at once, 0: all */
    unsigned syncs;
};

static struct disk *self(const struct cw_disk *base)
{
    return CW_CONTAINER_OF((struct cw_disk *)(uintptr_t)base, struct disk, base);
}

static int disk_open(const struct cw_disk *base, const char *path, size_t size)
{
    assert_true(size <= FILE_BYTES);
    return self(base)->fail_open ? -self(base)->fail_open : path[strlen(path) - 1] - '0';
}

static ssize_t disk_read(const struct cw_disk *base, int fd, void *p, size_t n, int64_t at)
{
    struct disk *d = self(base);

    if (d->fail_read)
        return -d->fail_read;
    if ((size_t)at + n > FILE_BYTES)
        n = FILE_BYTES - (size_t)at;
    memcpy(p, d->files[fd] + at, n);
    return (ssize_t)n;
}

static ssize_t disk_write(const struct cw_disk *base, int fd, const struct iovec *iov, int count,
                          int64_t at)
{
    struct disk *d = self(base);
    const void *p = iov->iov_base;
    size_t n = iov->iov_len;

    assert_int_equal(count, 1);
    if (d->fail_write)
        return -d->fail_write;
    if (d->most && n > d->most)
        n = d->most;
    assert_true((size_t)at + n <= FILE_BYTES);
    memcpy(d->files[fd] + at, p, n);
    if (d->keeps_writes) {
        assert_true(d->write_count < WRITES_MAX);
        d->writes[d->write_count++] =
            (struct write){fd, (size_t)at, n, (unsigned char *)cw_memdup(p, n)};
    }
    return (ssize_t)n;
}

static int disk_sync(const struct cw_disk *base, int fd)
{
    (void)fd;
    self(base)->syncs++;
    return 0;
}

static void disk_close(const struct cw_disk *base, int fd)
{
    (void)base, (void)fd;
}

static struct disk *disk_new(void)
{
    struct disk *d = cw_alloc(sizeof(*d));

    d->base = (struct cw_disk){.open = disk_open,
                               .read = disk_read,
                               .write = disk_write,
                               .sync = disk_sync,
                               .close = disk_close};
    return d;
}

static void disk_free(struct disk *d)
{
    for (size_t i = 0; i < d->write_count; i++)
        free(d->writes[i].bytes);
    free(d);
}

static struct inv_journal *open_topic(struct disk *d, const char *topic)
{
    struct cw_err err = {0};
    struct inv_journal *j = inv_journal_open(
        &(struct inv_journal_conf){
            .disk = &d->base,
            .dir = "/data",
            .name = "invoker0",
            .topic = topic,
            .file_bytes = FILE_BYTES,
            .identity = ++d->opened,
        },
        &err);

    if (!j)
        fail_msg("%s", err.msg);
    return j;
}

static struct inv_journal *open_it(struct disk *d)
{
    return open_topic(d, "invoker0");
}

static void id_of(int64_t offset, unsigned char ret[INV_JOURNAL_ID_LEN])
{
    memset(ret, 0, INV_JOURNAL_ID_LEN);
    (void)snprintf((char *)ret, INV_JOURNAL_ID_LEN, "id%d", (int)offset);
}

static void take(struct inv_journal *j, int64_t offset)
{
    unsigned char id[INV_JOURNAL_ID_LEN];

    id_of(offset, id);
    inv_journal_taken(j, offset, id);
}

static void mark(struct inv_journal *j, int64_t offset, enum inv_journal_state state)
{
    struct cw_err err = {0};

    assert_int_equal(inv_journal_mark(j, offset, state, &err), 0);
}

static struct inv_journal_peer peer_of(int64_t offset)
{
    return (struct inv_journal_peer){.id = (uint64_t)offset + 1,
                                     .boot = UINT64_C(0x7edcba9876543210) - (uint64_t)offset};
}

static void forward(struct inv_journal *j, int64_t offset)
{
    const struct inv_journal_peer peer = peer_of(offset);

    inv_journal_forwarded(j, offset, &peer);
}

static void flush(struct inv_journal *j)
{
    struct cw_err err = {0};

    assert_int_equal(inv_journal_flush(j, &err), 0);
}

/* "3t 5s 6b": offset and first letter of the state; b: taken, and came back. */
static void expect(struct inv_journal *j, const char *wanted, int64_t low)
{
    size_t count;
    const struct inv_journal_entry *undone = inv_journal_undone(j, &count);
    unsigned char id[INV_JOURNAL_ID_LEN];
    char text[1024] = "";
    size_t n = 0;

    for (size_t i = 0; i < count && n < sizeof(text) - 32; i++) {
        const struct inv_journal_entry *e = &undone[i];
        const struct inv_journal_peer peer = peer_of(e->offset);
        bool back = e->state == INV_JOURNAL_TAKEN && e->came_back;

        id_of(e->offset, id);
        assert_memory_equal(e->id, id, sizeof(id));
        if (e->state == INV_JOURNAL_FORWARDED)
            assert_memory_equal(&e->peer, &peer, sizeof(peer));
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%d%c", i ? " " : "", (int)e->offset,
                              back ? 'b' : "?tsfd"[e->state]);
    }
    assert_string_equal(text, wanted);
    assert_int_equal(inv_journal_low(j), low);
}

/* ---- what a successor reads ---- */

static void new_journal_knows_nothing(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    expect(j, "", -1);
    inv_journal_close(j);
    j = open_it(d);
    expect(j, "", -1);
    inv_journal_close(j);
    disk_free(d);
}

static void states_are_there_for_the_successor(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    for (int64_t i = 10; i < 16; i++)
        take(j, i);
    mark(j, 11, INV_JOURNAL_STARTED);
    mark(j, 10, INV_JOURNAL_STARTED);
    mark(j, 10, INV_JOURNAL_DONE);
    mark(j, 12, INV_JOURNAL_STARTED);
    forward(j, 12);
    mark(j, 14, INV_JOURNAL_DONE);
    expect(j, "11s 12f 13t 15t", 11);
    inv_journal_close(j);
    for (int again = 0; again < 3; again++) {
        j = open_it(d);
        expect(j, "11s 12f 13t 15t", 11);
        inv_journal_close(j);
    }
    disk_free(d);
}

static void when_all_is_done_the_next_offset_is_known(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    take(j, 7);
    take(j, 8);
    mark(j, 8, INV_JOURNAL_DONE);
    inv_journal_close(j);
    j = open_it(d);
    expect(j, "7t", 7);
    mark(j, 7, INV_JOURNAL_DONE);
    expect(j, "", 9);
    inv_journal_close(j);
    j = open_it(d);
    expect(j, "", 9);
    take(j, 8); /* known */
    expect(j, "", 9);
    inv_journal_close(j);
    disk_free(d);
}

/* Also through copies, which is how each opening begins. */
static void what_was_forwarded_names_its_peer_until_it_ends_or_comes_back(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    for (int64_t i = 0; i < 5; i++) {
        take(j, i);
        mark(j, i, INV_JOURNAL_STARTED);
        forward(j, i);
    }
    inv_journal_returned(j, 1);
    inv_journal_returned(j, 2);
    mark(j, 2, INV_JOURNAL_STARTED);
    mark(j, 3, INV_JOURNAL_DONE);
    forward(j, 9); /* nobody's */
    inv_journal_returned(j, 9);
    for (int again = 0; again < 3; again++) {
        expect(j, "0f 1b 2s 4f", 0);
        inv_journal_close(j);
        j = open_it(d);
    }
    inv_journal_returned(j, 4);
    inv_journal_returned(j, 0);
    inv_journal_close(j);
    j = open_it(d);
    expect(j, "0b 1b 2s 4b", 0);
    inv_journal_close(j);
    disk_free(d);
}

/* The process ends without a word. */
static void die(struct disk *d, struct inv_journal *j)
{
    d->fail_write = EIO;
    inv_journal_close(j);
    d->fail_write = 0;
}

static void forwarded_is_kept_with_a_flush(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    for (int64_t i = 1; i < 4; i++) {
        take(j, i);
        mark(j, i, INV_JOURNAL_STARTED);
        forward(j, i);
    }
    flush(j);
    inv_journal_returned(j, 2);
    flush(j);
    inv_journal_returned(j, 3);
    take(j, 4);
    mark(j, 4, INV_JOURNAL_STARTED);
    forward(j, 4);
    die(d, j);
    j = open_it(d);
    expect(j, "1f 2b 3b 4s", 1);
    inv_journal_close(j);
    disk_free(d);
}

static void started_is_kept_without_a_flush_and_done_is_not(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    take(j, 1);
    take(j, 2);
    mark(j, 1, INV_JOURNAL_STARTED);
    mark(j, 1, INV_JOURNAL_DONE);
    take(j, 3);
    die(d, j);
    j = open_it(d);
    expect(j, "1s 2t", 1);
    inv_journal_close(j);
    disk_free(d);
}

static void done_is_what_is_acked_and_stored(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    take(j, 1);
    take(j, 2);
    inv_journal_settle(j, 1, INV_JOURNAL_ACKED);
    inv_journal_settle(j, 1, INV_JOURNAL_ACKED);
    inv_journal_settle(j, 2, INV_JOURNAL_STORED);
    inv_journal_settle(j, 9, INV_JOURNAL_STORED); /* nobody's */
    expect(j, "1t 2t", 1);
    inv_journal_settle(j, 2, INV_JOURNAL_ACKED);
    expect(j, "1t", 1);
    inv_journal_close(j);
    j = open_it(d); /* half of it does not count for a successor */
    inv_journal_settle(j, 1, INV_JOURNAL_STORED);
    expect(j, "1t", 1);
    inv_journal_settle(j, 1, INV_JOURNAL_ACKED);
    expect(j, "", 3);
    inv_journal_close(j);
    disk_free(d);
}

static void assert_anchor(const struct inv_journal *j, int64_t offset)
{
    struct inv_journal_entry anchor;
    unsigned char id[INV_JOURNAL_ID_LEN];

    id_of(offset, id);
    assert_true(inv_journal_anchor(j, &anchor));
    assert_int_equal(anchor.offset, offset);
    assert_memory_equal(anchor.id, id, sizeof(id));
}

static void anchor_is_the_lowest_undone_or_the_last_taken(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);
    struct inv_journal_entry anchor;

    (void)state;
    assert_false(inv_journal_anchor(j, &anchor));
    for (int64_t i = 4; i < 8; i++)
        take(j, i);
    mark(j, 4, INV_JOURNAL_DONE);
    mark(j, 7, INV_JOURNAL_DONE);
    assert_anchor(j, 5);
    mark(j, 6, INV_JOURNAL_DONE);
    mark(j, 5, INV_JOURNAL_DONE);
    for (int again = 0; again < 3; again++) {
        assert_anchor(j, 7);
        assert_int_equal(inv_journal_next(j), 8);
        inv_journal_close(j);
        j = open_it(d);
    }
    inv_journal_close(j);
    disk_free(d);
}

static void what_the_topic_has_no_more_is_dropped_for_good(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    for (int64_t i = 0; i < 6; i++)
        take(j, i);
    mark(j, 1, INV_JOURNAL_DONE);
    assert_int_equal(inv_journal_drop_below(j, 4), 3);
    expect(j, "4t 5t", 4);
    inv_journal_close(j);
    j = open_it(d);
    expect(j, "4t 5t", 4);
    assert_int_equal(inv_journal_drop_below(j, 20), 2);
    inv_journal_close(j);
    j = open_it(d);
    expect(j, "", 20);
    inv_journal_close(j);
    disk_free(d);
}

static void what_is_left_to_the_next_reader_is_not_taken(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    for (int64_t i = 0; i < 8; i++)
        take(j, i);
    mark(j, 3, INV_JOURNAL_DONE);
    mark(j, 5, INV_JOURNAL_STARTED);
    mark(j, 5, INV_JOURNAL_DONE);
    flush(j);
    inv_journal_rewind(j, 6);
    expect(j, "0t 1t 2t 4t", 0);
    for (int again = 0; again < 3; again++) {
        inv_journal_close(j);
        j = open_it(d);
        expect(j, "0t 1t 2t 4t", 0);
        assert_int_equal(inv_journal_next(j), 6);
    }
    take(j, 6); /* new again */
    expect(j, "0t 1t 2t 4t 6t", 0);
    inv_journal_rewind(j, 9); /* nothing there */
    expect(j, "0t 1t 2t 4t 6t", 0);
    inv_journal_close(j);
    disk_free(d);
}

static void one_slow_activation_does_not_hold_all_that_is_done_in_memory(void **state)
{
    struct journal_index x;

    (void)state;
    journal_index_init(&x);
    for (int64_t i = 0; i < 100000; i++) {
        journal_index_add(&x, &(struct inv_journal_entry){.offset = i, .state = INV_JOURNAL_TAKEN});
        if (i >= 100 && i % 1000 != 0)
            journal_index_mark(&x, journal_index_find(&x, i), INV_JOURNAL_DONE);
    }
    assert_int_equal(journal_index_count(&x), 100 + 99);
    assert_true(x.cap <= 1024);
    assert_non_null(journal_index_find(&x, 0));
    assert_non_null(journal_index_find(&x, 50000));
    assert_null(journal_index_find(&x, 50001));
    journal_index_done(&x);
}

static void work_of_many_files_full_is_copied_on(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    take(j, 0);
    mark(j, 0, INV_JOURNAL_STARTED);
    for (int64_t i = 1; i < 20000; i++) { /* three records each, a file holds some 4,000 */
        take(j, i);
        mark(j, i, INV_JOURNAL_STARTED);
        mark(j, i, INV_JOURNAL_DONE);
    }
    take(j, 20000);
    expect(j, "0s 20000t", 0);
    flush(j);
    die(d, j);
    j = open_it(d);
    expect(j, "0s 20000t", 0);
    inv_journal_close(j);
    disk_free(d);
}

static void expect_commits(const struct inv_journal *j, int64_t low, int64_t high)
{
    struct inv_journal_commits got;

    assert_true(inv_journal_commits(j, &got));
    assert_int_equal(got.low, low);
    assert_int_equal(got.high, high);
}

static void commits_are_there_for_the_successor(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);
    struct inv_journal_commits got;
    struct cw_err err = {0};

    (void)state;
    assert_false(inv_journal_commits(j, &got));
    inv_journal_note_commits(j, &(struct inv_journal_commits){-1, -1});
    take(j, 7);
    inv_journal_note_commits(j, &(struct inv_journal_commits){-1, 8});
    assert_int_equal(inv_journal_flush(j, &err), 0);
    inv_journal_note_commits(j, &(struct inv_journal_commits){8, 8});
    die(d, j);
    for (int again = 0; again < 2; again++) {
        j = open_it(d);
        expect_commits(j, -1, 8);
        expect(j, "7t", 7);
        inv_journal_close(j);
    }
    disk_free(d);
}

static void identity_is_kept_whatever_is_forgotten(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);
    uint64_t identity = inv_journal_identity(j);

    (void)state;
    assert_int_not_equal(identity, 0);
    take(j, 7);
    inv_journal_forget(j);
    inv_journal_close(j);
    j = open_it(d);
    assert_int_equal(inv_journal_identity(j), identity);
    inv_journal_close(j);
    disk_free(d);
}

/* All of it is there or nothing is. */
static void what_others_served_is_written_as_a_whole(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);
    struct inv_journal_served served;

    (void)state;
    for (int64_t i = 0; i < 6; i++)
        take(j, i);
    inv_journal_close(j);
    for (int end = 0; end < 2; end++) {
        j = open_it(d);
        expect(j, "0t 1t 2t 3t 4t 5t", 0);
        inv_journal_served(j, &(struct inv_journal_commits){1, 3}, 5, &served);
        assert_int_equal(served.doubtful, 2);
        assert_int_equal(served.theirs, 2);
        expect(j, "0t 1s 2s 5t", 0);
        if (end == 0)
            die(d, j);
        else
            inv_journal_close(j);
    }
    j = open_it(d);
    expect(j, "0t 1s 2s 5t", 0);
    inv_journal_served(j, &(struct inv_journal_commits){0, 0}, 9, &served);
    expect(j, "", 9);
    inv_journal_close(j);
    j = open_it(d);
    expect(j, "", 9);
    inv_journal_close(j);
    disk_free(d);
}

static void journal_of_another_topic_is_not_read(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    take(j, 1);
    inv_journal_close(j);
    j = open_topic(d, "invoker00");
    expect(j, "", -1);
    take(j, 5);
    inv_journal_close(j);
    j = open_topic(d, "invoker00");
    expect(j, "5t", 5);
    inv_journal_close(j);
    disk_free(d);
}

static void forgotten_work_stays_forgotten(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    take(j, 100);
    mark(j, 100, INV_JOURNAL_STARTED);
    inv_journal_forget(j);
    expect(j, "", -1);
    take(j, 3); /* the new topic begins lower */
    inv_journal_close(j);
    j = open_it(d);
    expect(j, "3t", 3);
    inv_journal_close(j);
    disk_free(d);
}

static void writes_in_pieces_are_whole(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j;

    (void)state;
    d->most = 13;
    j = open_it(d);
    take(j, 1);
    mark(j, 1, INV_JOURNAL_STARTED);
    die(d, j);
    j = open_it(d);
    expect(j, "1s", 1);
    inv_journal_close(j);
    disk_free(d);
}

/* ---- a disk that fails ---- */

static void failed_write_is_told_and_made_good_later(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);
    struct cw_err err = {0};

    (void)state;
    take(j, 1);
    d->fail_write = ENOSPC;
    assert_int_equal(inv_journal_mark(j, 1, INV_JOURNAL_STARTED, &err), -1);
    assert_non_null(strstr(err.msg, "/data/invoker0.journal."));
    d->fail_write = 0;
    flush(j);
    die(d, j);
    j = open_it(d);
    expect(j, "1s", 1);
    inv_journal_close(j);
    disk_free(d);
}

static void long_failure_is_bounded_in_memory_and_forgets_nothing(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);

    (void)state;
    d->fail_write = EIO;
    for (int64_t i = 0; i < 10000; i++) {
        take(j, i);
        if (i % 5000)
            mark(j, i, INV_JOURNAL_DONE);
    }
    d->fail_write = 0;
    flush(j);
    die(d, j);
    j = open_it(d);
    expect(j, "0t 5000t", 0);
    inv_journal_close(j);
    disk_free(d);
}

static void more_undone_work_than_a_file_holds_is_told(void **state)
{
    struct disk *d = disk_new();
    struct inv_journal *j = open_it(d);
    struct cw_err err = {0};
    int failed = 0;

    (void)state;
    for (int64_t i = 0; i < 6000 && !failed; i++) {
        take(j, i);
        failed = inv_journal_flush(j, &err);
    }
    assert_int_equal(failed, -1);
    assert_int_equal(err.code, CW_TOO_LARGE);
    for (int64_t i = 0; i < 6000; i++)
        mark(j, i, INV_JOURNAL_DONE);
    flush(j);
    inv_journal_close(j);
    disk_free(d);
}

static void files_that_cannot_be_had_are_named(void **state)
{
    const struct inv_journal_conf conf = {
        .dir = "/data", .name = "invoker0", .topic = "invoker0", .file_bytes = FILE_BYTES};
    struct inv_journal_conf with = conf;
    struct disk *d = disk_new();
    struct cw_err err = {0};

    (void)state;
    with.disk = &d->base;
    d->fail_open = EACCES;
    assert_null(inv_journal_open(&with, &err));
    assert_non_null(strstr(err.msg, "/data/invoker0.journal.0"));
    d->fail_open = 0;
    d->fail_read = EIO;
    assert_null(inv_journal_open(&with, &err));
    d->fail_read = 0;
    d->fail_write = ENOSPC;
    assert_null(inv_journal_open(&with, &err));
    d->fail_write = 0;
    with.file_bytes = 1000;
    assert_null(inv_journal_open(&with, &err));
    assert_int_equal(err.code, CW_INVALID);
    disk_free(d);
}

static void sync_reaches_the_disk_before_it_is_told(void **state)
{
    struct disk *d = disk_new();
    struct cw_err err = {0};
    struct inv_journal *j = inv_journal_open(&(struct inv_journal_conf){.disk = &d->base,
                                                                        .dir = "/data",
                                                                        .name = "invoker0",
                                                                        .topic = "t",
                                                                        .file_bytes = FILE_BYTES,
                                                                        .sync = true},
                                             &err);
    unsigned before = d->syncs;

    (void)state;
    assert_non_null(j);
    assert_int_equal(before, 2); /* the copy, then its header */
    take(j, 1);
    assert_int_equal(d->syncs, before);
    mark(j, 1, INV_JOURNAL_STARTED);
    assert_int_equal(d->syncs, before + 1);
    inv_journal_close(j);
    disk_free(d);
}

/* ---- a stop at any byte ---- */

/* What the journal was told, and what of it must have been kept. */
struct told {
    unsigned char states[OFFSETS]; /* 0: not taken */
    unsigned char kept[OFFSETS];   /* as of the last call that had to keep */
    size_t writes;                 /* that the disk had seen then */
};

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

/* One call of a random life; told[n] is the state of things after it. */
static void live(struct inv_journal *j, struct told *t, unsigned *seed, int *taken)
{
    int offset = *taken ? (int)(next_random(seed) % (unsigned)*taken) : 0;
    unsigned what = next_random(seed) % 8;

    if ((what < 3 || *taken == 0) && *taken < OFFSETS) {
        take(j, *taken);
        t->states[(*taken)++] = INV_JOURNAL_TAKEN;
        return;
    }
    if (t->states[offset] == INV_JOURNAL_DONE || what == 3) {
        flush(j);
    } else if (t->states[offset] == INV_JOURNAL_TAKEN) {
        t->states[offset] = INV_JOURNAL_STARTED;
        mark(j, offset, INV_JOURNAL_STARTED);
    } else if (t->states[offset] == INV_JOURNAL_STARTED && what < 6) {
        t->states[offset] = INV_JOURNAL_FORWARDED;
        forward(j, offset);
        return; /* buffered */
    } else {
        t->states[offset] = INV_JOURNAL_DONE;
        mark(j, offset, INV_JOURNAL_DONE);
        return; /* buffered */
    }
    memcpy(t->kept, t->states, sizeof(t->kept));
}

/* Nothing older than what had to be kept, nothing newer than what was told. */
static void expect_between(struct disk *d, const struct told *kept, const struct told *told)
{
    struct inv_journal *j = open_it(d);
    size_t count, at = 0;
    const struct inv_journal_entry *undone = inv_journal_undone(j, &count);
    int64_t next = inv_journal_next(j);

    for (int i = 0; i < OFFSETS; i++) {
        unsigned found = i < next ? INV_JOURNAL_DONE : 0;

        if (at < count && undone[at].offset == i)
            found = undone[at++].state;
        if (found < kept->kept[i] || found > told->states[i])
            fail_msg("offset %d: state %u, between %u and %u expected", i, found, kept->kept[i],
                     told->states[i]);
    }
    assert_int_equal(at, count);
    die(d, j);
}

static void crash_at_every_byte(unsigned seed)
{
    enum { STEPS = 160 };
    struct disk *d = disk_new(), *crashed = disk_new(), *trial = disk_new();
    struct told *told = cw_calloc(STEPS + 1, sizeof(*told));
    struct inv_journal *j = open_it(d);
    int taken = 0;
    size_t step = 0;

    memcpy(crashed->files, d->files, sizeof(d->files));
    d->keeps_writes = true;
    for (size_t i = 0; i < STEPS; i++) {
        told[i + 1] = told[i];
        if (i % 40 == 39) { /* a successor, or a full file: everything is copied */
            die(d, j);
            j = open_it(d);
            memcpy(told[i + 1].states, told[i + 1].kept, sizeof(told->states));
            while (taken && told[i + 1].states[taken - 1] == 0)
                taken--;
        } else {
            live(j, &told[i + 1], &seed, &taken);
        }
        told[i + 1].writes = d->write_count;
    }
    for (size_t w = 0; w < d->write_count; w++) {
        const struct write *write = &d->writes[w];

        while (told[step + 1].writes <= w)
            step++;
        for (size_t bytes = 0; bytes <= write->n; bytes += write->n > 64 ? 7 : 1) {
            memcpy(trial->files, crashed->files, sizeof(trial->files));
            memcpy(trial->files[write->fd] + write->at, write->bytes, bytes);
            expect_between(trial, &told[step], &told[step + 1]);
        }
        memcpy(crashed->files[write->fd] + write->at, write->bytes, write->n);
    }
    die(d, j);
    free(told);
    disk_free(trial);
    disk_free(crashed);
    disk_free(d);
}

static void a_crash_at_any_byte_loses_nothing_that_was_kept(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 3; seed++)
        crash_at_every_byte(seed);
}

static void garbage_is_no_journal(void **state)
{
    struct disk *d = disk_new();
    unsigned seed = 99;

    (void)state;
    for (int round = 0; round < 50; round++) {
        struct inv_journal *j = open_it(d);

        take(j, 1);
        mark(j, 1, INV_JOURNAL_STARTED);
        inv_journal_close(j);
        for (int i = 0; i < 2000; i++)
            d->files[i & 1][next_random(&seed) % (round < 25 ? 2048 : FILE_BYTES)] ^=
                (unsigned char)(1 + next_random(&seed) % 255);
        inv_journal_close(open_it(d));
    }
    disk_free(d);
}

/* ---- other versions ---- */

/* What the version before wrote: nothing is forwarded there. */
static void journal_of_an_earlier_version_is_read(void **state)
{
    struct disk *d = disk_new();
    FILE *file = fopen(CW_TEST_DATA "/journal/format01.journal", "rb");
    struct inv_journal *j;

    (void)state;
    assert_non_null(file);
    assert_true(fread(d->files[0], 1, sizeof(d->files[0]), file) > JOURNAL_HEADER_BYTES);
    assert_int_equal(fclose(file), 0);
    for (int again = 0; again < 2; again++) {
        j = open_it(d);
        assert_int_equal(inv_journal_identity(j), 0x1234);
        expect(j, "5t 6s 8t 9t", 5);
        expect_commits(j, 5, 9);
        assert_int_equal(inv_journal_next(j), 10);
        inv_journal_close(j);
    }
    disk_free(d);
}

/* It would overlook what it has to know. */
static void journal_of_a_later_version_is_refused_by_name(void **state)
{
    struct disk *d = disk_new();
    struct cw_err err = {0};
    unsigned char *header = d->files[1];

    (void)state;
    for (int round = 0; round < 2; round++) {
        journal_encode_header(
            &(struct journal_header){.generation = 9, .topic = CW_SLICE("invoker0")}, header);
        memcpy(header, "CWJRNL02", 8);
        if (round == 0)
            inv_journal_close(open_it(d)); /* its CRC does not fit: torn */
    }
    cw_put_le(header + JOURNAL_HEADER_BYTES - 4, crc32(0, header, JOURNAL_HEADER_BYTES - 4), 4);
    assert_null(inv_journal_open(&(struct inv_journal_conf){.disk = &d->base,
                                                            .dir = "/data",
                                                            .name = "invoker0",
                                                            .topic = "invoker0",
                                                            .file_bytes = FILE_BYTES,
                                                            .identity = 1},
                                 &err));
    assert_int_equal(err.code, CW_INVALID);
    assert_string_equal(
        err.msg, "journal /data/invoker0.journal.1: format 02 is a later version's; accepted: 01");
    disk_free(d);
}

/* ---- the bytes ---- */

static void record_of_what_came_back_is_one_of_a_taken_for_an_earlier_reader(void **state)
{
    unsigned char bytes[JOURNAL_RECORD_BYTES], id[INV_JOURNAL_ID_LEN] = "0123456789abcde";
    struct inv_journal_entry entry;
    unsigned found;

    (void)state;
    journal_encode_record(7, INV_JOURNAL_TAKEN | JOURNAL_CAME_BACK, 3, id, bytes);
    assert_int_equal(bytes[4], INV_JOURNAL_TAKEN);
    assert_true(journal_decode_record(7, bytes, &found, &entry));
    assert_int_equal(found, INV_JOURNAL_TAKEN);
    assert_true(entry.came_back);
    journal_encode_record(7, INV_JOURNAL_STARTED | JOURNAL_CAME_BACK, 3, id, bytes);
    assert_true(journal_decode_record(7, bytes, &found, &entry));
    assert_false(entry.came_back);
}

static void record_is_of_one_generation_and_known_state(void **state)
{
    unsigned char bytes[JOURNAL_RECORD_BYTES], id[INV_JOURNAL_ID_LEN] = "0123456789abcde";
    struct inv_journal_entry entry;
    unsigned found;

    (void)state;
    journal_encode_record(7, INV_JOURNAL_STARTED, INT64_MAX, id, bytes);
    assert_true(journal_decode_record(7, bytes, &found, &entry));
    assert_int_equal(found, INV_JOURNAL_STARTED);
    assert_true(entry.offset == INT64_MAX);
    assert_memory_equal(entry.id, id, sizeof(id));
    assert_false(journal_decode_record(8, bytes, &found, &entry));
    journal_encode_record(7, 5, 1, id, bytes);
    assert_false(journal_decode_record(7, bytes, &found, &entry));
    journal_encode_record(7, INV_JOURNAL_DONE, -1, id, bytes);
    assert_false(journal_decode_record(7, bytes, &found, &entry));
}

/* ---- real files ---- */

static void files_are_private_and_whole_from_the_beginning(void **state)
{
    char dir[] = "/tmp/journal.XXXXXX", path[64];
    struct inv_journal_conf conf = {.disk = cw_disk_files(),
                                    .dir = dir,
                                    .name = "invoker0",
                                    .topic = "invoker0",
                                    .file_bytes = FILE_BYTES};
    struct cw_err err = {0};
    struct inv_journal *j;
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(dir));
    for (int round = 0; round < 2; round++) {
        j = inv_journal_open(&conf, &err);
        assert_non_null(j);
        expect(j, round ? "4s" : "", round ? 4 : -1);
        take(j, 4);
        mark(j, 4, INV_JOURNAL_STARTED);
        inv_journal_close(j);
    }
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/invoker0.journal.%d", dir, i);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(st.st_size, FILE_BYTES);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
    assert_null(inv_journal_open(&conf, &err));
    assert_int_equal(err.code, CW_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_journal_knows_nothing),
        cmocka_unit_test(states_are_there_for_the_successor),
        cmocka_unit_test(what_was_forwarded_names_its_peer_until_it_ends_or_comes_back),
        cmocka_unit_test(when_all_is_done_the_next_offset_is_known),
        cmocka_unit_test(forwarded_is_kept_with_a_flush),
        cmocka_unit_test(started_is_kept_without_a_flush_and_done_is_not),
        cmocka_unit_test(done_is_what_is_acked_and_stored),
        cmocka_unit_test(anchor_is_the_lowest_undone_or_the_last_taken),
        cmocka_unit_test(what_the_topic_has_no_more_is_dropped_for_good),
        cmocka_unit_test(what_is_left_to_the_next_reader_is_not_taken),
        cmocka_unit_test(one_slow_activation_does_not_hold_all_that_is_done_in_memory),
        cmocka_unit_test(work_of_many_files_full_is_copied_on),
        cmocka_unit_test(commits_are_there_for_the_successor),
        cmocka_unit_test(identity_is_kept_whatever_is_forgotten),
        cmocka_unit_test(what_others_served_is_written_as_a_whole),
        cmocka_unit_test(journal_of_another_topic_is_not_read),
        cmocka_unit_test(forgotten_work_stays_forgotten),
        cmocka_unit_test(writes_in_pieces_are_whole),
        cmocka_unit_test(failed_write_is_told_and_made_good_later),
        cmocka_unit_test(long_failure_is_bounded_in_memory_and_forgets_nothing),
        cmocka_unit_test(more_undone_work_than_a_file_holds_is_told),
        cmocka_unit_test(files_that_cannot_be_had_are_named),
        cmocka_unit_test(sync_reaches_the_disk_before_it_is_told),
        cmocka_unit_test(a_crash_at_any_byte_loses_nothing_that_was_kept),
        cmocka_unit_test(garbage_is_no_journal),
        cmocka_unit_test(journal_of_an_earlier_version_is_read),
        cmocka_unit_test(journal_of_a_later_version_is_refused_by_name),
        cmocka_unit_test(record_of_what_came_back_is_one_of_a_taken_for_an_earlier_reader),
        cmocka_unit_test(record_is_of_one_generation_and_known_state),
        cmocka_unit_test(files_are_private_and_whole_from_the_beginning),
    };

    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
