/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/reference.h"

#include "demo/server.h"
#include "load/load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* OpenVINO adds in another order than TensorFlow: test/data/README.md. */
#define ABSOLUTE 1e-5f
#define RELATIVE 1e-4f
#define TIMEOUT_MS 20000

const char *good_folder(enum good good)
{
    static const char *const folders[GOODS] = {
        [GOOD_ONE] = "models/digits/1",
        [GOOD_TWO] = "models/digits/2",
        [GOOD_THREE] = "models/broken/not_a_number/v2-final",
    };
    return folders[good];
}

struct asking {
    const struct digits *digits;
    struct reference *reference;
    bool answered[GOODS];
    char problem[300];
};

static double accuracy(const struct digits *digits, float (*predictions)[CLASSES])
{
    unsigned right = 0;
    for (size_t i = 0; i < DIGITS; i++)
        right += digits_best(predictions[i]) == digits->labels[i];
    return (double)right / DIGITS;
}

static const char *check(void *argument, const struct el_load_answer *answer)
{
    struct asking *asking = argument;
    float(*predictions)[CLASSES] = asking->reference->predictions[answer->message];
    int64_t version = 0;
    if (answer->code != 0) {
        snprintf(asking->problem, sizeof asking->problem, "version %zu alone: code %d %s", answer->message + 1,
                 answer->code, answer->text);
        return "failed";
    }
    if (!digits_grpc_answer(answer->bytes, answer->size, DIGITS, predictions, &version) ||
        version != (int64_t)answer->message + 1) {
        snprintf(asking->problem, sizeof asking->problem, "version %zu alone: no answer of the expected form",
                 answer->message + 1);
        return "malformed";
    }
    asking->reference->accuracy[answer->message] = accuracy(asking->digits, predictions);
    asking->answered[answer->message] = true;
    return NULL;
}

static struct el_status *ask(uv_loop_t *loop, uint16_t port, const struct el_load_message *messages,
                             struct asking *asking)
{
    const struct el_load_options options = {
        .loop = loop,
        .protocol = EL_LOAD_GRPC,
        .host = "127.0.0.1",
        .port = port,
        .path = "/tensorflow.serving.PredictionService/Predict",
        .messages = messages,
        .message_count = GOODS,
        .count = GOODS,
        .timeout_ms = TIMEOUT_MS,
        .check = check,
        .argument = asking,
    };
    struct el_load *load;
    EL_TRY(el_load_start(&options, &load));
    uv_run(loop, UV_RUN_DEFAULT);
    el_load_free(load);
    for (size_t i = 0; i < GOODS; i++) {
        if (!asking->answered[i])
            return el_status_new(EL_UNAVAILABLE, "ask the good versions what they answer: %s", asking->problem);
    }
    return NULL;
}

struct el_status *reference_ask(uint16_t grpc_port, const struct digits *digits, struct reference *reference)
{
    struct asking asking = { .digits = digits, .reference = reference };
    struct el_buf questions[GOODS] = { 0 };
    struct el_load_message messages[GOODS];
    struct el_status *status = NULL;
    for (size_t i = 0; i < GOODS && status == NULL; i++) {
        digits_grpc_question(digits, 0, DIGITS, SERVER_REFERENCE, (int64_t)i + 1, &questions[i]);
        messages[i] = (struct el_load_message){ questions[i].data, questions[i].size };
        status = el_buf_status(&questions[i]);
    }
    uv_loop_t loop;
    if (status == NULL && uv_loop_init(&loop) != 0)
        status = el_status_no_memory();
    else if (status == NULL) {
        status = ask(&loop, grpc_port, messages, &asking);
        uv_loop_close(&loop);
    }
    for (size_t i = 0; i < GOODS; i++)
        el_buf_free(&questions[i]);
    return status;
}

bool reference_fits(const struct reference *reference, enum good good, size_t digit, const float prediction[CLASSES])
{
    const float *expected = reference->predictions[good][digit];
    for (size_t i = 0; i < CLASSES; i++) {
        /* Written so that NaN does not fit. */
        if (!(fabsf(prediction[i] - expected[i]) <= ABSOLUTE + RELATIVE * fabsf(expected[i])))
            return false;
    }
    return true;
}
