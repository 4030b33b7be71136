#include "docker/probe/small_file.h"

#include <fcntl.h>
#include <unistd.h>

bool pb_read_fd(int fd, char text[PB_SMALL_FILE])
{
    size_t n = 0;

    while (n < PB_SMALL_FILE - 1) {
        ssize_t got = pread(fd, text + n, PB_SMALL_FILE - 1 - n, (off_t)n);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    text[n] = '\0';
    return n > 0;
}

bool pb_read_at(int dir, const char *name, char text[PB_SMALL_FILE])
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    bool ok;

    if (fd < 0)
        return false;
    ok = pb_read_fd(fd, text);
    (void)close(fd);
    return ok;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* -1 when it is not a number up to its end, or up to a blank. */
static int64_t leading_number(struct cw_slice s)
{
    size_t digits = 0;
    int64_t value;

    while (s.n && is_blank(s.p[0]))
        s = cw_slice(s.p + 1, s.n - 1);
    while (digits < s.n && !is_blank(s.p[digits]))
        digits++;
    return cw_parse_i64(cw_slice(s.p, digits), "", 0, INT64_MAX, &value, NULL) == 0 ? value : -1;
}

int64_t pb_number(struct cw_slice text)
{
    return leading_number(cw_slice_trim(text));
}

int64_t pb_keyed_number(struct cw_slice text, const char *key)
{
    const size_t key_len = strlen(key);

    while (text.n) {
        const char *eol = memchr(text.p, '\n', text.n);
        size_t n = eol ? (size_t)(eol - text.p) : text.n;

        if (n > key_len && memcmp(text.p, key, key_len) == 0 && is_blank(text.p[key_len]))
            return leading_number(cw_slice(text.p + key_len, n - key_len));
        n += eol != NULL;
        text = cw_slice(text.p + n, text.n - n);
    }
    return -1;
}
