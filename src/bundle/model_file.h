/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_MODEL_FILE_H
#define EL_BUNDLE_MODEL_FILE_H

/*
 * The file of a version's directory that is the model, and what it says of itself.
 *
 *     saved_model.pb      SavedModel                     TensorFlow, OpenVINO
 *     saved_model.pbtxt   SavedModel as text             TensorFlow
 *     model.tflite        TensorFlow Lite                OpenVINO
 *     model.onnx          ONNX                           OpenVINO
 *
 * The first that is there counts; with prefer_tflite (TensorFlow Serving's --prefer_tflite_model) model.tflite comes
 * before all. Every format is described as a SavedModel is: what is neither text nor SavedModel has one meta graph
 * with the tag "serve".
 *
 * The files are untrusted. Blocking reads; any thread that may block. Errors name the file.
 */

#include "base/status.h"
#include "bundle/saved_model.h"

#include <stdbool.h>

enum el_model_format {
    EL_FORMAT_SAVED_MODEL,
    EL_FORMAT_SAVED_MODEL_TEXT,
    EL_FORMAT_TFLITE,
    EL_FORMAT_ONNX,
    EL_FORMATS, /* how many; also: none of them is there */
};

/* The file's name: "saved_model.pb". */
const char *el_model_file_name(enum el_model_format format);

/* The format's, for people: "SavedModel". */
const char *el_model_format_name(enum el_model_format format);

/* What the directory dir_fd holds; EL_FORMATS: none. */
enum el_model_format el_model_file_find(int dir_fd, bool prefer_tflite);

/* The same, of the directory at path. */
enum el_model_format el_model_file_find_in(const char *path, bool prefer_tflite);

/* Reads the file of that format in dir_fd. path: of the directory, for messages; may be "". */
struct el_status *el_model_file_read_at(int dir_fd, const char *path, enum el_model_format format,
                                        struct el_saved_model *model) EL_MUST_USE;

/* Finds and reads the model of the directory at path. *format (may be NULL) is which it is. NOT_FOUND: there is none. */
struct el_status *el_model_file_read(const char *path, bool prefer_tflite, struct el_saved_model *model,
                                     enum el_model_format *format) EL_MUST_USE;

#endif
