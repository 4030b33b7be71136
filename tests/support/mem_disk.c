#include "tests/support/mem_disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/cmocka_all.h"

#include "common/base/mem.h"

static struct mem_disk *self(const struct cw_disk *base)
{
    return CW_CONTAINER_OF((struct cw_disk *)(uintptr_t)base, struct mem_disk, base);
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static int find(const struct mem_disk *d, const char *name)
{
    for (int i = 0; i < d->file_count; i++)
        if (strcmp(d->files[i].name, name) == 0)
            return i;
    return -1;
}

static int make(struct mem_disk *d, const char *name)
{
    struct mem_file *f = &d->files[d->file_count];

    assert_true(d->file_count < MEM_DISK_FILES);
    assert_true(strlen(name) > 0 && strlen(name) < MEM_DISK_NAME);
    (void)snprintf(f->name, sizeof(f->name), "%s", name);
    return d->file_count++;
}

static void grow(struct mem_file *f, size_t size)
{
    if (size <= f->size)
        return;
    f->bytes = cw_realloc(f->bytes, size);
    memset(f->bytes + f->size, 0, size - f->size);
    f->size = size;
}

static void take_away(struct mem_file *f)
{
    free(f->bytes);
    *f = (struct mem_file){{0}, NULL, 0};
}

static void note(struct mem_disk *d, const struct mem_write *w)
{
    if (!d->keeps_writes) {
        free(w->bytes);
        return;
    }
    if (d->write_count == d->write_room) {
        d->write_room = d->write_room ? d->write_room * 2 : 64;
        d->writes = cw_realloc(d->writes, d->write_room * sizeof(*d->writes));
    }
    d->writes[d->write_count++] = *w;
}

static int disk_open(const struct cw_disk *base, const char *path, size_t size)
{
    struct mem_disk *d = self(base);
    int i = find(d, name_of(path));

    if (d->fail_open)
        return -d->fail_open;
    if (i < 0 && size == 0)
        return -ENOENT;
    if (i < 0) {
        struct mem_write made = {.n = size};

        made.file = i = make(d, name_of(path));
        memcpy(made.name, d->files[i].name, sizeof(made.name));
        note(d, &made);
    }
    if (d->room && size > d->files[i].size && mem_disk_bytes(d) + size - d->files[i].size > d->room)
        return -ENOSPC;
    grow(&d->files[i], size);
    d->open_count++;
    return i;
}

static ssize_t disk_read(const struct cw_disk *base, int fd, void *p, size_t n, int64_t at)
{
    struct mem_disk *d = self(base);
    const struct mem_file *f = &d->files[fd];

    d->reads_seen++;
    if (d->fail_read)
        return -d->fail_read;
    if ((size_t)at >= f->size)
        return 0;
    if (n > f->size - (size_t)at)
        n = f->size - (size_t)at;
    memcpy(p, f->bytes + at, n);
    return (ssize_t)n;
}

static size_t allowed(const struct mem_disk *d, size_t n)
{
    if (d->fail_write && n > d->fail_write_after)
        n = d->fail_write_after;
    return d->most && n > d->most ? d->most : n;
}

static ssize_t disk_write(const struct cw_disk *base, int fd, const struct iovec *iov, int count,
                          int64_t at)
{
    struct mem_disk *d = self(base);
    size_t n = 0, done = 0;
    struct mem_write w = {.file = fd, .at = (size_t)at};

    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    w.n = allowed(d, n);
    if (w.n == 0)
        return -d->fail_write;
    d->fail_write_after -= d->fail_write ? w.n : 0;
    grow(&d->files[fd], w.at + w.n);
    for (int i = 0; i < count && done < w.n; i++) {
        size_t some = iov[i].iov_len < w.n - done ? iov[i].iov_len : w.n - done;

        if (some)
            memcpy(d->files[fd].bytes + w.at + done, iov[i].iov_base, some);
        done += some;
    }
    w.bytes = (unsigned char *)cw_memdup(d->files[fd].bytes + at, w.n);
    note(d, &w);
    d->writes_seen++;
    return (ssize_t)w.n;
}

static int disk_sync(const struct cw_disk *base, int fd)
{
    (void)fd;
    self(base)->syncs++;
    return -self(base)->fail_sync;
}

static void disk_close(const struct cw_disk *base, int fd)
{
    (void)fd;
    self(base)->open_count--;
}

static int disk_remove(const struct cw_disk *base, const char *path)
{
    struct mem_disk *d = self(base);
    int i = find(d, name_of(path));

    if (d->fail_remove)
        return -d->fail_remove;
    if (i < 0)
        return -ENOENT;
    take_away(&d->files[i]);
    note(d, &(struct mem_write){.file = i, .removal = true});
    return 0;
}

static int disk_list(const struct cw_disk *base, const char *dir, cw_disk_name_fn *fn, void *arg)
{
    const struct mem_disk *d = self(base);

    (void)dir;
    for (int i = d->file_count - 1; i >= 0; i--) /* backwards: no order is promised */
        if (d->files[i].name[0])
            fn(arg, d->files[i].name, (int64_t)d->files[i].size);
    return -d->fail_list;
}

static int disk_sync_dir(const struct cw_disk *base, const char *dir)
{
    (void)dir;
    self(base)->dir_syncs++;
    return -self(base)->fail_sync;
}

struct mem_disk *mem_disk_new(void)
{
    struct mem_disk *d = cw_alloc(sizeof(*d));

