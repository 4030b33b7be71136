/* What a predecessor left. */
#include "common/base/disk.h"
#include "common/base/err.h"
#include "invoker/spool/spool_priv.h"

enum {
    LOOK_BACK_BYTES = 64 << 20, /* of segments whose ids are indexed */
};

#define UNKNOWN_SEQS (UINT64_C(1) << 40) /* that a segment may hold which cannot be read */

static void on_file(void *arg, const char *file, int64_t size)
{
    struct inv_spool *s = arg;
    size_t n = strlen(s->name);
    struct cw_link *at = &s->segments.head;
    struct segment *seg;
    int64_t number;

    if (strncmp(file, s->name, n) != 0 || strncmp(file + n, ".records.", 9) != 0 ||
        cw_parse_i64(cw_slice_of(file + n + 9), "segment", 0, INT64_MAX - 1, &number, NULL) != 0)
        return;
    seg = cw_alloc(sizeof(*seg));
    seg->number = (uint64_t)number;
    seg->size = seg->end = size;
    seg->inherited = true;
    while (at->prev != &s->segments.head &&
           CW_LIST_ENTRY(at->prev, struct segment, link)->number > seg->number)
        at = at->prev;
    cw_list_insert_before(&s->segments, at, &seg->link);
    s->bytes += (size_t)size;
    if (s->next_number <= seg->number)
        s->next_number = seg->number + 1;
}

/* What is in it. */
static void scan(struct inv_spool *s, struct segment *seg)
{
    cw_auto_free char *path = spool_path(s, seg->number);
    struct spool_reader reader;
    struct spool_entry_header h;
    struct cw_err ignored = {0};
    int64_t at;
    int found;

    spool_reader_init(&reader, s->disk);
    found = spool_reader_open(&reader, path, SPOOL_HEADER_BYTES, seg->end, &ignored) == 0 ? 1 : -1;
    while (found > 0 && (found = spool_reader_next(&reader, &h, &at, &ignored)) > 0) {
        if (h.low > s->low)
            s->low = h.low;
        if (h.size)
            spool_index_add(&s->index, h.id, seg->number, at - SPOOL_HEADER_BYTES);
        seg->next = h.seq + (h.size > 0);
    }
    spool_reader_done(&reader);
    seg->indexed = true;
    if (seg->next > s->next)
        s->next = seg->next;
    seg->unreadable = found < 0;
}

/* false: torn, damaged, or not ours. */
static bool read_header(struct inv_spool *s, struct segment *seg)
{
    cw_auto_free char *path = spool_path(s, seg->number);
    unsigned char header[SPOOL_HEADER_BYTES];
    struct spool_segment_header h;
    int fd = s->disk->open(s->disk, path, 0);
    ssize_t got = fd < 0 ? fd : cw_disk_read_all(s->disk, fd, header, sizeof(header), 0);

    if (fd >= 0)
        s->disk->close(s->disk, fd);
    if (got < (ssize_t)sizeof(header) || !spool_decode_segment(header, &h) ||
        h.number != seg->number)
        return false;
    seg->next = h.first;
    if (h.low > s->low)
        s->low = h.low;
    if (h.first > s->next)
        s->next = h.first;
    return true;
}

/* From old to new, because the index wants it so: the newest whole, of older ones only where they
 * begin, which is where the one before ends. */
static void take_stock(struct inv_spool *s)
{
    size_t newer = s->bytes;
    struct segment *before = NULL;

    CW_LIST_EACH (&s->segments, n) {
        struct segment *seg = CW_LIST_ENTRY(n, struct segment, link);
        bool known = read_header(s, seg);

        if (before && known)
            before->next = seg->next;
        else if (before)
            scan(s, before);
        before = known && newer > LOOK_BACK_BYTES && spool_after(s, seg) ? seg : NULL;
        if (!before)
            scan(s, seg);
        newer -= (size_t)seg->size;
    }
    if (s->next < s->low)
        s->next = s->low;
    s->marked = s->read_seq = s->low;
    s->left = (size_t)(s->next - s->low);
    CW_LIST_EACH (&s->segments, n) {
        struct segment *seg = CW_LIST_ENTRY(n, struct segment, link);

        if (!seg->unreadable)
            continue;
        spool_give_up(s, seg);
        s->next += UNKNOWN_SEQS;
        seg->next = s->next; /* reading will try, fail, and tell */
    }
}

struct inv_spool *inv_spool_open(const struct inv_spool_conf *conf, struct cw_err *err)
{
    struct inv_spool *s = cw_alloc(sizeof(*s));
    int code;

    s->disk = conf->disk;
    s->dir = cw_strdup(conf->dir);
    s->name = cw_strdup(conf->name);
    s->segment_bytes = conf->segment_bytes;
    s->sync = conf->sync;
    s->fd = -1;
    s->next = s->low = s->marked = 1;
    cw_list_init(&s->segments);
    cw_list_init(&s->kept);
    spool_reader_init(&s->reader, s->disk);
    code = s->disk->list(s->disk, s->dir, on_file, s);
    if (code < 0) {
        inv_spool_close(s);
        (void)cw_fail_errno(err, -code, "spool: directory %s (cwhisk.data-dir)", conf->dir);
        return NULL;
    }
    take_stock(s);
    spool_read_from(s, spool_first(s), SPOOL_HEADER_BYTES);
    if (inv_spool_read_all(s))
        inv_spool_skip(s);
    spool_drop_settled(s);
    return s;
}
