#include "invoker/spool/spool_reader.h"

#include <string.h>

#include "common/base/disk.h"
#include "common/base/err.h"
#include "common/base/str.h"

enum { WINDOW_BYTES = 64 << 10 };

void spool_reader_init(struct spool_reader *r, const struct cw_disk *disk)
{
    *r = (struct spool_reader){.disk = disk, .fd = -1};
}

int spool_reader_open(struct spool_reader *r, const char *path, int64_t at, int64_t end,
                      struct cw_err *err)
{
    spool_reader_done(r);
    r->fd = r->disk->open(r->disk, path, 0);
    if (r->fd < 0)
        return cw_fail_errno(err, -r->fd, "spool %s", path);
    r->at = at;
    r->end = end;
    r->seq = 0;
    r->window = cw_alloc(WINDOW_BYTES);
    return 0;
}

void spool_reader_done(struct spool_reader *r)
{
    if (r->fd >= 0)
        r->disk->close(r->disk, r->fd);
    r->fd = -1;
    free(CW_STEAL(r->window));
    r->window_n = 0;
    r->damaged = false;
}

/* What is in the window from `at` on: at least n bytes where the segment has so many. p NULL: it
 * cannot be read. */
static struct cw_slice look(struct spool_reader *r, int64_t at, size_t n, struct cw_err *err)
{
    int64_t window_end = r->window_at + (int64_t)r->window_n;

    if (at < r->window_at || at + (int64_t)n > window_end) {
        int64_t left = r->end > at ? r->end - at : 0;
        size_t most = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        ssize_t got = cw_disk_read_all(r->disk, r->fd, r->window, most, at);

        r->window_at = at;
        r->window_n = got < 0 ? 0 : (size_t)got;
        if (got < 0) {
            (void)cw_fail_errno(err, (int)-got, "spool: reading");
            return cw_slice(NULL, 0);
        }
    }
    at -= r->window_at;
    return cw_slice((const char *)r->window + at, r->window_n - (size_t)at);
}

/* 1: there is a whole header of an entry that may come here. */
static int entry_at(struct spool_reader *r, int64_t at, struct spool_entry_header *ret,
                    struct cw_err *err)
{
    struct cw_slice bytes = look(r, at, SPOOL_HEADER_BYTES, err);

    if (!bytes.p)
        return -1;
    return bytes.n >= SPOOL_HEADER_BYTES &&
           spool_decode_entry((const unsigned char *)bytes.p, ret) && ret->seq >= r->seq &&
           (int64_t)ret->size <= r->end - at - SPOOL_HEADER_BYTES;
}

/* Behind `*at`. */
static int search(struct spool_reader *r, int64_t *at, struct spool_entry_header *ret,
                  struct cw_err *err)
{
    for (int64_t from = *at + 1;; from++) {
        struct cw_slice bytes = look(r, from, 1, err);
        const char *hit = bytes.n ? memchr(bytes.p, SPOOL_MAGIC_BYTE, bytes.n) : NULL;
        int found;

        if (bytes.n == 0)
            return bytes.p ? 0 : -1;
        if (!hit) {
            from += (int64_t)bytes.n - 1;
            continue;
        }
        from += hit - bytes.p;
        found = entry_at(r, from, ret, err);
        if (found) {
            *at = from;
            return found;
        }
    }
}

int spool_reader_next(struct spool_reader *r, struct spool_entry_header *ret, int64_t *ret_at,
                      struct cw_err *err)
{
    int64_t at = r->at;
    int found = entry_at(r, at, ret, err);

    if (found == 0) {
        found = search(r, &at, ret, err);
        r->damaged |= found > 0;
    }
    if (found <= 0)
        return found;
    *ret_at = at + SPOOL_HEADER_BYTES;
    r->at = *ret_at + ret->size;
    r->seq = ret->size ? ret->seq + 1 : ret->seq;
    return 1;
}

char *spool_reader_doc(struct spool_reader *r, const struct spool_entry_header *h, int64_t at,
                       struct cw_err *err)
{
    cw_auto_free char *doc = cw_alloc((size_t)h->size + 1);
    int64_t window_end = r->window_at + (int64_t)r->window_n;
    ssize_t got;

    if (at >= r->window_at && at + (int64_t)h->size <= window_end) {
        memcpy(doc, r->window + (at - r->window_at), h->size);
        got = (ssize_t)h->size;
    } else {
        got = cw_disk_read_all(r->disk, r->fd, doc, h->size, at);
    }
    if (got < 0) {
        (void)cw_fail_errno(err, (int)-got, "record of activation %s", h->id);
        return NULL;
    }
    if ((size_t)got < h->size || spool_doc_crc(doc, h->size) != h->doc_crc) {
        (void)cw_fail(err, CW_INVALID, "record of activation %s: wrong checksum", h->id);
        return NULL;
    }
    return CW_STEAL(doc);
}
