/* Text: a first line with the format, the length of epochs and a checksum of all that follows; then
 * for each profile its key, and its cells as they would be fields in kv. The file is replaced as a
 * whole, so it is old or new. Without fsync: what a crash of the machine takes is learned again. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/obs/log.h"
#include "invoker/profiles_priv.h"

#define COMPONENT "Profiles"
#define FORMAT "cwhisk-profiles 1"

enum { FILE_MAX_BYTES = 1 << 20, HEAD_MAX = 96, PATH_MAX_BYTES = 4096 };

static uint64_t sum_of(struct cw_slice body)
{
    return cw_siphash(0, 0, body);
}

/* ---- writing ---- */

/* Keys are names of actions and kinds: a line break cannot be in them, but is looked for. */
static void print_entry(const struct profile_entry *e, struct cw_str *out)
{
    char field[INV_PROFILE_FIELD_MAX];

    if (e->profile.count == 0 || strpbrk(e->key, "\r\n"))
        return;
    cw_str_addf(out, "%s\n", e->key);
    for (size_t i = 0; i < e->profile.count; i++) {
        const struct inv_profile_cell *c = &e->profile.cells[i];

        inv_profile_field(c, field);
        cw_str_addf(out, " %s %" PRIu32 "\n", field, c->shared + c->pending);
    }
}

void profiles_print(const struct inv_profiles *p, struct cw_str *out)
{
    cw_auto_str struct cw_str body, one;

    cw_str_init(&body, FILE_MAX_BYTES - HEAD_MAX);
    cw_str_init(&one, FILE_MAX_BYTES - HEAD_MAX);
    for (const struct cw_link *n = p->lru.head.prev; n != &p->lru.head && !body.failed;
         n = n->prev) {
        cw_str_reset(&one);
        print_entry(CW_LIST_ENTRY(n, const struct profile_entry, lru), &one);
        cw_str_adds(&body, cw_str_slice(&one)); /* whole, or not at all */
    }
    cw_str_addf(out, FORMAT " %" PRId64 " %016" PRIx64 "\n", p->conf.epoch_ms,
                sum_of(cw_str_slice(&body)));
    cw_str_adds(out, cw_str_slice(&body));
}

static int write_all(int fd, struct cw_slice text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        text = cw_slice(text.p + n, text.n - (size_t)n);
    }
    return 0;
}

static int replace(const char *path, struct cw_slice text, struct cw_err *err)
{
    char fresh[PATH_MAX_BYTES];
    int fd;

    if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
        return cw_fail(err, CW_INVALID, "the path is too long");
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return cw_fail_errno(err, errno, "%s", fresh);
    if (write_all(fd, text) != 0) {
        (void)cw_fail_errno(err, errno, "%s", fresh);
        (void)close(fd);
        (void)unlink(fresh);
        return -1;
    }
    (void)close(fd);
    return rename(fresh, path) == 0 ? 0 : cw_fail_errno(err, errno, "%s", path);
}

void profiles_save(struct inv_profiles *p)
{
    cw_auto_str struct cw_str text;
    struct cw_err err;

    cw_str_init(&text, FILE_MAX_BYTES);
    profiles_print(p, &text);
    p->changed = false;
    if (replace(p->path, cw_str_slice(&text), &err) != 0)
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "what was learned is not kept: %s", err.msg);
}

/* ---- reading ---- */

static bool take_line(struct cw_slice *text, struct cw_slice *ret)
{
    const char *end = text->n ? memchr(text->p, '\n', text->n) : NULL;

    if (!end)
        return false;
    *ret = cw_slice(text->p, (size_t)(end - text->p));
    *text = cw_slice(end + 1, text->n - ret->n - 1);
    return true;
}

static int check_head(const struct inv_profiles *p, struct cw_slice *text, struct cw_err *err)
{
    struct cw_slice line;
    char want[HEAD_MAX];
    int n;

    if (!take_line(text, &line))
        return cw_fail(err, CW_INVALID, "it has no first line");
    n = snprintf(want, sizeof(want), FORMAT " %" PRId64 " ", p->conf.epoch_ms);
    if (line.n < (size_t)n || memcmp(line.p, want, (size_t)n) != 0)
        return cw_fail(err, CW_INVALID, "it is of another format, or of epochs of another length");
    n = snprintf(want, sizeof(want), FORMAT " %" PRId64 " %016" PRIx64, p->conf.epoch_ms,
                 sum_of(*text));
    if (!cw_slice_eq(line, cw_slice(want, (size_t)n)))
        return cw_fail(err, CW_INVALID, "its checksum is wrong");
    return 0;
}

static int take_cell(struct profile_entry *e, struct cw_slice line, struct cw_err *err)
{
    const char *space = memchr(line.p + 1, ' ', line.n - 1);
    struct inv_profile_cell read, *cell;
    size_t n = space ? (size_t)(space - line.p) : 0;

    if (!e || !space ||
        !inv_profile_parse(cw_slice(line.p + 1, n - 1), cw_slice(space + 1, line.n - n - 1), &read))
        return cw_fail(err, CW_INVALID, "a line in it makes no sense");
    cell = inv_profile_cell(&e->profile, read.epoch, (enum inv_profile_of)read.of, read.bucket);
    if (cell)
        cell->shared = read.shared;
    return 0;
}

/* The last key in the file is the one that was not used for longest. */
int profiles_parse(struct inv_profiles *p, struct cw_slice text, struct cw_err *err)
{
    struct profile_entry *e = NULL;
    struct cw_slice line;

    if (check_head(p, &text, err) != 0)
        return -1;
    while (take_line(&text, &line)) {
        if (line.n && line.p[0] == ' ') {
            if (take_cell(e, line, err) != 0)
                return -1;
        } else {
            cw_auto_free char *key = cw_slice_dup(line);

            if (strncmp(key, "profile:", 8) != 0 || p->entries.count >= INV_PROFILES_MAX)
                return cw_fail(err, CW_INVALID, "a key in it makes no sense");
            e = profiles_entry(p, key);
            cw_list_remove(&p->lru, &e->lru);
            cw_list_push_front(&p->lru, &e->lru);
        }
    }
    return text.n == 0 ? 0 : cw_fail(err, CW_INVALID, "its last line is not whole");
}

/* -1 with err->sys_errno ENOENT: there is none. */
static int read_file(const char *path, struct cw_str *out, struct cw_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    ssize_t n = 1;

    if (fd < 0)
        return cw_fail_errno(err, errno, "%s", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES) {
        (void)close(fd);
        return cw_fail(err, CW_INVALID, "%s: not a file of at most %d bytes", path, FILE_MAX_BYTES);
    }
    while (n > 0 && !out->failed) {
        char part[65536];

        n = read(fd, part, sizeof(part));
        if (n > 0)
            cw_str_add(out, part, (size_t)n);
    }
    (void)close(fd);
    return n < 0 ? cw_fail_errno(err, errno, "%s", path) : 0;
}

void profiles_load(struct inv_profiles *p)
{
    cw_auto_str struct cw_str text;
    struct cw_err err = {0};

    cw_str_init(&text, FILE_MAX_BYTES);
    if (read_file(p->path, &text, &err) != 0) {
        if (err.sys_errno != ENOENT)
            cw_log(CW_LOG_WARN, NULL, COMPONENT, "what was learned before is not known: %s",
                   err.msg);
        return;
    }
    if (profiles_parse(p, cw_str_slice(&text), &err) != 0)
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "not all that was learned before is known: %s: %s",
               p->path, err.msg);
    else
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "%zu profiles are known from before",
               p->entries.count);
}
