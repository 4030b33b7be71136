/* Flags of docker run, one a line, "name=value": what is taken lies over a request without losing
 * what the request says about memory. */
#include <stdlib.h>

#include "common/base/err.h"
#include "common/driver/docker_flags.h"
#include "common/json/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_LINES = 16 };

static void apply(const char *const *pairs)
{
    struct cw_err err = {0};
    struct cw_docker_flags *f = cw_docker_flags_parse(pairs, &err);
    cw_auto_json json_t *body =
        json_pack("{s:[s],s:{s:i}}", "Env", "A=1", "HostConfig", "Memory", 5);
    cw_auto_free char *text = NULL;

    if (!f)
        return;
    cw_docker_flags_apply(f, "bridge", body);
    text = json_dumps(body, JSON_COMPACT);
    if (!text ||
        json_integer_value(json_object_get(json_object_get(body, "HostConfig"), "Memory")) != 5)
        abort();
    cw_docker_flags_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cw_auto_free char *text = cw_memdup(data, size);
    const char *pairs[2 * MAX_LINES + 1] = {0};
    size_t count = 0;
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line && count < MAX_LINES;
         line = strtok_r(NULL, "\n", &rest)) {
        char *equals = strchr(line, '=');

        if (!equals || strncmp(line, "security-opt", 12) == 0) /* that one reads files */
            continue;
        *equals = '\0';
        pairs[2 * count] = line;
        pairs[2 * count + 1] = equals + 1;
        count++;
    }
    apply(pairs);
    return 0;
}
