#include "tests/unit/invoker/ledger_model/model_disk.h"

#include <errno.h>

#include "common/base/mem.h"
#include "invoker/journal/journal_format.h"
#include "tests/support/cmocka_all.h"

static struct model_disk *self(const struct cw_disk *base)
{
    return CW_CONTAINER_OF((struct cw_disk *)(uintptr_t)base, struct model_disk, base);
}

static int disk_open(const struct cw_disk *base, const char *path, size_t size)
{
    (void)base, (void)size;
    return path[strlen(path) - 1] - '0';
}

static ssize_t disk_read(const struct cw_disk *base, int fd, void *p, size_t n, int64_t at)
{
    const struct model_image *image = &self(base)->image;
    size_t have = image->n[fd] > (size_t)at ? image->n[fd] - (size_t)at : 0;

    if (n > have)
        n = have;
    memcpy(p, image->bytes[fd] + at, n);
    return (ssize_t)n;
}

/* Checksums are what an examination would spend its time with otherwise. */
static void look_at_header(struct model_image *image, int fd)
{
    struct journal_header header;

    image->generation[fd] = 0;
    if (image->n[fd] >= JOURNAL_HEADER_BYTES && journal_decode_header(image->bytes[fd], &header))
        image->generation[fd] = header.generation;
}

static ssize_t disk_write(const struct cw_disk *base, int fd, const struct iovec *iov, int count,
                          int64_t at)
{
    struct model_disk *d = self(base);
    size_t n = iov->iov_len < d->left ? iov->iov_len : d->left;

    assert_int_equal(count, 1);
    assert_true((size_t)at + n <= MODEL_FILE_BYTES);
    if (n == 0)
        return -EIO;
    memcpy(d->image.bytes[fd] + at, iov->iov_base, n);
    if (d->image.n[fd] < (size_t)at + n)
        d->image.n[fd] = (size_t)at + n;
    if (at < JOURNAL_HEADER_BYTES)
        look_at_header(&d->image, fd);
    d->left -= n;
    d->written += n;
    return (ssize_t)n;
}

static int disk_sync(const struct cw_disk *base, int fd)
{
    (void)base, (void)fd;
    return 0;
}

static void disk_close(const struct cw_disk *base, int fd)
{
    (void)base, (void)fd;
}

void model_disk_init(struct model_disk *d)
{
    *d = (struct model_disk){.base = {.open = disk_open,
                                      .read = disk_read,
                                      .write = disk_write,
                                      .sync = disk_sync,
                                      .close = disk_close},
                             .left = SIZE_MAX};
}

/* ---- what it says ---- */

static void find_newest(const struct model_image *image, struct model_digest *ret)
{
    for (uint8_t i = 0; i < MODEL_FILES; i++) {
        if (image->generation[i] <= ret->generation)
            continue;
        ret->generation = image->generation[i];
        ret->file = i;
    }
}

enum { CAME_BACK = 0x10 };

static void fold(struct model_digest *d, unsigned state, const struct inv_journal_entry *entry)
{
    int8_t next = (int8_t)(entry->offset + 1);
    struct inv_journal_commits commits;

    if (state == JOURNAL_NEXT && journal_decode_commits(entry->id, &commits)) {
        d->low = (int8_t)commits.low;
        d->high = (int8_t)commits.high;
        return;
    }
    if (state == JOURNAL_BASE || state == JOURNAL_NEXT) {
        next = (int8_t)entry->offset;
        if (state == JOURNAL_BASE)
            d->base = next;
    } else {
        assert_in_range(entry->offset, 0, MODEL_OFFSETS - 1);
        d->states[entry->offset] = (uint8_t)(state | (entry->came_back ? CAME_BACK : 0U));
        if (state != INV_JOURNAL_FORWARDED) /* that names a peer, always the same one */
            d->ids[entry->offset] = entry->id[0];
    }
    if (next > d->next)
        d->next = next;
}

/* Written apart from the journal's own reader on purpose. */
void model_digest_make(const struct model_image *image, struct model_digest *ret)
{
    struct inv_journal_entry entry;
    unsigned state;

    memset(ret, 0, sizeof(*ret));
    ret->base = ret->next = -1;
    ret->low = ret->high = -2; /* nothing said */
    find_newest(image, ret);
    if (ret->generation == 0)
        return;
    for (ret->end = JOURNAL_HEADER_BYTES; ret->end + JOURNAL_RECORD_BYTES <= image->n[ret->file];
         ret->end += JOURNAL_RECORD_BYTES) {
        if (!journal_decode_record(ret->generation, image->bytes[ret->file] + ret->end, &state,
                                   &entry))
            return;
        fold(ret, state, &entry);
    }
}

uint64_t model_hash(uint64_t seed, const void *p, size_t n)
{
    const unsigned char *bytes = p;
    uint64_t hash = seed ^ UINT64_C(0x9e3779b97f4a7c15);

    for (size_t i = 0; i < n; i += sizeof(hash)) {
        uint64_t word = 0;

        memcpy(&word, bytes + i, n - i < sizeof(word) ? n - i : sizeof(word));
        hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    return hash;
}
