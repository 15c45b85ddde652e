/* kinds/kind_volume.c: persistent volumes and storage classes. */
#include "base/check.h"
#include "base/strbuf.h"
#include "codec/names.h"
#include "codec/quantity.h"
#include "kinds/kind.h"

struct span short_access_modes(struct arena *a, const yyjson_val *modes)
{
    assert(a);
    static const char *const names[][2] = {{"ReadWriteOnce", "RWO"},
                                           {"ReadOnlyMany", "ROX"},
                                           {"ReadWriteMany", "RWX"},
                                           {"ReadWriteOncePod", "RWOP"}};
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        JSON_EACH(it, modes)
        {
            if (span_eq_cstr(json_str(it.val), names[i][0])) {
                strbuf_printf(&b, "%s%s", b.n ? "," : "", names[i][1]);
                break;
            }
        }
    }
    return arena_dup(a, strbuf_span(&b));
}

/* Where a volume's bytes can be; the other members of the spec describe it. */
static const char *const sources[] = {"gcePersistentDisk",
                                      "awsElasticBlockStore",
                                      "hostPath",
                                      "glusterfs",
                                      "nfs",
                                      "rbd",
                                      "iscsi",
                                      "cinder",
                                      "cephfs",
                                      "fc",
                                      "flocker",
                                      "flexVolume",
                                      "azureFile",
                                      "vsphereVolume",
                                      "quobyte",
                                      "azureDisk",
                                      "photonPersistentDisk",
                                      "portworxVolume",
                                      "scaleIO",
                                      "local",
                                      "storageos",
                                      "csi"};
enum { SOURCE_COUNT = sizeof sources / sizeof *sources };

static void check_capacity(struct check *c, const struct path *p, const yyjson_val *capacity)
{
    if (!capacity) {
        return;
    }
    const yyjson_val *storage = json_get(capacity, "storage");
    if (!storage || json_len(capacity) > 1) {
        cause_not_supported(c, p, shown(c->a, capacity), "storage");
    }
    struct quantity q;
    if (storage && (quantity_parse(json_str(storage), &q) || q.nano <= 0)) {
        cause_invalid(c, AT_KEY(p, SPAN("storage")), shown(c->a, storage),
                      "must be greater than zero");
    }
}

static bool has_parent_step(struct span path)
{
    while (path.n) {
        if (span_eq(span_cut(&path, '/'), SPAN(".."))) {
            return true;
        }
    }
    return false;
}

static void check_paths(struct check *c, const struct path *p, const yyjson_val *spec)
{
    static const char *const kinds[] = {"hostPath", "local"};
    for (size_t i = 0; i < 2; i++) {
        const yyjson_val *path = json_get(json_get(spec, kinds[i]), "path");
        if (has_parent_step(json_str(path))) {
            cause_invalid(c, AT_FIELD(AT_FIELD(p, kinds[i]), "path"), shown(c->a, path),
                          "must not contain '..'");
        }
    }
    if (json_get(spec, "local") && !json_get(spec, "nodeAffinity")) {
        cause_required(c, AT_FIELD(p, "nodeAffinity"), "Local volume requires node affinity");
    }
}

static void check_update(struct check *c, const struct path *p, const yyjson_val *now,
                         const yyjson_val *was)
{
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        if (!semantic_equal(json_get(now, sources[i]), json_get(was, sources[i])) &&
            !(json_get(now, "csi") && json_get(was, "csi"))) {
            cause_forbidden(c, AT_FIELD(p, "persistentvolumesource"),
                            "spec.persistentvolumesource is immutable after creation");
            break;
        }
    }
    const yyjson_val *mode = json_get(now, "volumeMode");
    if (!semantic_equal(mode, json_get(was, "volumeMode"))) {
        cause_invalid(c, AT_FIELD(p, "volumeMode"), shown(c->a, mode), "field is immutable");
    }
    const yyjson_val *affinity = json_get(was, "nodeAffinity");
    if (affinity && !semantic_equal(json_get(now, "nodeAffinity"), affinity)) {
        cause_invalid(c, AT_FIELD(p, "nodeAffinity"), shown(c->a, json_get(now, "nodeAffinity")),
                      "field is immutable, except for updating from beta label to GA");
    }
}

