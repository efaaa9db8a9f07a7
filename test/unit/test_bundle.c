/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Version directories: the ones in models/, and copies of them that are spoiled
 * in every way that a copy under way, a full disk or an attacker can spoil them.
 *
 *     test_bundle REPOSITORY
 */
#include "base/buf.h"
#include "base/file.h"
#include "bundle/completeness.h"
#include "bundle/model_file.h"
#include "bundle/rename_signature.h"
#include "bundle/variables_index.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define INDEX "variables/variables.index"
#define DATA "variables/variables.data-00000-of-00001"

static const char *root;

/* ---- a version to spoil ---- */

struct version {
    char path[64]; /* "/tmp/everlit-bundle-" and six letters */
};

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static const char *in(const struct version *version, const char *name)
{
    static char path[8][1024];
    static unsigned next;
    char *to = path[next++ % 8];
    snprintf(to, sizeof path[0], "%s/%s", version->path, name);
    return to;
}

static void read_file(const char *path, struct el_buf *buf)
{
    assert_null(el_file_read(path, (size_t)64 << 20, buf));
}

/* A copy of digits/1. */
static void version_make(struct version *version)
{
    static const char *const files[] = { "saved_model.pb", INDEX, DATA, "assets/names.txt" };
    snprintf(version->path, sizeof version->path, "/tmp/everlit-bundle-XXXXXX");
    assert_non_null(mkdtemp(version->path));
    assert_int_equal(mkdir(in(version, "variables"), 0700), 0);
    assert_int_equal(mkdir(in(version, "assets"), 0700), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char from[1024];
        struct el_buf buf = { 0 };
        snprintf(from, sizeof from, "%s/models/digits/1/%s", root, files[i]);
        read_file(from, &buf);
        write_file(in(version, files[i]), buf.data, buf.size);
        el_buf_free(&buf);
    }
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static void version_end(const struct version *version)
{
    assert_int_equal(nftw(version->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void assert_check(const char *path, enum el_completeness result, const char *text)
{
    struct el_version_check check = { 0 };
    uint64_t fingerprint = 0;
    assert_null(el_version_check(path, &check));
    assert_null(el_version_fingerprint(path, &fingerprint));
    assert_true(check.fingerprint == fingerprint);
    if (check.result != result || (text == NULL) != (check.text == NULL) ||
        (text != NULL && strstr(check.text, text) == NULL))
        fail_msg("%s: %d \"%s\", not %d \"%s\"", path, (int)check.result, check.text == NULL ? "" : check.text,
                 (int)result, text == NULL ? "" : text);
    if (check.text != NULL)
        assert_null(strstr(check.text, path)); /* whoever shows it knows the path */
    el_version_check_free(&check);
}

/* ---- completeness ---- */

static void good_versions_are_whole(void **unused)
{
    (void)unused;
    static const char *const good[] = { "models/digits/1",          "models/digits/2",
                                        "models/half_plus_two/1",   "models/labels/1",
                                        "test/data/models/types/1", "models/broken/nan_outputs" /* bad, but whole */ };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", root, good[i]);
        assert_check(path, EL_VERSION_WHOLE, NULL);
    }
}

static void what_is_missing_is_waited_for_and_named(void **unused)
{
    (void)unused;
    static const struct {
        const char *file, *text;
    } missing[] = {
        { "saved_model.pb", "saved_model.pb is not there" },
        { INDEX, INDEX " is not there" },
        { DATA, DATA " is not there" },
        { "assets/names.txt", "assets/names.txt is not there" },
    };
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        struct version version = { 0 };
        version_make(&version);
        assert_int_equal(unlink(in(&version, missing[i].file)), 0);
        assert_check(version.path, EL_VERSION_NOT_YET, missing[i].text);
        version_end(&version);
    }
    struct version empty;
    snprintf(empty.path, sizeof empty.path, "/tmp/everlit-bundle-XXXXXX");
    assert_non_null(mkdtemp(empty.path));
    assert_check(empty.path, EL_VERSION_NOT_YET, "empty");
    version_end(&empty);
}

/* At every length that a copy passes through, the version is not taken. */
static void a_copy_under_way_is_never_whole(void **unused)
{
    (void)unused;
    static const char *const files[] = { "saved_model.pb", INDEX, DATA };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct version version = { 0 };
        struct stat info;
        version_make(&version);
        assert_int_equal(stat(in(&version, files[i]), &info), 0);
        for (off_t size = info.st_size - 1; size >= 0; size -= 1 + size / 50) {
            assert_int_equal(truncate(in(&version, files[i]), size), 0);
            assert_check(version.path, EL_VERSION_NOT_YET, files[i]);
        }
        version_end(&version);
    }
}

static void what_cannot_become_right_is_bad(void **unused)
{
    (void)unused;
    struct version version = { 0 };
    struct el_buf buf = { 0 };

    version_make(&version);
    write_file(in(&version, "saved_model.pb"), "\x0b\x0c", 2);
    assert_check(version.path, EL_VERSION_BAD, "saved_model.pb: offset 0");
    write_file(in(&version, "saved_model.pb"), "\x12\x05\x12\x03\x0a\x01\x00", 7); /* a node with a field 0 */
    assert_check(version.path, EL_VERSION_BAD, "saved_model.pb: offset 6");
    version_end(&version);

    version_make(&version);
    read_file(in(&version, INDEX), &buf);
    buf.data[20] ^= 1;
    write_file(in(&version, INDEX), buf.data, buf.size);
    el_buf_free(&buf);
    assert_check(version.path, EL_VERSION_BAD, "checksum");
    version_end(&version);

    version_make(&version);
    assert_int_equal(mkfifo(in(&version, "pipe"), 0600), 0);
    assert_check(version.path, EL_VERSION_BAD, "pipe is no regular file");
    version_end(&version);

    version_make(&version);
    char deep[100] = "";
    for (int i = 0; i < 40; i++) {
        snprintf(deep + 2 * i, sizeof deep - 2 * (size_t)i, "d/");
        assert_int_equal(mkdir(in(&version, deep), 0700), 0);
    }
    assert_check(version.path, EL_VERSION_BAD, "too deeply");
    version_end(&version);
}

static void links_may_lead_inside_and_not_out(void **unused)
{
    (void)unused;
    struct version version = { 0 };

    version_make(&version);
    assert_int_equal(rename(in(&version, "variables"), in(&version, "real")), 0);
    assert_int_equal(symlink("real", in(&version, "variables")), 0);
    assert_check(version.path, EL_VERSION_WHOLE, NULL);
    version_end(&version);

    static const char *const targets[] = { "/etc/passwd", "../../etc/passwd", "/", "variables/../../../etc", "/tmp" };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        version_make(&version);
        assert_int_equal(symlink(targets[i], in(&version, "assets/extra")), 0);
        assert_check(version.path, EL_VERSION_BAD, "assets/extra is a link that leads out");
        version_end(&version);
    }

    version_make(&version);
    assert_int_equal(symlink("comes-later", in(&version, "assets/extra")), 0);
    assert_check(version.path, EL_VERSION_NOT_YET, "comes-later");
    version_end(&version);

    /* A neighbour whose path begins like the version's. */
    struct version neighbour;
    version_make(&version);
    snprintf(neighbour.path, sizeof neighbour.path, "%.40sx", version.path);
    assert_int_equal(mkdir(neighbour.path, 0700), 0);
    assert_int_equal(symlink(neighbour.path, in(&version, "assets/extra")), 0);
    assert_check(version.path, EL_VERSION_BAD, "leads out");
    version_end(&neighbour);
    version_end(&version);
}

