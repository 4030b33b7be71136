#include "common/cgroup/usage_text.h"

#include "common/cgroup/usage.h"

bool cw_cgroup_next_line(struct cw_slice *text, struct cw_slice *line)
{
    const char *eol;
    size_t n;

    if (!text->n)
        return false;
    eol = memchr(text->p, '\n', text->n);
    n = eol ? (size_t)(eol - text->p) : text->n;
    *line = cw_slice(text->p, n);
    n += eol != NULL;
    *text = cw_slice(text->p + n, text->n - n);
    return true;
}

bool cw_cgroup_next_word(struct cw_slice *line, struct cw_slice *word)
{
    size_t at = 0, n = 0;

    while (at < line->n && line->p[at] == ' ')
        at++;
    while (at + n < line->n && line->p[at + n] != ' ')
        n++;
    *word = cw_slice(line->p + at, n);
    *line = cw_slice(line->p + at + n, line->n - at - n);
    return n > 0;
}

bool cw_cgroup_number(struct cw_slice text, uint64_t *ret)
{
    uint64_t v = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text.p[i] - '0'), &v))
            return false;
    }
    *ret = v;
    return text.n > 0;
}

bool cw_cgroup_only_number(struct cw_slice text, uint64_t *ret)
{
    struct cw_slice line;

    return cw_cgroup_next_line(&text, &line) && text.n == 0 && cw_cgroup_number(line, ret);
}

uint64_t cw_cgroup_sum(uint64_t a, uint64_t b)
{
    uint64_t v;

    return __builtin_add_overflow(a, b, &v) ? UINT64_MAX : v;
}

uint64_t cw_cgroup_product(uint64_t a, uint64_t b)
{
    uint64_t v;

    return __builtin_mul_overflow(a, b, &v) ? UINT64_MAX : v;
}

/* Is this the line of key? Then what follows it. */
static bool is_line_of(struct cw_slice line, const char *key, struct cw_slice *ret_value)
{
    size_t n = strlen(key);

    if (line.n <= n || line.p[n] != ' ' || memcmp(line.p, key, n) != 0)
        return false;
    *ret_value = cw_slice(line.p + n + 1, line.n - n - 1);
    return true;
}

bool cw_cgroup_number_of(struct cw_slice text, const char *key, uint64_t *ret)
{
    struct cw_slice line, value;

    while (cw_cgroup_next_line(&text, &line))
        if (is_line_of(line, key, &value))
            return cw_cgroup_number(value, ret);
    return false;
}

uint32_t cw_cgroup_fields(struct cw_slice text, const struct cw_cgroup_field *fields, size_t count,
                          void *base, bool *ret_sound)
{
    struct cw_slice line, value;
    uint32_t found = 0, all = (uint32_t)((UINT64_C(1) << count) - 1);
    uint64_t v;

    *ret_sound = true;
    while (found != all && cw_cgroup_next_line(&text, &line))
        for (size_t i = 0; i < count; i++) {
            if (found & (UINT32_C(1) << i) || !is_line_of(line, fields[i].key, &value))
                continue;
            found |= UINT32_C(1) << i;
            *ret_sound &= cw_cgroup_number(value, &v);
            if (*ret_sound) {
                v = cw_cgroup_product(v, fields[i].scale);
                memcpy((char *)base + fields[i].offset, &v, sizeof(v));
            }
            break;
        }
    return found;
}

/* Lines of devices, then "Total N"; a group that never did any has the latter alone. */
bool cw_cgroup_blkio(struct cw_slice text, uint64_t *ret_read, uint64_t *ret_written)
{
    struct cw_slice line, device, word;
    uint64_t v, read = 0, written = 0;
    bool any = false;

    while (cw_cgroup_next_line(&text, &line)) {
        if (!cw_cgroup_next_word(&line, &device) || !cw_cgroup_next_word(&line, &word))
            return false;
        any = true;
        if (cw_slice_is(device, "Total"))
            continue;
        if (!cw_slice_is(word, "Read") && !cw_slice_is(word, "Write"))
            continue;
        line = cw_slice_trim(line);
        if (!cw_cgroup_number(line, &v))
            return false;
        if (word.p[0] == 'R')
            read = cw_cgroup_sum(read, v);
        else
            written = cw_cgroup_sum(written, v);
    }
    *ret_read = read;
    *ret_written = written;
    return any;
}

/* "12.34" in hundredths, at most 100.00. */
static bool hundredths(struct cw_slice text, uint32_t *ret)
{
    const char *dot = text.n ? memchr(text.p, '.', text.n) : NULL;
    size_t whole = dot ? (size_t)(dot - text.p) : 0;
    uint64_t a, b;

    if (!dot || text.n - whole - 1 != 2 || !cw_cgroup_number(cw_slice(text.p, whole), &a) ||
        !cw_cgroup_number(cw_slice(dot + 1, 2), &b) || a > 100)
        return false;
    *ret = a == 100 ? 10000 : (uint32_t)(100 * a + b);
    return true;
}

/* "avg10=0.12 avg60=… total=345" */
static bool stalls(struct cw_slice line, uint32_t *ret_avg10, uint64_t *ret_us)
{
    struct cw_slice word;
    unsigned found = 0;

    while (cw_cgroup_next_word(&line, &word)) {
        if (word.n > 6 && memcmp(word.p, "avg10=", 6) == 0) {
            if (!hundredths(cw_slice(word.p + 6, word.n - 6), ret_avg10))
                return false;
            found |= 1;
        } else if (word.n > 6 && memcmp(word.p, "total=", 6) == 0) {
            if (!cw_cgroup_number(cw_slice(word.p + 6, word.n - 6), ret_us))
                return false;
            found |= 2;
        }
    }
    return found == 3;
}

bool cw_cgroup_pressure(struct cw_slice text, struct cw_pressure *ret)
{
    struct cw_pressure p = {0};
    struct cw_slice line, word;
    bool some = false;

    while (cw_cgroup_next_line(&text, &line)) {
        if (!cw_cgroup_next_word(&line, &word))
            return false;
        if (cw_slice_is(word, "some"))
            some = stalls(line, &p.some_avg10, &p.some_us);
        else if (cw_slice_is(word, "full") && !stalls(line, &p.full_avg10, &p.full_us))
            return false;
    }
    if (some)
        *ret = p;
    return some;
}
