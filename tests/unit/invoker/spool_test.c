/* The spool on a disk that the test holds: it can fail, and it can stop at any byte. */
#include "tests/support/cmocka_all.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/utf8.h"
#include "invoker/spool/spool.h"
#include "invoker/spool/spool_format.h"
#include "invoker/spool/spool_index.h"
#include "tests/support/mem_disk.h"
#include "tests/support/scratch.h"

enum { SEGMENT_BYTES = 4096, TEXT_MAX = 2048 };

static struct inv_spool *open_with(struct mem_disk *d, bool sync)
{
    struct cw_err err = {0};
    struct inv_spool *s = inv_spool_open(&(struct inv_spool_conf){.disk = &d->base,
                                                                  .dir = "/data",
                                                                  .name = "invoker0",
                                                                  .segment_bytes = SEGMENT_BYTES,
                                                                  .sync = sync},
                                         &err);

    if (!s)
        fail_msg("%s", err.msg);
    return s;
}

static struct inv_spool *open_it(struct mem_disk *d)
{
    return open_with(d, false);
}

/* ---- documents ---- */

struct doc {
    char id[INV_SPOOL_ID_LEN + 1], text[TEXT_MAX];
};

/* The same number, the same document; between 20 and some 500 bytes. */
static struct doc doc_of(unsigned number)
{
    struct doc d;
    int n;

    (void)snprintf(d.id, sizeof(d.id), "%032x", number);
    n = snprintf(d.text, sizeof(d.text), "{\"number\":%u,\"fill\":\"", number);
    for (unsigned i = 0; i < number * 37 % 480; i++)
        d.text[n++] = (char)('a' + (number + i) % 26);
    (void)snprintf(d.text + n, sizeof(d.text) - (size_t)n, "\"}");
    return d;
}

static size_t append(struct inv_spool *s, unsigned from, size_t count, struct cw_err *err)
{
    struct doc *docs = cw_calloc(count, sizeof(*docs));
    struct inv_spool_doc *given = cw_calloc(count, sizeof(*given));
    uint64_t first;
    size_t done;

    for (size_t i = 0; i < count; i++) {
        docs[i] = doc_of(from + (unsigned)i);
        given[i] = (struct inv_spool_doc){docs[i].id, cw_slice_of(docs[i].text)};
    }
    done = inv_spool_append(s, given, count, &first, err);
    free(given);
    free(docs);
    return done;
}

static void add(struct inv_spool *s, unsigned from, size_t count)
{
    struct cw_err err = {0};

    if (append(s, from, count, &err) != count)
        fail_msg("%s", err.msg);
}

static void expect_doc(const struct inv_spool_record *r, unsigned number)
{
    struct doc d = doc_of(number);

    assert_string_equal(r->id, d.id);
    assert_string_equal(r->text, d.text);
    assert_int_equal(r->size, strlen(d.text));
}

static void expect_next(struct inv_spool *s, unsigned number)
{
    struct inv_spool_record r = {.text = NULL};
    struct cw_err err = {0};

    if (inv_spool_next(s, &r, &err) != 1)
        fail_msg("document %u expected: %s", number, err.msg);
    expect_doc(&r, number);
    free(r.text);
}

static void expect_none(struct inv_spool *s)
{
    struct inv_spool_record r;
    struct cw_err err = {0};

    assert_int_equal(inv_spool_next(s, &r, &err), 0);
    assert_true(inv_spool_read_all(s));
}

/* Something is lost, and the text says what. */
static void expect_loss(struct inv_spool *s, const char *text)
{
    struct inv_spool_record r;
    struct cw_err err = {0};

    assert_int_equal(inv_spool_next(s, &r, &err), -1);
    if (!strstr(err.msg, text))
        fail_msg("\"%s\" expected in: %s", text, err.msg);
}

static void expect_range(struct inv_spool *s, unsigned from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_next(s, from + (unsigned)i);
}

/* The process is killed: nothing is written any more. */
static struct inv_spool *killed_and_again(struct mem_disk *d, struct inv_spool *s)
{
    d->fail_write = EIO;
    inv_spool_close(s);
    d->fail_write = 0;
    return open_it(d);
}

