#include "invoker/profile.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char LETTERS[INV_PROFILE_RESOURCES + 1] = "cmCM"; /* by enum inv_profile_of */

void inv_profile_done(struct inv_profile *p)
{
    free(p->cells);
    *p = (struct inv_profile){0};
}

static int compare(const struct inv_profile_cell *a, const struct inv_profile_cell *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    if (a->of != b->of)
        return a->of < b->of ? -1 : 1;
    return (a->bucket > b->bucket) - (a->bucket < b->bucket);
}

/* Where it is, or belongs. */
static size_t place_of(const struct inv_profile *p, const struct inv_profile_cell *key)
{
    size_t low = 0, high = p->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&p->cells[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct inv_profile_cell *inv_profile_cell(struct inv_profile *p, uint32_t epoch,
                                          enum inv_profile_of of, size_t bucket)
{
    const struct inv_profile_cell key = {
        .epoch = epoch, .of = (uint8_t)of, .bucket = (uint8_t)bucket};
    size_t at = place_of(p, &key);

    if (at < p->count && compare(&p->cells[at], &key) == 0)
        return &p->cells[at];
    if (p->count == INV_PROFILE_CELLS_MAX)
        return NULL;
    if (p->count == p->room) {
        p->room = p->room ? p->room * 2 : 8;
        p->cells = cw_realloc(p->cells, p->room * sizeof(*p->cells));
    }
    memmove(&p->cells[at + 1], &p->cells[at], (p->count - at) * sizeof(*p->cells));
    p->count++;
    p->cells[at] = key;
    return &p->cells[at];
}

void inv_profile_add(struct inv_profile *p, uint32_t epoch, enum inv_profile_of of, uint64_t value)
{
    struct inv_profile_cell *c = inv_profile_cell(p, epoch, of, inv_hist_bucket(value));

    if (c && c->pending < INV_PROFILE_COUNT_MAX)
        c->pending++;
}

bool inv_profile_current(uint32_t cell_epoch, uint32_t epoch)
{
    return (int64_t)cell_epoch <= (int64_t)epoch + 1 &&
           (int64_t)cell_epoch > (int64_t)epoch - INV_PROFILE_EPOCHS;
}

void inv_profile_age(struct inv_profile *p, uint32_t epoch)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->count; i++)
        if (inv_profile_current(p->cells[i].epoch, epoch))
            p->cells[kept++] = p->cells[i];
    p->count = kept;
}

uint32_t inv_profile_hist(const struct inv_profile *p, uint32_t epoch, enum inv_profile_of of,
                          struct inv_hist *ret)
{
    uint32_t epochs = 0, last = 0;

    for (size_t i = 0; i < p->count; i++) {
        const struct inv_profile_cell *c = &p->cells[i];
        double count = (double)c->shared + c->pending + c->flying;
        uint32_t age = c->epoch < epoch ? epoch - c->epoch : 0;

        if (c->of != of || count <= 0 || !inv_profile_current(c->epoch, epoch))
            continue;
        inv_hist_add_bucket(ret, c->bucket, count * pow(INV_PROFILE_KEEP, age));
        epochs += epochs == 0 || c->epoch != last;
        last = c->epoch;
    }
    return epochs;
}

void inv_profile_field(const struct inv_profile_cell *c, char name[INV_PROFILE_FIELD_MAX])
{
    (void)snprintf(name, INV_PROFILE_FIELD_MAX, "%" PRIu32 "%c%u", c->epoch, LETTERS[c->of],
                   c->bucket);
}

bool inv_profile_parse(struct cw_slice name, struct cw_slice value, struct inv_profile_cell *ret)
{
    int64_t epoch, bucket, count;
    size_t n = 0;

    while (n < name.n && !memchr(LETTERS, name.p[n], INV_PROFILE_RESOURCES))
        n++;
    if (n == name.n || name.n >= INV_PROFILE_FIELD_MAX ||
        cw_parse_i64(cw_slice(name.p, n), "epoch", 0, UINT32_MAX, &epoch, NULL) != 0 ||
        cw_parse_i64(cw_slice(name.p + n + 1, name.n - n - 1), "bucket", 0, INV_HIST_BUCKETS - 1,
                     &bucket, NULL) != 0 ||
        cw_parse_i64(value, "count", 0, INT64_MAX, &count, NULL) != 0)
        return false;
    *ret = (struct inv_profile_cell){
        .epoch = (uint32_t)epoch,
        .of = (uint8_t)((const char *)memchr(LETTERS, name.p[n], INV_PROFILE_RESOURCES) - LETTERS),
        .bucket = (uint8_t)bucket,
        .shared = (uint32_t)(count < INV_PROFILE_COUNT_MAX ? count : INV_PROFILE_COUNT_MAX),
    };
    return true;
}
