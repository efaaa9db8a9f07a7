/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_COMPLETENESS_H
#define EL_BUNDLE_COMPLETENESS_H

/*
 * Is this version directory whole, has it changed, and what is in it.
 *
 * Called by sources on a thread of the pool, and by `everlit inspect`: all of
 * it blocks on the file system. No state. The directory is untrusted: nothing outside of it is read
 * (links out of it make it BAD), nothing in it is run, and numbers of files and depth are limited.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum el_completeness {
    EL_VERSION_WHOLE,
    EL_VERSION_NOT_YET, /* something is missing or cut off: it might still be being copied */
    EL_VERSION_BAD,     /* it can never be right as long as its files stay as they are */
};

struct el_version_check {
    enum el_completeness result;
    char *text;           /* what is missing or wrong, without the directory's path; NULL for WHOLE */
    enum el_code code;    /* that TensorFlow's loader has for it; EL_OK for WHOLE */
    char *said;           /* its text, word for word, for what clients may know it by; NULL: none */
    uint64_t fingerprint; /* see el_version_fingerprint() */
    uint64_t file_count;
    uint64_t bytes; /* of all regular files */
    char *state_op; /* WHOLE: see el_meta_graph; of any meta graph; NULL: none */
};

/*
 * Looks whether the directory at path is a whole SavedModel: saved_model.pb can be read to its end; the
 * variables' index is there when the graph has variables, and can be read when it is there; the data files that it names are
 * there and long enough; so are the assets; there are only regular files, directories, and links that stay inside.
 *
 * Fails only where that cannot be found out: no such directory (NOT_FOUND), no permission, no memory.
 */
struct el_status *el_version_check(const char *path, struct el_version_check *check) EL_MUST_USE;
void el_version_check_free(struct el_version_check *check);

/*
 * A number that changes when names, sizes, modification times or inodes of the files below path change: much cheaper than
 * el_version_check(), which says the same number. No file is read. A directory that cannot be walked (BAD) has one too.
 */
struct el_status *el_version_fingerprint(const char *path, uint64_t *fingerprint) EL_MUST_USE;

#define EL_DIGEST_SIZE 32

/*
 * SHA-256 over the names and contents of all regular files below path, sorted by name: the same for the same content wherever it
 * lies. Links inside count with their targets' text. Reads everything; proceed (may be NULL) is asked now and then, and false ends
 * it with CANCELLED. A directory with something in it that makes it BAD is FAILED_PRECONDITION.
 */
struct el_status *el_version_digest(const char *path, bool (*proceed)(void *argument), void *argument,
                                    uint8_t digest[EL_DIGEST_SIZE]) EL_MUST_USE;

/* "b5bb9d80…": 64 hexadecimal digits and the end. */
void el_digest_print(const uint8_t digest[EL_DIGEST_SIZE], char text[2 * EL_DIGEST_SIZE + 1]);

#endif
