#include "apiserver/meta.h"

#include "base/check.h"
#include "codec/time.h"
#include "schema/custom.h"
#include "schema/kinds.h"

static inline char *put_hex(char *to, const uint8_t *from, size_t n, char after)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = hex[from[i] >> 4];
        to[2 * i + 1] = hex[from[i] & 15];
    }
    to[2 * n] = after;
    return to + 2 * n + 1;
}

struct span meta_uid(struct arena *a, struct env *env)
{
    uint8_t b[16];
    env_random(env, b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    char *out = arena_alloc_raw(a, 37), *end = out;
    end = put_hex(end, b, 4, '-');
    end = put_hex(end, b + 4, 2, '-');
    end = put_hex(end, b + 6, 2, '-');
    end = put_hex(end, b + 8, 2, '-');
    end = put_hex(end, b + 10, 6, '\0');
    assert(end - out == 37);
    return span_of(out, 36);
}

struct span meta_generate_name(struct arena *a, struct env *env, struct span base)
{
    assert(a);
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
    char tail[5];
    uint64_t r = env_random_u64(env);
    for (size_t i = 0; i < sizeof tail; i++) {
        tail[i] = alphabet[r % (sizeof alphabet - 1)];
        r /= sizeof alphabet - 1;
    }
    base = span_first(base, 58);
    return arena_printf(a, "%.*s%.*s", SPAN_ARG(base), (int)sizeof tail, tail);
}

bool meta_has_generation(const struct schema_kind *kind)
{
    assert(kind->resource);
    if (kind->custom) {
        return true;
    }
    static const struct schema_kind *const kinds[] = {SCHEMA_KIND(StatefulSet),
                                                      SCHEMA_KIND(Deployment),
                                                      SCHEMA_KIND(ReplicaSet),
                                                      SCHEMA_KIND(DaemonSet),
                                                      SCHEMA_KIND(ReplicationController),
                                                      SCHEMA_KIND(Pod),
                                                      SCHEMA_KIND(Job),
                                                      SCHEMA_KIND(CronJob),
                                                      SCHEMA_KIND(PodDisruptionBudget),
                                                      SCHEMA_KIND(CustomResourceDefinition),
                                                      SCHEMA_KIND(NetworkPolicy),
                                                      SCHEMA_KIND(Ingress),
                                                      SCHEMA_KIND(EndpointSlice),
                                                      SCHEMA_KIND(IngressClass),
                                                      SCHEMA_KIND(CSIDriver),
                                                      SCHEMA_KIND(FlowSchema),
                                                      SCHEMA_KIND(PriorityLevelConfiguration),
                                                      SCHEMA_KIND(ValidatingWebhookConfiguration),
                                                      SCHEMA_KIND(MutatingWebhookConfiguration),
                                                      SCHEMA_KIND(ValidatingAdmissionPolicy),
                                                      SCHEMA_KIND(MutatingAdmissionPolicy),
                                                      SCHEMA_KIND(PriorityClass)};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kind == kinds[i]) {
            return true;
        }
    }
    return false;
}

bool meta_counts_changes(const struct schema_kind *kind)
{
    return meta_has_generation(kind) && kind != SCHEMA_KIND(PriorityClass);
}

static const struct span versions[] = {SPAN("resourceVersion"), SPAN("managedFields"),
                                       SPAN("selfLink")};
/* What a new object does not bring along. */
static const struct span owned[] = {SPAN("resourceVersion"),   SPAN("managedFields"),
                                    SPAN("selfLink"),          SPAN("generation"),
                                    SPAN("deletionTimestamp"), SPAN("deletionGracePeriodSeconds")};

static bool is_among(struct span key, const struct span *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (span_eq(key, names[i])) {
            return true;
        }
    }
    return false;
}

static void drop(yyjson_mut_val *meta, const struct span *names, size_t n)
{
    assert(yyjson_mut_is_obj(meta));
    yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(meta);
    for (yyjson_mut_val *key; (key = yyjson_mut_obj_iter_next(&it));) {
        if (is_among(json_mut_str(key), names, n)) {
            (void)yyjson_mut_obj_iter_remove(&it);
        }
    }
}

