/* managed/managed against the reference implementation: random sequences of writes by several
 * managers to built-in and custom kinds, recorded with the objects, owners and conflicts that the
 * field manager of Kubernetes 1.32 (structured-merge-diff 4.6) made of them.
 *
 * Each line of data/managed_recorded.jsonl.gz is a sequence: {apiVersion, kind, schemas (of a
 * custom kind, by version), steps}; a step is {op, m: manager, s: subresource, v: version, force,
 * o: object or configuration, given: managedFields in it (absent: those that it had; "none"), r:
 * the object after, mf: its managedFields, e: the error}. BERTH_RECORDING names another file. */
#include <stdlib.h>
#include <zlib.h>

#include "kit/kit.h"

#include "base/limits.h"
#include "codec/json.h"
#include "managed/managed.h"
#include "managed/typed.h"
#include "schema/custom.h"
#include "schema/kinds.h"

static const yyjson_val *parse(struct arena *a, struct span text)
{
    yyjson_doc *doc = NULL;
    struct err err = {0};
    if (json_parse(a, text, &doc, &err) < 0) {
        kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(err.message));
    }
    return yyjson_doc_get_root(doc);
}

static struct custom_definition *custom_of(struct arena *a, const yyjson_val *schemas)
{
    struct err e = {0};
    struct span versions = SPAN("");
    JSON_EACH(it, schemas)
    {
        struct span name = json_str(it.key);
        versions = arena_printf(a,
                                "%.*s%s{\"name\":\"%.*s\",\"served\":true,\"storage\":%s,"
                                "\"subresources\":{\"status\":{}},"
                                "\"schema\":{\"openAPIV3Schema\":%.*s}}",
                                SPAN_ARG(versions), versions.n ? "," : "", SPAN_ARG(name),
                                span_eq(name, SPAN("v1")) ? "true" : "false",
                                SPAN_ARG(json_write(a, it.val)));
    }
    struct span text = arena_printf(
        a,
        "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
        "\"metadata\":{\"name\":\"ws.example.com\"},\"spec\":{\"group\":\"example.com\",\"scope\":"
        "\"Cluster\",\"names\":{\"plural\":\"ws\",\"kind\":\"W\"},\"versions\":[%.*s]}}",
        SPAN_ARG(versions));
    const struct schema_kind *crd = SCHEMA_KIND(CustomResourceDefinition);
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *d = schema_decode(a, crd, parse(a, text), doc, SCHEMA_STRICT, NULL, &e);
    if (!d) {
        kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(e.message));
    }
    schema_defaults(doc, crd, d);
    struct custom_definition *made = custom_compile(json_freeze(a, d), &e, a);
    if (!made) {
        kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(e.message));
    }
    return made;
}

/* ---- what is compared ---- */

static bool is_nothing(const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)(uintptr_t)v;
    return yyjson_is_null(x) || (yyjson_is_num(x) && yyjson_get_num(x) == 0) ||
           (yyjson_is_bool(x) && !yyjson_get_bool(x)) ||
           (yyjson_is_str(x) && yyjson_get_len(x) == 0) ||
           (yyjson_is_ctn(x) && yyjson_get_len(x) == 0);
}

/* A copy without what Go would leave out or write anyway: values of fields that are no pointers and
 * are zero, and empty lists and maps that it omits. */
