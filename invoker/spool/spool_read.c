/* Reading in order, and looking up by id. */
#include <errno.h>
#include <inttypes.h>

#include "common/base/disk.h"
#include "common/base/err.h"
#include "invoker/spool/spool_priv.h"

void spool_read_from(struct inv_spool *s, struct segment *seg, int64_t at)
{
    spool_reader_done(&s->reader);
    s->reading = seg;
    s->read_at = at;
}

static int open_reader(struct inv_spool *s, struct cw_err *err)
{
    cw_auto_free char *path = spool_path(s, s->reading->number);

    s->reader.end = s->reading->end;
    if (s->reader.fd >= 0)
        return 0;
    return spool_reader_open(&s->reader, path, s->read_at, s->reading->end, err);
}

static void read_next_segment(struct inv_spool *s)
{
    struct segment *seg = spool_after(s, s->reading);

    if (seg)
        spool_read_from(s, seg, SPOOL_HEADER_BYTES);
    else
        inv_spool_skip(s);
}

/* The document's checksum is wrong. As the last thing that a predecessor wrote, it is what a kill
 * leaves. */
static bool is_torn_tail(struct inv_spool *s)
{
    struct spool_reader before = s->reader;
    struct spool_entry_header h;
    struct cw_err ignored = {0};
    int64_t at;
    bool more = spool_reader_next(&s->reader, &h, &at, &ignored) != 0;

    s->reader.at = before.at;
    s->reader.seq = before.seq;
    s->reader.damaged = before.damaged;
    return s->reading->inherited && !more;
}

static int told_damage(struct inv_spool *s, const struct spool_entry_header *h, int64_t from,
                       int64_t entry_at, struct cw_err *err)
{
    s->reader.damaged = false;
    s->reader.at = entry_at; /* again, and then it is a record as any other */
    s->reader.seq = h->seq;
    return cw_fail(err, CW_INVALID,
                   "spool %s/%s.records.%" PRIu64 ": bytes %" PRId64 " to %" PRId64
                   " are damaged: what was in them is lost",
                   s->dir, s->name, s->reading->number, from, entry_at);
}

/* One entry of the segment that is read: as inv_spool_next, 0: there is nothing more in it, 2: look
 * at the next one. */
static int read_entry(struct inv_spool *s, struct inv_spool_record *ret, struct cw_err *err)
{
    struct spool_entry_header h;
    int64_t from = s->reader.at, at;
    int found = spool_reader_next(&s->reader, &h, &at, err);
    char *text;

    if (found <= 0)
        return found;
    if (s->reader.damaged)
        return told_damage(s, &h, from, at - SPOOL_HEADER_BYTES, err);
    if (h.size == 0 || h.seq < s->low)
        return 2;
    s->read_seq = h.seq + 1;
    text = spool_reader_doc(&s->reader, &h, at, err);
    if (!text)
        return err->code == CW_INVALID && is_torn_tail(s) ? 2 : -1;
    *ret = (struct inv_spool_record){.text = text, .size = h.size, .seq = h.seq};
    memcpy(ret->id, h.id, sizeof(ret->id));
    return 1;
}

/* We are short of something, the file is all right. */
static bool is_shortage(const struct cw_err *err)
{
    return err->sys_errno == EMFILE || err->sys_errno == ENFILE || err->sys_errno == ENOMEM;
}

/* As read_entry; a segment of which no more can be had is left. */
static int read_on(struct inv_spool *s, struct inv_spool_record *ret, struct cw_err *err)
{
    int found;

    if (open_reader(s, err) == 0) {
        found = read_entry(s, ret, err);
        if (found > 0 || (found < 0 && err->code == CW_INVALID))
            return found; /* one record is lost at most */
    } else {
        found = -1;
    }
    if (found < 0 && is_shortage(err)) {
        err->retriable = true;
        return -1;
    }
    if (found < 0)
        spool_give_up(s, s->reading);
    read_next_segment(s);
    return found == 0 ? 2 : -1;
}

int inv_spool_next(struct inv_spool *s, struct inv_spool_record *ret, struct cw_err *err)
{
    struct cw_err why = {0};
    int found = 2;

    while (found == 2 && !inv_spool_read_all(s))
        found = read_on(s, ret, &why);
    if (found < 0 && err)
        *err = why;
    return found == 2 ? 0 : found;
}

bool inv_spool_read_all(const struct inv_spool *s)
{
    return s->read_seq >= s->next;
}

void inv_spool_skip(struct inv_spool *s)
{
    if (s->reader.fd >= 0 || s->reading != s->active)
        spool_read_from(s, s->active, 0);
    s->read_at = s->active ? s->active->end : SPOOL_HEADER_BYTES;
    s->read_seq = s->next;
}

char *inv_spool_find(struct inv_spool *s, const char *id, size_t *ret_size)
{
    const struct spool_place *place = spool_index_find(&s->index, id);
    cw_auto_free char *path = place ? spool_path(s, place->number) : NULL;
    struct spool_entry_header h;
    struct spool_reader reader;
    struct cw_err ignored = {0};
    char *text = NULL;
    int64_t at;

    if (!place)
        return NULL;
    spool_reader_init(&reader, s->disk);
    if (spool_reader_open(&reader, path, place->at, INT64_MAX, &ignored) == 0 &&
        spool_reader_next(&reader, &h, &at, &ignored) == 1 &&
        memcmp(h.id, id, INV_SPOOL_ID_LEN) == 0) {
        text = spool_reader_doc(&reader, &h, at, &ignored);
        if (text)
            *ret_size = h.size;
    }
    spool_reader_done(&reader);
    return text;
}
