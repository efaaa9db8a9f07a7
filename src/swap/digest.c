/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/digest.h"

#include "base/clock.h"
#include "bundle/completeness.h"
#include "swap/version.h"

#include <stdlib.h>
#include <string.h>

#define AGAIN_NS (1 * EL_NS_PER_S) /* after a start that found no memory */

struct el_digesting {
    uv_work_t work;
    struct el_swap *swap;
    struct el_version *version; /* NULL: abandoned. The swap thread's */
    char *path;
    uint64_t fingerprint;
    _Atomic bool abandoned;
    struct el_status *failed; /* the pool's until the work has ended */
    uint8_t digest[EL_DIGEST_SIZE];
};

static bool proceed(void *argument)
{
    const struct el_digesting *digesting = argument;
    return !atomic_load_explicit(&digesting->abandoned, memory_order_relaxed);
}

static void in_pool(uv_work_t *work)
{
    struct el_digesting *digesting = work->data;
    digesting->failed = el_version_digest(digesting->path, proceed, digesting, digesting->digest);
}

static void finish(uv_work_t *work, int cancelled)
{
    struct el_digesting *digesting = work->data;
    struct el_version *version = digesting->version;
    struct el_swap *swap = digesting->swap;
    swap->open_works--;
    el_swap_touch(swap);
    if (version != NULL) {
        el_model_touch(version->model);
        version->digesting = NULL;
        if (cancelled == 0 && digesting->failed == NULL && version->fingerprint == digesting->fingerprint)
            el_digest_print(digesting->digest, version->digest);
        else if (digesting->failed != NULL && version->state == EL_LIFE_VERIFYING &&
                 version->fingerprint == digesting->fingerprint)
            el_version_load_failed(version, el_status_prefix(el_status_copy(digesting->failed), "reading its files"));
    }
    el_status_free(digesting->failed);
    free(digesting->path);
    free(digesting);
}

bool el_digest_known(struct el_version *version)
{
    struct el_swap *swap = version->model->swap;
    if (version->digest[0] != '\0' && version->digest_of == version->fingerprint)
        return true;
    if (version->digesting != NULL && version->digesting->fingerprint == version->fingerprint)
        return false;
    el_digest_abandon(version->digesting);
    version->digesting = NULL;
    version->digest[0] = '\0';
    version->digest_of = version->fingerprint;
    struct el_digesting *digesting = calloc(1, sizeof *digesting);
    char *path = strdup(version->path);
    if (digesting != NULL && path != NULL) {
        digesting->work.data = digesting;
        digesting->swap = swap;
        digesting->version = version;
        digesting->path = path;
        digesting->fingerprint = version->fingerprint;
        if (uv_queue_work(swap->options.uv_loop, &digesting->work, in_pool, finish) == 0) {
            version->digesting = digesting;
            swap->open_works++;
            return false;
        }
    }
    free(digesting);
    free(path);
    el_model_alarm(version->model, el_after_ns(el_now_ns(), AGAIN_NS));
    return false;
}

void el_digest_abandon(struct el_digesting *digesting)
{
    if (digesting == NULL)
        return;
    digesting->version = NULL;
    atomic_store_explicit(&digesting->abandoned, true, memory_order_relaxed);
    uv_cancel((uv_req_t *)&digesting->work); /* finish comes in any case */
}