bool meta_is_version(struct span key)
{
    return is_among(key, versions, sizeof versions / sizeof *versions);
}

void meta_drop_versions(yyjson_mut_val *meta)
{
    drop(meta, versions, sizeof versions / sizeof *versions);
}

void meta_create(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct schema_kind *kind,
                 struct arena *a, struct env *env)
{
    yyjson_mut_val *meta = json_mut_obj(doc, obj, "metadata");
    assert(meta);
    drop(meta, owned, sizeof owned / sizeof *owned);
    json_put_str(doc, meta, "uid", meta_uid(a, env));
    json_put_str(doc, meta, "creationTimestamp", time_format(a, env_now_ms(env)));
    if (meta_has_generation(kind)) {
        json_put_int(doc, meta, "generation", 1);
    }
}

/* What a client cannot change. */
static const struct span kept[] = {SPAN("name"),
                                   SPAN("namespace"),
                                   SPAN("uid"),
                                   SPAN("creationTimestamp"),
                                   SPAN("generation"),
                                   SPAN("generateName"),
                                   SPAN("deletionTimestamp"),
                                   SPAN("deletionGracePeriodSeconds")};
enum { KEPT = sizeof kept / sizeof *kept };

/* KEPT: it is none. */
static size_t kept_at(struct span key)
{
    size_t i = 0;
    while (i < KEPT && !span_eq(key, kept[i])) {
        i++;
    }
    return i;
}

/* Each of both goes once over its members. Those that were not there come last. */
void meta_update(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old)
{
    yyjson_mut_val *meta = json_mut_obj(doc, obj, "metadata");
    const yyjson_val *was = json_get(old, "metadata"), *values[KEPT + 1] = {NULL};
    assert(meta);
    assert(was);
    JSON_EACH(it, was)
    {
        values[kept_at(json_str(it.key))] = it.val;
    }
    yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(meta);
    for (yyjson_mut_val *key; (key = yyjson_mut_obj_iter_next(&it));) {
        size_t at = kept_at(json_mut_str(key));
        if (at < KEPT && values[at]) {
            yyjson_mut_val *copy = json_mut_copy(doc, values[at]);
            key->next->tag = copy->tag;
            key->next->uni = copy->uni;
            values[at] = NULL;
        } else if (at < KEPT || meta_is_version(json_mut_str(key))) {
            (void)yyjson_mut_obj_iter_remove(&it);
        }
    }
    for (size_t i = 0; i < KEPT; i++) {
        if (values[i]) {
            json_put_plain(doc, meta, kept[i], json_mut_copy(doc, values[i]));
        }
    }
}

static bool is_bookkeeping(struct span key)
{
    return span_eq(key, SPAN("metadata")) || span_eq(key, SPAN("status")) ||
           span_eq(key, SPAN("kind")) || span_eq(key, SPAN("apiVersion"));
}

/* Every member of a (but the skipped) is equal in b; *ret_count counts them. Both mostly have the
 * same ones in the same order. */
static bool members_equal(const yyjson_val *a, const yyjson_val *b, bool (*skip)(struct span),
                          size_t *ret_count)
{
    size_t n = 0;
    struct json_iter other = json_iter_begin(b);
    JSON_EACH(it, a)
    {
        struct span key = json_str(it.key);
        bool in_order = other.val && span_eq(json_str(other.key), key);
        if (!skip(key)) {
            n++;
            if (!json_equal(it.val, in_order ? other.val : json_get_span(b, key))) {
                return false;
            }
        }
        if (in_order) {
            json_iter_next(&other);
        }
    }
    *ret_count = n;
    return true;
}

static bool all_equal(const yyjson_val *a, const yyjson_val *b, bool (*skip)(struct span))
{
    size_t in_a, in_b = 0;
    if (!members_equal(a, b, skip, &in_a)) {
        return false;
    }
    JSON_EACH(it, b)
    {
        in_b += !skip(json_str(it.key));
    }
    return in_a == in_b;
}

