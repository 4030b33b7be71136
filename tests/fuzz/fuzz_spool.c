/* A segment of the spool as a successor finds it: whatever is in it, opening, reading and looking
 * up end, and no document comes out that is not whole. An odd first byte makes the checksums of
 * what looks like headers right, so that what is behind them is reached. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "common/base/disk.h"
#include "common/base/err.h"
#include "invoker/spool/spool.h"
#include "invoker/spool/spool_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct disk {
    struct cw_disk base;
    unsigned char *bytes;
    size_t size;
};

static int disk_open(const struct cw_disk *disk, const char *path, size_t size)
{
    (void)disk, (void)path;
    return size ? -ENOSPC : 0; /* nothing is written */
}

static ssize_t disk_read(const struct cw_disk *disk, int fd, void *p, size_t n, int64_t at)
{
    const struct disk *d = (const struct disk *)disk;

    (void)fd;
    if ((size_t)at >= d->size)
        return 0;
    if (n > d->size - (size_t)at)
        n = d->size - (size_t)at;
    memcpy(p, d->bytes + at, n);
    return (ssize_t)n;
}

static void disk_close(const struct cw_disk *disk, int fd)
{
    (void)disk, (void)fd;
}

static int disk_remove(const struct cw_disk *disk, const char *path)
{
    (void)disk, (void)path;
    return 0;
}

static int disk_list(const struct cw_disk *disk, const char *dir, cw_disk_name_fn *fn, void *arg)
{
    (void)dir;
    fn(arg, "t.records.3", (int64_t)((const struct disk *)disk)->size);
    return 0;
}

static void put_crc(unsigned char *p, size_t at, size_t from, size_t to)
{
    uint32_t crc = (uint32_t)crc32_z(0, p + from, to - from);

    for (size_t i = 0; i < 4; i++)
        p[at + i] = (unsigned char)(crc >> (8 * i));
}

static void make_right(struct disk *d)
{
    if (d->size >= SPOOL_HEADER_BYTES)
        put_crc(d->bytes, SPOOL_HEADER_BYTES - 4, 0, SPOOL_HEADER_BYTES - 4);
    for (size_t i = 0; i + SPOOL_HEADER_BYTES <= d->size; i++)
        if (d->bytes[i] == SPOOL_MAGIC_BYTE)
            put_crc(d->bytes + i, 4, 8, SPOOL_HEADER_BYTES);
}

static void read_all(struct inv_spool *s)
{
    struct inv_spool_record r;
    int found;

    while ((found = inv_spool_next(s, &r, &(struct cw_err){0})) != 0) {
        size_t n = 0;
        char *again;

        if (found < 0)
            continue;
        if (r.size == 0 || r.text[r.size] != '\0')
            abort();
        again = inv_spool_find(s, r.id, &n);
        free(again);
        free(r.text);
        inv_spool_settle(s, inv_spool_read_seq(s));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disk d = {.base = {.open = disk_open,
                              .read = disk_read,
                              .close = disk_close,
                              .remove = disk_remove,
                              .list = disk_list}};
    struct inv_spool *s;

    if (size == 0)
        return 0;
    d.size = size - 1;
    d.bytes = (unsigned char *)cw_memdup(data + 1, d.size);
    if (data[0] & 1)
        make_right(&d);
    s = inv_spool_open(
        &(struct inv_spool_conf){.disk = &d.base, .dir = "d", .name = "t", .segment_bytes = 4096},
        &(struct cw_err){0});
    if (!s)
        abort();
    read_all(s);
    inv_spool_close(s);
    free(d.bytes);
    return 0;
}