static struct inv_spool *stopped_and_again(struct mem_disk *d, struct inv_spool *s)
{
    inv_spool_close(s);
    assert_int_equal(d->open_count, 0);
    return open_it(d);
}

static void end(struct mem_disk *d, struct inv_spool *s)
{
    inv_spool_close(s);
    assert_int_equal(d->open_count, 0);
    mem_disk_free(d);
}

/* ---- what a successor finds ---- */

static void new_spool_is_empty_and_makes_no_file(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    expect_none(s);
    assert_int_equal(inv_spool_bytes(s), 0);
    inv_spool_settle(s, inv_spool_next_seq(s));
    s = stopped_and_again(d, s);
    assert_int_equal(mem_disk_file_count(d), 0);
    end(d, s);
}

static void records_are_there_for_the_successor_in_order(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    add(s, 0, 3);
    add(s, 3, 40); /* some segments */
    assert_true(mem_disk_file_count(d) > 2);
    inv_spool_skip(s);
    s = killed_and_again(d, s);
    assert_int_equal(inv_spool_next_seq(s) - inv_spool_low(s), 43);
    expect_range(s, 0, 43);
    expect_none(s);
    s = stopped_and_again(d, s); /* read, but not settled */
    expect_range(s, 0, 43);
    end(d, s);
}

static void what_is_settled_is_told_with_the_next_append(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);
    uint64_t first = inv_spool_next_seq(s);

    (void)state;
    add(s, 0, 5);
    inv_spool_skip(s);
    inv_spool_settle(s, first + 3);
    assert_true(inv_spool_needs_mark(s));
    add(s, 5, 1);
    assert_false(inv_spool_needs_mark(s));
    s = killed_and_again(d, s);
    expect_range(s, 3, 3);
    expect_none(s);
    end(d, s);
}

static void mark_tells_what_is_settled_without_an_append(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);
    struct cw_err err = {0};

    (void)state;
    add(s, 0, 5);
    inv_spool_skip(s);
    inv_spool_settle(s, inv_spool_next_seq(s));
    assert_int_equal(inv_spool_mark(s, &err), 0);
    s = killed_and_again(d, s);
    expect_none(s);
    add(s, 5, 1); /* numbers go on */
    inv_spool_skip(s);
    inv_spool_settle(s, inv_spool_next_seq(s));
    s = stopped_and_again(d, s); /* marks by itself */
    expect_none(s);
    end(d, s);
}

static void without_a_mark_the_successor_reads_again_what_is_settled(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    add(s, 0, 5);
    inv_spool_skip(s);
    inv_spool_settle(s, inv_spool_next_seq(s));
    s = killed_and_again(d, s);
    expect_range(s, 0, 5);
    end(d, s);
}

static void settled_segments_are_removed(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        add(s, i * 10, 10);
        inv_spool_skip(s);
        inv_spool_settle(s, inv_spool_next_seq(s));
        assert_in_range(mem_disk_file_count(d), 1, 3);
        assert_int_equal(inv_spool_bytes(s), mem_disk_bytes(d));
    }
    end(d, s);
}

static void oldest_unsettled_record_keeps_all_behind_it(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    add(s, 0, 60);
    inv_spool_skip(s);
    inv_spool_settle(s, inv_spool_low(s) + 1);
    s = stopped_and_again(d, s);
    expect_range(s, 1, 59);
    end(d, s);
}

/* ---- writing ---- */

static void records_appended_together_take_one_write(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    add(s, 0, 1);
    d->writes_seen = 0;
    add(s, 1, 5);
    assert_int_equal(d->writes_seen, 1);
    assert_int_equal(d->syncs, 0);
    end(d, s);
}

