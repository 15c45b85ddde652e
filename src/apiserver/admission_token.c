/* The token of its account as a file in every container of a new pod, as the admission plug-in
 * ServiceAccount of Kubernetes has it. */
#include "apiserver/admission.h"
#include "apiserver/meta.h"
#include "apiserver/server.h"
#include "base/check.h"

#define PLACE "/var/run/secrets/kubernetes.io/serviceaccount"
#define VOLUME "kube-api-access-"

void admission_token_init(struct apiserver *s)
{
    yyjson_doc *doc = NULL;
    int rc = json_parse(
        s->arena,
        SPAN("{\"sources\":[{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":"
             "\"token\"}},{\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":"
             "\"ca.crt\",\"path\":\"ca.crt\"}]}},{\"downwardAPI\":{\"items\":[{\"path\":"
             "\"namespace\",\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":"
             "\"metadata.namespace\"}}]}}],\"defaultMode\":420}"),
        &doc, NULL);
    assert(rc == 0);
    assert(!s->token_volume);
    s->token_volume = yyjson_doc_get_root(doc);
}

/* What the pod says counts, then what the account says. */
static bool is_wanted(const struct object *account, yyjson_mut_val *spec)
{
    yyjson_mut_val *said = json_mut_get(spec, "automountServiceAccountToken");
    return yyjson_mut_is_bool(said)
               ? yyjson_mut_is_true(said)
               : !account || json_get_bool(object_root((struct object *)(uintptr_t)account),
                                           "automountServiceAccountToken", true);
}

/* Of a volume that the pod has for this purpose already; empty: none. */
static struct span volume_there(yyjson_mut_val *volumes)
{
    yyjson_mut_val *v;
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(volumes);
    while (yyjson_mut_is_arr(volumes) && (v = yyjson_mut_arr_iter_next(&it))) {
        struct span name = json_mut_str(json_mut_get(v, "name"));
        if (span_starts(name, SPAN(VOLUME))) {
            return name;
        }
    }
    return SPAN_NULL;
}

static yyjson_mut_val *list_of(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key)
{
    yyjson_mut_val *list = json_mut_get(obj, key);
    if (!yyjson_mut_is_arr(list)) {
        list = yyjson_mut_arr(doc);
        json_put(doc, obj, key, list);
    }
    return list;
}

/* A container that has something at the place keeps that. */
static bool mount(yyjson_mut_doc *doc, yyjson_mut_val *container, struct span volume)
{
    yyjson_mut_val *list = list_of(doc, container, "volumeMounts"), *m;
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(list);
    while ((m = yyjson_mut_arr_iter_next(&it))) {
        if (span_eq(json_mut_str(json_mut_get(m, "mountPath")), SPAN(PLACE))) {
            return false;
        }
    }
    m = yyjson_mut_obj(doc);
    json_put_str(doc, m, "name", volume);
    json_put_bool(doc, m, "readOnly", true);
    json_put_str(doc, m, "mountPath", SPAN(PLACE));
    (void)yyjson_mut_arr_append(list, m);
    return true;
}

void admission_token(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *spec,
                     const struct object *account)
{
    static const char *const lists[] = {"initContainers", "containers"};
    if (!op->server->token_volume || !is_wanted(account, spec)) {
        return;
    }
    struct span there = volume_there(json_mut_get(spec, "volumes"));
    struct span name =
        there.n ? there : meta_generate_name(op->arena, op->server->env, SPAN(VOLUME));
    bool is_used = false;
    for (size_t i = 0; i < 2; i++) {
        yyjson_mut_val *list = json_mut_get(spec, lists[i]), *c;
        yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(list);
        while (yyjson_mut_is_arr(list) && (c = yyjson_mut_arr_iter_next(&it))) {
            is_used |= mount(doc, c, name);
        }
    }
    if (is_used && !there.n) {
        yyjson_mut_val *v = yyjson_mut_obj(doc);
        json_put_str(doc, v, "name", name);
        json_put(doc, v, "projected", json_mut_copy(doc, op->server->token_volume));
        (void)yyjson_mut_arr_append(list_of(doc, spec, "volumes"), v);
    }
}
