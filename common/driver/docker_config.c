#include "common/driver/docker_config.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/driver/docker_auth.h"

enum { PATH_LEN = 4096, TEXT_LEN = 4608 };

static void warn(const struct docker_config *c, const char *what)
{
    char text[TEXT_LEN];

    if (!c->warn)
        return;
    (void)snprintf(text, sizeof(text), "pull credentials: %s: %s", c->path, what);
    c->warn(c->arg, text);
}

static void on_parser_warning(void *arg, const char *text)
{
    warn(arg, text);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int read_file(struct docker_config *c, struct cw_str *out, struct cw_err *err)
{
    FILE *f = fopen(c->path, "rbe");
    char *room = cw_str_reserve(out, CW_DOCKER_MAX_CONFIG);

    if (!f)
        return cw_fail_errno(err, errno, "cannot be read");
    cw_str_commit(out, room ? fread(room, 1, CW_DOCKER_MAX_CONFIG, f) : 0);
    (void)fclose(f);
    return 0;
}

static void load(struct docker_config *c)
{
    cw_auto_str struct cw_str text;
    struct cw_err err = {0};

    cw_str_init(&text, CW_DOCKER_MAX_CONFIG);
    cw_docker_auth_free(CW_STEAL(c->auth));
    if (c->seen.st_size > CW_DOCKER_MAX_CONFIG)
        (void)cw_fail(&err, CW_TOO_LARGE, "over %d bytes", CW_DOCKER_MAX_CONFIG);
    else if (read_file(c, &text, &err) == 0)
        c->auth = cw_docker_auth_parse(cw_str_slice(&text), on_parser_warning, c, &err);
    if (!c->auth)
        warn(c, err.msg);
}

void cw_docker_config_init(struct docker_config *c, const char *folder,
                           void (*warn_fn)(void *arg, const char *text), void *arg)
{
    cw_auto_str struct cw_str path;

    *c = (struct docker_config){.warn = warn_fn, .arg = arg};
    cw_str_init(&path, PATH_LEN);
    if (!folder || !folder[0])
        return;
    cw_str_addf(&path, "%s/config.json", folder);
    if (!path.failed)
        c->path = cw_str_steal(&path);
}

void cw_docker_config_done(struct docker_config *c)
{
    cw_docker_auth_free(CW_STEAL(c->auth));
    free(CW_STEAL(c->path));
}

void cw_docker_config_refresh(struct docker_config *c)
{
    struct stat now;

    if (!c->path)
        return;
    if (stat(c->path, &now) != 0) { /* the docker command, too, goes on without */
        cw_docker_auth_free(CW_STEAL(c->auth));
        c->is_read = false;
        return;
    }
    if (c->is_read && same_file(&now, &c->seen))
        return;
    c->is_read = true;
    c->seen = now;
    load(c);
}

bool cw_docker_config_header(struct docker_config *c, const char *image, struct cw_str *out)
{
    cw_docker_config_refresh(c);
    return cw_docker_auth_header(c->auth, image, out);
}
