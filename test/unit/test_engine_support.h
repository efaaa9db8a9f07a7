/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TEST_ENGINE_SUPPORT_H
#define EL_TEST_ENGINE_SUPPORT_H

/*
 * For tests of plug-ins: loads one as a host does, opens models with it, and
 * replays what TensorFlow's Python recorded (format: test/data/README.md).
 * Failures end the test with cmocka's asserts.
 */

#include "everlit/engine.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_OUTPUTS 64

struct plugin {
    void *library;
    const struct everlit_engine *engine;
    char scratch[64]; /* a private directory */
};

/* Memory that a run's outputs are put in. */
struct sink {
    struct everlit_tensor tensors[MAX_OUTPUTS]; /* data is set */
    void *memory[MAX_OUTPUTS];
    uint32_t count;
    bool refuse; /* has no memory */
};

/* A recorded run, ready to be run. */
struct recorded {
    const char *name;
    struct everlit_run run;
    struct everlit_tensor *inputs;
    void **memory;
    uint32_t *outputs;
    json_t *expected;
    const struct everlit_signature *signature;
};

void plugin_load(struct plugin *plugin, const char *path);
void plugin_unload(struct plugin *plugin);

/* Opens with the tag "serve"; NULL and the code and text of the error when that fails. */
void *plugin_open(const struct plugin *plugin, const char *path, uint32_t concurrency, int *code,
                  struct everlit_error *error);

/* The same, and it must succeed. */
void *plugin_open_good(const struct plugin *plugin, const char *path, uint32_t concurrency);

const struct everlit_signature *plugin_signature(const struct plugin *plugin, void *model, const char *name,
                                                 uint32_t *index);

json_t *recorded_load(const char *root, const char *name);
void recorded_open(const struct plugin *plugin, void *model, json_t *test, struct recorded *recorded);
void recorded_close(struct recorded *recorded);

/* True and no text if the outputs in sink are the expected ones: floats within tolerance (absolute and relative). */
bool recorded_matches(const struct recorded *recorded, const struct sink *sink, double tolerance, char *text,
                      size_t size);

/* Signatures of the model are those that were recorded (plus TensorFlow's own __saved_model_init_op). */
void recorded_check_signatures(const struct plugin *plugin, void *model, json_t *root);

void *sink_output(void *host, const struct everlit_tensor *tensor);
void sink_clear(struct sink *sink);

/* Runs a recorded case into sink. */
int recorded_run(const struct plugin *plugin, void *model, struct recorded *recorded, struct sink *sink,
                 struct everlit_error *error);

#endif
