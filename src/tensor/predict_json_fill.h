/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_PREDICT_JSON_FILL_H
#define EL_TENSOR_PREDICT_JSON_FILL_H

/*
 * The values of a `:predict` body, as predict_json.c has them read: once to
 * measure (strings, and requests that look wrong), once to store.
 */

#include "tensor/predict_json.h"

/* Position of a member's name (a JSON string) among names, or -1. */
int64_t el_predict_json_find(const struct el_names *names, const char *string);

/*
 * The shape that a value has if it is regular: the sizes of the lists that come first. False: deeper than max_rank.
 * end: of the text.
 */
bool el_json_shape(const char *value, const char *end, int32_t max_rank, struct el_shape *shape);

/*
 * Reads all values of an input whose `row` is set, and checks them against it. store: writes them to input->at on
 * (STRING: and offsets to input->data); otherwise only done and string_bytes grow. Errors in the words and in the order of
 * TensorFlow Serving's FillTensorProto.
 */
struct el_status *el_json_fill(struct el_predict_json_input *input, const char *value, const char *end,
                               bool store) EL_MUST_USE;

/* All rows of "instances", in the order and with the texts of TensorFlow Serving; store as above. */
struct el_status *el_predict_json_rows(struct el_predict_json *request, bool store) EL_MUST_USE;

#endif