static void validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    check_capacity(c, AT_FIELD(p, "capacity"), json_get(spec, "capacity"));
    check_one_source(c, p, spec, sources, SOURCE_COUNT, "volume");
    check_paths(c, p, spec);
    if (c->old) {
        check_update(c, p, spec, json_get(c->old, "spec"));
    }
}

static void row(struct row *r)
{
    const yyjson_val *spec = json_get(r->obj, "spec"), *status = json_get(r->obj, "status");
    const yyjson_val *claim = json_get(spec, "claimRef");
    struct span ns = json_get_str(claim, "namespace"), name = json_get_str(claim, "name");
    struct span attributes = json_get_str(spec, "volumeAttributesClassName");
    struct span mode = json_get_str(spec, "volumeMode");
    bool deleting = json_get_str(json_get(r->obj, "metadata"), "deletionTimestamp").n > 0;
    cell_name(r);
    cell(r, json_get_str(json_get(spec, "capacity"), "storage"));
    cell(r, short_access_modes(r->a, json_get(spec, "accessModes")));
    cell(r, json_get_str(spec, "persistentVolumeReclaimPolicy"));
    cell(r, deleting ? SPAN("Terminating") : json_get_str(status, "phase"));
    cell(r, claim ? arena_printf(r->a, "%.*s/%.*s", SPAN_ARG(ns), SPAN_ARG(name)) : SPAN(""));
    cell(r, json_get_str(spec, "storageClassName"));
    cell(r, attributes.n ? attributes : SPAN("<unset>"));
    cell(r, json_get_str(status, "reason"));
    cell_age(r);
    cell(r, mode.n ? mode : SPAN("<unset>"));
}

const struct schema_hooks schema_hooks_volume = {
    .validate = validate, .row = row, .field = kind_field_metadata};

/* ---- storage classes ---- */

static void class_validate(struct check *c, const yyjson_val *obj)
{
    static const char *const fixed[] = {"parameters", "provisioner", "reclaimPolicy"};
    const yyjson_val *provisioner = json_get(obj, "provisioner");
    if (json_str(provisioner).n) {
        format_check(c, AT_FIELD(NULL, "provisioner"), "qualified", provisioner);
    }
    for (size_t i = 0; c->old && i < sizeof fixed / sizeof *fixed; i++) {
        if (!semantic_equal(json_get(obj, fixed[i]), json_get(c->old, fixed[i]))) {
            cause_forbidden(c, AT_FIELD(NULL, fixed[i]),
                            arena_printf(c->a, "updates to %s are forbidden.", fixed[i]).p);
        }
    }
}

static bool is_default_class(const yyjson_val *obj)
{
    const yyjson_val *notes = json_get(json_get(obj, "metadata"), "annotations");
    return span_eq(json_get_str(notes, "storageclass.kubernetes.io/is-default-class"),
                   SPAN("true")) ||
           span_eq(json_get_str(notes, "storageclass.beta.kubernetes.io/is-default-class"),
                   SPAN("true"));
}

static void class_row(struct row *r)
{
    struct span name = json_get_str(json_get(r->obj, "metadata"), "name");
    struct span reclaim = json_get_str(r->obj, "reclaimPolicy");
    struct span binding = json_get_str(r->obj, "volumeBindingMode");
    cell(r, is_default_class(r->obj) ? arena_printf(r->a, "%.*s (default)", SPAN_ARG(name)) : name);
    cell(r, json_get_str(r->obj, "provisioner"));
    cell(r, reclaim.n ? reclaim : SPAN("Delete"));
    cell(r, binding.n ? binding : SPAN("<unset>"));
    yyjson_mut_arr_append(
        r->cells, yyjson_mut_bool(r->doc, json_get_bool(r->obj, "allowVolumeExpansion", false)));
    cell_age(r);
}

const struct schema_hooks schema_hooks_storageclass = {
    .validate = class_validate, .row = class_row, .field = kind_field_metadata};
