/* A log line about whatever came from outside: one line, valid UTF-8 without control characters, at
 * most what a pipe takes whole, and JSON when that is wanted.
 *
 * Input: format, then component, transaction, parent and text, each up to a NUL. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/str.h"
#include "common/base/txid.h"
#include "common/base/utf8.h"
#include "common/json/raw.h"
#include "common/obs/log.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS = 4 };

static void check_characters(const char *p, size_t n)
{
    while (n) {
        size_t used = cw_utf8_seq(p, n);

        require(used > 0 && (unsigned char)*p >= 0x20 && *p != 0x7f);
        require(!(used == 2 && memcmp(p, "\xc2\xa0", 2) < 0));       /* U+0080..U+009F */
        require(!(used == 3 && (memcmp(p, "\xe2\x80\xa8", 3) == 0 || /* U+2028, U+2029 */
                                memcmp(p, "\xe2\x80\xa9", 3) == 0)));
        p += used;
        n -= used;
    }
}

static void check_line(const char *line, size_t n, enum cw_log_format format)
{
    struct cw_slice value;

    require(n > 0 && n <= PIPE_BUF && line[n - 1] == '\n');
    check_characters(line, n - 1);
    if (format == CW_LOG_JSON)
        require(cw_raw_check(cw_slice(line, n - 1), 1, &value, NULL) == 0 &&
                cw_raw_type(value) == CW_RAW_OBJECT);
    else
        require(line[0] == '[' && memmem(line, n, "] [WARN] [#tid_", 15));
}

static void write_line(uint8_t choice, const char *part[PARTS], int fd)
{
    const struct cw_tx tx = {.id = part[1], .root_id = part[2], .has_parent = choice & 2};

    cw_log_setup(&(struct cw_log_conf){
        .level = CW_LOG_INFO, .format = choice & 1 ? CW_LOG_JSON : CW_LOG_WHISK, .fd = fd});
    if (choice & 4)
        cw_log_marker(CW_LOG_WARN, &tx, part[0], "invoker_x_finish", 7, "%s: %s", part[3], part[3]);
    else
        cw_log(CW_LOG_WARN, choice & 8 ? &tx : NULL, part[0], "%s", part[3]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = cw_slice_dup(cw_slice((const char *)data, size)), *end = text + size;
    const char *part[PARTS] = {size ? text + 1 : text, end, end, end};
    char line[2 * PIPE_BUF];
    int fd = memfd_create("log", MFD_CLOEXEC);
    ssize_t n;

    for (int i = 1; i < PARTS && part[i - 1] + strlen(part[i - 1]) < end; i++)
        part[i] = part[i - 1] + strlen(part[i - 1]) + 1;
    write_line((uint8_t)*text, part, fd);
    n = pread(fd, line, sizeof(line), 0);
    require(n > 0);
    check_line(line, (size_t)n, *text & 1 ? CW_LOG_JSON : CW_LOG_WHISK);
    close(fd);
    free(text);
    return 0;
}
