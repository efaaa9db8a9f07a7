/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/model_file.h"

#include "bundle/onnx.h"
#include "bundle/saved_model_text.h"
#include "bundle/tflite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct el_status *read_format(int fd, const char *name, struct el_saved_model *model);

static const struct {
    const char *name; /* of the file */
    const char *title;
    read_format *read;
} formats[EL_FORMATS] = {
    [EL_FORMAT_SAVED_MODEL] = { "saved_model.pb", "SavedModel", el_saved_model_read_fd },
    [EL_FORMAT_SAVED_MODEL_TEXT] = { "saved_model.pbtxt", "SavedModel as text", el_saved_model_text_read_fd },
    [EL_FORMAT_TFLITE] = { "model.tflite", "TensorFlow Lite", el_tflite_read_fd },
    [EL_FORMAT_ONNX] = { "model.onnx", "ONNX", el_onnx_read_fd },
};

const char *el_model_file_name(enum el_model_format format)
{
    return format < EL_FORMATS ? formats[format].name : "none";
}

const char *el_model_format_name(enum el_model_format format)
{
    return format < EL_FORMATS ? formats[format].title : "nothing known";
}

static bool is_there(int dir_fd, enum el_model_format format)
{
    struct stat info;
    return fstatat(dir_fd, formats[format].name, &info, 0) == 0 && S_ISREG(info.st_mode);
}

enum el_model_format el_model_file_find(int dir_fd, bool prefer_tflite)
{
    if (prefer_tflite && is_there(dir_fd, EL_FORMAT_TFLITE))
        return EL_FORMAT_TFLITE;
    enum el_model_format format = EL_FORMAT_SAVED_MODEL;
    while (format < EL_FORMATS && !is_there(dir_fd, format))
        format++;
    return format;
}

enum el_model_format el_model_file_find_in(const char *path, bool prefer_tflite)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return EL_FORMATS;
    const enum el_model_format format = el_model_file_find(fd, prefer_tflite);
    close(fd);
    return format;
}

struct el_status *el_model_file_read_at(int dir_fd, const char *path, enum el_model_format format,
                                        struct el_saved_model *model)
{
    struct el_buf buf = { 0 };
    el_buf_printf(&buf, "%s%s%s", path, path[0] == '\0' ? "" : "/", formats[format].name);
    char *name = el_buf_take_text(&buf);
    if (name == NULL)
        return el_status_no_memory();
    struct el_status *status;
    /* O_NONBLOCK: a FIFO of that name must not hang. */
    const int fd = openat(dir_fd, formats[format].name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        status = el_status_errno(errno, "%s: cannot be opened", name);
    } else {
        status = formats[format].read(fd, name, model);
        close(fd);
    }
    free(name);
    return status;
}

struct el_status *el_model_file_read(const char *path, bool prefer_tflite, struct el_saved_model *model,
                                     enum el_model_format *format)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return el_status_errno(errno, "%s: cannot be opened as a directory", path);
    enum el_model_format found = el_model_file_find(fd, prefer_tflite);
    if (format != NULL)
        *format = found;
    if (found == EL_FORMATS)
        found = EL_FORMAT_SAVED_MODEL; /* whose absence is what to say */
    struct el_status *status = el_model_file_read_at(fd, path, found, model);
    close(fd);
    return status;
}
