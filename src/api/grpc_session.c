/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SessionService.SessionRun: feeds and fetches by the names of tensors in the graph, past the signatures; or, with
 * tensor_name_is_alias, by the names that the signature of model_spec gives them. TensorFlow Serving declares the service
 * and does not serve it; its messages are read here as their comments say.
 *
 * The message is read in place; what names mean is the engine's to know (TensorFlow's only), so all texts about them are its own.
 */
#include "api/grpc_session.h"
#include "api/generation.h"
#include "api/origin.h"

#include "api/log_records.h"
#include "api/predict.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

struct session {
    struct el_request request; /* first: a request is a session */
    struct el_grpc_call *call; /* NULL: the client is gone */
    struct el_api_loop *loop;
    struct el_session_run message;
    struct el_call_tensors tensors; /* names are those of the message */
    uint32_t *places;               /* owned; of each fetch among the outputs of the request */
};

static void release(struct session *session)
{
    el_session_run_free(&session->message);
    free(session->tensors.names.inputs);
    free(session->tensors.names.outputs);
    free(session->places);
    free(session);
}

static struct el_status *put_feed(struct el_session_feed *feed, uint32_t input, struct el_call *call)
{
    EL_TRY(el_tensor_proto_head(&feed->tensor, feed->name, strlen(feed->name), EL_API_MAX_INPUT_BYTES));
    void *data;
    EL_TRY(el_call_input(call, input, feed->tensor.dtype, &feed->tensor.shape, feed->tensor.size, &data));
    el_tensor_proto_decode(&feed->tensor, data);
    return NULL;
}

/* ---- by the graph's names ---- */

static struct el_status *fill_tensors(struct session *session, struct el_call *call, uint32_t *outputs,
                                      uint32_t *output_count)
{
    struct el_session_run *message = &session->message;
    for (uint32_t i = 0; i < message->feed_count; i++)
        EL_TRY(put_feed(&message->feeds[i], i, call));
    for (uint32_t i = 0; i < message->fetch_count; i++)
        outputs[i] = session->places[i] = i;
    *output_count = message->fetch_count;
    return NULL;
}

static struct el_status *name_tensors(struct session *session)
{
    const struct el_session_run *message = &session->message;
    struct el_signature *names = &session->tensors.names;
    names->inputs = calloc((size_t)message->feed_count + 1, sizeof *names->inputs);
    names->outputs = calloc((size_t)message->fetch_count + 1, sizeof *names->outputs);
    if (names->inputs == NULL || names->outputs == NULL)
        return el_status_no_memory();
    static char nameless[1];
    names->name = names->method_name = nameless;
    for (uint32_t i = 0; i < message->feed_count; i++)
        names->inputs[i] = (struct el_tensor_info){ .name = message->feeds[i].name, .shape.rank = -1 };
    for (uint32_t i = 0; i < message->fetch_count; i++)
        names->outputs[i] = (struct el_tensor_info){ .name = message->fetches[i], .shape.rank = -1 };
    names->input_count = message->feed_count;
    names->output_count = message->fetch_count;
    session->tensors.targets = (const char *const *)message->targets;
    session->tensors.target_count = message->target_count;
    return NULL;
}

/* ---- by a signature's names ---- */

static struct el_status *unknown_alias(const char *alias, const char *which, const struct el_names *known)
{
    struct el_buf text = { 0 };
    el_buf_printf(&text, "tensor alias not found in signature: %s %s expected to be in the set {", alias, which);
    el_names_join(known, &text);
    el_buf_text(&text, "}.");
    char *all = el_buf_take_text(&text);
    if (all == NULL)
        return el_status_no_memory();
    struct el_status *status = el_status_new(EL_INVALID_ARGUMENT, "%s", all);
    free(all);
    return status;
}

static struct el_status *put_feeds(struct session *session, struct el_call *call, const struct el_signature *signature)
{
    struct el_session_run *message = &session->message;
    const struct el_names inputs = EL_NAMES(signature->inputs, signature->input_count, name);
    for (uint32_t i = 0; i < message->feed_count; i++) {
        const char *name = message->feeds[i].name;
        const int64_t input = el_names_find(&inputs, name, strlen(name));
        if (input < 0)
            return unknown_alias(name, "Inputs", &inputs);
        EL_TRY(put_feed(&message->feeds[i], (uint32_t)input, call));
    }
    return NULL;
}

static struct el_status *put_defaults(const struct session *session, struct el_call *call,
                                      const struct el_signature *signature)
{
    const struct el_session_run *message = &session->message;
    for (uint32_t i = 0; i < signature->input_count; i++) {
        bool fed = signature->inputs[i].default_value == NULL;
        for (uint32_t k = 0; k < message->feed_count && !fed; k++)
            fed = strcmp(message->feeds[k].name, signature->inputs[i].name) == 0;
        if (!fed)
            EL_TRY(el_api_put_default(signature, i, call));
    }
    return NULL;
}

