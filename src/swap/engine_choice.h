/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_ENGINE_CHOICE_H
#define EL_SWAP_ENGINE_CHOICE_H

/*
 * `engine: auto`: OpenVINO serves where its answers are TensorFlow's.
 *
 * Pure; any thread. Both engines were asked the same, by a probe each.
 */

#include "swap/probe_judge.h"

/*
 * True if the fast engine has every signature that TensorFlow has and answered every pass like it: the same dtypes and
 * shapes, numbers within tolerance (absolute plus relative; NaN equals NaN), everything else exactly. reason says how near,
 * or the first difference.
 */
bool el_engines_agree(const char *fast, const struct el_judged *a, const struct el_judged *tensorflow, double tolerance,
                      struct el_buf *reason);

/* The largest absolute difference of two tensors of the same dtype and shape; *within is false when an element is out of tolerance. */
double el_tensor_difference(const struct el_tensor *a, const struct el_tensor *b, double tolerance, bool *within);

#endif