static yyjson_mut_val *plain(yyjson_mut_doc *doc, struct typed_ref r, const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)(uintptr_t)v;
    if (yyjson_is_arr(x)) {
        yyjson_mut_val *out = yyjson_mut_arr(doc);
        struct typed_ref of = r.field && !r.elem ? typed_element(r) : (struct typed_ref){0};
        JSON_EACH(it, v)
        {
            yyjson_mut_arr_append(out, plain(doc, of, it.val));
        }
        return out;
    }
    if (!yyjson_is_obj(x)) {
        return json_mut_copy(doc, v);
    }
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    JSON_EACH(it, v)
    {
        struct span name = json_str(it.key);
        struct typed_ref m = {0};
        if (r.type && (!r.field || r.field->shape != SCHEMA_MAP || r.elem)) {
            const struct schema_field *f = schema_field_find(r.type, name);
            m = (struct typed_ref){f, f ? f->type : NULL, false};
        } else if (r.field && !r.elem && r.field->shape == SCHEMA_MAP) {
            m = typed_element(r);
        }
        yyjson_mut_val *got = plain(doc, m, it.val);
        bool is_null = yyjson_is_null((yyjson_val *)(uintptr_t)it.val);
        bool zero = is_nothing(it.val) || (yyjson_mut_is_obj(got) && yyjson_mut_obj_size(got) == 0);
        if (m.field && !m.elem && (is_null || (zero && !(m.field->flags & SCHEMA_POINTER)))) {
            continue;
        }
        json_put_span(doc, out, name, got);
    }
    return out;
}

struct replay {
    struct arena *a;
    const struct schema_kind *kind;
    const struct custom_definition *custom; /* NULL: a built-in kind */
    int64_t seed;
    const yyjson_val *live; /* with managedFields; NULL: there is none */
    bool differs;
};

static bool same_set(struct arena *a, const yyjson_val *got, const yyjson_val *want)
{
    return span_eq(json_write(a, got), json_write(a, want));
}

static bool same_entries(struct arena *a, const yyjson_val *got, const yyjson_val *want)
{
    if (json_len(got) != json_len(want)) {
        return false;
    }
    size_t i = 0;
    JSON_EACH(it, got)
    {
        const yyjson_val *w = yyjson_arr_get((yyjson_val *)(uintptr_t)want, i++);
        if (!json_equal(it.val, w) ||
            !same_set(a, json_get(it.val, "fieldsV1"), json_get(w, "fieldsV1"))) {
            return false;
        }
    }
    return true;
}

static void differ(struct replay *r, size_t step, const yyjson_val *s, const char *what,
                   struct span got, struct span want)
{
    r->differs = true;
    kit_note("%s, seed %lld, step %zu: %s\nlive   %.*s\nstep   %.*s\ngot    %.*s\nwanted %.*s",
             r->kind->kind, (long long)r->seed, step, what,
             SPAN_ARG(r->live ? json_write(r->a, r->live) : SPAN("none")),
             SPAN_ARG(json_write(r->a, s)), SPAN_ARG(got), SPAN_ARG(want));
}

static struct span conflict_text(struct arena *a, const struct err *e)
{
    struct span out = e->message;
    for (const struct err_cause *c = e->causes; c; c = c->next) {
        out = arena_printf(a, "%.*s\n%.*s|%.*s|%.*s", SPAN_ARG(out), SPAN_ARG(c->type),
                           SPAN_ARG(c->field), SPAN_ARG(c->message));
    }
    return out;
}

/* What the subresource does not write is as it was. */
static const yyjson_val *with_side(struct replay *r, const yyjson_val *obj, const char *side)
{
    yyjson_mut_doc *doc = json_mut_new(r->a);
    yyjson_mut_val *out = json_mut_copy(doc, obj);
    json_remove(out, side);
    json_remove(json_mut_get(out, "metadata"), "managedFields");
    json_put_str(doc, json_mut_get(out, "metadata"), "uid", SPAN("u"));
    json_put_str(doc, out, "apiVersion", span_cstr(r->kind->api_version));
    const yyjson_val *was = json_get(r->live, side);
    if (was) {
        json_put(doc, out, side, json_mut_copy(doc, was));
    }
    return json_freeze(r->a, out);
}

static const yyjson_val *shown(struct replay *r, const yyjson_val *obj)
{
    yyjson_mut_doc *doc = json_mut_new(r->a);
    return r->custom ? obj : json_freeze(r->a, plain(doc, typed_root(r->kind), obj));
}

