#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/cgroup/usage_priv.h"

struct fault {
    struct cw_link link;
    struct cw_err err;
};

/* A file of the kernel's ends with a line end: until it does, there may be more. */
ssize_t cw_usage_read(struct cw_usage_source *s, int fd, char *buf, size_t size)
{
    size_t n = 0;

    s->stats.reads++;
    while (n < size) {
        ssize_t got = pread(fd, buf + n, size - n, (off_t)n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        n += (size_t)got;
        if (got == 0 || buf[n - 1] == '\n')
            return (ssize_t)n;
    }
    errno = EFBIG;
    return -1;
}

bool cw_usage_parse(const struct cw_usage_file *file, struct cw_slice text, struct cw_usage *u)
{
    uint64_t v;
    bool sound;

    if (file->parse)
        return file->parse(text, u);
    if (file->fields) {
        if ((cw_cgroup_fields(text, file->fields, file->field_count, u, &sound) & file->needed) !=
                file->needed ||
            !sound)
            return false;
    } else {
        if (!cw_cgroup_only_number(text, &v))
            return false;
        memcpy((char *)u + file->number, &v, sizeof(v));
    }
    u->have |= file->parts;
    return true;
}

void cw_usage_note(struct cw_usage_source *s, unsigned group, unsigned index,
                   enum cw_usage_fault fault, const char *fmt, ...)
{
    struct fault *f;
    char text[sizeof(f->err.msg)];
    va_list ap;

    if (fault != CW_USAGE_MISSING)
        s->stats.unreadable++;
    if (s->told[group][index] & (1U << fault))
        return;
    s->told[group][index] |= (uint8_t)(1U << fault);
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    f = cw_alloc(sizeof(*f));
    (void)cw_fail(&f->err, fault == CW_USAGE_GARBAGE ? CW_INVALID : CW_UNAVAILABLE, "%s", text);
    cw_list_push_back(&s->faults, &f->link);
}

bool cw_usage_next_fault(struct cw_usage_source *s, struct cw_err *ret)
{
    struct cw_link *link = cw_list_pop_front(&s->faults);

    if (!link)
        return false;
    *ret = CW_CONTAINER_OF(link, struct fault, link)->err;
    free(CW_CONTAINER_OF(link, struct fault, link));
    return true;
}
