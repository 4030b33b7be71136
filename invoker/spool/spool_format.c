#include "invoker/spool/spool_format.h"

#include <string.h>

#include <zlib.h>

#include "common/base/bytes.h"

static const char SEGMENT_MAGIC[8] = "CWSPOOL1";
static const unsigned char ENTRY_MAGIC[4] = {SPOOL_MAGIC_BYTE, 0x01, 'r', 0xfe};

enum {
    /* segment */
    AT_NUMBER = 8,
    AT_SEGMENT_LOW = 16,
    AT_FIRST = 24,
    AT_SEGMENT_CRC = SPOOL_HEADER_BYTES - 4,
    /* entry */
    AT_ENTRY_CRC = 4,
    AT_SEQ = 8,
    AT_LOW = 16,
    AT_SIZE = 24,
    AT_DOC_CRC = 28,
    AT_ID = 32,
};

void spool_encode_segment(const struct spool_segment_header *h,
                          unsigned char ret[SPOOL_HEADER_BYTES])
{
    memset(ret, 0, SPOOL_HEADER_BYTES);
    memcpy(ret, SEGMENT_MAGIC, sizeof(SEGMENT_MAGIC));
    cw_put_le(ret + AT_NUMBER, h->number, 8);
    cw_put_le(ret + AT_SEGMENT_LOW, h->low, 8);
    cw_put_le(ret + AT_FIRST, h->first, 8);
    cw_put_le(ret + AT_SEGMENT_CRC, crc32(0, ret, AT_SEGMENT_CRC), 4);
}

bool spool_decode_segment(const unsigned char p[SPOOL_HEADER_BYTES],
                          struct spool_segment_header *ret)
{
    if (memcmp(p, SEGMENT_MAGIC, sizeof(SEGMENT_MAGIC)) != 0 ||
        cw_get_le(p + AT_SEGMENT_CRC, 4) != crc32(0, p, AT_SEGMENT_CRC))
        return false;
    ret->number = cw_get_le(p + AT_NUMBER, 8);
    ret->low = cw_get_le(p + AT_SEGMENT_LOW, 8);
    ret->first = cw_get_le(p + AT_FIRST, 8);
    return ret->first <= INT64_MAX && ret->low <= ret->first;
}

void spool_encode_entry(const struct spool_entry_header *h, unsigned char ret[SPOOL_HEADER_BYTES])
{
    memcpy(ret, ENTRY_MAGIC, sizeof(ENTRY_MAGIC));
    cw_put_le(ret + AT_SEQ, h->seq, 8);
    cw_put_le(ret + AT_LOW, h->low, 8);
    cw_put_le(ret + AT_SIZE, h->size, 4);
    cw_put_le(ret + AT_DOC_CRC, h->doc_crc, 4);
    memcpy(ret + AT_ID, h->id, SPOOL_ID_LEN);
    cw_put_le(ret + AT_ENTRY_CRC, crc32(0, ret + AT_SEQ, SPOOL_HEADER_BYTES - AT_SEQ), 4);
}

bool spool_decode_entry(const unsigned char p[SPOOL_HEADER_BYTES], struct spool_entry_header *ret)
{
    if (memcmp(p, ENTRY_MAGIC, sizeof(ENTRY_MAGIC)) != 0 ||
        cw_get_le(p + AT_ENTRY_CRC, 4) != crc32(0, p + AT_SEQ, SPOOL_HEADER_BYTES - AT_SEQ))
        return false;
    ret->seq = cw_get_le(p + AT_SEQ, 8);
    ret->low = cw_get_le(p + AT_LOW, 8);
    ret->size = (uint32_t)cw_get_le(p + AT_SIZE, 4);
    ret->doc_crc = (uint32_t)cw_get_le(p + AT_DOC_CRC, 4);
    memcpy(ret->id, p + AT_ID, SPOOL_ID_LEN);
    ret->id[SPOOL_ID_LEN] = '\0';
    return ret->seq < INT64_MAX && ret->low <= ret->seq && ret->size <= SPOOL_DOC_MAX_BYTES;
}

uint32_t spool_doc_crc(const void *p, size_t n)
{
    return (uint32_t)crc32_z(0, p, n);
}
