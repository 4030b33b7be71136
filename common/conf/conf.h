/* common/conf/conf.h -- configuration from one table.
 *
 * A table row says key, variable, type, default, range and help; parser, --print-config,
 * docs/config.md and the man page all come from it. Sources, later ones win: defaults, a text
 * (below), -D words of JAVA_OPTS, then of INVOKER_OPTS, CONFIG_* variables (stock, too, puts them
 * behind INVOKER_OPTS), plain variables (KAFKA_HOSTS, CWHISK_*), the command line. Within one
 * source an alias yields to the key itself.
 *
 * The text is HOCON (hocon.h) in OPENWHISK_CONFIG, or in base64 in OPENWHISK_ENCODED_CONFIG, or in
 * the file that -Dconfig.file names; the first of these counts. It includes files that exist;
 * ${path} sees later sources, the text, defaults, environment.
 *
 * CONFIG_a_bC_D maps to a.b-c.D (openwhisk invoker.md 2): split at '_', parts that do not start
 * with an upper-case letter go camelCase -> kebab-case; "$NAME" takes the value of another variable
 * unless that is empty; a numeric last part is a list index. Like stock, that goes for every
 * variable with CONFIG_ in its name (MY_CONFIG_z: MY.CONFIG.z). The OPTS are read as a shell would:
 * quotes, backslashes, $NAME and ${NAME}; words that do not start with -D are the JVM's and pass.
 *
 * In every source an empty value counts as not given. One pair of single quotes around a value is
 * taken off and blanks at both ends are (deployments wrap values so: `' '` is empty); of secrets
 * only the quotes. Values are HOCON scalars: sizes "256 m", "256m", "1g", "512KiB" are powers of
 * 1024 and "256MB" of 1000; durations "10 minutes", "5m", "100 ms", plain numbers are ms; fractions
 * "90%" or "0.9". Thread: any (no state). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/quantity.h"
#include "common/base/str.h"

struct cw_err;

enum cw_conf_type {
    CW_CONF_STRING,   /* char * */
    CW_CONF_BOOL,     /* bool: true/false/yes/no/on/off */
    CW_CONF_INT,      /* int64_t, min..max */
    CW_CONF_SIZE,     /* int64_t bytes, min..max */
    CW_CONF_DURATION, /* int64_t ms, min..max; "Inf" = INT64_MAX */
    CW_CONF_FRACTION, /* double, 0..1 */
    CW_CONF_NUMBER,   /* double, min..max */
    CW_CONF_LIST, /* char **, NULL-terminated: key_0, key_1… or one comma-separated value; never
                     NULL */
    CW_CONF_MAP, /* char **, NULL-terminated k, v, k, v…: every key under "<key>."; never NULL; keys
                    relative */
    CW_CONF_CHOICE, /* int: index into choices ("a|b|c") */
};

enum {
    CW_CONF_REQUIRED = 1, /* absent or empty aborts start */
    CW_CONF_SECRET = 2,   /* printed as ****** */
    CW_CONF_OPTIONAL = 4, /* INT, SIZE, DURATION: the field is a struct cw_conf_opt */
};

/* A number that may be absent. */
struct cw_conf_opt {
    int64_t value; /* first: read and written as the type's own field */
    bool set;
};

struct cw_conf_item {
    const char *key; /* "whisk.container-pool.user-memory", "cwhisk.data-dir" */
    const char *env; /* plain variable ("KAFKA_HOSTS"); NULL: only the CONFIG_ spelling of key, and
                        CWHISK_DATA_DIR for a cwhisk.data-dir */
    const char *cli; /* long option without dashes ("id"), or NULL */
    const char *alias; /* older spelling of key ("whisk.container-pool.akka-client"), or NULL */
    enum cw_conf_type type;
    unsigned flags;
    size_t offset;
    const char *def;       /* in the syntax of the type; NULL: absent (NULL string, 0) */
    const char *min, *max; /* in the syntax of the type; NULL: unbounded */
    const char *choices;
    const char *section; /* heading in the docs: "Kafka", "Containers"… */
    const char *help;    /* one sentence, ends with a full stop */
};

/* A key that deployments set, alone or with keys under it, and that changes nothing here. */
struct cw_conf_no_effect {
    const char *key;
    const char *why; /* one sentence, ends with a full stop */
};

struct cw_conf_table {
    const char *program; /* "cwhisk invoker" */
    const struct cw_conf_item *items;
    size_t count;
    size_t struct_size;
    const struct cw_conf_no_effect *no_effect; /* ends with a key of NULL; may itself be NULL */
};

enum cw_conf_note {
    CW_CONF_UNKNOWN_KEY, /* text: the key */
    CW_CONF_INCLUDE,     /* text: the name of an include that was not read */
};
/* text and origin are borrowed for the call. */
typedef void cw_conf_note_fn(void *arg, enum cw_conf_note what, const char *text,
                             const char *origin);

/* Fills *out (struct_size bytes, zeroed before) from `environ`-style env and argv (argv[0] is
 * skipped; both may be NULL). argv: --name value, --name=value, -Dkey=value; a boolean's --name
 * alone means true. A list comes whole (commas) or as key.0, key.1..., which a later source
 * overrides one by one; a map as key.<anything>=v or whole as "k=v,k=v", merged over all sources
 * and sorted by name. Told through note (may be NULL), never fatal: once each, unknown keys under
 * the prefixes whisk. and cwhisk. (for a variable CWHISK_A_B of no row: cwhisk.a-b) that are not
 * among no_effect; includes of the text that are not read. An
 * unknown option or a stray word on the command line is an error. Errors come in the table's order
 * and judge only the value that wins:
 * "whisk.container-pool.user-memory (CONFIG_whisk_containerPool_userMemory): \"lots\" is not a
 * size; accepted: 128m..1t". On failure *out is zeroed. Release with cw_conf_free. */
int cw_conf_load(const struct cw_conf_table *t, char *const *env, char *const *argv,
                 cw_conf_note_fn *note, void *arg, void *out, struct cw_err *err) CW_MUST_CHECK;
void cw_conf_free(const struct cw_conf_table *t, void *conf);

/* key = value lines with section comments, as --print-config shows; secrets masked. */
void cw_conf_print(const struct cw_conf_table *t, const void *conf, struct cw_str *out);
/* Markdown table per section, for docs/. */
void cw_conf_markdown(const struct cw_conf_table *t, struct cw_str *out);
/* Body of a man page section (roff, man macros): one .TP per item. */
void cw_conf_man(const struct cw_conf_table *t, struct cw_str *out);
/* The options part of --help: one line per item that has `cli`. */
void cw_conf_usage(const struct cw_conf_table *t, struct cw_str *out);
