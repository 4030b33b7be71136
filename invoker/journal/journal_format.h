/* invoker/journal/journal_format.h -- the bytes of a journal file.
 *
 * Header (512 bytes): magic "CWJRNL01", generation (u64), topic length (u16), topic, zeros,
 * identity (u64, at 496), CRC-32 of all before it (last 4 bytes). Then records of 32 bytes: CRC-32
 * of the rest seeded with the generation (u32), state (u8), flags (u8), 2 zeros, offset (u64),
 * activation id. Little-endian.
 *
 * Identity, commits, flags, and the peer of a FORWARDED record (in place of the id, behind a record
 * that has it) came later, where an earlier reader sees nothing, or takes the activation for
 * started: both can go on with the other's files. A change that an earlier reader must not overlook
 * gets another number in the magic; that, the length of the header and its CRC stay where they are,
 * so that such a file is refused by name and damage is not mistaken for one. Pure. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "invoker/journal/journal.h"

enum {
    JOURNAL_HEADER_BYTES = 512,
    JOURNAL_RECORD_BYTES = 32,
    JOURNAL_TOPIC_MAX = 249,    /* Kafka's */
    JOURNAL_BASE = 9,           /* nothing below this offset is undone */
    JOURNAL_NEXT = 10,          /* everything below this offset was taken; or commits in the id */
    JOURNAL_CAME_BACK = 1 << 8, /* with INV_JOURNAL_TAKEN: it was forwarded and given back */
};

struct journal_header {
    uint64_t generation;
    uint64_t identity; /* 0: none yet */
    struct cw_slice topic;
};

void journal_encode_header(const struct journal_header *h, unsigned char ret[JOURNAL_HEADER_BYTES]);
/* false: no header, torn, or of a later format. topic points into p. */
bool journal_decode_header(const unsigned char p[JOURNAL_HEADER_BYTES], struct journal_header *ret);
/* The number of a whole header of a later format, else 0. */
unsigned journal_later_format(const unsigned char p[JOURNAL_HEADER_BYTES]);
/* Commits as the id of a JOURNAL_NEXT record. */
void journal_encode_commits(const struct inv_journal_commits *c,
                            unsigned char ret[INV_JOURNAL_ID_LEN]);
/* false: it is no such id. */
bool journal_decode_commits(const unsigned char p[INV_JOURNAL_ID_LEN],
                            struct inv_journal_commits *ret);
/* A peer as the id of an INV_JOURNAL_FORWARDED record. */
void journal_encode_peer(const struct inv_journal_peer *peer,
                         unsigned char ret[INV_JOURNAL_ID_LEN]);
void journal_decode_peer(const unsigned char p[INV_JOURNAL_ID_LEN], struct inv_journal_peer *ret);
/* state: enum inv_journal_state, JOURNAL_BASE, JOURNAL_NEXT; with flags. */
void journal_encode_record(uint64_t generation, unsigned state, int64_t offset,
                           const unsigned char id[INV_JOURNAL_ID_LEN],
                           unsigned char ret[JOURNAL_RECORD_BYTES]);
/* false: not a record of this generation. *state is without flags: they are in *ret. */
bool journal_decode_record(uint64_t generation, const unsigned char p[JOURNAL_RECORD_BYTES],
                           unsigned *state, struct inv_journal_entry *ret);
