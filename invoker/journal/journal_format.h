/* invoker/journal/journal_format.h -- the bytes of a journal file.
 *
 * Header (512 bytes): magic "CWJRNL01", generation (u64), topic length (u16), topic, zeros,
 * identity (u64, at 496), CRC-32 of all before it (last 4 bytes). Then records of 32 bytes: CRC-32
 * of the rest seeded with the generation (u32), state (u8), 3 zeros, offset (u64), activation id.
 * Little-endian. Identity and commits came later, where an earlier reader sees nothing: both can go
 * on with the other's files. Pure. Thread: any. */
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
    JOURNAL_NEXT = 10,       /* everything below this offset was taken; or commits in the id */
};

struct journal_header {
    uint64_t generation;
    uint64_t identity; /* 0: none yet */
    struct cw_slice topic;
};

void journal_encode_header(const struct journal_header *h, unsigned char ret[JOURNAL_HEADER_BYTES]);
/* false: no header, torn, or of another format. topic points into p. */
bool journal_decode_header(const unsigned char p[JOURNAL_HEADER_BYTES], struct journal_header *ret);
/* Commits as the id of a JOURNAL_NEXT record. */
void journal_encode_commits(const struct inv_journal_commits *c,
                            unsigned char ret[INV_JOURNAL_ID_LEN]);
/* false: it is no such id. */
bool journal_decode_commits(const unsigned char p[INV_JOURNAL_ID_LEN],
                            struct inv_journal_commits *ret);
/* state: enum inv_journal_state, JOURNAL_BASE, JOURNAL_NEXT. */
void journal_encode_record(uint64_t generation, unsigned state, int64_t offset,
                           const unsigned char id[INV_JOURNAL_ID_LEN],
                           unsigned char ret[JOURNAL_RECORD_BYTES]);
/* false: not a record of this generation. */
bool journal_decode_record(uint64_t generation, const unsigned char p[JOURNAL_RECORD_BYTES],
                           unsigned *state, struct inv_journal_entry *ret);
