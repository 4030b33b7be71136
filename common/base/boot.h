/* common/base/boot.h -- which process this is, among all that ever had its name.
 *
 * A process draws the number once and shows it wherever others have to tell it from the one before:
 * as a label of containers, among the hosts of a cluster, in messages between invokers. Thread:
 * any.
 */
#pragma once

#include <stdint.h>

enum { CW_BOOT_TEXT = 16 }; /* lower-case hexadecimal digits */

/* Drawn by lot: odd, and below 2^63, so that it is never 0 and fits a signed number. */
uint64_t cw_boot_draw(void);
/* Ended by a zero. */
void cw_boot_text(uint64_t boot, char ret[CW_BOOT_TEXT + 1]);