static void document_larger_than_a_segment_gets_one_of_its_size(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);
    cw_auto_free char *large = cw_alloc(3 * SEGMENT_BYTES + 1);
    struct inv_spool_record r = {.text = NULL};
    struct cw_err err = {0};
    uint64_t first;

    (void)state;
    memset(large, 'x', 3 * SEGMENT_BYTES);
    add(s, 0, 1);
    assert_int_equal(inv_spool_append(s, &(struct inv_spool_doc){doc_of(9).id, cw_slice_of(large)},
                                      1, &first, &err),
                     1);
    add(s, 1, 1);
    s = killed_and_again(d, s);
    expect_next(s, 0);
    assert_int_equal(inv_spool_next(s, &r, &err), 1);
    assert_int_equal(r.size, 3 * SEGMENT_BYTES);
    assert_string_equal(r.text, large);
    free(r.text);
    expect_next(s, 1);
    end(d, s);
}

static void writes_in_pieces_are_whole(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    d->most = 13;
    add(s, 0, 20);
    s = killed_and_again(d, s);
    expect_range(s, 0, 20);
    end(d, s);
}

static void sync_reaches_the_disk_before_a_record_counts(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_with(d, true);
    struct cw_err err = {0};
    unsigned before;

    (void)state;
    add(s, 0, 1);
    assert_int_equal(d->dir_syncs, 1); /* a file was made */
    before = d->syncs;
    add(s, 1, 3);
    assert_int_equal(d->syncs, before + 1);
    d->fail_sync = EIO;
    assert_int_equal(append(s, 4, 1, &err), 0);
    assert_non_null(strstr(err.msg, "/data/invoker0.records."));
    d->fail_sync = 0;
    add(s, 4, 1); /* in another file: what that one holds now nobody knows */
    assert_int_equal(mem_disk_file_count(d), 2);
    end(d, s);
}

/* ---- reading ---- */

static void reading_follows_writing(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);
    unsigned written = 0, got = 0;

    (void)state;
    for (unsigned i = 1; i < 30; i++) {
        add(s, written, i);
        written += i;
        assert_false(inv_spool_read_all(s));
        expect_range(s, got, i / 2);
        got += i / 2;
        assert_int_equal(inv_spool_read_seq(s), inv_spool_next_seq(s) - written + got);
        inv_spool_settle(s, inv_spool_read_seq(s));
    }
    expect_range(s, got, written - got);
    expect_none(s);
    add(s, written, 1);
    expect_next(s, written);
    end(d, s);
}

static void what_is_skipped_is_not_read(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    add(s, 0, 30);
    expect_next(s, 0);
    inv_spool_skip(s);
    expect_none(s);
    add(s, 30, 30);
    expect_range(s, 30, 30);
    end(d, s);
}

/* ---- a disk that fails ---- */

static void full_disk_is_told_and_used_again_when_there_is_room(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);
    struct cw_err err = {0};
    size_t some, files;

    (void)state;
    d->room = 3 * SEGMENT_BYTES;
    some = append(s, 0, 100, &err);
    assert_in_range(some, 10, 90);
    assert_int_equal(err.sys_errno, ENOSPC);
    files = mem_disk_file_count(d);
    assert_int_equal(append(s, (unsigned)some, 50, &err), 0);
    assert_int_equal(mem_disk_file_count(d), files); /* none that is of no use */
    d->room = 0;
    add(s, (unsigned)some, 100 - some);
    expect_range(s, 0, 100);
    s = killed_and_again(d, s);
    expect_range(s, 0, 100);
    end(d, s);
}

/* Whatever of it reached the disk. */
static void failed_write_loses_nothing_that_counted(void **state)
{
    (void)state;
    for (size_t after = 0; after < 2500; after += 97) {
        struct mem_disk *d = mem_disk_new();
        struct inv_spool *s = open_it(d);
        struct cw_err err = {0};
        struct inv_spool_record r;

        add(s, 0, 2);
        expect_next(s, 0);
        d->fail_write = EIO;
        d->fail_write_after = after;
        assert_int_equal(append(s, 100, 8, &err), 0);
        d->fail_write = 0;
        add(s, 2, 2);
        expect_range(s, 1, 3); /* nothing of the failed ones: the owner still has them */
        expect_none(s);
        s = killed_and_again(d, s);
        expect_range(s, 0, 2);
        while (inv_spool_next(s, &r, &err) == 1) { /* some of the failed ones, whole */
            unsigned number = (unsigned)strtoul(r.id, NULL, 16);

            expect_doc(&r, number);
            free(r.text);
            if (number == 3)
                break;
        }
        expect_none(s);
        end(d, s);
    }
}