    d->base = (struct cw_disk){.open = disk_open,
                               .read = disk_read,
                               .write = disk_write,
                               .sync = disk_sync,
                               .close = disk_close,
                               .remove = disk_remove,
                               .list = disk_list,
                               .sync_dir = disk_sync_dir};
    return d;
}

void mem_disk_free(struct mem_disk *d)
{
    for (int i = 0; i < d->file_count; i++)
        take_away(&d->files[i]);
    for (size_t i = 0; i < d->write_count; i++)
        free(d->writes[i].bytes);
    free(d->writes);
    free(d);
}

size_t mem_disk_bytes(const struct mem_disk *d)
{
    size_t n = 0;

    for (int i = 0; i < d->file_count; i++)
        n += d->files[i].size;
    return n;
}

size_t mem_disk_file_count(const struct mem_disk *d)
{
    size_t n = 0;

    for (int i = 0; i < d->file_count; i++)
        n += d->files[i].name[0] != '\0';
    return n;
}

struct mem_file *mem_disk_file(struct mem_disk *d, size_t n)
{
    for (int i = 0; i < d->file_count; i++)
        if (d->files[i].name[0] && n-- == 0)
            return &d->files[i];
    return NULL;
}

void mem_disk_put(struct mem_disk *d, const char *name, const void *bytes, size_t size)
{
    struct mem_file *f = &d->files[make(d, name)];

    grow(f, size);
    if (size)
        memcpy(f->bytes, bytes, size);
}

void mem_disk_replay(struct mem_disk *d, const struct mem_disk *from, size_t w, size_t bytes)
{
    const struct mem_write *write = &from->writes[w];
    struct mem_file *f = &d->files[write->file];

    if (write->removal) {
        take_away(f);
    } else if (!write->bytes) {
        memcpy(f->name, write->name, sizeof(f->name));
        if (d->file_count <= write->file)
            d->file_count = write->file + 1;
        grow(f, write->n);
    } else if (bytes) {
        grow(f, write->at + bytes);
        memcpy(f->bytes + write->at, write->bytes, bytes);
    }
}

void mem_disk_copy(struct mem_disk *d, const struct mem_disk *from)
{
    for (int i = 0; i < d->file_count; i++)
        take_away(&d->files[i]);
    d->file_count = from->file_count;
    for (int i = 0; i < from->file_count; i++) {
        memcpy(d->files[i].name, from->files[i].name, sizeof(d->files[i].name));
        grow(&d->files[i], from->files[i].size);
        if (from->files[i].size)
            memcpy(d->files[i].bytes, from->files[i].bytes, from->files[i].size);
    }
}
