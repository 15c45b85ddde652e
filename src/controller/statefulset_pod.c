/* controller/statefulset_pod.c: the bodies of a set's pods and claims. */
#include "base/check.h"
#include "controller/statefulset_priv.h"

static void put_metadata(struct set_sync *x, struct client_body *b, const yyjson_val *template,
                         int32_t ordinal, struct span revision)
{
    assert(ordinal >= 0);
    assert(revision.n > 0);
    yyjson_val *from = json_get(template, "metadata");
    char digits[SPAN_NUMBER_BYTES];
    json_put_str(b->doc, b->meta, "generateName", ARENA_JOIN(x->own.a, x->own.name, SPAN("-")));
    json_put_str(b->doc, b->meta, "namespace", x->own.ns);
    yyjson_mut_val *labels = json_mut_obj(b->doc, b->meta, "labels");
    owned_copy_members(b->doc, labels, json_get(from, "labels"));
    json_put_str(b->doc, labels, "statefulset.kubernetes.io/pod-name",
                 json_mut_str(json_mut_get(b->meta, "name")));
    json_put_str(b->doc, labels, "apps.kubernetes.io/pod-index",
                 arena_dup(x->own.a, span_i64(digits, ordinal)));
    json_put_str(b->doc, labels, "controller-revision-hash", revision);
    if (json_len(json_get(from, "annotations"))) {
        owned_copy_members(b->doc, json_mut_obj(b->doc, b->meta, "annotations"),
                           json_get(from, "annotations"));
    }
    if (json_len(json_get(from, "finalizers"))) {
        json_put(b->doc, b->meta, "finalizers",
                 json_mut_copy(b->doc, json_get(from, "finalizers")));
    }
    client_body_owner(b, x->own.kind, x->own.owner);
}

static bool is_claim_template(struct set_sync *x, struct span volume)
{
    JSON_EACH(it, json_get(x->own.spec, "volumeClaimTemplates"))
    {
        if (span_eq(json_str(json_path(it.val, "metadata", "name", NULL)), volume)) {
            return true;
        }
    }
    return false;
}

/* The claims come first and take the place of same-named volumes of the template. */
static void put_volumes(struct set_sync *x, struct client_body *b, yyjson_mut_val *spec,
                        const yyjson_val *template_spec, int32_t ordinal)
{
    assert(ordinal >= 0);
    yyjson_mut_val *volumes = yyjson_mut_arr(b->doc);
    JSON_EACH(it, json_get(x->own.spec, "volumeClaimTemplates"))
    {
        yyjson_mut_val *volume = yyjson_mut_obj(b->doc);
        json_put_str(b->doc, volume, "name", json_str(json_path(it.val, "metadata", "name", NULL)));
        json_put_str(b->doc, json_mut_obj(b->doc, volume, "persistentVolumeClaim"), "claimName",
                     statefulset_claim_name(x, it.val, ordinal));
        yyjson_mut_arr_append(volumes, volume);
    }
    JSON_EACH(it, json_get(template_spec, "volumes"))
    {
        if (!is_claim_template(x, json_get_str(it.val, "name"))) {
            yyjson_mut_arr_append(volumes, json_mut_copy(b->doc, it.val));
        }
    }
    if (yyjson_mut_arr_size(volumes)) {
        json_put(b->doc, spec, "volumes", volumes);
    }
}

struct json_shared *statefulset_pod_body(struct set_sync *x, int32_t ordinal, bool at_update)
{
    assert(ordinal >= 0);
    const yyjson_val *template = at_update ? x->update_template : x->current_template;
    struct span name = statefulset_pod_name(x, ordinal);
    struct client_body b = client_body_new(x->own.a, x->c->pods.kind, name);
    put_metadata(x, &b, template, ordinal, at_update ? x->update_name : x->current_name);
    yyjson_val *from = json_get(template, "spec");
    yyjson_mut_val *spec = json_mut_obj(b.doc, b.root, "spec");
    owned_copy_members(b.doc, spec, from);
    json_put_str(b.doc, spec, "hostname", name);
    struct span service = json_get_str(x->own.spec, "serviceName");
    if (service.n) {
        json_put_str(b.doc, spec, "subdomain", service);
    }
    put_volumes(x, &b, spec, from, ordinal);
    return client_body_tree(&b);
}

struct json_shared *statefulset_claim_body(struct set_sync *x, const yyjson_val *claim_template,
                                           struct span name, bool owned_by_set)
{
    assert(name.n > 0);
    struct client_body b = client_body_new(x->own.a, x->c->claim_kind, name);
    yyjson_val *from = json_get(claim_template, "metadata");
    json_put_str(b.doc, b.meta, "namespace", x->own.ns);
    yyjson_mut_val *labels = json_mut_obj(b.doc, b.meta, "labels");
    owned_copy_members(b.doc, labels, json_get(from, "labels"));
    /* What makes `kubectl delete pvc -l app=...` find them. */
    owned_copy_members(b.doc, labels, json_path(x->own.spec, "selector", "matchLabels", NULL));
    if (json_len(json_get(from, "annotations"))) {
        owned_copy_members(b.doc, json_mut_obj(b.doc, b.meta, "annotations"),
                           json_get(from, "annotations"));
    }
    if (owned_by_set) {
        client_body_owner(&b, x->own.kind, x->own.owner);
    }
    json_put(b.doc, b.root, "spec", json_mut_copy(b.doc, json_get(claim_template, "spec")));
    return client_body_tree(&b);
}
