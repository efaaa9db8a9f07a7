/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/kinds.h"

#include <string.h>

/* clang-format off: a table is read in columns */
static const struct el_alert_kind kinds[] = {
    /* event, level, name, title, severity, end, ends, instead */
    { "rolled_back", EL_LOG_INFO, "EverlitRolledBack", "A version that served was taken back", EL_ALERT_CRITICAL,
      EL_ALERT_ENDS_BY_BETTER, NULL, NULL },
    { "quarantined", EL_LOG_INFO, "EverlitVersionQuarantined", "A version was refused; what served before goes on",
      EL_ALERT_WARNING, EL_ALERT_ENDS_BY_BETTER, NULL, "rolled_back" },
    { "source_failed", EL_LOG_INFO, "EverlitSourceFailed", "The base path of a model cannot be read", EL_ALERT_WARNING,
      EL_ALERT_ENDS_BY_EVENT, "source_recovered", NULL },
    { "serving_from_copy", EL_LOG_INFO, "EverlitServingFromCopy",
      "A model answers from the local copy: its base path has nothing that can be loaded", EL_ALERT_WARNING,
      EL_ALERT_ENDS_BY_EVENT, "store_back", NULL },
    { "source", EL_LOG_ERROR, "EverlitSourceNotOpened", "A base path cannot be watched", EL_ALERT_CRITICAL,
      EL_ALERT_ENDS_ITSELF, NULL, NULL },
    { "worker_died", EL_LOG_INFO, "EverlitWorkerDied", "A version's process died", EL_ALERT_WARNING,
      EL_ALERT_ENDS_BY_WORKER, NULL, NULL },
    { "respawn_failed", EL_LOG_INFO, "EverlitWorkerNotRestarted", "A version's process cannot be started again",
      EL_ALERT_CRITICAL, EL_ALERT_ENDS_BY_WORKER, NULL, NULL },
    { "not_remembered", EL_LOG_INFO, "EverlitNotRemembered", "There was no memory to keep a decision", EL_ALERT_WARNING,
      EL_ALERT_ENDS_ITSELF, NULL, NULL },
    { "illegal_move", EL_LOG_INFO, "EverlitInternalError", "A state changed in a way that must not be",
      EL_ALERT_WARNING, EL_ALERT_ENDS_ITSELF, NULL, NULL },
    { "journal_not_written", EL_LOG_INFO, "EverlitJournalNotWritten", "The state directory cannot be written",
      EL_ALERT_WARNING, EL_ALERT_ENDS_BY_EVENT, "journal_written_again", NULL },
    { "restarted_after_crash", EL_LOG_INFO, "EverlitRestartedAfterCrash",
      "The server started again after it had not ended in order", EL_ALERT_WARNING, EL_ALERT_ENDS_ITSELF, NULL, NULL },
};
/* clang-format on */

const struct el_alert_kind *el_alert_kind(const char *event, enum el_log_level level)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (level >= kinds[i].level && strcmp(kinds[i].event, event) == 0)
            return &kinds[i];
    return NULL;
}

bool el_alert_is_ended(const struct el_alert_kind *kind, int64_t bad_version, const char *event, int64_t version)
{
    const bool answers = strcmp(event, "switched") == 0 || strcmp(event, "serving") == 0;
    const bool same = version == bad_version;
    switch (kind->end) {
    case EL_ALERT_ENDS_BY_EVENT:
        return strcmp(event, kind->ends) == 0;
    case EL_ALERT_ENDS_BY_BETTER:
        return (answers && version >= bad_version) || (same && strcmp(event, "released") == 0);
    case EL_ALERT_ENDS_BY_WORKER:
        return answers || strcmp(event, "respawned") == 0 ||
               (same && (strcmp(event, "retired") == 0 || strcmp(event, "ended") == 0));
    case EL_ALERT_ENDS_ITSELF:
    default:
        return false;
    }
}
