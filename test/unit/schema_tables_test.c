/* The tables have no holes: whatever the rows promise, the engine can rely on. */
#include "base/check.h"
#include "codec/json.h"
#include "schema/hooks.h"
#include "schema/kinds.h"
#include "schema/schema.h"
#include "test/kit/kit.h"

static void check_field(const struct schema_type *t, const struct schema_field *f)
{
    const char *hole = NULL;
    bool object = f->shape == SCHEMA_OBJECT || f->elem_shape == SCHEMA_OBJECT;
    if (f->shape != SCHEMA_LIST && f->shape != SCHEMA_MAP && f->elem_shape != SCHEMA_OBJECT) {
        hole = "an element shape without a list";
    } else if (f->shape == SCHEMA_OBJECT && !f->type) {
        hole = "an object without a type";
    } else if (f->type && !object && f->shape != SCHEMA_LIST && f->shape != SCHEMA_MAP) {
        hole = "a type without an object";
    } else if (!f->doc || !*f->doc || f->doc[strlen(f->doc) - 1] != '.') {
        hole = "no sentence";
    } else if (f->min > f->max) {
        hole = "bounds the wrong way round";
    } else if ((f->flags & SCHEMA_ENUM_CLOSED) && !f->values) {
        hole = "a closed list without values";
    } else if (f->merge_key && !schema_field_find(f->type, span_cstr(f->merge_key))) {
        hole = "a merge key that does not exist";
    } else if (f->merge_key && !(f->flags & SCHEMA_MERGE)) {
        hole = "a merge key without merging";
    }
    if (hole) {
        kit_fail(__FILE__, __LINE__, "%s.%s: %s", t->name, f->name, hole);
    }
}

TEST(every_field_of_every_type_is_complete)
{
    CHECK(schema_type_count() > 200);
    for (size_t i = 0; i < schema_type_count(); i++) {
        const struct schema_type *t = schema_type_at(i);
        CHECK(t->name && *t->name && t->doc && *t->doc && t->version);
        CHECK(schema_type_find(t->group, t->version, t->name) == t);
        for (size_t j = 0; j < t->field_count; j++) {
            check_field(t, &t->fields[j]);
            CHECK(schema_field_find(t, span_cstr(t->fields[j].name)) == &t->fields[j]);
        }
        CHECK(schema_field_find(t, SPAN("noSuchField")) == NULL);
    }
}

static void check_map_keys(const struct schema_type *t, const struct schema_field *f)
{
    struct span rest = span_cstr(f->map_keys);
    while (rest.n) {
        struct span key = span_cut(&rest, ',');
        if (!f->type || !schema_field_find(f->type, key)) {
            kit_fail(__FILE__, __LINE__, "%s.%s: no map key %.*s", t->name, f->name, SPAN_ARG(key));
        }
    }
}

TEST(list_map_keys_exist_and_protobuf_numbers_are_unique)
{
    for (size_t i = 0; i < schema_type_count(); i++) {
        const struct schema_type *t = schema_type_at(i);
        for (size_t j = 0; j < t->field_count; j++) {
            check_map_keys(t, &t->fields[j]);
            for (size_t k = 0; t->fields[j].pb && k < j; k++) {
                CHECK(t->fields[k].pb != t->fields[j].pb);
            }
        }
    }
}

/* Only kind and apiVersion, which travel in the envelope, and tables, which are JSON alone. */
TEST(every_field_has_a_protobuf_number)
{
    for (size_t i = 0; i < schema_type_count(); i++) {
        const struct schema_type *t = schema_type_at(i);
        for (size_t j = 0; j < t->field_count; j++) {
            const char *name = t->fields[j].name;
            bool head = strcmp(name, "kind") == 0 || strcmp(name, "apiVersion") == 0;
            if (!t->fields[j].pb && !head && strncmp(t->name, "Table", 5) != 0) {
                kit_fail(__FILE__, __LINE__, "%s.%s has no protobuf number", t->name, name);
            }
        }
    }
}

/* Strategic merge and server-side apply must agree on what an element of a list is. */
TEST(lists_that_merge_by_a_key_are_maps_by_that_key)
{
    for (size_t i = 0; i < schema_type_count(); i++) {
        const struct schema_type *t = schema_type_at(i);
        for (size_t j = 0; j < t->field_count; j++) {
            const struct schema_field *f = &t->fields[j];
            /* Kubernetes has these two the other way: atomic for apply. */
            bool odd = strcmp(t->name, "JobStatus") == 0 || strcmp(f->name, "hostIPs") == 0;
            if (f->merge_key && f->list_kind != SCHEMA_LIST_MAP && !odd) {
                kit_fail(__FILE__, __LINE__, "%s.%s merges by a key, but is no map", t->name,
                         f->name);
            }
        }
    }
}

