/* apiserver/admission_near.c: matchLabelKeys and mismatchLabelKeys of new pods. Kubernetes writes
 * what they mean into the labelSelector as well, and its scheduler reads that alone. */
#include "apiserver/admission.h"
#include "base/check.h"

static void merge(yyjson_mut_doc *doc, yyjson_mut_val *selector, yyjson_mut_val *keys,
                  yyjson_mut_val *labels, const char *operator)
{
    yyjson_mut_val *key;
    size_t i, n;
    yyjson_mut_arr_foreach(keys, i, n, key)
    {
        yyjson_mut_val *value = json_mut_get_span(labels, json_mut_str(key));
        if (!yyjson_mut_is_str(key) || !value) {
            continue;
        }
        yyjson_mut_val *all = json_mut_get(selector, "matchExpressions");
        if (!yyjson_mut_is_arr(all)) {
            all = yyjson_mut_arr(doc);
            json_put(doc, selector, "matchExpressions", all);
        }
        yyjson_mut_val *e = yyjson_mut_obj(doc), *values = yyjson_mut_arr(doc);
        json_put_str(doc, e, "key", json_mut_str(key));
        json_put_str(doc, e, "operator", span_cstr(operator));
        yyjson_mut_arr_append(values, json_new_str(doc, json_mut_str(value)));
        json_put(doc, e, "values", values);
        yyjson_mut_arr_append(all, e);
    }
}

/* A term without a selector matches nobody: nothing to narrow. */
static void merge_both(yyjson_mut_doc *doc, yyjson_mut_val *term, yyjson_mut_val *labels)
{
    yyjson_mut_val *selector = json_mut_get(term, "labelSelector");
    if (yyjson_mut_is_obj(selector)) {
        merge(doc, selector, json_mut_get(term, "matchLabelKeys"), labels, "In");
        merge(doc, selector, json_mut_get(term, "mismatchLabelKeys"), labels, "NotIn");
    }
}

static void merge_terms(yyjson_mut_doc *doc, yyjson_mut_val *affinity, yyjson_mut_val *labels)
{
    size_t i, n;
    yyjson_mut_val *item;
    yyjson_mut_arr_foreach(json_mut_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution"),
                           i, n, item)
    {
        merge_both(doc, item, labels);
    }
    yyjson_mut_arr_foreach(
        json_mut_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"), i, n, item)
    {
        merge_both(doc, json_mut_get(item, "podAffinityTerm"), labels);
    }
}

void admission_near(yyjson_mut_doc *doc, yyjson_mut_val *pod)
{
    assert(doc);
    assert(pod);
    yyjson_mut_val *spec = json_mut_get(pod, "spec"), *affinity = json_mut_get(spec, "affinity");
    yyjson_mut_val *spread = json_mut_get(spec, "topologySpreadConstraints"), *item;
    yyjson_mut_val *labels = json_mut_get(json_mut_get(pod, "metadata"), "labels");
    if (affinity) {
        merge_terms(doc, json_mut_get(affinity, "podAffinity"), labels);
        merge_terms(doc, json_mut_get(affinity, "podAntiAffinity"), labels);
    }
    size_t i, n;
    yyjson_mut_arr_foreach(spread, i, n, item)
    {
        merge_both(doc, item, labels);
    }
}
