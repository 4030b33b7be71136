/* Over values of checked text without looking at their insides more than needed: a scan for quotes
 * and brackets by machine words, and, where the processor compares many bytes at once, by blocks of
 * 64 bytes first. Blocks cost the same whatever is in them; the scan by words is slow where quotes
 * and brackets are dense. */
#include "common/json/scan_priv.h"

#if defined(__SSE2__) && !defined(CW_SCAN_PORTABLE) /* defined to test the rest everywhere */
#define HAVE_BLOCKS 1
#include <emmintrin.h>
#else
#define HAVE_BLOCKS 0
#endif

enum { FOLD = 0x20 }; /* makes '{' of '[', and '}' of ']', and a brace of nothing else */

/* p: behind the opening quote; gives the place behind the closing one. */
static const char *skip_string(const char *p, const char *end)
{
    while (p < end) {
        if (end - p >= CW_SCAN_LANES) {
            uint64_t v = cw_scan_load(p);
            uint64_t flags = cw_scan_equal(v, '"') | cw_scan_equal(v, '\\');

            if (!flags) {
                p += CW_SCAN_LANES;
                continue;
            }
            p += cw_scan_first(flags);
        }
        if (*p == '"')
            return p + 1;
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    }
    return end;
}

/* First quote or bracket of any kind. */
static const char *find_structure(const char *p, const char *end)
{
    while (end - p >= CW_SCAN_LANES) {
        uint64_t v = cw_scan_load(p);
        uint64_t folded = v | cw_scan_fill(FOLD);
        uint64_t flags =
            cw_scan_equal(v, '"') | cw_scan_equal(folded, '{') | cw_scan_equal(folded, '}');

        if (flags)
            return p + cw_scan_first(flags);
        p += CW_SCAN_LANES;
    }
    while (p < end && *p != '"' && (*p | FOLD) != '{' && (*p | FOLD) != '}')
        p++;
    return p;
}

/* What is open where a scan by blocks stands. */
struct nest {
    size_t open;        /* brackets */
    uint64_t in_string; /* all ones or 0 */
    uint64_t escaped;   /* 1 or 0: a backslash escapes the next byte */
};

#if HAVE_BLOCKS
/* After simdjson (Langdale, Lemire 2019): masks with a bit per byte instead of branches, since
 * those of dense text cannot be predicted. */
enum { BLOCK = 64, VECTOR = sizeof(__m128i) };

/* Which bytes of the block, after the bits of fold are set in each, are c? */
static uint64_t match(const char *p, char fold, char c)
{
    const __m128i bits = _mm_set1_epi8(fold), want = _mm_set1_epi8(c);
    uint64_t found = 0;

    for (size_t i = 0; i < BLOCK; i += VECTOR) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        __m128i same = _mm_cmpeq_epi8(_mm_or_si128(v, bits), want);

        found |= (uint64_t)(unsigned)_mm_movemask_epi8(same) << i;
    }
    return found;
}

/* The bytes that an odd number of backslashes precedes. */
static uint64_t escaped_bytes(struct nest *n, uint64_t backslashes)
{
    const uint64_t even = UINT64_C(0x5555555555555555);
    uint64_t follows, odd_starts, even_ends;

    if (!backslashes) {
        follows = n->escaped;
        n->escaped = 0;
        return follows;
    }
    backslashes &= ~n->escaped; /* such a one does not escape */
    follows = backslashes << 1 | n->escaped;
    odd_starts = backslashes & ~even & ~follows;
    n->escaped = __builtin_add_overflow(odd_starts, backslashes, &even_ends);
    return (even ^ even_ends << 1) & follows;
}

/* From each quote to the byte in front of the next one. */
static uint64_t string_bytes(struct nest *n, uint64_t quotes)
{
    for (int shift = 1; shift < BLOCK; shift *= 2)
        quotes ^= quotes << shift;
    quotes ^= n->in_string;
    n->in_string = quotes >> 63 ? UINT64_MAX : 0;
    return quotes;
}

/* Bit by bit: behind the bracket that closes the last open one, or NULL. */
static const char *find_end(struct nest *n, const char *block, uint64_t opens, uint64_t closes)
{
    for (uint64_t both = opens | closes; both; both &= both - 1) {
        if (opens & both & -both)
            n->open++;
        else if (--n->open == 0)
            return block + __builtin_ctzll(both) + 1;
    }
    return NULL;
}

static const char *skip_block(struct nest *n, const char *p)
{
    uint64_t escaped = escaped_bytes(n, match(p, 0, '\\'));
    uint64_t quotes = match(p, 0, '"') & ~escaped;
    uint64_t outside, opens, closes;
    size_t closing;

    if (n->in_string && !quotes)
        return NULL;
    outside = ~string_bytes(n, quotes);
    opens = match(p, FOLD, '{') & outside;
    closes = match(p, FOLD, '}') & outside;
    if (!(opens | closes))
        return NULL;
    closing = (size_t)__builtin_popcountll(closes);
    if (closing >= n->open)
        return find_end(n, p, opens, closes);
    n->open += (size_t)__builtin_popcountll(opens) - closing;
    return NULL;
}

/* Moves *p over whole blocks; true when that reached the end of the value. */
static bool skip_blocks(struct nest *n, const char **p, const char *end)
{
    for (; end - *p >= BLOCK; *p += BLOCK) {
        const char *behind = skip_block(n, *p);

        if (behind) {
            *p = behind;
            return true;
        }
    }
    return false;
}
#else
static bool skip_blocks(struct nest *n, const char **p, const char *end)
{
    (void)n, (void)p, (void)end;
    return false;
}
#endif

/* p: at the opening bracket. The text is well-formed, so kinds of brackets need no look. */
static const char *skip_nested(const char *p, const char *end)
{
    struct nest n = {0};

    if (skip_blocks(&n, &p, end))
        return p;
    if (n.in_string)
        p = skip_string(p + n.escaped, end);
    while ((p = find_structure(p, end)) < end) {
        char c = *p++;

        if (c == '"')
            p = skip_string(p, end);
        else if ((c | FOLD) == '{')
            n.open++;
        else if (n.open-- <= 1)
            return p;
    }
    return end;
}

const char *cw_scan_value(const char *p, const char *end)
{
    if (*p == '"')
        return skip_string(p + 1, end);
    if (*p == '{' || *p == '[')
        return skip_nested(p, end);
    do
        p++;
    while (p < end && !cw_scan_is(*p, CW_CH_AFTER));
    return p;
}
