/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_DIGITS_H
#define EL_DEMO_DIGITS_H

/*
 * The held-out digits (test/data/README.md), as questions over gRPC and REST,
 * and how an answer is read. Pure, but for reading the files; any thread.
 */

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGITS 250
#define PIXELS 784
#define CLASSES 10

struct digits {
    float pixels[DIGITS][PIXELS]; /* 0 to 1: as models take them */
    uint8_t labels[DIGITS];       /* what they are */
};

struct el_status *digits_read(const char *root, struct digits *digits) EL_MUST_USE;

/* Appends a PredictRequest for count digits from first on. version 0: whichever serves. */
void digits_grpc_question(const struct digits *digits, size_t first, size_t count, const char *model, int64_t version,
                          struct el_buf *message);

/* Appends the body of POST /v1/models/MODEL:predict for one digit. */
void digits_http_question(const struct digits *digits, size_t digit, struct el_buf *body);

/* Reads a PredictResponse with exactly count predictions; version: the one that it says it is from. False: it is none. */
bool digits_grpc_answer(const uint8_t *bytes, size_t size, size_t count, float (*predictions)[CLASSES],
                        int64_t *version);

/* Reads the body of an answer for one digit. */
bool digits_http_answer(const uint8_t *bytes, size_t size, float prediction[CLASSES]);

/* The class that a prediction favours. */
unsigned digits_best(const float prediction[CLASSES]);

#endif
