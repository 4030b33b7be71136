/* Texts of the kernel's files about control groups and the host: whatever they say, a part is there
 * with all its figures or not at all, and reading the same again gives the same.
 *
 * Input: which file, then its text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cgroup/usage_priv.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_group_file(const struct cw_usage_file *file, struct cw_slice text)
{
    struct cw_usage u = {0}, again = {0};
    bool sound = cw_usage_parse(file, text, &u);

    require(cw_usage_parse(file, text, &again) == sound);
    require((u.have & ~file->parts) == 0);
    require(!sound || u.have == again.have);
    require(!sound ||
            memcmp(&u.cpu_ns, &again.cpu_ns, sizeof(u) - offsetof(struct cw_usage, cpu_ns)) == 0);
    require(sound || u.have == 0);
}

static void check_host(struct cw_slice text)
{
    struct cw_pressure p = {0};
    uint64_t total = 0, available = 0, ns = 0;

    if (cw_cgroup_pressure(text, &p))
        require(p.some_avg10 <= 10000 && p.full_avg10 <= 10000);
    else
        require(p.some_avg10 == 0 && p.full_avg10 == 0 && p.some_us == 0);
    if (!cw_usage_parse_meminfo(text, &total, &available))
        require(total == 0 && available == 0);
    if (cw_usage_parse_stat(text, 100, &ns))
        require(ns == UINT64_MAX || ns % 10000000 == 0);
}

static void check_lines(struct cw_slice text)
{
    struct cw_slice line, word;
    size_t left = text.n;

    while (cw_cgroup_next_line(&text, &line)) {
        require(text.n < left && line.n <= left);
        left = text.n;
        while (cw_cgroup_next_word(&line, &word))
            require(word.n > 0 && !memchr(word.p, ' ', word.n));
    }
    require(left == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cw_usage_files *all[] = {&CW_USAGE_FILES_V1, &CW_USAGE_FILES_V2};
    unsigned which = size ? data[0] : 0;
    char *copy = size ? cw_memdup(data + 1, size - 1) : cw_memdup("", 0);
    struct cw_slice text = cw_slice(copy, size ? size - 1 : 0);

    for (size_t v = 0; v < CW_ARRAY_LEN(all); v++)
        check_group_file(&all[v]->file[which % all[v]->count], text);
    check_host(text);
    check_lines(text);
    free(copy);
    return 0;
}