TEST(a_kind_that_is_only_stored_says_so_in_one_sentence)
{
    size_t n = 0;
    for (size_t i = 0; i < schema_kind_count(); i++) {
        const char *text = schema_kind_at(i)->stored_only;
        if (text) {
            CHECK(span_starts(span_cstr(text), SPAN("Berth stores ")));
            CHECK(strchr(text, '"') == NULL && text[strlen(text) - 1] != '.');
            n++;
        }
    }
    CHECK(n > 20);
}

TEST(static_defaults_are_json)
{
    for (size_t i = 0; i < schema_type_count(); i++) {
        const struct schema_type *t = schema_type_at(i);
        for (size_t j = 0; j < t->field_count; j++) {
            const char *text = t->fields[j].default_json;
            if (!text) {
                continue;
            }
            yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
            if (!doc) {
                kit_fail(__FILE__, __LINE__, "%s.%s: %s", t->name, t->fields[j].name, text);
            }
            yyjson_doc_free(doc);
        }
    }
}

static void check_kind(const struct schema_kind *k)
{
    CHECK(k->type && k->hooks && k->name_format && k->short_names && k->categories);
    CHECK(k->view_of || schema_kind_find(k->group, k->kind) == k);
    CHECK_SPAN(span_cstr(k->type->name), k->kind);
    CHECK(schema_field_find(k->type, SPAN("kind")) != NULL);
    CHECK(schema_field_find(k->type, SPAN("apiVersion")) != NULL);
    if (*k->group && strcmp(k->group, "meta") != 0) {
        CHECK(strncmp(schema_api_version(k), k->group, strlen(k->group)) == 0);
    }
}

TEST(every_kind_has_what_serving_it_needs)
{
    CHECK_EQ(schema_kind_count(), 66);
    for (size_t i = 0; i < schema_kind_count(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        check_kind(k);
        const struct schema_field *meta = schema_field_find(k->type, SPAN("metadata"));
        CHECK(meta && meta->type == schema_type_find("meta", "v1", "ObjectMeta"));
        CHECK(*k->plural && k->verbs);
        CHECK(*k->singular || !(k->verbs & SCHEMA_VERB_CREATE)); /* what is measured has none */
        if (k->verbs == SCHEMA_VERB_CREATE) {
            continue; /* a question that is not stored */
        }
        CHECK(*k->list_kind);
        CHECK(schema_type_find(k->group, k->version, k->list_kind) != NULL);
        CHECK(k->view_of || schema_resource_by_name(span_cstr(k->resource)) == k);
        CHECK(schema_resource_find(span_cstr(k->group), span_cstr(k->version),
                                   span_cstr(k->plural)) == k);
        CHECK(k->view_of ? k->column_count == 0 : k->column_count > 0);
        for (size_t c = 0; c < k->column_count; c++) {
            CHECK(*k->columns[c].name && *k->columns[c].type && *k->columns[c].doc);
            CHECK(k->hooks->row ? !k->columns[c].cell
                                : k->columns[c].cell && cell_known(k->columns[c].cell));
        }
    }
}

TEST(kinds_have_names_in_code)
{
#define X(name) check_kind(SCHEMA_KIND(name));
    SCHEMA_KINDS_SERVED(X)
    SCHEMA_KINDS_BODIES(X)
#undef X
    CHECK_SPAN(span_cstr(SCHEMA_KIND(StatefulSet)->resource), "statefulsets.apps");
    CHECK_SPAN(span_cstr(schema_api_version(SCHEMA_KIND(Pod))), "v1");
    CHECK_SPAN(span_cstr(schema_api_version(SCHEMA_KIND(Lease))), "coordination.k8s.io/v1");
    CHECK(schema_kind_find("", "StatefulSet") == NULL);
    CHECK(schema_resource_by_name(SPAN("scales.autoscaling")) == NULL);
}

TEST(discovery_starts_with_core)
{
    CHECK_SPAN(span_cstr(schema_kind_at(0)->plural), "bindings");
    CHECK_SPAN(span_cstr(schema_kind_at(schema_kind_count() - 1)->group), "metrics.k8s.io");
}