/* The kind in a version; empty: in its first. */
static const struct schema_kind *written(struct replay *r, struct span version)
{
    for (size_t i = 0; version.n && i < r->custom->kind_count; i++) {
        if (span_eq_cstr(version, r->custom->kinds[i].version)) {
            return &r->custom->kinds[i];
        }
    }
    return r->kind;
}

static const yyjson_val *in_version(struct replay *r, const struct schema_kind *kind)
{
    yyjson_mut_doc *doc = json_mut_new(r->a);
    yyjson_mut_val *out = json_mut_copy(doc, r->live);
    if (out) {
        json_put_str(doc, out, "apiVersion", span_cstr(kind->api_version));
    }
    return out ? json_freeze(r->a, out) : NULL;
}

/* The scale of live, with its owners. */
static const yyjson_val *scale_of(struct arena *a, const yyjson_val *live,
                                  const struct schema_kind *kind)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *scale = yyjson_mut_obj(doc), *meta = yyjson_mut_obj(doc);
    const yyjson_val *n = json_path(live, "spec", "replicas", NULL);
    json_put(doc, scale, "metadata", meta);
    json_put_str(doc, meta, "name", SPAN("x"));
    yyjson_mut_val *spec = json_mut_obj(doc, scale, "spec");
    if (json_int(n, 0)) {
        json_put(doc, spec, "replicas", json_mut_copy(doc, n));
    }
    yyjson_mut_val *owners =
        managed_to_scale(a, doc, kind, json_path(live, "metadata", "managedFields", NULL));
    if (owners) {
        json_put(doc, meta, "managedFields", owners);
    }
    return json_freeze(a, scale);
}

/* A write to the scale; what it makes of the object and of its owners. */
static int play_scale(struct replay *r, struct managed_write w, const yyjson_val *s,
                      const yyjson_val **ret_object, const yyjson_val **ret_managed,
                      struct err *err)
{
    struct arena *a = r->a;
    yyjson_mut_doc *doc = json_mut_new(a);
    const struct schema_kind *kind = w.kind;
    const yyjson_val *was = scale_of(a, r->live, kind), *next = json_get(s, "o");
    yyjson_mut_val *owners = NULL;
    w.kind = SCHEMA_KIND(Scale);
    if (span_eq(json_get_str(s, "op"), SPAN("apply"))) {
        struct managed_applied out = {0};
        if (managed_apply(a, doc, &w, json_get_bool(s, "force", false), was, next, &out, err)) {
            return -1;
        }
        owners = out.managed;
        next = json_freeze(a, out.object);
    } else {
        owners = managed_update(a, doc, &w, was, next, NULL);
    }
    yyjson_mut_val *obj = json_mut_copy(doc, r->live), *spec = json_mut_obj(doc, obj, "spec");
    json_put_int(doc, spec, "replicas", json_int(json_path(next, "spec", "replicas", NULL), 0));
    owners = managed_from_scale(a, doc, kind, json_path(r->live, "metadata", "managedFields", NULL),
                                owners ? json_freeze(a, owners) : NULL);
    *ret_object = json_freeze(a, obj);
    *ret_managed = owners ? json_whole(a, json_freeze(a, owners)) : NULL;
    return 0;
}

