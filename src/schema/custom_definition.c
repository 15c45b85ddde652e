/* schema/custom_definition.c: CustomResourceDefinitions: defaults and rules. */
#include "base/check.h"
#include "schema/custom_priv.h"
#include "schema/hooks.h"

/* ---- defaults ---- */

static void add_stored(yyjson_mut_doc *doc, yyjson_mut_val *obj, yyjson_mut_val *status)
{
    yyjson_mut_val *stored = json_mut_get(status, "storedVersions");
    yyjson_mut_val *versions = json_mut_get(json_mut_get(obj, "spec"), "versions"), *v, *have;
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(versions);
    if (!yyjson_mut_is_arr(stored)) {
        stored = yyjson_mut_arr(doc);
        json_put(doc, status, "storedVersions", stored);
    }
    while (versions && (v = yyjson_mut_arr_iter_next(&it))) {
        bool known = !yyjson_mut_is_true(json_mut_get(v, "storage"));
        struct span name = json_mut_str(json_mut_get(v, "name"));
        yyjson_mut_arr_iter in = yyjson_mut_arr_iter_with(stored);
        while (!known && (have = yyjson_mut_arr_iter_next(&in))) {
            known = span_eq(json_mut_str(have), name);
        }
        if (!known) {
            yyjson_mut_arr_append(stored, json_new_str(doc, name));
        }
    }
}

static void defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec"), *names = json_mut_get(spec, "names");
    struct span kind = json_mut_str(json_mut_get(names, "kind"));
    if (!yyjson_mut_is_obj(spec)) {
        return;
    }
    if (yyjson_mut_is_obj(names) && kind.n && kind.n < 256) {
        char text[264];
        for (size_t i = 0; i < kind.n; i++) {
            text[i] = (char)(kind.p[i] >= 'A' && kind.p[i] <= 'Z' ? kind.p[i] + 32 : kind.p[i]);
        }
        if (json_mut_str(json_mut_get(names, "singular")).n == 0) {
            json_put(doc, names, "singular", yyjson_mut_strncpy(doc, text, kind.n));
        }
        (void)snprintf(text, sizeof text, "%.*sList", SPAN_ARG(kind));
        if (json_mut_str(json_mut_get(names, "listKind")).n == 0) {
            json_put(doc, names, "listKind", yyjson_mut_strncpy(doc, text, kind.n + 4));
        }
    }
    yyjson_mut_val *conversion = json_mut_obj(doc, spec, "conversion");
    if (conversion && json_mut_str(json_mut_get(conversion, "strategy")).n == 0) {
        json_put_str(doc, conversion, "strategy", SPAN("None"));
    }
    yyjson_mut_val *status = json_mut_obj(doc, obj, "status");
    if (status) {
        add_stored(doc, obj, status);
    }
}

/* The versions that were ever stored depend on those there are. */
static bool status_settled(const yyjson_val *status)
{
    (void)status;
    return false;
}

/* ---- rules ---- */

static void check_faults(struct check *c, const struct path *p, const yyjson_val *v,
                         struct names_fault fault)
{
    for (size_t i = 0; i < fault.n && json_str(v).n; i++) {
        cause_invalid(c, p, shown(c->a, v), fault.text[i]);
    }
}