static void first_write_of_all_may_fail(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);
    struct cw_err err = {0};

    (void)state;
    d->fail_write = EIO;
    assert_int_equal(append(s, 0, 2, &err), 0);
    assert_int_equal(inv_spool_mark(s, &err), 0); /* nothing to tell */
    expect_none(s);
    assert_int_equal(mem_disk_file_count(d), 0);
    d->fail_write = 0;
    add(s, 0, 2);
    expect_range(s, 0, 2);
    end(d, s);
}

static void unreadable_segment_is_told_and_left_where_it_is(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    add(s, 0, 5);
    inv_spool_close(s);
    d->fail_read = EIO;
    s = open_it(d);
    expect_loss(s, "spool");
    expect_none(s);
    d->fail_read = 0;
    add(s, 5, 1);
    expect_next(s, 5);
    inv_spool_settle(s, inv_spool_next_seq(s));
    inv_spool_forget(s);
    s = stopped_and_again(d, s); /* another try */
    expect_range(s, 0, 5);
    end(d, s);
}

static void shortage_of_descriptors_is_told_and_nothing_is_given_up(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);
    struct inv_spool_record r;
    struct cw_err err = {0};

    (void)state;
    add(s, 0, 20); /* some segments */
    d->fail_open = EMFILE;
    for (int i = 0; i < 3; i++)
        assert_int_equal(inv_spool_next(s, &r, &err), -1);
    assert_true(err.retriable);
    d->fail_open = 0;
    expect_range(s, 0, 20);
    expect_none(s);
    end(d, s);
}

static void removed_files_are_told(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    add(s, 0, 40);
    expect_next(s, 0);
    assert_int_equal(d->base.remove(&d->base, mem_disk_file(d, 1)->name), 0);
    while (!inv_spool_read_all(s)) {
        struct inv_spool_record r = {.text = NULL};
        struct cw_err err = {0};

        if (inv_spool_next(s, &r, &err) < 0) {
            assert_non_null(strstr(err.msg, "No such file"));
            end(d, s);
            return;
        }
        free(r.text);
    }
    fail();
}

static void directory_that_cannot_be_read_is_named(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct cw_err err = {0};

    (void)state;
    d->fail_list = EACCES;
    assert_null(inv_spool_open(
        &(struct inv_spool_conf){
            .disk = &d->base, .dir = "/data", .name = "invoker0", .segment_bytes = SEGMENT_BYTES},
        &err));
    assert_non_null(strstr(err.msg, "/data (cwhisk.data-dir)"));
    mem_disk_free(d);
}

/* ---- damage ---- */

/* One byte of each place in turn is changed: no more than the record around it is lost, and nothing
 * else is ever read. */
static void damaged_byte_costs_one_record_at_most(void **state)
{
    struct mem_disk *d = mem_disk_new(), *damaged = mem_disk_new();
    struct inv_spool *s = open_it(d);
    size_t used;

    (void)state;
    add(s, 1, 6);
    inv_spool_close(s);
    used = 64;
    for (unsigned i = 1; i < 7; i++)
        used += 64 + strlen(doc_of(i).text);
    for (size_t at = 0; at < used; at++) {
        struct inv_spool_record r = {.text = NULL};
        struct cw_err err = {0};
        unsigned expected = 1, lost = 0, told = 0;
        int found;

        mem_disk_copy(damaged, d);
        mem_disk_file(damaged, 0)->bytes[at] ^= 0x5a;
        s = open_it(damaged);
        while ((found = inv_spool_next(s, &r, &err)) != 0) {
            if (found < 0) {
                told++;
                continue;
            }
            for (; strtoul(r.id, NULL, 16) != expected; expected++)
                lost++;
            expect_doc(&r, expected++);
            free(r.text);
        }
        lost += 7 - expected;
        assert_int_equal(lost, at < 64 ? 0 : 1);
        assert_int_equal(told, expected == 7 ? lost : 0); /* the last one looks torn */
        inv_spool_close(s);
    }
    mem_disk_free(damaged);
    mem_disk_free(d);
}

