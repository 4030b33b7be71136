#include "common/json/scan_priv.h"

enum {
    P = CW_CH_PLAIN,
    AFTER = CW_CH_PLAIN | CW_CH_AFTER,
    DIGIT = CW_CH_PLAIN | CW_CH_DIGIT | CW_CH_HEX,
    HEX = CW_CH_PLAIN | CW_CH_HEX,
    SPACE = CW_CH_SPACE | CW_CH_AFTER,
};

/* clang-format off */
const uint8_t cw_scan_class[256] = {
    ['\t'] = SPACE, ['\n'] = SPACE, ['\r'] = SPACE, [' '] = SPACE | P,
    ['!'] = P,                      /* then the quote */
    ['#' ... '+'] = P, [','] = AFTER, ['-' ... '/'] = P,
    ['0' ... '9'] = DIGIT, [':' ... '@'] = P,
    ['A' ... 'F'] = HEX, ['G' ... '['] = P, /* then the backslash */
    [']'] = AFTER, ['^' ... '`'] = P,
    ['a' ... 'f'] = HEX, ['g' ... '|'] = P,
    ['}'] = AFTER, ['~' ... 0x7f] = P,
};
/* clang-format on */
