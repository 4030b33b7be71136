/* Creates that begin together end together, late: so the first ones of a burst go ahead, and
 * somebody has a container soon. (Two processors, twelve containers, ten or four of them at first:
 * the first one was there after 2.2 s or 1.3 s, the last one after 5.9 s or 4.9 s.) */
#include "common/driver/docker_priv.h"

enum { FIRST_CREATES = 4 };

static bool has_slot_left(const struct docker *docker)
{
    unsigned most = docker->parallel_creates;

    if (most == 0)
        return true;
    if (!docker->burst && most > FIRST_CREATES)
        most = FIRST_CREATES;
    return docker->creating < most;
}

static void take(struct docker *docker, struct docker_slot *slot)
{
    docker->creating++;
    slot->held = true;
    slot->fn(slot);
}

void cw_docker_slot_ask(struct docker *docker, struct docker_slot *slot)
{
    if (has_slot_left(docker))
        take(docker, slot);
    else
        cw_list_push_back(&docker->waiting, &slot->link);
}

void cw_docker_slot_leave(struct docker *docker, struct docker_slot *slot)
{
    struct cw_link *n;

    if (cw_link_on_list(&slot->link))
        cw_list_remove(&docker->waiting, &slot->link);
    if (!slot->held)
        return;
    slot->held = false;
    docker->creating--;
    docker->burst = true;
    while (has_slot_left(docker) && (n = cw_list_pop_front(&docker->waiting)))
        take(docker, CW_LIST_ENTRY(n, struct docker_slot, link));
    if (docker->creating == 0)
        docker->burst = false;
}
