/* common/cgroup/usage_text.h -- reads the kernel's texts of numbers.
 *
 * Forms: one number; lines of "key number"; lines of a device ("8:0 Read 4096", "8:0 rbytes=4096
 * …"); pressure ("some avg10=0.12 … total=345"). Numbers are decimal, up to 64 bits, without sign.
 * Pure. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_pressure;

/* The next line of *text (without its end) into *line; false: there is none. */
bool cw_cgroup_next_line(struct cw_slice *text, struct cw_slice *line);
/* The next word of *line, between spaces; false: there is none. */
bool cw_cgroup_next_word(struct cw_slice *line, struct cw_slice *word);
/* All of text is a number. */
bool cw_cgroup_number(struct cw_slice text, uint64_t *ret);
/* The only line is a number, as in memory.current. */
bool cw_cgroup_only_number(struct cw_slice text, uint64_t *ret);
/* The number in the line "key number"; false: no such line, or no number in it. */
bool cw_cgroup_number_of(struct cw_slice text, const char *key, uint64_t *ret);

/* A line to be looked for: where its number goes. */
struct cw_cgroup_field {
    const char *key;
    size_t offset;  /* of the uint64_t within the caller's struct */
    uint64_t scale; /* to be multiplied with, 1.. */
};
/* Fills what there is of `count` (at most 32) fields, and returns the bits of those that were
 * found. *ret_sound: whether all that were found were numbers. */
uint32_t cw_cgroup_fields(struct cw_slice text, const struct cw_cgroup_field *fields, size_t count,
                          void *base, bool *ret_sound);

/* Neither wraps. */
uint64_t cw_cgroup_sum(uint64_t a, uint64_t b);
uint64_t cw_cgroup_product(uint64_t a, uint64_t b);

/* The sums over all devices of version 1's "MAJOR:MINOR Read N" and "… Write N"; false: makes no
 * sense. */
bool cw_cgroup_blkio(struct cw_slice text, uint64_t *ret_read, uint64_t *ret_written);
/* A file of /proc/pressure; `full` may be missing (cpu, before Linux 5.13). */
bool cw_cgroup_pressure(struct cw_slice text, struct cw_pressure *ret);
