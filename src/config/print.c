/* SPDX-License-Identifier: Apache-2.0 */
#include "config/print.h"

#include "config/config.h"
#include "config/logging.h"
#include "config/update.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void el_print_string(const char *text, struct el_buf *out)
{
    el_buf_byte(out, '"');
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            el_buf_printf(out, "\\%c", *at);
        else if (*at == '\n')
            el_buf_text(out, "\\n");
        else if (*at < ' ' || *at == 0x7f)
            el_buf_printf(out, "\\%03o", *at);
        else
            el_buf_byte(out, *at);
    }
    el_buf_byte(out, '"');
}

void el_print_number(double number, struct el_buf *out)
{
    if (!isfinite(number)) {
        el_buf_text(out, isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
        return;
    }
    char text[64];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (!(strtod(text, NULL) < number) && !(strtod(text, NULL) > number))
            break;
    }
    for (char *at = text; *at != '\0'; at++) {
        if (strchr("0123456789+-e.", *at) == NULL)
            *at = '.'; /* the locale's own decimal point, one byte in each that glibc has */
    }
    el_buf_text(out, text);
}

static void print_policy(const struct el_version_policy *policy, struct el_buf *out)
{
    switch (policy->type) {
    case EL_POLICY_LATEST:
        if (policy->latest > 1)
            el_buf_printf(out, "    model_version_policy { latest { num_versions: %" PRIu32 " } }\n", policy->latest);
        return;
    case EL_POLICY_ALL:
        el_buf_text(out, "    model_version_policy { all {} }\n");
        return;
    case EL_POLICY_SPECIFIC:
        el_buf_text(out, "    model_version_policy { specific {");
        for (size_t i = 0; i < policy->version_count; i++)
            el_buf_printf(out, " versions: %" PRId64, policy->versions[i]);
        el_buf_text(out, " } }\n");
        return;
    }
}

static void print_line(const char *name, const char *value, struct el_buf *out)
{
    el_buf_printf(out, "    %s: ", name);
    el_print_string(value, out);
    el_buf_byte(out, '\n');
}

static void print_model(const struct el_model_config *model, struct el_buf *out)
{
    el_buf_text(out, "  config {\n");
    print_line("name", model->name, out);
    print_line("base_path", model->base_path, out);
    print_line("model_platform", model->platform, out);
    print_policy(&model->policy, out);
    for (size_t i = 0; i < model->label_count; i++) {
        el_buf_text(out, "    version_labels { key: ");
        el_print_string(model->labels[i].label, out);
        el_buf_printf(out, " value: %" PRId64 " }\n", model->labels[i].version);
    }
    el_logging_print(&model->logging, out);
    if (!el_update_is_default(&model->update)) {
        el_buf_text(out, "    update {\n");
        el_update_print(&model->update, "      ", out);
        el_buf_text(out, "    }\n");
    }
    el_buf_text(out, "  }\n");
}

struct el_status *el_config_print(const struct el_config *config, char **text)
{
    struct el_buf out = { 0 };
    el_buf_text(&out, "model_config_list {\n");
    for (size_t i = 0; i < config->model_count; i++)
        print_model(&config->models[i], &out);
    el_buf_text(&out, "}\n");
    *text = el_buf_take_text(&out);
    return *text == NULL ? el_status_no_memory() : NULL;
}