static void what_is_no_directory_is_an_error(void **unused)
{
    (void)unused;
    struct el_version_check check;
    struct el_status *status = el_version_check("/nowhere/at/all", &check);
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    el_status_free(status);
}

/* ---- fingerprint and digest ---- */

static uint64_t fingerprint_of(const struct version *version)
{
    uint64_t fingerprint;
    assert_null(el_version_fingerprint(version->path, &fingerprint));
    return fingerprint;
}

static void every_change_of_files_changes_the_fingerprint(void **unused)
{
    (void)unused;
    struct version version = { 0 };
    version_make(&version);
    uint64_t seen = fingerprint_of(&version);
    assert_true(seen == fingerprint_of(&version));

    const struct timespec times[2] = { { .tv_sec = 1, .tv_nsec = 1 }, { .tv_sec = 1, .tv_nsec = 1 } };
    assert_int_equal(utimensat(AT_FDCWD, in(&version, DATA), times, 0), 0);
    assert_true(seen != fingerprint_of(&version));
    seen = fingerprint_of(&version);

    assert_int_equal(rename(in(&version, "assets/names.txt"), in(&version, "assets/other.txt")), 0);
    assert_true(seen != fingerprint_of(&version));
    seen = fingerprint_of(&version);

    write_file(in(&version, "new"), "", 0);
    assert_true(seen != fingerprint_of(&version));
    seen = fingerprint_of(&version);

    assert_int_equal(unlink(in(&version, "new")), 0);
    assert_true(seen != fingerprint_of(&version));
    version_end(&version);
}

