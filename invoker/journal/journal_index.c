#include "invoker/journal/journal_index.h"

enum { FIRST_ROOM = 64 };

void journal_index_init(struct journal_index *x)
{
    *x = (struct journal_index){.next = -1};
}

void journal_index_done(struct journal_index *x)
{
    free(x->entries);
    journal_index_init(x);
}

void journal_index_clear(struct journal_index *x)
{
    x->first = x->end = x->done = 0;
    x->next = -1;
    x->has_last = false;
}

/* Takes the done ones between others out. */
static void squeeze(struct journal_index *x)
{
    size_t to = x->first;

    for (size_t from = x->first; from < x->end; from++)
        if (x->entries[from].state != INV_JOURNAL_DONE)
            x->entries[to++] = x->entries[from];
    x->end = to;
    x->done = 0;
}

static void move_to_front(struct journal_index *x, struct inv_journal_entry *to)
{
    size_t count = x->end - x->first;

    if (count)
        memmove(to, x->entries + x->first, count * sizeof(*to));
    x->first = 0;
    x->end = count;
}

/* One slow activation holds back all that is done behind it: such gaps are closed before anything
 * grows. */
static void make_room(struct journal_index *x)
{
    struct inv_journal_entry *bigger;

    if (x->end < x->cap)
        return;
    if (x->done > (x->end - x->first) / 2)
        squeeze(x);
    if (x->cap && x->first + x->cap - x->end >= x->cap / 2) {
        move_to_front(x, x->entries);
        return;
    }
    x->cap = x->cap ? 2 * x->cap : FIRST_ROOM;
    bigger = cw_calloc(x->cap, sizeof(*bigger));
    move_to_front(x, bigger);
    free(x->entries);
    x->entries = bigger;
}

static void drop_front(struct journal_index *x)
{
    while (x->first < x->end && x->entries[x->first].state == INV_JOURNAL_DONE) {
        x->first++;
        x->done--;
    }
}

void journal_index_add(struct journal_index *x, const struct inv_journal_entry *entry)
{
    if (entry->offset < x->next)
        return;
    make_room(x);
    x->entries[x->end++] = *entry;
    journal_index_last(x, entry);
}

size_t journal_index_base(struct journal_index *x, int64_t offset)
{
    size_t dropped = 0;

    while (x->first < x->end && x->entries[x->first].offset < offset) {
        if (x->entries[x->first].state == INV_JOURNAL_DONE)
            x->done--;
        else
            dropped++;
        x->first++;
    }
    drop_front(x);
    if (x->next < offset) {
        x->next = offset;
        x->has_last = false;
    }
    return dropped;
}

void journal_index_last(struct journal_index *x, const struct inv_journal_entry *entry)
{
    if (entry->offset + 1 < x->next)
        return;
    x->next = entry->offset + 1;
    x->has_last = true;
    memcpy(x->last_id, entry->id, sizeof(x->last_id));
}

void journal_index_rewind(struct journal_index *x, int64_t offset)
{
    if (offset >= x->next)
        return;
    squeeze(x);
    while (x->first < x->end && x->entries[x->end - 1].offset >= offset)
        x->end--;
    x->next = offset;
    x->has_last = false;
    if (x->first < x->end) /* no effect unless it is the one before */
        journal_index_last(x, &x->entries[x->end - 1]);
}

/* What we hold is ours to end, whatever becomes of it elsewhere; only a successor must not run it.
 */
static void serve_entry(struct journal_index *x, struct inv_journal_entry *entry, bool doubtful,
                        struct inv_journal_served *ret)
{
    if (doubtful || entry->held) {
        ret->doubtful += !entry->held && entry->state == INV_JOURNAL_TAKEN;
        entry->state = INV_JOURNAL_STARTED;
        return;
    }
    ret->theirs++;
    entry->state = INV_JOURNAL_DONE;
    x->done++;
}

void journal_index_served(struct journal_index *x, const struct inv_journal_commits *from,
                          int64_t end, struct inv_journal_served *ret)
{
    *ret = (struct inv_journal_served){0};
    for (size_t i = x->first; i < x->end && x->entries[i].offset < end; i++)
        if (x->entries[i].offset >= from->low && x->entries[i].state != INV_JOURNAL_DONE)
            serve_entry(x, &x->entries[i], x->entries[i].offset < from->high, ret);
    drop_front(x);
    if (end > x->next) {
        x->next = end;
        x->has_last = false;
    }
}

struct inv_journal_entry *journal_index_find(const struct journal_index *x, int64_t offset)
{
    size_t low = x->first, high = x->end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (x->entries[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == x->end || x->entries[low].offset != offset ||
        x->entries[low].state == INV_JOURNAL_DONE)
        return NULL;
    return &x->entries[low];
}

void journal_index_mark(struct journal_index *x, struct inv_journal_entry *entry,
                        enum inv_journal_state state)
{
    entry->state = state;
    if (state == INV_JOURNAL_DONE)
        x->done++;
    drop_front(x);
}

const struct inv_journal_entry *journal_index_undone(struct journal_index *x, size_t *count)
{
    squeeze(x);
    *count = x->end - x->first;
    return x->entries ? x->entries + x->first : NULL;
}

int64_t journal_index_low(const struct journal_index *x)
{
    return x->first < x->end ? x->entries[x->first].offset : x->next;
}

size_t journal_index_count(const struct journal_index *x)
{
    return x->end - x->first - x->done;
}
