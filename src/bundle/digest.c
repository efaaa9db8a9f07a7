/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is hashed, for each entry in the order of names: "F", name, NUL, size as
 * 8 bytes little-endian, content; or "L", name, NUL, target, NUL. Directories
 * count by what is in them.
 */
#include "bundle/completeness.h"
#include "bundle/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)256 * 1024)

struct digesting {
    EVP_MD_CTX *hash;
    uint8_t *chunk;
    bool (*proceed)(void *argument);
    void *argument;
};

static struct el_status *add_content(const struct digesting *digesting, int fd, const struct el_tree_entry *entry)
{
    uint64_t done = 0;
    for (;;) {
        if (digesting->proceed != NULL && !digesting->proceed(digesting->argument))
            return el_status_new(EL_CANCELLED, "%s: reading it was cancelled", entry->name);
        const ssize_t n = read(fd, digesting->chunk, CHUNK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return el_status_errno(errno, "%s: cannot be read", entry->name);
        if (n == 0)
            break;
        EVP_DigestUpdate(digesting->hash, digesting->chunk, (size_t)n);
        done += (uint64_t)n;
    }
    if (done != entry->size)
        return el_status_new(EL_ABORTED, "%s: has changed while it was read", entry->name);
    return NULL;
}

static struct el_status *add_file(const struct digesting *digesting, int dir_fd, const struct el_tree_entry *entry)
{
    uint8_t size[8];
    for (unsigned i = 0; i < 8; i++)
        size[i] = (uint8_t)(entry->size >> 8 * i);
    EVP_DigestUpdate(digesting->hash, "F", 1);
    EVP_DigestUpdate(digesting->hash, entry->name, strlen(entry->name) + 1);
    EVP_DigestUpdate(digesting->hash, size, sizeof size);
    const int fd = el_tree_open(dir_fd, entry->name);
    if (fd < 0)
        return el_status_errno(errno, "%s: cannot be opened", entry->name);
    struct el_status *status = add_content(digesting, fd, entry);
    close(fd);
    return status;
}

static struct el_status *add_tree(const struct digesting *digesting, int dir_fd, const struct el_tree *tree)
{
    if (tree->bad != NULL)
        return el_status_new(EL_FAILED_PRECONDITION, "%s", tree->bad);
    for (size_t i = 0; i < tree->count; i++) {
        const struct el_tree_entry *entry = &tree->list[i];
        if (entry->kind == EL_TREE_FILE)
            EL_TRY(add_file(digesting, dir_fd, entry));
        if (entry->kind != EL_TREE_LINK)
            continue;
        EVP_DigestUpdate(digesting->hash, "L", 1);
        EVP_DigestUpdate(digesting->hash, entry->name, strlen(entry->name) + 1);
        EVP_DigestUpdate(digesting->hash, entry->target, strlen(entry->target) + 1);
    }
    return NULL;
}

struct el_status *el_version_digest(const char *path, bool (*proceed)(void *argument), void *argument,
                                    uint8_t digest[EL_DIGEST_SIZE])
{
    struct el_tree tree = { 0 };
    struct digesting digesting = {
        .hash = EVP_MD_CTX_new(),
        .chunk = malloc(CHUNK_BYTES),
        .proceed = proceed,
        .argument = argument,
    };
    struct el_status *status = NULL;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        status = el_status_errno(errno, "cannot be opened as a directory");
    else if (digesting.hash == NULL || digesting.chunk == NULL ||
             EVP_DigestInit_ex(digesting.hash, EVP_sha256(), NULL) != 1)
        status = el_status_no_memory();
    else
        status = el_tree_read(fd, "the directory", &tree);
    if (status == NULL)
        status = add_tree(&digesting, fd, &tree);
    if (status == NULL && EVP_DigestFinal_ex(digesting.hash, digest, NULL) != 1)
        status = el_status_no_memory();
    el_tree_free(&tree);
    EVP_MD_CTX_free(digesting.hash);
    free(digesting.chunk);
    if (fd >= 0)
        close(fd);
    return el_status_prefix(status, "%s", path);
}

void el_digest_print(const uint8_t digest[EL_DIGEST_SIZE], char text[2 * EL_DIGEST_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < EL_DIGEST_SIZE; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[2 * EL_DIGEST_SIZE] = '\0';
}