static void play(struct replay *r, size_t n, const yyjson_val *s)
{
    struct arena *a = r->a;
    struct managed_write w = {.kind = written(r, json_get_str(s, "v")),
                              .manager = json_get_str(s, "m"),
                              .subresource = json_get_str(s, "s"),
                              .now_ms = (1000000000 + (int64_t)n) * 1000,
                              .stored = r->live};
    r->live = in_version(r, w.kind);
    const yyjson_val *obj = json_get(s, "o"), *object = NULL, *managed = NULL;
    const yyjson_val *were = json_path(r->live, "metadata", "managedFields", NULL);
    yyjson_mut_doc *doc = json_mut_new(a);
    struct err err = {0};
    int rc = 0;
    bool is_scale = span_eq(w.subresource, SPAN("scale"));
    if (is_scale) {
        rc = play_scale(r, w, s, &object, &managed, &err);
    } else if (span_eq(json_get_str(s, "op"), SPAN("apply"))) {
        struct managed_applied out = {0};
        rc = managed_apply(a, doc, &w, json_get_bool(s, "force", false), r->live, obj, &out, &err);
        object = rc ? NULL : json_freeze(a, out.object);
        managed = rc || !out.managed ? NULL : json_whole(a, json_freeze(a, out.managed));
    } else {
        const yyjson_val *given = json_get(s, "given");
        given = json_str(given).n ? NULL : given ? given : were;
        yyjson_mut_val *out = managed_update(a, doc, &w, r->live, obj, given);
        object = obj;
        managed = out ? json_whole(a, json_freeze(a, out)) : NULL;
    }
    struct span want = json_get_str(s, "e"), got = rc ? conflict_text(a, &err) : SPAN("");
    if (!span_eq(got, want)) {
        differ(r, n, s, "error", got, want);
    }
    if (rc || r->differs) {
        return;
    }
    object = shown(r, with_side(r, object, w.subresource.n && !is_scale ? "spec" : "status"));
    const yyjson_val *right = json_get(s, "r"), *owners = json_get(s, "mf");
    if (!json_equal(object, shown(r, right))) {
        differ(r, n, s, "object", json_write(a, object), json_write(a, right));
    }
    if (!same_entries(a, managed, owners)) {
        differ(r, n, s, "owners", managed ? json_write(a, managed) : SPAN("none"),
               owners ? json_write(a, owners) : SPAN("none"));
    }
    yyjson_mut_val *next = json_mut_copy(doc, right);
    if (owners) {
        json_put(doc, json_mut_get(next, "metadata"), "managedFields", json_mut_copy(doc, owners));
    }
    r->live = json_freeze(a, next);
}

static const struct schema_kind *kind_of(struct span version, struct span name)
{
    for (size_t i = 0; i < schema_kind_count(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (span_eq_cstr(version, k->api_version) && span_eq_cstr(name, k->kind)) {
            return k;
        }
    }
    return NULL;
}

static bool replay(struct arena *a, const yyjson_val *sequence)
{
    struct span version = json_get_str(sequence, "apiVersion");
    const yyjson_val *schemas = json_get(sequence, "schemas");
    struct custom_definition *custom = schemas ? custom_of(a, schemas) : NULL;
    struct replay r = {.a = a, .custom = custom, .seed = json_get_int(sequence, "seed", 0)};
    r.kind = custom ? custom->storage : kind_of(version, json_get_str(sequence, "kind"));
    CHECK(r.kind != NULL);
    size_t n = 0;
    JSON_EACH(it, json_get(sequence, "steps"))
    {
        play(&r, ++n, it.val);
        if (r.differs) {
            break;
        }
    }
    custom_unref(custom);
    return !r.differs;
}

static gzFile open_recording(void)
{
    const char *other = getenv("BERTH_RECORDING");
    return gzopen(other ? other : "test/unit/data/managed_recorded.jsonl.gz", "r");
}

enum { LINE_MAX_BYTES = 1 << 20 };

TEST_T(writes_are_tracked_as_the_reference_implementation_tracks_them, 300)
{
    gzFile f = open_recording();
    char *line = malloc(LINE_MAX_BYTES);
    size_t count = 0, same = 0;
    CHECK(f && line);
    for (; gzgets(f, line, LINE_MAX_BYTES); count++) {
        struct arena *a cleanup_arena = arena_new();
        same += replay(a, parse(a, span_cstr(line)));
    }
    free(line);
    gzclose(f);
    CHECK_EQ(same, count);
    CHECK(count >= 180);
}
