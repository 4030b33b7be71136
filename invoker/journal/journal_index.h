/* invoker/journal/journal_index.h -- entries by rising offset; the done ones in front are gone,
 * others now and then.
 *
 * Pure. Thread: owner only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "invoker/journal/journal.h"

struct journal_index {
    struct inv_journal_entry *entries;
    size_t first, end, cap; /* entries[first..end) are there */
    size_t done;            /* of these, waiting for the ones in front of them */
    int64_t next;           /* behind the highest offset ever added; -1: none */
    bool has_last;          /* last_id is that of next - 1 */
    unsigned char last_id[INV_JOURNAL_ID_LEN];
};

void journal_index_init(struct journal_index *x);
void journal_index_done(struct journal_index *x);
void journal_index_clear(struct journal_index *x);
/* An offset below one that was added before is ignored: it is known. */
void journal_index_add(struct journal_index *x, const struct inv_journal_entry *entry);
/* Everything below is done, and next is at least this. Returns how many entries went. */
size_t journal_index_base(struct journal_index *x, int64_t offset);
/* An entry that is done, and all up to it was taken. */
void journal_index_last(struct journal_index *x, const struct inv_journal_entry *entry);
/* Nothing from this offset on was taken. */
void journal_index_rewind(struct journal_index *x, int64_t offset);
/* See inv_journal_served. */
void journal_index_served(struct journal_index *x, const struct inv_journal_commits *from,
                          int64_t end, struct inv_journal_served *ret);
/* NULL when it is not there or done. */
struct inv_journal_entry *journal_index_find(const struct journal_index *x, int64_t offset);
void journal_index_mark(struct journal_index *x, struct inv_journal_entry *entry,
                        enum inv_journal_state state);
/* Takes the done ones between others out; pointers into the index are void afterwards. */
const struct inv_journal_entry *journal_index_undone(struct journal_index *x, size_t *count);
/* Lowest undone offset, else next. */
int64_t journal_index_low(const struct journal_index *x);
/* Entries that are not done. */
size_t journal_index_count(const struct journal_index *x);
