/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/local_copy.h"

#include "base/clock.h"
#include "swap/local_copy_jobs.h"
#include "swap/manager.h"
#include "swap/policy.h"
#include "swap/remember.h"
#include "swap/version.h"
#include "swap/view.h"
#include "swap/wishes.h"

#include <stdlib.h>
#include <string.h>

#define PATIENCE_NS (3 * EL_NS_PER_S) /* with a base path whose first look does not end: a mount that hangs */
#define AGAIN_NS (60 * EL_NS_PER_S)   /* until a copy that could not be made is tried again */

static struct el_copy_jobs *jobs_of(const struct el_model *model)
{
    const struct el_swap *swap = model->swap;
    return model->settings.update.keep_local_copy && swap->options.copies_max_bytes > 0 ? swap->copy_jobs : NULL;
}

/* NULL: no memory, or no copies here. */
static struct el_local_copy *copy_of(struct el_model *model)
{
    if (model->copy == NULL && jobs_of(model) != NULL)
        model->copy = calloc(1, sizeof *model->copy);
    return model->copy;
}

static void tell_unless(const struct el_model *model, struct el_status *status)
{
    if (status != NULL)
        el_tell(model->swap, EL_LOG_WARNING, "local_copy_failed", model, NULL, "%s", el_status_text(status));
    el_status_free(status);
}

static void forget_seen(struct el_local_copy *copy)
{
    free(copy->seen.path);
    free(copy->seen.state_op);
    copy->seen = (struct el_source_version){ 0 };
    copy->digest[0] = '\0';
    copy->offered = false;
}

void el_local_copy_free(struct el_local_copy *copy)
{
    if (copy == NULL)
        return;
    forget_seen(copy);
    free(copy->told_failure);
    free(copy);
}

void el_local_copy_begin(struct el_model *model)
{
    struct el_local_copy *copy = copy_of(model);
    if (copy == NULL) {
        el_local_copy_drop(model, NULL); /* it is not wanted (any more) */
        return;
    }
    copy->due_ns = el_after_ns(el_now_ns(), PATIENCE_NS);
    el_model_alarm(model, copy->due_ns);
}

/* ---- is it needed ---- */

static bool is_loaded(const struct el_version *version)
{
    return version->state == EL_LIFE_READY || version->state == EL_LIFE_SERVING || version->state == EL_LIFE_WARM;
}

static bool is_wanted(const struct el_model *model, int64_t number)
{
    const struct el_version_policy *policy = &model->settings.policy;
    const struct el_wish *wish = el_wish_find(model, number);
    if (wish != NULL && (wish->kind == EL_WISH_UNLOAD || wish->kind == EL_WISH_QUARANTINE))
        return false;
    if (policy->type != EL_POLICY_SPECIFIC)
        return true;
    for (size_t i = 0; i < policy->version_count; i++)
        if (policy->versions[i] == number)
            return true;
    return false;
}

/* Whole, if not quiet yet, and not known as bad. */
static bool source_has_one(const struct el_model *model, const struct el_source_version *versions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct el_version *version = el_version_find(model, versions[i].version);
        const bool refused = version != NULL && version->state == EL_LIFE_QUARANTINED &&
                             version->fingerprint == versions[i].fingerprint;
        if (versions[i].seen == EL_SEEN_WHOLE && versions[i].state != EL_SOURCE_BAD && !refused &&
            is_wanted(model, versions[i].version))
            return true;
    }
    return false;
}

static bool was_read(const struct el_model *model, uint64_t now_ns)
{
    return el_source_scanned(model->source) || (model->copy->due_ns != 0 && now_ns >= model->copy->due_ns);
}

static void look_for_it(struct el_model *model)
{
    struct el_status *status = el_copy_jobs_find(jobs_of(model), model);
    model->copy->looking = status == NULL;
    tell_unless(model, status);
    model->copy->looked = true;
}

static void tell_back(struct el_model *model, const struct el_version *version)
{
    model->copy->told_back = true;
    el_tell(model->swap, EL_LOG_INFO, "store_back", model, version,
            "%s has a version that can be loaded: the local copy is not needed any more", model->settings.base_path);
}

/* A copy that could not be made, of what is still the last good version. */
static void keep_again(struct el_model *model, uint64_t now_ns)
{
    struct el_local_copy *copy = model->copy;
    if (copy->keep_again_ns == 0)
        return;
    if (now_ns < copy->keep_again_ns) {
        el_model_alarm(model, copy->keep_again_ns);
        return;
    }
    copy->keep_again_ns = 0;
    const struct el_version *serving = el_model_serving(model);
    if (serving != NULL && el_remember_is_last_good(serving))
        el_local_copy_keep(serving);
}