static void garbage_is_no_spool(void **state)
{
    unsigned char garbage[3 * SEGMENT_BYTES];
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 60; round++) {
        struct mem_disk *d = mem_disk_new();
        struct inv_spool *s;
        struct inv_spool_record r;
        struct cw_err err = {0};

        for (size_t i = 0; i < sizeof(garbage); i++)
            garbage[i] = rand_r(&seed) % 4 ? (unsigned char)rand_r(&seed) : SPOOL_MAGIC_BYTE;
        mem_disk_put(d, "invoker0.records.7", garbage, (size_t)rand_r(&seed) % sizeof(garbage));
        mem_disk_put(d, "invoker0.records.9", garbage, 10);
        mem_disk_put(d, "invoker0.records.x", garbage, 10);
        mem_disk_put(d, "invoker0.journal.1", garbage, 10);
        mem_disk_put(d, "invoker01.records.1", garbage, 10);
        s = open_it(d);
        assert_int_equal(inv_spool_next(s, &r, &err), 0);
        add(s, 0, 2);
        inv_spool_forget(s);
        assert_int_equal(mem_disk_file_count(d), 4); /* others' files are left alone */
        s = killed_and_again(d, s);
        expect_range(s, 0, 2);
        end(d, s);
    }
}

static void what_users_write_is_never_taken_for_an_entry(void **state)
{
    unsigned char header[SPOOL_HEADER_BYTES];

    (void)state;
    spool_encode_entry(&(struct spool_entry_header){.seq = 1, .size = 5}, header);
    assert_int_equal(header[0], SPOOL_MAGIC_BYTE);
    assert_int_equal(cw_utf8_seq((const char *)header, 4), 0);
    assert_true(header[1] < 0x20); /* a control character, which JSON escapes */
}

/* ---- looking up ---- */

static void expect_found(struct inv_spool *s, unsigned number, bool there)
{
    struct doc d = doc_of(number);
    size_t n = 0;
    cw_auto_free char *text = inv_spool_find(s, d.id, &n);

    assert_int_equal(text != NULL, there);
    if (text)
        assert_string_equal(text, d.text);
    assert_int_equal(n, there ? strlen(d.text) : 0);
}

static void records_of_a_predecessor_are_found_by_id_even_settled(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    add(s, 0, 30);
    inv_spool_skip(s);
    inv_spool_settle(s, inv_spool_low(s) + 25);
    expect_found(s, 29, false); /* its own: it knows them */
    s = stopped_and_again(d, s);
    expect_found(s, 24, true);
    expect_found(s, 29, true);
    expect_found(s, 30, false);
    expect_range(s, 25, 5);
    inv_spool_settle(s, inv_spool_next_seq(s));
    expect_found(s, 29, true);
    inv_spool_forget(s);
    expect_found(s, 29, false);
    assert_int_equal(mem_disk_file_count(d), 0);
    end(d, s);
}

static void damaged_record_is_not_found(void **state)
{
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);

    (void)state;
    add(s, 0, 2);
    inv_spool_close(s);
    mem_disk_file(d, 0)->bytes[64 + 64 + 2] ^= 1;
    s = open_it(d);
    expect_found(s, 0, false);
    expect_found(s, 1, true);
    end(d, s);
}

static void index_keeps_the_newest(void **state)
{
    struct spool_index x = {0};
    char id[INV_SPOOL_ID_LEN + 1];

    (void)state;
    for (unsigned i = 0; i < SPOOL_INDEX_MAX + 10; i++) {
        (void)snprintf(id, sizeof(id), "%032x", i);
        spool_index_add(&x, id, 1, i);
    }
    (void)snprintf(id, sizeof(id), "%032x", 9u);
    assert_null(spool_index_find(&x, id));
    (void)snprintf(id, sizeof(id), "%032x", 10u);
    assert_int_equal(spool_index_find(&x, id)->at, 10);
    (void)snprintf(id, sizeof(id), "%032x", SPOOL_INDEX_MAX + 9u);
    assert_int_equal(spool_index_find(&x, id)->at, SPOOL_INDEX_MAX + 9);
    spool_index_clear(&x);
}

