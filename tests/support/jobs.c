#include "tests/support/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"
#include "invoker/job.h"
#include "invoker/settings.h"

enum { TEXT_MAX_BYTES = 1 << 20, MAX_VARIABLES = 128 };

static void die(const struct cw_err *err)
{
    (void)fprintf(stderr, "%s\n", err->msg);
    abort();
}

void test_settings(const char *const *more, struct inv_settings *ret)
{
    const char *env[MAX_VARIABLES] = {
        "KAFKA_HOSTS=x:1",
        "RUNTIMES_MANIFEST={}",
        "WHISK_API_HOST_NAME=api",
        "CONFIG_whisk_couchdb_protocol=http",
        "CONFIG_whisk_couchdb_host=h",
        "CONFIG_whisk_couchdb_port=1",
        "CONFIG_whisk_couchdb_username=u",
        "CONFIG_whisk_couchdb_password=p",
        "CONFIG_whisk_couchdb_databases_WhiskEntity=w",
        "CONFIG_whisk_couchdb_databases_WhiskActivation=a",
    };
    struct cw_err err = {0};
    size_t n = 0;

    while (env[n])
        n++;
    for (; more && *more && n < MAX_VARIABLES - 1; more++)
        env[n++] = *more;
    if (cw_conf_load(inv_settings_table(), (char *const *)env, NULL, NULL, NULL, ret, &err) != 0)
        die(&err);
}

struct cw_manifest *test_manifest(void)
{
    static const char TEXT[] =
        "{\"runtimes\":{\"nodejs\":[{\"kind\":\"nodejs:20\",\"default\":true,\"image\":{"
        "\"prefix\":\"whisk\",\"name\":\"action-nodejs-v20\",\"tag\":\"local\"},\"attached\":{"
        "\"attachmentName\":\"codefile\",\"attachmentType\":\"text/plain\"}}]},\"blackboxes\":[]}";
    struct cw_err err = {0};
    struct cw_manifest *m = cw_manifest_parse(cw_slice_of(TEXT), &err);

    if (!m)
        die(&err);
    return m;
}

char *test_message_text(const struct test_message *m)
{
    char id[CW_ACTIVATION_ID_LEN + 1];
    struct cw_str out;

    memset(id, m->id, CW_ACTIVATION_ID_LEN);
    id[CW_ACTIVATION_ID_LEN] = '\0';
    cw_str_init(&out, TEXT_MAX_BYTES);
    cw_str_addf(
        &out,
        "{\"transid\":%s,\"action\":{\"path\":\"guest\",\"name\":\"%s\",\"version\":\"0.0.1\"},"
        "\"revision\":%s,"
        "\"user\":{\"subject\":\"guest\",\"namespace\":{\"name\":\"%s\",\"uuid\":\"u\"},"
        "\"authkey\":{"
        "\"api_key\":\"k\"},\"rights\":[],\"limits\":%s},\"activationId\":\"%s\","
        "\"rootControllerIndex\":{"
        "\"asString\":\"0\"},\"blocking\":%s,\"content\":%s,\"initArgs\":[],\"lockedArgs\":%s}",
        m->transid ? m->transid : "[\"t\",1]", m->action ? m->action : "hello",
        m->revision ? m->revision : "\"1-a\"", m->user_namespace ? m->user_namespace : "guest",
        m->limits ? m->limits : "{}", id, m->non_blocking ? "false" : "true",
        m->content ? m->content : "{}", m->locked_args ? m->locked_args : "{}");
    return cw_str_steal(&out);
}

char *test_action_text(const char *name, unsigned timeout_ms, unsigned memory_mb, unsigned logs_mb,
                       unsigned concurrency)
{
    struct cw_str out;

    cw_str_init(&out, TEXT_MAX_BYTES);
    cw_str_addf(&out,
                "{\"_id\":\"guest/"
                "%s\",\"_rev\":\"1-a\",\"entityType\":\"action\",\"namespace\":\"guest\",\"name\":"
                "\"%s\",\"version\":\"0.0.1\",\"publish\":false,\"updated\":1,\"exec\":{\"kind\":"
                "\"nodejs:20\","
                "\"code\":\"function "
                "main(){}\",\"binary\":false},\"parameters\":[],\"annotations\":[],\"limits\":"
                "{\"timeout\":%u,\"memory\":%u,\"logs\":%u,\"concurrency\":%u}}",
                name, name, timeout_ms, memory_mb, logs_mb, concurrency);
    return cw_str_steal(&out);
}

struct cw_action *test_action(const struct cw_manifest *m, const char *name, unsigned timeout_ms,
                              unsigned memory_mb, unsigned logs_mb, unsigned concurrency)
{
    struct cw_limit_defaults defaults = {.logs_mb = 10, .concurrency = 1};
    cw_auto_free char *text = test_action_text(name, timeout_ms, memory_mb, logs_mb, concurrency);
    struct cw_err err = {0};
    struct cw_action *a = cw_action_decode(cw_slice_of(text), m, &defaults, &err);

    if (!a)
        die(&err);
    return a;
}

struct inv_job *test_job(const struct test_message *m, struct cw_action *action)
{
    cw_auto_free char *text = test_message_text(m);
    struct cw_err err = {0};
    struct cw_activation_message *msg = cw_activation_message_decode(cw_slice_of(text), 1, &err);
    struct inv_job *job;

    if (!msg)
        die(&err);
    job = inv_job_new(msg, 1);
    job->action = action;
    return job;
}