static bool allow(void *argument)
{
    int *left = argument;
    return (*left)-- > 0;
}

static void the_digest_is_that_of_the_content(void **unused)
{
    (void)unused;
    struct version one = { 0 }, two = { 0 };
    uint8_t a[EL_DIGEST_SIZE], b[EL_DIGEST_SIZE];
    char text[2 * EL_DIGEST_SIZE + 1];
    version_make(&one);
    version_make(&two);
    assert_null(el_version_digest(one.path, NULL, NULL, a));
    assert_null(el_version_digest(two.path, NULL, NULL, b));
    assert_memory_equal(a, b, sizeof a);
    el_digest_print(a, text);
    assert_int_equal(strlen(text), 64);

    write_file(in(&two, "assets/names.txt"), "null\n", 5);
    assert_null(el_version_digest(two.path, NULL, NULL, b));
    assert_memory_not_equal(a, b, sizeof a);

    int left = 2;
    struct el_status *status = el_version_digest(one.path, allow, &left, b);
    assert_int_equal(el_status_code(status), EL_CANCELLED);
    el_status_free(status);

    assert_int_equal(symlink("/etc", in(&one, "out")), 0);
    status = el_version_digest(one.path, NULL, NULL, b);
    assert_int_equal(el_status_code(status), EL_FAILED_PRECONDITION);
    el_status_free(status);
    version_end(&one);
    version_end(&two);
}

/* ---- saved_model.pb ---- */

static void a_saved_model_is_summed_up(void **unused)
{
    (void)unused;
    char path[1024];
    struct el_saved_model model;
    const struct el_meta_graph *graph;
    const char *tag = "serve";
    snprintf(path, sizeof path, "%s/models/digits/1", root);
    assert_null(el_model_file_read(path, false, &model, NULL));
    assert_null(el_saved_model_find(&model, path, &tag, 1, &graph));
    assert_string_equal(graph->tensorflow_version, "2.21.0");
    assert_int_equal(graph->signatures.count, 4);
    assert_non_null(el_signatures_find(&graph->signatures, "", 0, NULL));
    assert_int_equal(graph->asset_count, 1);
    assert_string_equal(graph->assets[0], "names.txt");
    assert_true(graph->has_variables);
    uint64_t nodes = 0, products = 0;
    for (uint32_t i = 0; i < graph->op_count; i++) {
        nodes += graph->ops[i].count;
        if (i > 0)
            assert_true(strcmp(graph->ops[i - 1].op, graph->ops[i].op) < 0);
        if (strcmp(graph->ops[i].op, "MatMul") == 0)
            products = graph->ops[i].count;
    }
    assert_int_equal(nodes, graph->node_count);
    assert_true(products >= 2);
    assert_null(graph->state_op); /* its AssignVariableOp is only there to restore */

    tag = "gpu";
    struct el_status *status = el_saved_model_find(&model, path, &tag, 1, &graph);
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    const char *text = el_status_text(status);
    assert_non_null(strstr(text, "supplied tags: { gpu }. To inspect"));
    assert_non_null(strstr(text, "/saved_model.pb: there are { serve }"));
    assert_int_equal(text[el_saved_model_said(text)], '\n');
    assert_int_equal(el_saved_model_said("out of memory"), 0);
    el_status_free(status);
    el_saved_model_free(&model);
}

