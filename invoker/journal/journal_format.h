/* invoker/journal/journal_format.h -- the bytes of a journal file.
 *
 * Header (512 bytes): magic "CWJRNL01", generation (u64), topic length (u16), topic, zeros,
 * CRC-32 of all before it (last 4 bytes). Then records of 32 bytes: CRC-32 of the rest seeded
 * with the generation (u32), state (u8), 3 zeros, offset (u64), activation id. Little-endian. Pure.
 * Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "invoker/journal/journal.h"

enum {
    JOURNAL_HEADER_BYTES = 512,
    JOURNAL_RECORD_BYTES = 32,
    JOURNAL_TOPIC_MAX = 249, /* Kafka's */
    JOURNAL_BASE = 9,        /* nothing below this offset is undone */
    JOURNAL_NEXT = 10,       /* of a copy: everything below this offset was taken */
};

void journal_encode_header(uint64_t generation, const char *topic,
                           unsigned char ret[JOURNAL_HEADER_BYTES]);
/* false: no header, torn, or of another format. topic points into p. */
bool journal_decode_header(const unsigned char p[JOURNAL_HEADER_BYTES], uint64_t *generation,
                           struct cw_slice *topic);
/* state: enum inv_journal_state, JOURNAL_BASE, JOURNAL_NEXT. */
void journal_encode_record(uint64_t generation, unsigned state, int64_t offset,
                           const unsigned char id[INV_JOURNAL_ID_LEN],
                           unsigned char ret[JOURNAL_RECORD_BYTES]);
/* false: not a record of this generation. */
bool journal_decode_record(uint64_t generation, const unsigned char p[JOURNAL_RECORD_BYTES],
                           unsigned *state, struct inv_journal_entry *ret);
