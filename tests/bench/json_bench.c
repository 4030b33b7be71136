/* What reading a message costs: checking it, walking its members, and, to compare, jansson's parse.
 * Prints the best of many rounds per text; takes NDJSON files of real messages as arguments. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/json/raw.h"

enum { ROUNDS = 30, TEXT_BYTES = 1000 * 1000, TEXT_MAX = 2 * TEXT_BYTES };

typedef size_t step_fn(struct cw_slice text);

static size_t check(struct cw_slice text)
{
    struct cw_slice value;
    struct cw_err err;

    if (cw_raw_check(text, CW_RAW_MAX_DEPTH, &value, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    return value.n;
}

static size_t walk(struct cw_slice text)
{
    struct cw_raw_iter it = cw_raw_iter(text);
    struct cw_slice key, value;
    size_t total = 0;

    while (cw_raw_next_member(&it, &key, &value))
        total += value.n;
    return total;
}

static size_t parse(struct cw_slice text)
{
    json_t *doc = json_loadb(text.p, text.n, 0, NULL);
    size_t members = json_object_size(doc);

    json_decref(doc);
    return members;
}

static double best_us(step_fn *step, struct cw_slice text)
{
    int repeat = text.n < 10000 ? 200 : 1; /* the clock counts whole microseconds */
    const struct cw_clock *clock = cw_clock_system();
    int64_t best = INT64_MAX;
    volatile size_t sink = 0;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = cw_clock_mono_us(clock);
        int64_t took;

        for (int i = 0; i < repeat; i++)
            sink = sink + step(text);
        took = cw_clock_mono_us(clock) - start;
        best = took < best ? took : best;
    }
    return (double)best / repeat;
}

static void measure(const char *name, struct cw_slice text)
{
    double checked, walked;

    text = cw_slice_trim(text);
    checked = best_us(check, text);
    walked = best_us(walk, text);
    printf("%-16s %8zu bytes  check %8.2f us %6.2f GB/s  walk %8.2f us  jansson %9.2f us\n", name,
           text.n, checked, (double)text.n / checked / 1000, walked, best_us(parse, text));
}

static void measure_filled(const char *name, const char *start, const char *piece, const char *end)
{
    struct cw_str text;

    cw_str_init(&text, TEXT_MAX);
    cw_str_addz(&text, start);
    while (text.n < TEXT_BYTES)
        cw_str_addz(&text, piece);
    cw_str_addz(&text, end);
    measure(name, cw_str_slice(&text));
    cw_str_done(&text);
}

static int measure_file(const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    if (!f) {
        perror(path);
        return 1;
    }
    while ((n = getline(&line, &cap, f)) > 0)
        measure("message", cw_slice(line, (size_t)n));
    free(line);
    (void)fclose(f);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed |= measure_file(argv[i]);
    measure_filled("ascii", "{\"c\":{\"v\":\"", "abcdefghijklmnopqrstuvwxyzABCDEF", "\"}}");
    measure_filled("japanese", "{\"c\":{\"v\":\"", "日本語テキスト", "\"}}");
    measure_filled("german", "{\"c\":{\"v\":\"", "Grüße aus Köln, schöne Wörter ", "\"}}");
    measure_filled("escapes", "{\"c\":{\"v\":\"", "{\\\"key\\\":\\\"value\\\"}\\n", "\"}}");
    measure_filled("numbers", "{\"c\":[0", ",12345.678", "]}");
    measure_filled("digits", "{\"c\":[0", ",7", "]}");
    measure_filled("records", "{\"c\":[0",
                   ",{\"id\":1234,\"name\":\"some name\",\"tags\":[\"a\",\"b\"]}", "]}");
    measure_filled("pretty", "{\"c\":[0", ",\n        {\n            \"id\": 1234\n        }",
                   "]}");
    return failed;
}