/* More than a start looks through: the rest is read in order all the same. */
static void old_segments_are_read_when_their_turn_comes(void **state)
{
    enum { LARGE = 33 << 20, COUNT = 4 };
    struct mem_disk *d = mem_disk_new();
    struct inv_spool *s = open_it(d);
    cw_auto_free char *large = cw_alloc(LARGE + 1);
    struct inv_spool_record r;
    struct cw_err err = {0};
    uint64_t first;

    (void)state;
    memset(large, 'x', LARGE);
    for (unsigned i = 0; i < COUNT; i++) {
        struct doc id = doc_of(i);

        assert_int_equal(inv_spool_append(s, &(struct inv_spool_doc){id.id, cw_slice(large, LARGE)},
                                          1, &first, &err),
                         1);
    }
    s = stopped_and_again(d, s);
    assert_int_equal(inv_spool_next_seq(s) - inv_spool_low(s), COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(inv_spool_next(s, &r, &err), 1);
        assert_string_equal(r.id, doc_of(i).id);
        free(r.text);
    }
    expect_none(s);
    inv_spool_settle(s, inv_spool_next_seq(s) - 1);
    s = stopped_and_again(d, s);
    assert_in_range(mem_disk_file_count(d), 2, 3); /* what is settled and not looked into is gone */
    end(d, s);
}

/* ---- a stop at any byte ---- */

enum { STEPS = 60, DOCS_MAX = 400 };

/* After each step: how many documents were appended, below which they are settled, and how many
 * writes the disk had seen. */
struct told {
    unsigned appended, settled;
    size_t writes;
};

static void live(struct inv_spool *s, struct told *t, unsigned *seed, uint64_t base)
{
    struct cw_err err = {0};
    unsigned some = 1 + (unsigned)rand_r(seed) % 6;

    switch (rand_r(seed) % 4) {
    case 0:
        t->settled += t->appended > t->settled ? 1 + (unsigned)rand_r(seed) % 8 : 0;
        if (t->settled > t->appended)
            t->settled = t->appended;
        inv_spool_settle(s, base + t->settled);
        break;
    case 1:
        assert_int_equal(inv_spool_mark(s, &err), 0);
        break;
    default:
        add(s, t->appended, some);
        inv_spool_skip(s);
        t->appended += some;
    }
}

/* All that counted and is not settled, nothing that was never given, all in order and once. */
static void expect_between(struct mem_disk *d, const struct told *before, const struct told *after)
{
    struct inv_spool *s = open_it(d);
    struct inv_spool_record r = {.text = NULL};
    struct cw_err err = {0};
    unsigned next = 0, first = UINT32_MAX;
    int found;

    while ((found = inv_spool_next(s, &r, &err)) == 1) {
        unsigned number = (unsigned)strtoul(r.id, NULL, 16);

        if (first == UINT32_MAX)
            first = next = number;
        assert_int_equal(number, next++);
        expect_doc(&r, number);
        free(r.text);
    }
    if (found < 0)
        fail_msg("%s", err.msg);
    assert_true(next <= after->appended);
    if (after->settled < before->appended) {
        assert_true(first <= after->settled);
        assert_true(next >= before->appended);
    }
    d->fail_write = EIO; /* it must not change what is tried next */
    inv_spool_close(s);
    d->fail_write = 0;
}

static void crash_at_every_byte(unsigned seed)
{
    struct mem_disk *d = mem_disk_new(), *crashed = mem_disk_new(), *trial = mem_disk_new();
    struct told told[STEPS + 1] = {{0}};
    struct inv_spool *s = open_it(d);
    uint64_t base = inv_spool_next_seq(s);
    size_t step = 0;

    d->keeps_writes = true;
    for (size_t i = 0; i < STEPS; i++) {
        told[i + 1] = told[i];
        live(s, &told[i + 1], &seed, base);
        told[i + 1].writes = d->write_count;
    }
    for (size_t w = 0; w < d->write_count; w++) {
        size_t n = d->writes[w].bytes ? d->writes[w].n : 0;

        while (told[step + 1].writes <= w)
            step++;
        for (size_t bytes = 0; bytes <= n; bytes += 5) {
            mem_disk_copy(trial, crashed);
            mem_disk_replay(trial, d, w, bytes);
            expect_between(trial, &told[step], &told[step + 1]);
        }
        mem_disk_replay(crashed, d, w, n);
    }
    inv_spool_close(s);
    mem_disk_free(trial);
    mem_disk_free(crashed);
    mem_disk_free(d);
}

