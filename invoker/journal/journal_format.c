#include "invoker/journal/journal_format.h"

#include <string.h>

#include <zlib.h>

#include "common/base/bytes.h"

static const char MAGIC[8] = "CWJRNL01";

enum {
    FORMAT = 1,
    AT_FORMAT = 6, /* two digits */
    AT_GENERATION = 8,
    AT_TOPIC_LEN = 16,
    AT_TOPIC = 18,
    AT_IDENTITY = JOURNAL_HEADER_BYTES - 16,
    AT_HEADER_CRC = JOURNAL_HEADER_BYTES - 4,
    AT_STATE = 4,
    AT_FLAGS = 5,
    AT_OFFSET = 8,
    AT_ID = 16,
};

/* Offsets go as they are plus one; this bit tells them from the zeros of other records. */
#define HAS_COMMITS (UINT64_C(1) << 63)

void journal_encode_header(const struct journal_header *h, unsigned char ret[JOURNAL_HEADER_BYTES])
{
    size_t n = h->topic.n < JOURNAL_TOPIC_MAX ? h->topic.n : JOURNAL_TOPIC_MAX;

    memset(ret, 0, JOURNAL_HEADER_BYTES);
    memcpy(ret, MAGIC, sizeof(MAGIC));
    cw_put_le(ret + AT_GENERATION, h->generation, 8);
    cw_put_le(ret + AT_TOPIC_LEN, n, 2);
    memcpy(ret + AT_TOPIC, h->topic.p, n);
    cw_put_le(ret + AT_IDENTITY, h->identity, 8);
    cw_put_le(ret + AT_HEADER_CRC, crc32(0, ret, AT_HEADER_CRC), 4);
}

bool journal_decode_header(const unsigned char p[JOURNAL_HEADER_BYTES], struct journal_header *ret)
{
    size_t n = cw_get_le(p + AT_TOPIC_LEN, 2);

    if (memcmp(p, MAGIC, sizeof(MAGIC)) != 0 || n > JOURNAL_TOPIC_MAX ||
        cw_get_le(p + AT_HEADER_CRC, 4) != crc32(0, p, AT_HEADER_CRC))
        return false;
    ret->generation = cw_get_le(p + AT_GENERATION, 8);
    ret->identity = cw_get_le(p + AT_IDENTITY, 8);
    ret->topic = cw_slice((const char *)p + AT_TOPIC, n);
    return true;
}

static int digit(unsigned char c)
{
    return c >= '0' && c <= '9' ? c - '0' : -1;
}

unsigned journal_later_format(const unsigned char p[JOURNAL_HEADER_BYTES])
{
    int tens = digit(p[AT_FORMAT]), ones = digit(p[AT_FORMAT + 1]);

    if (memcmp(p, MAGIC, AT_FORMAT) != 0 || tens < 0 || ones < 0 ||
        cw_get_le(p + AT_HEADER_CRC, 4) != crc32(0, p, AT_HEADER_CRC))
        return 0;
    return tens * 10 + ones > FORMAT ? (unsigned)(tens * 10 + ones) : 0;
}

void journal_encode_peer(const struct inv_journal_peer *peer, unsigned char ret[INV_JOURNAL_ID_LEN])
{
    cw_put_le(ret, peer->id, 8);
    cw_put_le(ret + 8, peer->boot, 8);
}

void journal_decode_peer(const unsigned char p[INV_JOURNAL_ID_LEN], struct inv_journal_peer *ret)
{
    *ret = (struct inv_journal_peer){.id = cw_get_le(p, 8), .boot = cw_get_le(p + 8, 8)};
}

void journal_encode_commits(const struct inv_journal_commits *c,
                            unsigned char ret[INV_JOURNAL_ID_LEN])
{
    cw_put_le(ret, (uint64_t)(c->low + 1) | HAS_COMMITS, 8);
    cw_put_le(ret + 8, (uint64_t)(c->high + 1), 8);
}

bool journal_decode_commits(const unsigned char p[INV_JOURNAL_ID_LEN],
                            struct inv_journal_commits *ret)
{
    uint64_t low = cw_get_le(p, 8);

    ret->low = (int64_t)(low & ~HAS_COMMITS) - 1;
    ret->high = (int64_t)cw_get_le(p + 8, 8) - 1;
    return (low & HAS_COMMITS) && ret->low <= ret->high;
}

static uint64_t record_crc(uint64_t generation, const unsigned char *p)
{
    unsigned char seed[8];

    cw_put_le(seed, generation, sizeof(seed));
    return crc32(crc32(0, seed, sizeof(seed)), p + 4, JOURNAL_RECORD_BYTES - 4);
}

void journal_encode_record(uint64_t generation, unsigned state, int64_t offset,
                           const unsigned char id[INV_JOURNAL_ID_LEN],
                           unsigned char ret[JOURNAL_RECORD_BYTES])
{
    memset(ret, 0, AT_OFFSET);
    ret[AT_STATE] = (unsigned char)state;
    ret[AT_FLAGS] = (unsigned char)(state >> 8);
    cw_put_le(ret + AT_OFFSET, (uint64_t)offset, 8);
    memcpy(ret + AT_ID, id, INV_JOURNAL_ID_LEN);
    cw_put_le(ret, record_crc(generation, ret), 4);
}

bool journal_decode_record(uint64_t generation, const unsigned char p[JOURNAL_RECORD_BYTES],
                           unsigned *state, struct inv_journal_entry *ret)
{
    bool known = (p[AT_STATE] >= INV_JOURNAL_TAKEN && p[AT_STATE] <= INV_JOURNAL_DONE) ||
                 p[AT_STATE] == JOURNAL_BASE || p[AT_STATE] == JOURNAL_NEXT;

    if (!known || cw_get_le(p, 4) != record_crc(generation, p))
        return false;
    *state = p[AT_STATE];
    *ret = (struct inv_journal_entry){
        .offset = (int64_t)cw_get_le(p + AT_OFFSET, 8),
        .came_back = p[AT_STATE] == INV_JOURNAL_TAKEN && (p[AT_FLAGS] & JOURNAL_CAME_BACK >> 8),
    };
    memcpy(ret->id, p + AT_ID, INV_JOURNAL_ID_LEN);
    return ret->offset >= 0;
}
