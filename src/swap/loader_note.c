/* SPDX-License-Identifier: Apache-2.0 */
/*
 * That a version is about to be loaded is on the disk before it is: one that takes the machine down with it is then not loaded
 * again and again. See el_remember_verdict() for what comes of it.
 */
#include "swap/loader_state.h"

#include <stdlib.h>

/* Outlives its load where that ends before the journal has written. */
struct el_load_note {
    struct el_load *load; /* NULL: it is gone */
};

static struct el_swap *swap_of(const struct el_load *load)
{
    return load->version->model->swap;
}

static void on_noted(void *argument, const struct el_status *status)
{
    (void)status; /* a disk that cannot be written is no reason to go on serving an old version */
    struct el_load_note *note = argument;
    if (note->load != NULL) {
        note->load->note = NULL;
        el_model_touch(note->load->version->model);
    }
    free(note);
}

void el_load_note(struct el_load *load)
{
    const struct el_version *version = load->version;
    struct el_load_note *note = calloc(1, sizeof *note);
    struct el_status *status = note == NULL ? el_status_no_memory()
                                            : el_journal_load_begins(swap_of(load)->options.journal,
                                                                     version->model->settings.name, version->number,
                                                                     version->fingerprint, on_noted, note);
    if (status == NULL) {
        note->load = load;
        load->note = note;
    } else {
        free(note);
    }
    el_status_free(status); /* without memory it is loaded without a note */
}

void el_load_unnote(struct el_load *load)
{
    const struct el_version *version = load->version;
    if (load->note != NULL)
        load->note->load = NULL;
    load->note = NULL;
    /* Without memory it counts as one that ended the server: the next load that ends mends it. */
    el_status_free(
        el_journal_load_ended(swap_of(load)->options.journal, version->model->settings.name, version->number));
}
