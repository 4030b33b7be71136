/* common/base/list.h -- intrusive doubly linked list with a head node.
 *
 * An object sits on at most one list per link; a state that is a list cannot drift from its count.
 * Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"

struct cw_link {
    struct cw_link *prev, *next; /* both NULL when on no list */
};

struct cw_list {
    struct cw_link head;
    size_t count;
};

static inline void cw_list_init(struct cw_list *l)
{
    l->head.prev = l->head.next = &l->head;
    l->count = 0;
}
static inline bool cw_list_empty(const struct cw_list *l)
{
    return l->count == 0;
}
static inline bool cw_link_on_list(const struct cw_link *n)
{
    return n->next != NULL;
}
#ifdef __clang_analyzer__
/* It cannot follow intrusive links; to it these are functions that it does not know. */
void cw_list_insert_before(struct cw_list *l, struct cw_link *at, struct cw_link *n);
void cw_list_remove(struct cw_list *l, struct cw_link *n);
struct cw_link *cw_list_first(const struct cw_list *l);
struct cw_link *cw_list_pop_front(struct cw_list *l);
#else
static inline void cw_list_insert_before(struct cw_list *l, struct cw_link *at, struct cw_link *n)
{
    n->prev = at->prev;
    n->next = at;
    at->prev->next = n;
    at->prev = n;
    l->count++;
}
static inline void cw_list_remove(struct cw_list *l, struct cw_link *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->prev = n->next = NULL;
    l->count--;
}
/* First link, or NULL when empty. */
static inline struct cw_link *cw_list_first(const struct cw_list *l)
{
    return l->count ? l->head.next : NULL;
}
static inline struct cw_link *cw_list_pop_front(struct cw_list *l)
{
    struct cw_link *n = cw_list_first(l);

    if (n)
        cw_list_remove(l, n);
    return n;
}
#endif
static inline void cw_list_push_back(struct cw_list *l, struct cw_link *n)
{
    cw_list_insert_before(l, &l->head, n);
}
static inline void cw_list_push_front(struct cw_list *l, struct cw_link *n)
{
    cw_list_insert_before(l, l->head.next, n);
}
/* The link behind n, or NULL at the end. */
static inline struct cw_link *cw_list_next(const struct cw_list *l, const struct cw_link *n)
{
    return n->next == &l->head ? NULL : n->next;
}

#define CW_LIST_ENTRY(link, type, member) CW_CONTAINER_OF(link, type, member)
/* The body may remove `pos` itself, nothing else. */
#define CW_LIST_EACH(list, pos)                                                                    \
    for (struct cw_link *pos = (list)->head.next, *pos##_next = pos->next; pos != &(list)->head;   \
         pos = pos##_next, pos##_next = pos->next)
