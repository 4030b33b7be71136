/* invoker/spool/spool_format.h -- the bytes of a segment of the spool.
 *
 * A segment: header of 64 bytes (magic "CWSPOOL1", number u64, low u64, first sequence number u64,
 * zeros, CRC-32 of all before it), then entries. An entry: header of 64 bytes (magic, CRC-32 of
 * what follows in the header, sequence number u64, low u64, length u32, CRC-32 of the document,
 * activation id), then the document. low: all records with lower sequence numbers were settled when
 * this was written. A length of 0 is a mark: nothing but low is new. Little-endian. The magic of
 * entries holds bytes that no JSON document can contain, so what users wrote is never taken for an
 * entry. Pure. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SPOOL_HEADER_BYTES = 64, /* of segments and of entries */
    SPOOL_ID_LEN = 32,
    SPOOL_DOC_MAX_BYTES = 768 << 20,
};

/* The first byte is what is searched for behind damage. */
#define SPOOL_MAGIC_BYTE 0xff

struct spool_segment_header {
    uint64_t number, low, first;
};

struct spool_entry_header {
    uint64_t seq, low;
    uint32_t size; /* of the document; 0: a mark */
    uint32_t doc_crc;
    char id[SPOOL_ID_LEN + 1];
};

void spool_encode_segment(const struct spool_segment_header *h,
                          unsigned char ret[SPOOL_HEADER_BYTES]);
/* false: no header, torn, or of another format. */
bool spool_decode_segment(const unsigned char p[SPOOL_HEADER_BYTES],
                          struct spool_segment_header *ret);
void spool_encode_entry(const struct spool_entry_header *h, unsigned char ret[SPOOL_HEADER_BYTES]);
bool spool_decode_entry(const unsigned char p[SPOOL_HEADER_BYTES], struct spool_entry_header *ret);
uint32_t spool_doc_crc(const void *p, size_t n);