static void check_lower_label(struct check *c, const struct path *p, const yyjson_val *names,
                              const char *key)
{
    const yyjson_val *v = json_get(names, key);
    struct span s = json_str(v);
    char lower[256];
    size_t n = s.n < sizeof lower ? s.n : sizeof lower;
    for (size_t i = 0; i < n; i++) {
        lower[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
    }
    bool folded = strcmp(key, "kind") == 0 || strcmp(key, "listKind") == 0;
    struct names_fault fault = names_dns_label_1035(folded ? span_of(lower, n) : s);
    for (size_t i = 0; i < fault.n && s.n; i++) {
        struct span text =
            folded ? arena_printf(c->a, "may have mixed case, but should otherwise match: %s",
                                  fault.text[i])
                   : span_cstr(fault.text[i]);
        cause_invalid(c, AT_FIELD(p, key), shown(c->a, v), text.p);
    }
}

static void check_names(struct check *c, const struct path *p, const yyjson_val *names)
{
    static const char *const keys[] = {"plural", "singular", "kind", "listKind"};
    static const char *const lists[] = {"shortNames", "categories"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (json_get_str(names, keys[i]).n == 0) {
            cause_required(c, AT_FIELD(p, keys[i]), NULL);
        }
        check_lower_label(c, p, names, keys[i]);
    }
    if (json_get_str(names, "kind").n &&
        span_eq(json_get_str(names, "kind"), json_get_str(names, "listKind"))) {
        cause_invalid(c, AT_FIELD(p, "listKind"), shown(c->a, json_get(names, "listKind")),
                      "kind and listKind may not be the same");
    }
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        size_t i = 0;
        JSON_EACH(it, json_get(names, lists[l]))
        {
            check_faults(c, AT_INDEX(AT_FIELD(p, lists[l]), i++), it.val,
                         names_dns_label_1035(json_str(it.val)));
        }
    }
}

static void check_columns(struct check *c, const struct path *p, const yyjson_val *columns)
{
    size_t i = 0;
    JSON_EACH(it, columns)
    {
        const struct path *at = AT_INDEX(p, i++);
        const yyjson_val *type = json_get(it.val, "type"), *path = json_get(it.val, "jsonPath");
        static const char types[] = "|boolean|date|integer|number|string|";
        struct span wrapped = arena_printf(c->a, "|%.*s|", SPAN_ARG(json_str(type)));
        struct custom_path parsed;
        if (json_str(type).n && !strstr(types, wrapped.p)) {
            cause_invalid(c, AT_FIELD(at, "type"), shown(c->a, type),
                          "must be one of boolean,date,integer,number,string");
        }
        const char *why =
            json_str(path).n ? custom_path_parse(c->a, json_str(path), &parsed) : NULL;
        if (why) {
            cause_invalid(c, AT_FIELD(at, "jsonPath"), shown(c->a, path), why);
        }
    }
}

/* Where a dotted path leads in a schema; NULL: nowhere, or through a list. */
static const yyjson_val *schema_at(const yyjson_val *schema, struct span path)
{
    while (path.n && schema) {
        struct span name = span_cut(&path, '.');
        const yyjson_val *properties = json_get(schema, "properties");
        schema =
            name.n ? yyjson_obj_getn((yyjson_val *)(uintptr_t)properties, name.p, name.n) : NULL;
    }
    return schema;
}

/* Fields that selectors may name: single values of the object's own part. */
static void check_selectable(struct check *c, const struct path *p, const yyjson_val *list,
                             const yyjson_val *schema)
{
    enum { MOST = 8 };
    static const char types[] = "|boolean|integer|string|";
    if (json_len(list) > MOST) {
        cause_too_many(c, p, json_len(list), MOST);
    }
    size_t i = 0;
    JSON_EACH(it, list)
    {
        const struct path *at = AT_FIELD(AT_INDEX(p, i++), "jsonPath");
        const yyjson_val *given = json_get(it.val, "jsonPath");
        struct span text = json_str(given);
        const yyjson_val *to = span_starts(text, SPAN(".")) && text.n > 1
                                   ? schema_at(schema, span_from(text, 1))
                                   : NULL;
        struct span type = arena_printf(c->a, "|%.*s|", SPAN_ARG(json_get_str(to, "type")));
        if (span_starts(text, SPAN(".metadata."))) {
            cause_invalid(c, at, shown(c->a, given), "must not point to fields in metadata");
        } else if (!to || !strstr(types, type.p)) {
            cause_invalid(c, at, shown(c->a, given),
                          "is an invalid path: must point to a field of type string, boolean or "
                          "integer");
        }
        size_t j = 0;
        JSON_EACH(other, list)
        {
            if (++j < i && span_eq(json_get_str(other.val, "jsonPath"), text)) {
                cause_duplicate(c, at, shown(c->a, given));
            }
        }
    }
}

