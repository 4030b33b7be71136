/* The input is an environment block: entries end in NUL. Those that start with '-' are words of the
 * command line instead. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/err.h"
#include "common/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 64, PRINT_MAX = 1 << 22 };

struct sample {
    int64_t number, bytes, ms;
    char *text, *secret;
    bool flag;
    double fraction, real;
    char **list, **map;
    int choice;
};

#define ROW(k, t, f, ...)                                                                          \
    {                                                                                              \
        .section = "All", .key = k, .type = t, .offset = offsetof(struct sample, f), .help = "H.", \
        __VA_ARGS__                                                                                \
    }

static const struct cw_conf_item ITEMS[] = {
    ROW("cwhisk.number", CW_CONF_INT, number, .cli = "number", .def = "1", .min = "-5", .max = "9"),
    ROW("whisk.size", CW_CONF_SIZE, bytes, .env = "SIZE", .alias = "whisk.old", .min = "1k"),
    ROW("whisk.time", CW_CONF_DURATION, ms, .def = "1 s"),
    ROW("whisk.text", CW_CONF_STRING, text, .cli = "text"),
    ROW("whisk.secret", CW_CONF_STRING, secret, .flags = CW_CONF_SECRET),
    ROW("whisk.flag", CW_CONF_BOOL, flag, .cli = "flag"),
    ROW("whisk.fraction", CW_CONF_FRACTION, fraction, .cli = "fraction"),
    ROW("whisk.real", CW_CONF_NUMBER, real, .max = "1e9"),
    ROW("whisk.list", CW_CONF_LIST, list, .def = "a,b"),
    ROW("whisk.map", CW_CONF_MAP, map, .def = "a=b"),
    ROW("whisk.choice", CW_CONF_CHOICE, choice, .choices = "one|two", .def = "one"),
};

static const struct cw_conf_table TABLE = {.program = "fuzz",
                                           .items = ITEMS,
                                           .count = CW_ARRAY_LEN(ITEMS),
                                           .struct_size = sizeof(struct sample)};

static void count_unknown(void *arg, enum cw_conf_note what, const char *key, const char *origin)
{
    (void)what;
    *(size_t *)arg += strlen(key) + strlen(origin);
}

static void check_loaded(const struct sample *conf)
{
    cw_auto_str struct cw_str out;

    cw_str_init(&out, PRINT_MAX);
    cw_conf_print(&TABLE, conf, &out);
    if (conf->number < -5 || conf->number > 9 || conf->choice < 0 || conf->choice > 1 ||
        !(conf->fraction >= 0 && conf->fraction <= 1) || !conf->list || !conf->map || out.failed)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cw_auto_free char *block = cw_memdup(data, size);
    char *env[WORDS_MAX + 1] = {0}, *argv[WORDS_MAX + 2] = {block};
    size_t env_count = 0, argv_count = 1, unknown = 0;
    struct sample conf;
    struct cw_err err = {0};

    for (size_t at = 0; at < size && env_count < WORDS_MAX && argv_count < WORDS_MAX;
         at += strlen(block + at) + 1) {
        if (block[at] == '-')
            argv[argv_count++] = block + at;
        else
            env[env_count++] = block + at;
    }
    if (cw_conf_load(&TABLE, env, argv, count_unknown, &unknown, &conf, &err) == 0)
        check_loaded(&conf);
    else if (err.code == CW_OK || !*err.msg || strchr(err.msg, '\n'))
        __builtin_trap();
    cw_conf_free(&TABLE, &conf);
    return 0;
}