void el_local_copy_look(struct el_model *model, const struct el_source_version *versions, size_t count, uint64_t now_ns)
{
    struct el_local_copy *copy = copy_of(model);
    if (copy == NULL)
        return;
    const bool has_one = source_has_one(model, versions, count);
    struct el_version *version, *mine = NULL;
    bool loaded = false, stranded = false;
    el_list_each (version, &model->versions, in_model) {
        loaded = loaded || is_loaded(version);
        stranded = stranded || (version->state == EL_LIFE_SERVING && version->hosted == NULL);
        if (version->from_copy && !el_version_is_over(version))
            mine = version;
    }
    const bool needed = jobs_of(model) != NULL && !loaded && !has_one && was_read(model, now_ns);
    if (needed && copy->seen.path == NULL && !copy->looked)
        look_for_it(model);
    copy->offered = copy->seen.path != NULL && is_wanted(model, copy->seen.version) &&
                    (needed || (mine != NULL && !(is_loaded(mine) && has_one)));
    if (!needed && !stranded && mine == NULL && !copy->looking) {
        forget_seen(copy); /* the next time it is read again */
        copy->looked = false;
    }
    if (mine != NULL && mine->state == EL_LIFE_SERVING && has_one && !copy->told_back)
        tell_back(model, mine);
    keep_again(model, now_ns);
}

bool el_local_copy_is_coming(const struct el_model *model)
{
    return model->copy != NULL && model->copy->looking;
}

const struct el_source_version *el_local_copy_offer(const struct el_model *model,
                                                    const struct el_source_version *versions, size_t count)
{
    const struct el_local_copy *copy = model->copy;
    if (copy == NULL || !copy->offered)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (versions[i].version == copy->seen.version && versions[i].state == EL_SOURCE_WHOLE)
            return NULL;
    return &copy->seen;
}

const struct el_source_version *el_local_copy_instead(const struct el_model *model, int64_t number,
                                                      const struct el_source_version *seen)
{
    const struct el_local_copy *copy = model->copy;
    if (copy == NULL || copy->seen.path == NULL || copy->seen.version != number ||
        (seen != NULL && seen->state == EL_SOURCE_WHOLE))
        return seen;
    const struct el_version *version = el_version_find(model, number);
    const bool answers = version != NULL && version->from_copy && !el_version_is_over(version);
    return copy->offered || answers ? &copy->seen : seen;
}

bool el_local_copy_is(const struct el_model *model, const struct el_source_version *seen)
{
    return model->copy != NULL && model->copy->seen.path != NULL && seen->path == model->copy->seen.path;
}

void el_local_copy_found(struct el_model *model, struct el_shelf_item *item, const char *refused,
                         const struct el_status *found)
{
    struct el_local_copy *copy = model->copy;
    if (copy == NULL)
        return;
    copy->looking = false;
    el_model_touch(model);
    if (refused != NULL)
        el_tell(model->swap, EL_LOG_ERROR, "local_copy_refused", model, NULL, "%s", refused);
    if (found != NULL) {
        if (el_status_code(found) != EL_NOT_FOUND)
            tell_unless(model, el_status_copy(found));
        return;
    }
    if (el_journal_find_bad(model->swap->options.journal, model->settings.name, item->digest) != NULL)
        return; /* it was quarantined while it was read */
    forget_seen(copy);
    copy->seen = (struct el_source_version){ .version = item->version,
                                             .path = item->path,
                                             .state = EL_SOURCE_WHOLE,
                                             .fingerprint = item->fingerprint,
                                             .whole_since_ns = el_now_ns(),
                                             .bytes = item->bytes,
                                             .state_op = item->state_op,
                                             .seen = EL_SEEN_WHOLE };
    memcpy(copy->digest, item->digest, sizeof copy->digest);
    item->path = item->state_op = NULL;
}

void el_local_copy_answers(struct el_version *version)
{
    const struct el_model *model = version->model;
    const char *error = model->source != NULL ? el_source_error(model->source) : "";
    if (model->copy == NULL)
        return;
    model->copy->told_back = false;
    el_version_set_reason(version, "answers from the local copy in the state directory");
    el_tell(model->swap, EL_LOG_WARNING, "serving_from_copy", model, version, "%s, because %s%s%s", version->path,
            error[0] != '\0' ? "" : model->settings.base_path,
            error[0] != '\0'                                             ? error
            : model->source != NULL && !el_source_scanned(model->source) ? " cannot be read to its end"
                                                                         : " has no version that can be loaded",
            "; it is left for one that can");
}

