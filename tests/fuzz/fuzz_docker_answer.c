/* Every decoder of engine answers on the same bytes; what is accepted must keep its promises. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/driver/docker_answer.h"
#include "common/json/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void promise(bool kept)
{
    if (!kept)
        abort();
}

static void fuzz_list(struct cw_slice body, const char *prefix)
{
    cw_auto_json json_t *doc = NULL;
    cw_auto_free struct cw_owned_container *list = NULL;
    size_t count;

    if (cw_docker_decode_list(body, prefix, &list, &count, &doc, NULL) != 0)
        return;
    for (size_t i = 0; i < count; i++) {
        promise(strlen(list[i].id) == 64);
        promise(strncmp(list[i].name, prefix, strlen(prefix)) == 0);
        promise(!strchr(list[i].name, '/'));
        promise(list[i].running || !list[i].paused);
    }
}

static void fuzz_pull(struct cw_slice body)
{
    struct cw_err err = {0};

    if (cw_docker_check_pull_line(body, &err) != 0)
        promise(err.code != CW_OK);
}

static void fuzz_event(struct cw_slice body)
{
    struct cw_docker_event death;

    if (cw_docker_decode_event(body, "wsk0", &death, NULL) == 1)
        promise(strlen(death.id) == 64 && death.exit_code >= -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_slice body = cw_slice((const char *)data, size);
    struct cw_docker_inspect seen;
    char version[CW_DOCKER_VERSION_LEN], id[65], text[64];

    if (cw_docker_decode_version(body, version, NULL) == 0)
        promise(strncmp(version, "1.", 2) == 0);
    if (cw_docker_decode_created(body, id, NULL) == 0)
        promise(strspn(id, "0123456789abcdef") == 64);
    if (cw_docker_decode_inspect(body, "bridge", &seen, NULL) == 0)
        promise(strspn(seen.address, "0123456789abcdefABCDEF.:") == strlen(seen.address) &&
                !(seen.running && seen.finished) && !strstr(seen.log_path, "/../") &&
                (!seen.log_path[0] || seen.log_path[0] == '/'));
    fuzz_list(body, "wsk0");
    fuzz_pull(body);
    fuzz_event(body);
    cw_docker_error_text(body, text, sizeof(text));
    (void)cw_docker_is_missing_executable(text);
    return 0;
}
