/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_REFERENCE_H
#define EL_DEMO_REFERENCE_H

/*
 * What each good version answers to each digit, asked alone, from TensorFlow,
 * before the show: the only answers that are right afterwards.
 *
 * Filled once on the main thread; then read by any.
 */

#include "base/status.h"
#include "demo/digits.h"

/* The contents that may answer. */
enum good { GOOD_ONE, GOOD_TWO, GOOD_THREE, GOODS };

struct reference {
    float predictions[GOODS][DIGITS][CLASSES];
    double accuracy[GOODS]; /* of the held-out digits, 0 to 1 */
};

/* The folder of a good version's files, below the root. */
const char *good_folder(enum good good);

/* Asks SERVER_REFERENCE, whose versions are good + 1, and returns when all have answered. Blocks for some milliseconds. */
struct el_status *reference_ask(uint16_t grpc_port, const struct digits *digits,
                                struct reference *reference) EL_MUST_USE;

/* True if the prediction for a digit is that of this content, within what float arithmetic of another engine may differ. */
bool reference_fits(const struct reference *reference, enum good good, size_t digit, const float prediction[CLASSES]);

#endif