/* Its directory is as it was: if its worker does not start, that is not for want of files. */
static bool has_its_files(const struct el_version *version)
{
    size_t count = 0;
    const struct el_source *source = version->model->source;
    const struct el_source_version *seen = source != NULL ? el_source_versions(source, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        if (seen[i].version == version->number)
            return seen[i].fingerprint == version->fingerprint && el_source_error(source)[0] == '\0';
    return false;
}

bool el_local_copy_rescue(struct el_version *version)
{
    struct el_model *model = version->model;
    struct el_local_copy *copy = copy_of(model);
    if (copy == NULL || version->from_copy || version->digest[0] == '\0' || has_its_files(version))
        return false;
    if (copy->seen.path == NULL || strcmp(copy->digest, version->digest) != 0) {
        if (!copy->looking && jobs_of(model) != NULL)
            look_for_it(model); /* for the next try */
        return false;
    }
    char *path = strdup(copy->seen.path);
    if (path == NULL)
        return false;
    free(version->path);
    version->path = path;
    version->from_copy = true;
    version->fingerprint = version->digest_of = copy->seen.fingerprint;
    el_local_copy_answers(version);
    return true;
}

/* ---- keeping one ---- */

void el_local_copy_keep(const struct el_version *version)
{
    struct el_model *model = version->model;
    struct el_local_copy *copy = copy_of(model);
    struct el_copy_jobs *jobs = jobs_of(model);
    if (copy == NULL || jobs == NULL || version->from_copy || version->digest[0] == '\0' ||
        strcmp(copy->kept, version->digest) == 0 || strcmp(copy->keeping, version->digest) == 0)
        return;
    const struct el_version *other;
    const char *spare = NULL;
    el_list_each (other, &model->versions, in_model) {
        if (other->from_copy && !el_version_is_over(other))
            spare = other->path;
    }
    struct el_status *status = el_copy_jobs_keep(jobs, version, spare);
    if (status == NULL)
        memcpy(copy->keeping, version->digest, sizeof copy->keeping);
    else
        el_local_copy_kept(model, version->number, version->digest, NULL, status);
    el_status_free(status);
}

void el_local_copy_kept(struct el_model *model, int64_t version, const char *digest, const char *text,
                        const struct el_status *kept)
{
    struct el_local_copy *copy = model->copy;
    if (copy == NULL)
        return;
    if (strcmp(copy->keeping, digest) == 0)
        copy->keeping[0] = '\0';
    const struct el_version *life = el_version_find(model, version);
    if (kept == NULL) {
        memcpy(copy->kept, digest, sizeof copy->kept);
        free(copy->told_failure);
        copy->told_failure = NULL;
        if (text != NULL)
            el_tell(model->swap, EL_LOG_INFO, "local_copy_kept", model, life, "%s", text);
        return;
    }
    copy->keep_again_ns = el_after_ns(el_now_ns(), AGAIN_NS);
    el_model_alarm(model, copy->keep_again_ns);
    if (copy->told_failure != NULL && strcmp(copy->told_failure, el_status_text(kept)) == 0)
        return;
    free(copy->told_failure);
    copy->told_failure = strdup(el_status_text(kept));
    el_tell(model->swap, EL_LOG_WARNING, "local_copy_failed", model, life,
            "no local copy is kept: %s; serving goes on, and it is tried again every %u s", el_status_text(kept),
            (unsigned)(AGAIN_NS / EL_NS_PER_S));
}

void el_local_copy_drop(const struct el_model *model, const char *digest)
{
    struct el_local_copy *copy = model->copy;
    if (model->swap->copy_jobs == NULL)
        return;
    if (copy != NULL && (digest == NULL || strcmp(copy->kept, digest) == 0))
        copy->kept[0] = '\0';
    tell_unless(model, el_copy_jobs_drop(model->swap->copy_jobs, model, digest));
}

void el_local_copy_sweep(struct el_swap *swap)
{
    if (swap->copy_jobs == NULL)
        return;
    struct el_status *status = el_copy_jobs_sweep(swap->copy_jobs);
    if (status != NULL)
        el_tell(swap, EL_LOG_WARNING, "local_copy_failed", NULL, NULL, "%s", el_status_text(status));
    el_status_free(status);
}
