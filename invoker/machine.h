/* invoker/machine.h -- how large this machine is. Thread: any. */
#pragma once

#include <stdint.h>

struct inv_settings;

/* All of its memory. */
int64_t inv_machine_memory_bytes(void);
/* All of its processors. */
int64_t inv_machine_cpu_millis(void);
/* The memory of which a container's CPU is a part, as its own memory is of this: user-memory, as
 * stock has it; where needs are inferred, user-memory is a promise that may exceed the machine, so
 * the machine's own counts (design 5). Not that of a smaller group that they are in: shares only
 * compare containers with each other, and those of before and after it is known have to compare. */
int64_t inv_cpu_memory_bytes(const struct inv_settings *s);