static void check_scale_path(struct check *c, const struct path *p, const yyjson_val *scale,
                             const char *key, const char *prefix)
{
    struct span s = json_get_str(scale, key);
    bool plain = span_find(s, '[') == s.n && span_find(s, '\\') == s.n;
    bool starts = span_starts(s, span_cstr(prefix)) ||
                  (strcmp(key, "labelSelectorPath") == 0 && span_starts(s, SPAN(".spec.")));
    if (s.n && (!plain || !starts || span_ends(s, SPAN(".")))) {
        struct span text =
            arena_printf(c->a, "should be a json path under %.*s", (int)strlen(prefix) - 1, prefix);
        cause_invalid(c, AT_FIELD(p, key), shown(c->a, json_get(scale, key)), text.p);
    }
}

static void check_version(struct check *c, const struct path *p, const yyjson_val *v)
{
    const yyjson_val *schema = json_path(v, "schema", "openAPIV3Schema", NULL);
    const yyjson_val *scale = json_path(v, "subresources", "scale", NULL);
    const struct path *at = AT_FIELD(AT_FIELD(p, "subresources"), "scale");
    check_faults(c, AT_FIELD(p, "name"), json_get(v, "name"),
                 names_dns_label_1035(json_get_str(v, "name")));
    if (!schema) {
        cause_required(c, AT_FIELD(AT_FIELD(p, "schema"), "openAPIV3Schema"),
                       "schemas are required");
    } else {
        (void)custom_compile_schema(c, AT_FIELD(AT_FIELD(p, "schema"), "openAPIV3Schema"), schema);
    }
    check_columns(c, AT_FIELD(p, "additionalPrinterColumns"),
                  json_get(v, "additionalPrinterColumns"));
    check_selectable(c, AT_FIELD(p, "selectableFields"), json_get(v, "selectableFields"), schema);
    check_scale_path(c, at, scale, "specReplicasPath", ".spec.");
    check_scale_path(c, at, scale, "statusReplicasPath", ".status.");
    check_scale_path(c, at, scale, "labelSelectorPath", ".status.");
    if (json_get(v, "deprecationWarning") && !json_get_bool(v, "deprecated", false)) {
        cause_invalid(c, AT_FIELD(p, "deprecationWarning"),
                      shown(c->a, json_get(v, "deprecationWarning")),
                      "can only be set for deprecated versions");
    }
}

static void check_versions(struct check *c, const struct path *p, const yyjson_val *versions)
{
    size_t stored = 0, i = 0;
    JSON_EACH(it, versions)
    {
        struct span name = json_get_str(it.val, "name");
        size_t j = 0;
        JSON_EACH(other, versions)
        {
            if (j++ < i && span_eq(json_get_str(other.val, "name"), name)) {
                cause_invalid(c, p, shown(c->a, versions), "must contain unique version names");
                return;
            }
        }
        stored += json_get_bool(it.val, "storage", false);
        check_version(c, AT_INDEX(p, i++), it.val);
    }
    if (stored != 1) {
        cause_invalid(c, p, arena_printf(c->a, "%zu versions", json_len(versions)),
                      "must have exactly one version marked as storage version");
    }
}

static void check_group(struct check *c, const struct path *p, const yyjson_val *obj)
{
    const yyjson_val *group = json_path(obj, "spec", "group", NULL);
    struct span s = json_str(group);
    check_faults(c, p, group, names_dns_subdomain(s));
    if (s.n && span_find(s, '.') == s.n) {
        cause_invalid(c, p, shown(c->a, group), "should be a domain with at least one dot");
    }
    bool guarded = span_ends(s, SPAN(".k8s.io")) || span_ends(s, SPAN(".kubernetes.io"));
    const yyjson_val *notes = json_path(obj, "metadata", "annotations", NULL);
    if (guarded && !json_get(notes, "api-approved.kubernetes.io")) {
        cause_required(c,
                       AT_KEY(AT_FIELD(AT_FIELD(NULL, "metadata"), "annotations"),
                              SPAN("api-approved.kubernetes.io")),
                       "protected groups must have approval annotation "
                       "\"api-approved.kubernetes.io\", see "
                       "https://github.com/kubernetes/enhancements/pull/1111");
    }
}

