/* tests/support/mem_disk.h -- a disk that the test holds: it can fail, be full, take little at a
 * time, and it remembers each write, so that a crash can be put between any two bytes.
 *
 * Paths are file names in one directory: what is before the last '/' does not count. Thread: any.
 */
#pragma once

#include <stdbool.h>

#include "common/base/disk.h"

enum { MEM_DISK_FILES = 256, MEM_DISK_NAME = 64 };

struct mem_file {
    char name[MEM_DISK_NAME]; /* "": none */
    unsigned char *bytes;
    size_t size;
};

struct mem_write { /* or a making (bytes NULL, n: size), or a removal (n 0) */
    int file;
    size_t at, n;
    unsigned char *bytes;
    bool removal;
    char name[MEM_DISK_NAME];
};

struct mem_disk {
    struct cw_disk base;
    struct mem_file files[MEM_DISK_FILES]; /* a descriptor is an index here; never used twice */
    int file_count, open_count;
    struct mem_write *writes; /* with keeps_writes */
    size_t write_count, write_room;
    bool keeps_writes;
    int fail_open, fail_write, fail_read, fail_sync, fail_list, fail_remove; /* errno; 0: works */
    size_t fail_write_after; /* with fail_write: so many bytes are taken before */
    size_t most;             /* bytes that a write takes at once; 0: all */
    size_t room;             /* bytes of all files together; 0: any */
    unsigned writes_seen, reads_seen, syncs, dir_syncs;
};

struct mem_disk *mem_disk_new(void);
void mem_disk_free(struct mem_disk *d);
/* Bytes of all files. */
size_t mem_disk_bytes(const struct mem_disk *d);
/* How many files there are. */
size_t mem_disk_file_count(const struct mem_disk *d);
/* The n-th file that there is, in the order of making; NULL: so many there are not. */
struct mem_file *mem_disk_file(struct mem_disk *d, size_t n);
/* A file with this content. */
void mem_disk_put(struct mem_disk *d, const char *name, const void *bytes, size_t size);
/* Does again what `from` noted as number `w`; of a write only so many bytes. */
void mem_disk_replay(struct mem_disk *d, const struct mem_disk *from, size_t w, size_t bytes);
/* The same files, with nothing noted and no failures. */
void mem_disk_copy(struct mem_disk *d, const struct mem_disk *from);