/* Every byte of the file, one after another, becomes another: refused or read, never a crash. */
/* What a run of a signature comes by counts; what only restores variables or fills tables does not. */
static void a_graph_that_keeps_what_it_is_told_is_known(void **unused)
{
    (void)unused;
    static const struct {
        const char *model, *op;
    } rows[] = { { "counter", "AssignAddVariableOp" },
                 { "half", NULL },
                 { "labels", NULL },
                 { "vocab", NULL },
                 { "no_variables", NULL },
                 { "mlp", NULL } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[1024];
        struct el_version_check check;
        struct el_saved_model model;
        snprintf(path, sizeof path, "%s/test/conformance/models/%s/1", root, rows[i].model);
        assert_null(el_model_file_read(path, false, &model, NULL));
        for (uint32_t g = 0; g < model.graph_count; g++) {
            if (rows[i].op == NULL)
                assert_null(model.graphs[g].state_op);
            else
                assert_string_equal(model.graphs[g].state_op, rows[i].op);
        }
        el_saved_model_free(&model);
        assert_null(el_version_check(path, &check));
        if (rows[i].op == NULL)
            assert_null(check.state_op);
        el_version_check_free(&check);
    }
}

static void a_flipped_byte_does_no_harm(void **unused)
{
    (void)unused;
    struct version version = { 0 };
    struct el_buf buf = { 0 };
    version_make(&version);
    read_file(in(&version, "saved_model.pb"), &buf);
    for (size_t i = 0; i < buf.size; i += 1 + i / 400) {
        const uint8_t was = buf.data[i];
        buf.data[i] = (uint8_t)~was;
        write_file(in(&version, "saved_model.pb"), buf.data, buf.size);
        buf.data[i] = was;
        struct el_saved_model model = { 0 };
        struct el_status *status = el_model_file_read(version.path, false, &model, NULL);
        if (status != NULL)
            assert_non_null(strstr(el_status_text(status), "saved_model.pb"));
        el_status_free(status);
        el_saved_model_free(&model);
    }
    el_buf_free(&buf);
    version_end(&version);
}

/* ---- the view under another signature ---- */

static void another_signature_becomes_the_default(void **unused)
{
    (void)unused;
    struct version version = { 0 }, view;
    struct el_saved_model model, seen;
    version_make(&version);
    snprintf(view.path, sizeof view.path, "/tmp/everlit-bundle-XXXXXX");
    assert_non_null(mkdtemp(view.path));
    assert_null(el_model_file_read(version.path, false, &model, NULL));
    const struct el_signature *features = el_signatures_find(&model.graphs[0].signatures, "features", 8, NULL);

    bool cut;
    assert_null(el_rename_signature(version.path, &model.graphs[0], "features", view.path, &cut));
    assert_false(cut);
    assert_null(el_model_file_read(view.path, false, &seen, NULL));
    assert_int_equal(seen.graph_count, 1);
    assert_int_equal(seen.graphs[0].node_count, model.graphs[0].node_count);
    assert_int_equal(seen.graphs[0].tag_count, 1);
    assert_string_equal(seen.graphs[0].tags[0], "serve");
    const struct el_signature *now = el_signatures_find(&seen.graphs[0].signatures, "", 0, NULL);
    assert_non_null(now);
    assert_string_equal(now->outputs[0].tensor_name, features->outputs[0].tensor_name);
    assert_null(el_signatures_find(&seen.graphs[0].signatures, "features", 8, NULL));
    struct stat original, linked;
    assert_int_equal(stat(in(&version, DATA), &original), 0);
    assert_int_equal(stat(in(&view, DATA), &linked), 0);
    assert_int_equal(original.st_ino, linked.st_ino);
    el_saved_model_free(&seen);

    el_rename_signature_remove(view.path);
    assert_int_not_equal(access(view.path, F_OK), 0);
    assert_int_equal(access(in(&version, DATA), F_OK), 0); /* the links went, not what they led to */

    assert_int_equal(mkdir(view.path, 0700), 0);
    struct el_status *status = el_rename_signature(version.path, &model.graphs[0], "nothing", view.path, &cut);
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    el_status_free(status);
    el_rename_signature_remove(view.path);
    assert_int_not_equal(access(view.path, F_OK), 0);
    el_saved_model_free(&model);
    version_end(&version);
}

static uint64_t count_op(const struct el_meta_graph *graph, const char *op)
{
    for (uint32_t i = 0; i < graph->op_count; i++)
        if (strcmp(graph->ops[i].op, op) == 0)
            return graph->ops[i].count;
    return 0;
}

