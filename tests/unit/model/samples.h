/* tests/unit/model/samples.h -- recorded traffic and small helpers for the tests of the model. */
#pragma once

#include <jansson.h>

#include "common/base/str.h"

struct cw_action;
struct cw_activation_message;
struct cw_manifest;
struct cw_str;

/* Whole file of tests/data/samples; free() it. */
char *sample_text(const char *file);
/* Calls fn for each line; returns their number. */
size_t sample_lines(const char *file, void (*fn)(struct cw_slice line));
/* The array of documents of a couch-*.json file. */
json_t *sample_documents(const char *file);
/* The document of that _id as JSON text; free() it. */
char *sample_document(const char *file, const char *id);

/* Kinds nodejs:18, nodejs:20 (default), python:3.11, java:8 (requireMain), plain:1 (no
 * attachments), native blackbox openwhisk/dockerskeleton:nightly. */
struct cw_manifest *test_manifest(void);
/* Fails the test when it cannot be decoded; free with the model's functions. */
struct cw_activation_message *test_message(const char *text);
struct cw_action *test_action(const struct cw_manifest *manifest, const char *text);

/* Parsed text; fails the test when it is no JSON. */
json_t *json_of(struct cw_slice text);
/* Fails the test, showing both, when the values differ. Takes no reference. */
void assert_json(const json_t *have, const json_t *want);
void assert_json_text(struct cw_slice have, const char *want);
/* NULL when the member is missing. */
const char *string_at(const json_t *obj, const char *key);
/* obj[key] as compact text; free() it. */
char *dump_of(const json_t *value);
