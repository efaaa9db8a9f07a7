/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_DESCRIPTORS_H
#define EL_API_DESCRIPTORS_H

/*
 * The .proto files of proto/ as the build embeds them (tools/embed-descriptors), for reflection. Constant.
 */

#include <stddef.h>
#include <stdint.h>

struct el_descriptor_file {
    const char *name;     /* "tensorflow_serving/apis/predict.proto" */
    const uint8_t *bytes; /* a google.protobuf.FileDescriptorProto */
    size_t size;
    const uint16_t *imports; /* indices in el_descriptor_files; each is less than the file's own */
    size_t import_count;
};

struct el_descriptor_symbol {
    const char *name; /* "tensorflow.serving.PredictRequest.inputs" */
    uint16_t file;    /* index in el_descriptor_files */
};

extern const struct el_descriptor_file el_descriptor_files[];
extern const size_t el_descriptor_file_count;
extern const struct el_descriptor_symbol el_descriptor_symbols[]; /* sorted by name, by its bytes */
extern const size_t el_descriptor_symbol_count;

#endif