/* outputs ascend, each once; a fetch's place is where its output is among them. */
static struct el_status *find_fetches(struct session *session, const struct el_signature *signature, uint32_t *outputs,
                                      uint32_t *output_count)
{
    const struct el_session_run *message = &session->message;
    const struct el_names names = EL_NAMES(signature->outputs, signature->output_count, name);
    for (uint32_t i = 0; i < message->fetch_count; i++) {
        const int64_t found = el_names_find(&names, message->fetches[i], strlen(message->fetches[i]));
        if (found < 0)
            return unknown_alias(message->fetches[i], "Outputs", &names);
        session->places[i] = (uint32_t)found;
    }
    *output_count = 0;
    for (uint32_t output = 0; output < signature->output_count; output++) {
        bool wanted = false;
        for (uint32_t i = 0; i < message->fetch_count; i++)
            wanted |= session->places[i] == output;
        if (wanted)
            outputs[(*output_count)++] = output;
    }
    for (uint32_t i = 0; i < message->fetch_count; i++) {
        uint32_t place = 0;
        while (outputs[place] != session->places[i])
            place++;
        session->places[i] = place;
    }
    return NULL;
}

static struct el_status *fill(struct el_request *request, struct el_call *call, const struct el_signature *signature,
                              uint32_t *outputs, uint32_t *output_count)
{
    struct session *session = (struct session *)request;
    if (session->call == NULL)
        return el_status_new(EL_CANCELLED, "the client is gone");
    if (!session->message.by_alias)
        return fill_tensors(session, call, outputs, output_count);
    EL_TRY(put_feeds(session, call, signature));
    EL_TRY(put_defaults(session, call, signature));
    return find_fetches(session, signature, outputs, output_count);
}

/* ---- the answer ---- */

static struct el_status *write_response(struct session *session)
{
    const struct el_session_run *message = &session->message;
    const struct el_request *request = &session->request;
    const struct el_tensor *tensors;
    el_call_outputs(request->call, &tensors);
    struct el_buf *buf = el_grpc_reply_buf(session->call);
    for (uint32_t i = 0; i < message->fetch_count; i++)
        el_session_put_tensor(buf, message->fetches[i], &tensors[session->places[i]]);
    char *model = strndup(request->model, request->model_size);
    if (model == NULL)
        return el_status_no_memory();
    el_model_spec_write(buf, EL_SESSION_RESPONSE_SPEC, model, request->served_version,
                        message->by_alias ? request->signature->name : NULL);
    free(model);
    return el_buf_status(buf);
}

static void done(struct el_request *request, const struct el_status *status)
{
    struct session *session = (struct session *)request;
    if (session->call != NULL) {
        struct el_status *failure = status == NULL ? write_response(session) : NULL;
        el_api_put_grpc_generation(session->call, request);
        if (status == NULL && failure == NULL) {
            el_log_grpc(session->loop, request, EL_PREDICTION_SESSION_RUN, session->call);
            el_grpc_reply(session->call);
        } else
            el_grpc_fail(session->call, status != NULL ? status : failure);
        el_status_free(failure);
    }
    el_request_end(request);
    release(session);
}

static void cancelled(struct el_grpc_call *call, void *user)
{
    (void)call;
    struct session *session = user;
    session->call = NULL;
    el_request_cancel(&session->request);
}

static uint64_t deadline_of(const struct session *session)
{
    const uint64_t client_ns = el_grpc_deadline_ns(session->call);
    if (session->message.timeout_ms <= 0)
        return client_ns;
    uint64_t timeout_ns;
    if (__builtin_mul_overflow((uint64_t)session->message.timeout_ms, EL_NS_PER_MS, &timeout_ns))
        return client_ns;
    const uint64_t own_ns = el_after_ns(el_now_ns(), timeout_ns);
    return own_ns < client_ns ? own_ns : client_ns;
}

static void start(struct session *session, struct el_api_loop *loop, uint64_t generation)
{
    const struct el_model_spec *spec = &session->message.spec;
    const bool by_alias = session->message.by_alias;
    session->loop = loop;
    session->request = el_api_request_of(spec);
    session->request.wanted_generation = generation;
    el_api_grpc_origin(&session->request, session->call);
    session->request.loop = loop->swap_loop;
    session->request.signature_name = spec->signature_name.data;
    session->request.signature_name_size = spec->signature_name.size;
    session->request.tensors = by_alias ? NULL : &session->tensors;
    session->request.deadline_ns = deadline_of(session);
    session->request.fill = fill;
    session->request.done = done;
    el_grpc_set_user(session->call, session);
    el_grpc_on_cancel(session->call, cancelled);
    el_request_start(&session->request);
}

static struct el_status *prepare(struct session *session)
{
    size_t size;
    const uint8_t *bytes = el_grpc_message(session->call, &size);
    EL_TRY(el_session_run_parse(bytes, size, &session->message));
    if (!session->message.spec.present)
        return el_status_new(EL_INVALID_ARGUMENT, "Missing ModelSpec");
    session->places = calloc((size_t)session->message.fetch_count + 1, sizeof *session->places);
    if (session->places == NULL)
        return el_status_no_memory();
    return name_tensors(session);
}

void el_api_grpc_session_run(struct el_grpc_call *call, void *api)
{
    (void)api;
    struct session *session = calloc(1, sizeof *session);
    struct el_status *status = session == NULL ? el_status_no_memory() : NULL;
    if (status == NULL) {
        session->call = call;
        status = prepare(session);
    }
    uint64_t generation = 0;
    if (status == NULL)
        status = el_api_read_generation(el_grpc_metadata(call, EL_GENERATION_HEADER), &generation);
    if (status == NULL) {
        start(session, el_api_grpc_loop(call), generation);
        return;
    }
    el_grpc_fail(call, status);
    el_status_free(status);
    if (session != NULL)
        release(session);
}
