#include "invoker/spool/spool_index.h"

#include <string.h>

#include "common/base/mem.h"

enum { FIRST_ROOM = 256 };

void spool_index_add(struct spool_index *x, const char id[SPOOL_ID_LEN], uint64_t number,
                     int64_t at)
{
    struct spool_place *place;

    if (x->count == SPOOL_INDEX_MAX) {
        place = &x->places[x->oldest];
        x->oldest = (x->oldest + 1) % SPOOL_INDEX_MAX;
    } else {
        if (x->count == x->room) {
            x->room = x->room ? x->room * 2 : FIRST_ROOM;
            x->places = cw_realloc(x->places, x->room * sizeof(*x->places));
        }
        place = &x->places[x->count++];
    }
    memcpy(place->id, id, SPOOL_ID_LEN);
    place->number = number;
    place->at = at;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct spool_place *)a)->id, ((const struct spool_place *)b)->id,
                  SPOOL_ID_LEN);
}

const struct spool_place *spool_index_find(struct spool_index *x, const char id[SPOOL_ID_LEN])
{
    struct spool_place key = {0};

    if (x->count == 0)
        return NULL;
    if (!x->sorted)
        qsort(x->places, x->count, sizeof(*x->places), by_id);
    x->sorted = true;
    memcpy(key.id, id, SPOOL_ID_LEN);
    return bsearch(&key, x->places, x->count, sizeof(*x->places), by_id);
}

void spool_index_clear(struct spool_index *x)
{
    free(x->places);
    *x = (struct spool_index){0};
}