static bool same_annotations(const yyjson_val *obj, const yyjson_val *old)
{
    const yyjson_val *now = json_path(obj, "metadata", "annotations", NULL);
    const yyjson_val *was = json_path(old, "metadata", "annotations", NULL);
    return json_len(now) == json_len(was) && (json_len(now) == 0 || json_equal(now, was));
}

static bool semantic_same(const yyjson_val *x, const yyjson_val *y)
{
    return (!x && !y) || (x && y && json_equal(x, y));
}

bool meta_spec_changed(const struct schema_kind *kind, const yyjson_val *obj, const yyjson_val *old)
{
    assert(kind);
    static const char *const bookkeeping[] = {"metadata", "status", "kind", "apiVersion", NULL};
    if (!all_equal(obj, old, is_bookkeeping) &&
        (kind->custom || !schema_same(kind->type, obj, old, bookkeeping))) {
        return true;
    }
    if (kind->custom && !custom_has_status(kind)) {
        return !semantic_same(json_get(obj, "status"), json_get(old, "status"));
    }
    /* Annotations of a deployment are instructions as well. */
    return strcmp(kind->resource, "deployments.apps") == 0 && !same_annotations(obj, old);
}

static bool is_metadata(struct span key)
{
    return span_eq(key, SPAN("metadata"));
}

static bool is_rev(struct span key)
{
    return span_eq(key, SPAN("resourceVersion")) || span_eq(key, SPAN("managedFields"));
}

bool meta_equal(const yyjson_val *obj, const yyjson_val *old)
{
    return all_equal(obj, old, is_metadata) && /* most writes change something here */
           all_equal(json_get(obj, "metadata"), json_get(old, "metadata"), is_rev);
}

void meta_bump_generation(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old)
{
    assert(doc);
    assert(obj);
    int64_t was = json_get_int(json_get(old, "metadata"), "generation", 0);
    json_put_int(doc, json_mut_obj(doc, obj, "metadata"), "generation", was + 1);
}

static yyjson_mut_val *finalizers_of(const yyjson_mut_val *obj)
{
    yyjson_mut_val *list = json_mut_get(json_mut_get(obj, "metadata"), "finalizers");
    return yyjson_mut_is_arr(list) ? list : NULL;
}

size_t meta_finalizer_count(const yyjson_mut_val *obj)
{
    return yyjson_mut_arr_size(finalizers_of(obj));
}

bool meta_has_finalizer(const yyjson_mut_val *obj, const char *name)
{
    assert(name);
    yyjson_mut_val *list = finalizers_of(obj), *item;
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(list);
    while (list && (item = yyjson_mut_arr_iter_next(&it))) {
        if (span_eq_cstr(json_mut_str(item), name)) {
            return true;
        }
    }
    return false;
}

void meta_add_finalizer(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *name)
{
    assert(doc);
    assert(obj);
    yyjson_mut_val *list = finalizers_of(obj);
    if (meta_has_finalizer(obj, name)) {
        return;
    }
    if (!list) {
        list = yyjson_mut_arr(doc);
        json_put(doc, json_mut_obj(doc, obj, "metadata"), "finalizers", list);
    }
    yyjson_mut_arr_append(list, json_new_str(doc, span_cstr(name)));
    assert(meta_has_finalizer(obj, name));
}

void meta_remove_finalizer(yyjson_mut_val *obj, const char *name)
{
    assert(name);
    yyjson_mut_val *list = finalizers_of(obj), *item;
    if (!list) {
        return;
    }
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(list);
    while ((item = yyjson_mut_arr_iter_next(&it))) {
        if (span_eq_cstr(json_mut_str(item), name)) {
            yyjson_mut_arr_iter_remove(&it);
        }
    }
    if (yyjson_mut_arr_size(list) == 0) {
        json_remove(json_mut_get(obj, "metadata"), "finalizers");
    }
}