/* What cannot change while objects may exist. */
static void check_change(struct check *c, const struct path *p, const yyjson_val *obj,
                         const yyjson_val *old)
{
    static const char *const fixed[] = {"group", "scope"};
    const yyjson_val *now = json_get(obj, "spec"), *was = json_get(old, "spec");
    for (size_t i = 0; i < 2; i++) {
        if (!json_equal(json_get(now, fixed[i]), json_get(was, fixed[i]))) {
            cause_invalid(c, AT_FIELD(p, fixed[i]), shown(c->a, json_get(now, fixed[i])),
                          "field is immutable");
        }
    }
    const yyjson_val *kind = json_path(now, "names", "kind", NULL);
    if (!json_equal(kind, json_path(was, "names", "kind", NULL))) {
        cause_invalid(c, AT_FIELD(AT_FIELD(p, "names"), "kind"), shown(c->a, kind),
                      "field is immutable");
    }
    size_t i = 0;
    JSON_EACH(it, json_path(obj, "status", "storedVersions", NULL))
    {
        bool known = false;
        JSON_EACH(v, json_get(now, "versions"))
        {
            known |= span_eq(json_get_str(v.val, "name"), json_str(it.val));
        }
        if (!known) {
            cause_invalid(c, AT_INDEX(AT_FIELD(AT_FIELD(NULL, "status"), "storedVersions"), i),
                          shown(c->a, it.val),
                          "missing from spec.versions; v1 objects may be "
                          "stored in it: take it out of status after they "
                          "have been written again");
        }
        i++;
    }
}

static void validate(struct check *c, const yyjson_val *obj)
{
    const struct path *p = AT_FIELD(NULL, "spec");
    const yyjson_val *spec = json_get(obj, "spec"),
                     *name = json_path(obj, "metadata", "name", NULL);
    struct span group = json_get_str(spec, "group");
    struct span plural = json_str(json_path(spec, "names", "plural", NULL));
    struct span want = arena_printf(c->a, "%.*s.%.*s", SPAN_ARG(plural), SPAN_ARG(group));
    if (!span_eq(want, json_str(name))) {
        cause_invalid(c, AT_FIELD(AT_FIELD(NULL, "metadata"), "name"), shown(c->a, name),
                      "must be spec.names.plural+\".\"+spec.group");
    }
    check_group(c, AT_FIELD(p, "group"), obj);
    check_names(c, AT_FIELD(p, "names"), json_get(spec, "names"));
    check_versions(c, AT_FIELD(p, "versions"), json_get(spec, "versions"));
    if (json_get_bool(spec, "preserveUnknownFields", false)) {
        cause_invalid(c, AT_FIELD(p, "preserveUnknownFields"), SPAN("true"),
                      "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
                      "spec.versions[*].schema instead");
    }
    if (span_eq(json_str(json_path(spec, "conversion", "strategy", NULL)), SPAN("Webhook"))) {
        cause_invalid(c, AT_FIELD(AT_FIELD(p, "conversion"), "strategy"), SPAN("\"Webhook\""),
                      "conversion by webhooks is not implemented by this server yet: use None");
    }
    if (c->old) {
        check_change(c, p, obj, c->old);
    }
}

const struct schema_hooks schema_hooks_definition = {.defaults = defaults,
                                                     .status_settled = status_settled,
                                                     .validate = validate,
                                                     .validates_metadata = true,
                                                     .field = kind_field_metadata};
