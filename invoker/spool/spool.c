/* Three parts: the writer has one open segment at the end of the list, the reader goes from segment
 * to segment behind it, and what is settled falls off at the front. A segment in which a write
 * failed is left for good, and its sequence numbers are not given again: what the disk made of it
 * is not known. A successor never goes on in a segment that it found, for the same reason. */
#include <inttypes.h>

#include "common/base/disk.h"
#include "common/base/err.h"
#include "invoker/spool/spool_priv.h"

enum {
    PATH_MAX_BYTES = 4096,
    AT_ONCE = 128, /* documents in one write */
};

/* ---- segments ---- */

char *spool_path(const struct inv_spool *s, uint64_t number)
{
    struct cw_str path;

    cw_str_init(&path, PATH_MAX_BYTES);
    cw_str_addf(&path, "%s/%s.records.%" PRIu64, s->dir, s->name, number);
    return cw_str_steal(&path);
}

struct segment *spool_after(const struct inv_spool *s, const struct segment *seg)
{
    struct cw_link *n = cw_list_next(&s->segments, &seg->link);

    return n ? CW_LIST_ENTRY(n, struct segment, link) : NULL;
}

struct segment *spool_first(const struct inv_spool *s)
{
    struct cw_link *n = cw_list_first(&s->segments);

    return n ? CW_LIST_ENTRY(n, struct segment, link) : NULL;
}

static void remove_segment(struct inv_spool *s, struct cw_list *list, struct segment *seg)
{
    cw_auto_free char *path = spool_path(s, seg->number);

    if (!seg->unreadable)
        (void)s->disk->remove(s->disk, path); /* should it stay: a successor tries again */
    cw_list_remove(list, &seg->link);
    free(seg);
}

uint64_t spool_told_low(const struct inv_spool *s)
{
    return s->pinned ? s->pin : s->low;
}

void spool_give_up(struct inv_spool *s, struct segment *seg)
{
    seg->unreadable = true;
    if (!s->pinned)
        s->pin = s->low;
    s->pinned = true;
}

/* ---- writing ---- */

static void seal(struct inv_spool *s)
{
    struct segment *seg = s->active;

    if (!seg)
        return;
    s->disk->close(s->disk, s->fd);
    s->fd = -1;
    s->active = NULL;
    seg->next = s->next;
    if (seg->end)
        return;
    if (s->reading == seg)
        inv_spool_skip(s);
    s->bytes -= (size_t)seg->size;
    remove_segment(s, &s->segments, seg);
}

static int make_durable(const struct inv_spool *s, int fd)
{
    int code = s->sync ? s->disk->sync(s->disk, fd) : 0;

    return code == 0 && s->sync ? s->disk->sync_dir(s->disk, s->dir) : code;
}

static int begin_segment(struct inv_spool *s, size_t need, struct cw_err *err)
{
    uint64_t number = s->next_number++;
    cw_auto_free char *path = spool_path(s, number);
    size_t size = SPOOL_HEADER_BYTES + need;
    struct segment *seg;
    int fd, code;

    if (size < s->segment_bytes)
        size = s->segment_bytes;
    fd = s->disk->open(s->disk, path, size);
    code = fd < 0 ? fd : make_durable(s, fd);
    if (code < 0) {
        if (fd >= 0)
            s->disk->close(s->disk, fd);
        (void)s->disk->remove(s->disk, path);
        return cw_fail_errno(err, -code, "spool %s", path);
    }
    seg = cw_alloc(sizeof(*seg));
    seg->number = number;
    seg->size = (int64_t)size;
    s->bytes += size;
    cw_list_push_back(&s->segments, &seg->link);
    s->active = seg;
    s->fd = fd;
    if (!s->reading)
        spool_read_from(s, seg, SPOOL_HEADER_BYTES);
    return 0;
}

/* The active segment has room for it. All of it, or the segment is left. */
static int write_iov(struct inv_spool *s, struct iovec *iov, size_t count, size_t bytes,
                     struct cw_err *err)
{
    unsigned char header[SPOOL_HEADER_BYTES];
    struct segment *seg = s->active;
    int code;

    if (seg->end == 0) { /* iov[0] is for that */
        spool_encode_segment(&(struct spool_segment_header){.number = seg->number,
                                                            .low = spool_told_low(s),
                                                            .first = s->next},
                             header);
        iov[0] = (struct iovec){header, sizeof(header)};
        bytes += sizeof(header);
    }
    code = cw_disk_write_all(s->disk, s->fd, iov, count, seg->end);
    if (code == 0 && s->sync)
        code = s->disk->sync(s->disk, s->fd);
    if (code < 0) {
        cw_auto_free char *path = spool_path(s, seg->number);

        return cw_fail_errno(err, -code, "spool %s", path);
    }
    seg->end += (int64_t)bytes;
    s->marked = spool_told_low(s);
    return 0;
}

static bool has_room(const struct inv_spool *s, size_t bytes)
{
    const struct segment *seg = s->active;
    int64_t end = seg && seg->end ? seg->end : SPOOL_HEADER_BYTES;

    return seg && end + (int64_t)bytes <= seg->size;
}

/* As many as go into one write and into the segment, which has room for the first. */
static size_t write_some(struct inv_spool *s, const struct inv_spool_doc *docs, size_t count,
                         struct cw_err *err)
{
    unsigned char headers[AT_ONCE][SPOOL_HEADER_BYTES];
    struct iovec iov[1 + 2 * AT_ONCE];
    bool all_read = inv_spool_read_all(s);
    size_t n, bytes = 0;

