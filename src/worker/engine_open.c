/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/engine_open.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHAT_TO_TYPE "type `make` in Everlit's source to fetch and build the engines, or install the package again"

static bool good_name(const char *name)
{
    if (*name == '\0' || strlen(name) > 32)
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

/* What tables of minor 0 have; those of later ones have more. */
#define FIRST_SIZE offsetof(struct everlit_engine, run_tensors)

static struct el_status *check_table(const char *name, const char *path, const struct everlit_engine *table)
{
    if (table == NULL || table->major != EVERLIT_ENGINE_MAJOR)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "engine %s: %s does not speak version %u of the engine interface; " WHAT_TO_TYPE, name,
                             path, EVERLIT_ENGINE_MAJOR);
    if (table->struct_size < FIRST_SIZE || table->name == NULL || table->version == NULL || table->start == NULL ||
        table->open == NULL || table->signatures == NULL || table->run == NULL || table->close == NULL ||
        table->stop == NULL)
        return el_status_new(
            EL_FAILED_PRECONDITION,
            "engine %s: the table of functions that %s gives is not complete (%zu bytes, expected %zu)", name, path,
            table->struct_size, FIRST_SIZE);
    return NULL;
}

typedef const struct everlit_engine *get_table(uint32_t major);

static struct el_status *load(const char *name, const char *path, struct el_engine *engine)
{
    if (access(path, R_OK) != 0)
        return el_status_new(EL_FAILED_PRECONDITION, "engine %s: %s cannot be read: %s; " WHAT_TO_TYPE, name, path,
                             strerror(errno));
    engine->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (engine->library == NULL)
        return el_status_new(EL_FAILED_PRECONDITION, "engine %s: %s cannot be loaded: %s; " WHAT_TO_TYPE, name, path,
                             dlerror());
    void *symbol = dlsym(engine->library, "everlit_engine_get");
    if (symbol == NULL)
        return el_status_new(EL_FAILED_PRECONDITION, "engine %s: %s is no engine of Everlit: %s", name, path,
                             dlerror());
    get_table *get;
    memcpy(&get, &symbol, sizeof get); /* POSIX promises that this works; ISO C has no cast for it */
    engine->table = get(EVERLIT_ENGINE_MAJOR);
    EL_TRY(check_table(name, path, engine->table));
    struct everlit_error error = { .text = "" };
    const int code = engine->table->start(&error);
    if (code != 0) {
        error.text[sizeof error.text - 1] = '\0';
        return el_status_new(code > 0 && code < EL_CODES ? (enum el_code)code : EL_INTERNAL,
                             "engine %s: %s cannot start: %s", name, path, error.text);
    }
    return NULL;
}

struct el_status *el_engine_open(const char *dir, const char *name, struct el_engine **engine)
{
    if (!good_name(name))
        return el_status_new(EL_INVALID_ARGUMENT,
                             "engine \"%s\": expected a name of lower-case letters, digits and _, like \"tensorflow\"",
                             name);
    struct el_engine *made = calloc(1, sizeof *made);
    char *path = NULL;
    if (made == NULL || asprintf(&path, "%s/engine_%s.so", dir, name) < 0) {
        free(made);
        return el_status_no_memory();
    }
    atomic_init(&made->references, 1);
    struct el_status *status = load(name, path, made);
    free(path);
    if (status != NULL) {
        free(made);
        return status;
    }
    *engine = made;
    return NULL;
}

struct el_engine *el_engine_hold(struct el_engine *engine)
{
    /* Relaxed: whoever holds one already has everything it leads to. */
    atomic_fetch_add_explicit(&engine->references, 1, memory_order_relaxed);
    return engine;
}

void el_engine_release(struct el_engine *engine)
{
    if (engine == NULL)
        return;
    /* Acquire and release: the last one sees what all others did with the engine before it stops it. */
    if (atomic_fetch_sub_explicit(&engine->references, 1, memory_order_acq_rel) != 1)
        return;
    engine->table->stop();
    free(engine);
}