/* Input x is what a parser of tf.Examples gives: in the view it is where the graph begins, and nothing else changes. */
static void an_input_inside_the_graph_becomes_its_beginning(void **unused)
{
    (void)unused;
    char path[4096];
    bool cut;
    snprintf(path, sizeof path, "%s/test/conformance/models/half/1", root);
    char view[] = "/tmp/everlit-bundle-XXXXXX";
    struct el_saved_model model, seen;
    assert_non_null(mkdtemp(view));
    assert_null(el_model_file_read(path, false, &model, NULL));
    const struct el_meta_graph *graph = &model.graphs[0];
    assert_null(el_rename_signature(path, graph, "serving_default", view, &cut));
    assert_true(cut);
    assert_null(el_model_file_read(view, false, &seen, NULL));
    assert_int_equal(seen.graphs[0].node_count, graph->node_count);
    assert_int_equal(count_op(&seen.graphs[0], "Placeholder"), count_op(graph, "Placeholder") + 1);
    assert_int_equal(count_op(&seen.graphs[0], "Identity") + 1, count_op(graph, "Identity"));
    el_saved_model_free(&seen);
    el_rename_signature_remove(view);

    assert_int_equal(mkdir(view, 0700), 0);
    assert_null(el_rename_signature(path, graph, "regress_x_to_y", view, &cut));
    assert_false(cut); /* it begins there already */
    assert_null(el_model_file_read(view, false, &seen, NULL));
    assert_int_equal(count_op(&seen.graphs[0], "Placeholder"), count_op(graph, "Placeholder"));
    el_saved_model_free(&seen);
    el_rename_signature_remove(view);
    el_saved_model_free(&model);
}

/* ---- variables.index ---- */

static void an_index_says_how_long_the_data_must_be(void **unused)
{
    (void)unused;
    struct version version = { 0 };
    struct el_variables_index index;
    struct stat info;
    version_make(&version);
    const int fd = open(version.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_null(el_variables_index_read_at(fd, &index));
    assert_int_equal(stat(in(&version, DATA), &info), 0);
    assert_int_equal(index.shard_count, 1);
    assert_int_equal(index.shard_bytes[0], info.st_size);
    assert_int_equal(index.entry_count, 5); /* two layers of weights and biases, and the object graph */
    assert_true(index.bytes >= 4 * (784 * 128 + 128 + 128 * 10 + 10));
    el_variables_index_free(&index);
    close(fd);
    version_end(&version);
}

static void a_spoiled_index_is_refused(void **unused)
{
    (void)unused;
    char path[1024];
    struct el_buf buf = { 0 };
    snprintf(path, sizeof path, "%s/models/digits/1/%s", root, INDEX);
    read_file(path, &buf);
    for (size_t i = 0; i < buf.size; i++) {
        struct el_variables_index index = { 0 };
        /* Cut off there. */
        uint8_t *exact = malloc(i + 1);
        assert_non_null(exact);
        memcpy(exact, buf.data, i);
        struct el_status *status = el_variables_index_parse(exact, i, &index);
        assert_non_null(status);
        el_status_free(status);
        free(exact);
        /* Flipped there: the checksums see it, but for the unused bytes of the footer and the empty metaindex block. */
        buf.data[i] ^= 0x10;
        status = el_variables_index_parse(buf.data, buf.size, &index);
        buf.data[i] ^= 0x10;
        if (i < 280)
            assert_non_null(status);
        el_status_free(status);
        el_variables_index_free(&index);
    }
    el_buf_free(&buf);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s REPOSITORY\n", argv[0]);
        return 2;
    }
    root = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_versions_are_whole),
        cmocka_unit_test(what_is_missing_is_waited_for_and_named),
        cmocka_unit_test(a_copy_under_way_is_never_whole),
        cmocka_unit_test(what_cannot_become_right_is_bad),
        cmocka_unit_test(links_may_lead_inside_and_not_out),
        cmocka_unit_test(what_is_no_directory_is_an_error),
        cmocka_unit_test(every_change_of_files_changes_the_fingerprint),
        cmocka_unit_test(the_digest_is_that_of_the_content),
        cmocka_unit_test(a_saved_model_is_summed_up),
        cmocka_unit_test(a_graph_that_keeps_what_it_is_told_is_known),
        cmocka_unit_test(a_flipped_byte_does_no_harm),
        cmocka_unit_test(another_signature_becomes_the_default),
        cmocka_unit_test(an_input_inside_the_graph_becomes_its_beginning),
        cmocka_unit_test(an_index_says_how_long_the_data_must_be),
        cmocka_unit_test(a_spoiled_index_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