    iov[0] = (struct iovec){0};
    for (n = 0; n < count && n < AT_ONCE; n++) {
        const struct cw_slice *text = &docs[n].text;
        struct spool_entry_header h = {
            .seq = s->next + n, .low = spool_told_low(s), .size = (uint32_t)text->n};

        if (!has_room(s, bytes + SPOOL_HEADER_BYTES + text->n))
            break;
        h.doc_crc = spool_doc_crc(text->p, text->n);
        memcpy(h.id, docs[n].id, INV_SPOOL_ID_LEN);
        spool_encode_entry(&h, headers[n]);
        iov[1 + 2 * n] = (struct iovec){headers[n], SPOOL_HEADER_BYTES};
        iov[2 + 2 * n] = (struct iovec){(void *)(uintptr_t)text->p, text->n};
        bytes += SPOOL_HEADER_BYTES + text->n;
    }
    if (write_iov(s, iov, 1 + 2 * n, bytes, err) == 0) {
        s->next += n;
        return n;
    }
    s->next += n; /* perhaps some of them are in the file all the same */
    seal(s);
    if (all_read)
        inv_spool_skip(s);
    return 0;
}

size_t inv_spool_append(struct inv_spool *s, const struct inv_spool_doc *docs, size_t count,
                        uint64_t *ret_first, struct cw_err *err)
{
    size_t done = 0, some;

    *ret_first = s->next;
    while (done < count) {
        size_t need = SPOOL_HEADER_BYTES + docs[done].text.n;

        if (!has_room(s, need)) {
            seal(s);
            if (begin_segment(s, need, err) != 0)
                break;
        }
        some = write_some(s, docs + done, count - done, err);
        if (some == 0)
            break;
        done += some;
    }
    return done;
}

bool inv_spool_needs_mark(const struct inv_spool *s)
{
    return spool_told_low(s) > s->marked;
}

int inv_spool_mark(struct inv_spool *s, struct cw_err *err)
{
    const struct spool_entry_header h = {.seq = s->next, .low = spool_told_low(s)};
    unsigned char header[SPOOL_HEADER_BYTES];
    struct iovec iov[] = {{0}, {header, sizeof(header)}};

    if (!inv_spool_needs_mark(s))
        return 0;
    if (!has_room(s, sizeof(header))) {
        seal(s);
        if (begin_segment(s, sizeof(header), err) != 0)
            return -1;
    }
    spool_encode_entry(&h, header);
    if (write_iov(s, iov, CW_ARRAY_LEN(iov), sizeof(header), err) == 0)
        return 0;
    seal(s);
    return -1;
}

/* ---- what is settled ---- */

/* What a predecessor left is looked into until nobody will any more. Of our own, the newest full
 * one stays: acks of activations in it may still be on their way. */
static bool stays(const struct inv_spool *s, const struct segment *seg)
{
    const struct segment *next = spool_after(s, seg);

    return seg == s->active || seg == s->reading || seg->next > s->low ||
           (!seg->inherited && (!next || next == s->active));
}

void spool_drop_settled(struct inv_spool *s)
{
    struct segment *seg;

    while ((seg = spool_first(s)) && !stays(s, seg)) {
        s->bytes -= (size_t)seg->size;
        if (seg->indexed && !s->forgotten) {
            cw_list_remove(&s->segments, &seg->link);
            cw_list_push_back(&s->kept, &seg->link);
        } else {
            remove_segment(s, &s->segments, seg);
        }
    }
}

void inv_spool_settle(struct inv_spool *s, uint64_t below)
{
    if (below <= s->low)
        return;
    s->low = below;
    if (inv_spool_read_all(s) && s->reading != s->active)
        inv_spool_skip(s);
    spool_drop_settled(s);
}

size_t inv_spool_left(const struct inv_spool *s)
{
    return s->left;
}

uint64_t inv_spool_next_seq(const struct inv_spool *s)
{
    return s->next;
}

uint64_t inv_spool_read_seq(const struct inv_spool *s)
{
    return s->read_seq;
}

uint64_t inv_spool_low(const struct inv_spool *s)
{
    return s->low;
}

size_t inv_spool_bytes(const struct inv_spool *s)
{
    return s->bytes;
}

/* ---- looking up ---- */

void inv_spool_forget(struct inv_spool *s)
{
    struct cw_link *n;

    s->forgotten = true;
    spool_index_clear(&s->index);
    while ((n = cw_list_first(&s->kept)))
        remove_segment(s, &s->kept, CW_LIST_ENTRY(n, struct segment, link));
    spool_drop_settled(s);
}

/* ---- closing ---- */

static void free_list(struct cw_list *list)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(list)))
        free(CW_LIST_ENTRY(n, struct segment, link));
}

void inv_spool_close(struct inv_spool *s)
{
    struct cw_err ignored = {0};

    if (!s)
        return;
    (void)inv_spool_mark(s, &ignored); /* without it the successor puts again what is there */
    seal(s);
    spool_reader_done(&s->reader);
    spool_index_clear(&s->index);
    free_list(&s->segments);
    free_list(&s->kept);
    free(s->dir);
    free(s->name);
    free(s);
}