static void a_crash_at_any_byte_loses_nothing_that_counted(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 3; seed++)
        crash_at_every_byte(seed);
}

/* ---- real files ---- */

static void files_are_private_and_have_their_room_from_the_beginning(void **state)
{
    char dir[SCRATCH_MAX], path[SCRATCH_MAX + 32];
    struct inv_spool_conf conf = {.disk = cw_disk_files(),
                                  .dir = dir,
                                  .name = "invoker0",
                                  .segment_bytes = 1 << 20,
                                  .sync = true};
    struct cw_err err = {0};
    struct inv_spool *s;
    struct stat st;

    (void)state;
    scratch_make(dir);
    s = inv_spool_open(&conf, &err);
    assert_non_null(s);
    add(s, 0, 3);
    (void)snprintf(path, sizeof(path), "%s/invoker0.records.0", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 1 << 20);
    inv_spool_close(s);
    s = inv_spool_open(&conf, &err);
    assert_non_null(s);
    expect_range(s, 0, 3);
    expect_none(s);
    inv_spool_settle(s, inv_spool_next_seq(s));
    inv_spool_forget(s);
    assert_int_equal(stat(path, &st), -1);
    inv_spool_close(s);
    scratch_remove(dir);
    assert_null(inv_spool_open(&conf, &err));
    assert_int_equal(err.code, CW_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_spool_is_empty_and_makes_no_file),
        cmocka_unit_test(records_are_there_for_the_successor_in_order),
        cmocka_unit_test(what_is_settled_is_told_with_the_next_append),
        cmocka_unit_test(mark_tells_what_is_settled_without_an_append),
        cmocka_unit_test(without_a_mark_the_successor_reads_again_what_is_settled),
        cmocka_unit_test(settled_segments_are_removed),
        cmocka_unit_test(oldest_unsettled_record_keeps_all_behind_it),
        cmocka_unit_test(records_appended_together_take_one_write),
        cmocka_unit_test(document_larger_than_a_segment_gets_one_of_its_size),
        cmocka_unit_test(writes_in_pieces_are_whole),
        cmocka_unit_test(sync_reaches_the_disk_before_a_record_counts),
        cmocka_unit_test(reading_follows_writing),
        cmocka_unit_test(what_is_skipped_is_not_read),
        cmocka_unit_test(full_disk_is_told_and_used_again_when_there_is_room),
        cmocka_unit_test(failed_write_loses_nothing_that_counted),
        cmocka_unit_test(first_write_of_all_may_fail),
        cmocka_unit_test(unreadable_segment_is_told_and_left_where_it_is),
        cmocka_unit_test(shortage_of_descriptors_is_told_and_nothing_is_given_up),
        cmocka_unit_test(removed_files_are_told),
        cmocka_unit_test(directory_that_cannot_be_read_is_named),
        cmocka_unit_test(damaged_byte_costs_one_record_at_most),
        cmocka_unit_test(garbage_is_no_spool),
        cmocka_unit_test(what_users_write_is_never_taken_for_an_entry),
        cmocka_unit_test(records_of_a_predecessor_are_found_by_id_even_settled),
        cmocka_unit_test(damaged_record_is_not_found),
        cmocka_unit_test(index_keeps_the_newest),
        cmocka_unit_test(old_segments_are_read_when_their_turn_comes),
        cmocka_unit_test(a_crash_at_any_byte_loses_nothing_that_counted),
        cmocka_unit_test(files_are_private_and_have_their_room_from_the_beginning),
    };

    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
