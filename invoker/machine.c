#include "invoker/machine.h"

#include <unistd.h>

#include "invoker/placement/admission.h"
#include "invoker/settings.h"

int64_t inv_machine_memory_bytes(void)
{
    return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

int64_t inv_machine_cpu_millis(void)
{
    return (int64_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000;
}

int64_t inv_cpu_memory_bytes(const struct inv_settings *s)
{
    return s->admission == INV_CHARGE_INFERRED ? inv_machine_memory_bytes() : s->user_memory_bytes;
}
