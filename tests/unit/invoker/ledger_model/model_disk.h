/* Two journal files in memory that outlive the process that writes them: only what was written is
 * there, and after so many bytes the process is dead. Thread: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/disk.h"

enum { MODEL_FILES = 2, MODEL_FILE_BYTES = 4096, MODEL_OFFSETS = 4 };

struct model_image {
    size_t n[MODEL_FILES];
    uint64_t generation[MODEL_FILES]; /* by its header; 0: none */
    unsigned char bytes[MODEL_FILES][MODEL_FILE_BYTES];
};

struct model_disk {
    struct cw_disk base;
    struct model_image image;
    size_t left;    /* bytes until the process dies */
    size_t written; /* since whoever is interested set it to 0 */
};

void model_disk_init(struct model_disk *d);

/* What a journal says, without the order in which it came to say so. */
struct model_digest {
    uint8_t states[MODEL_OFFSETS];
    uint8_t ids[MODEL_OFFSETS]; /* first byte of each */
    int8_t base, next, low, high;
    uint8_t file;
    uint64_t generation;
    size_t end; /* of the records in that file */
};

void model_digest_make(const struct model_image *image, struct model_digest *ret);
uint64_t model_hash(uint64_t seed, const void *p, size_t n);
