/* common/conf/conf_priv.h -- what the files of this folder share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/str.h"
#include "common/conf/conf.h"

/* In order of rising priority. */
enum conf_source {
    CONF_FROM_TEXT, /* OPENWHISK_CONFIG and the like */
    CONF_FROM_OPTS, /* -D words of JAVA_OPTS, then of INVOKER_OPTS: the order of the JVM's words */
    CONF_FROM_CONFIG, /* CONFIG_* variables: stock puts them behind INVOKER_OPTS */
    CONF_FROM_PLAIN,  /* KAFKA_HOSTS, CWHISK_*… */
    CONF_FROM_ARGV,
    CONF_SOURCE_COUNT,
};

/* One key = value from some source; texts live in the arena of their list. */
struct conf_setting {
    const char *key, *value;
    const char *origin; /* "CONFIG_whisk_kafka_replicationFactor", "--id": named in errors */
    enum conf_source source;

    /* Filled by binding to the table: */
    const struct cw_conf_item *item; /* NULL: unknown or empty */
    const char *relative;            /* behind "<item's key>."; NULL for the item itself */
    bool alias;                      /* through the older spelling: the key itself wins */
    struct cw_slice text;            /* value without its wrapping */
};

struct conf_settings {
    struct cw_arena arena;
    struct conf_setting *at;
    size_t count, cap;
};

/* Values longer than this are refused; the kernel's own limit of one variable is 128 KiB. */
enum { CONF_VALUE_MAX = 1 << 20 };

/* What cw_conf_load was given. */
struct conf_input {
    const struct cw_conf_table *table;
    char *const *env, *const *argv; /* may be NULL */
    cw_conf_note_fn *note;          /* may be NULL */
    void *arg;
};

/* ---- sources.c: where settings come from ---- */

/* Everything that env and argv say. */
int conf_collect(const struct conf_input *in, struct conf_settings *out,
                 struct cw_err *err) CW_MUST_CHECK;
/* Copies all three texts. */
int conf_add(struct conf_settings *s, enum conf_source source, struct cw_slice key,
             const char *value, const char *origin, struct cw_err *err) CW_MUST_CHECK;
/* Value of a variable, or NULL. */
const char *conf_env(char *const *env, struct cw_slice name);
/* "CONFIG_whisk_kafka_common_securityProtocol" → "whisk.kafka.common.security-protocol". */
void conf_key_of_variable(const char *variable, struct cw_str *out);
/* The reverse. */
void conf_variable_of_key(const char *key, struct cw_str *out);
/* The item's plain variable, or nothing: `env`, and CWHISK_DATA_DIR for cwhisk.data-dir. */
void conf_plain_variable(const struct cw_conf_item *item, struct cw_str *out);

/* ---- text_source.c: a configuration file as a source ---- */

/* To be called last: ${} in the text sees the settings of the other sources. */
int conf_collect_text(const struct conf_input *in, struct conf_settings *out,
                      struct cw_err *err) CW_MUST_CHECK;

/* ---- value.c: one scalar in the syntax of its type ---- */

static inline void *conf_field(const struct cw_conf_item *item, void *conf)
{
    return (char *)conf + item->offset;
}
static inline const void *conf_field_const(const struct cw_conf_item *item, const void *conf)
{
    return (const char *)conf + item->offset;
}
static inline bool conf_is_scalar(const struct cw_conf_item *item)
{
    return item->type != CW_CONF_LIST && item->type != CW_CONF_MAP;
}
/* Scalars only. The error names key, origin, value (not a secret one) and what is accepted. */
int conf_value_parse(const struct cw_conf_item *item, struct cw_slice text, const char *origin,
                     void *conf, struct cw_err *err) CW_MUST_CHECK;
/* Scalars only, in a syntax that conf_value_parse reads back. */
void conf_value_format(const struct cw_conf_item *item, const void *conf, struct cw_str *out);
/* "128m..1t", "a, b or c", "true or false"…; what a value may be. */
void conf_value_accepted(const struct cw_conf_item *item, struct cw_str *out);
/* "SIZE", "true|false", "a|b|c": the value in a line of usage. */
void conf_value_placeholder(const struct cw_conf_item *item, struct cw_str *out);
/* "size", "duration"…, for the docs. */
const char *conf_type_name(enum cw_conf_type type);
/* The i-th (from 0) of "a|b|c"; false when there are fewer. */
bool conf_choice(const char *choices, int i, struct cw_slice *ret);
