#include "common/base/boot.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

uint64_t cw_boot_draw(void)
{
    struct timespec now;
    uint64_t boot;

    if (getrandom(&boot, sizeof(boot), 0) != (ssize_t)sizeof(boot)) {
        (void)clock_gettime(CLOCK_REALTIME, &now);
        boot = (uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec;
    }
    return boot >> 1 | 1;
}

void cw_boot_text(uint64_t boot, char ret[CW_BOOT_TEXT + 1])
{
    (void)snprintf(ret, CW_BOOT_TEXT + 1, "%0*" PRIx64, CW_BOOT_TEXT, boot);
}
