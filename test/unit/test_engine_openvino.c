/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plug-in for OpenVINO, loaded as a host loads it, against the answers that
 * TensorFlow's Python recorded.
 *
 *     test_engine_openvino PLUGIN REPOSITORY
 */
#include "test_engine_support.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOLERANCE 1e-4

static const char *plugin_path, *root;
static struct plugin plugin;

static int load(void **state)
{
    (void)state;
    plugin_load(&plugin, plugin_path);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    plugin_unload(&plugin);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

/* Runs every case of a recording; can says which signatures OpenVINO is to run. */
static void replay(const char *name, bool (*can)(const char *signature))
{
    json_t *json = recorded_load(root, name);
    void *model = plugin_open_good(&plugin, path_of(json_string_value(json_object_get(json, "path"))), 1);
    recorded_check_signatures(&plugin, model, json);
    size_t i;
    json_t *test;
    uint32_t wrong = 0;
    json_array_foreach(json_object_get(json, "cases"), i, test)
    {
        struct recorded recorded;
        struct sink sink = { 0 };
        struct everlit_error error;
        char why[400] = "";
        recorded_open(&plugin, model, test, &recorded);
        const int code = recorded_run(&plugin, model, &recorded, &sink, &error);
        const bool runs = can(recorded.signature->name);
        if (runs ? code != 0 || !recorded_matches(&recorded, &sink, TOLERANCE, why, sizeof why)
                 : code != 12 || error.text[0] == '\0') {
            print_error("%s, %s (%s): code %d %s %s\n", name, recorded.name, recorded.signature->name, code,
                        error.text, why);
            wrong++;
        }
        sink_clear(&sink);
        recorded_close(&recorded);
    }
    plugin.engine->close(model);
    json_decref(json);
    assert_int_equal(wrong, 0);
}

static bool all_but_names(const char *signature)
{
    return strcmp(signature, "names") != 0;
}

static void it_answers_as_tensorflow_did(void **unused)
{
    (void)unused;
    replay("digits-1", all_but_names);
    replay("digits-2", all_but_names);
    replay("half_plus_two-1", all_but_names);
}

static bool in_types(const char *signature)
{
    (void)signature;
    return true;
}

static void it_takes_the_dtypes_that_it_has(void **unused)
{
    (void)unused;
    replay("types-1", in_types);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s PLUGIN REPOSITORY\n", argv[0]);
        return 2;
    }
    plugin_path = argv[1];
    root = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_answers_as_tensorflow_did),
        cmocka_unit_test(it_takes_the_dtypes_that_it_has),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
