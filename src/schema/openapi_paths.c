/* schema/openapi_paths.c: the paths of a kind, one operation for each verb that is served. Clients
 * read from them which query parameters a kind understands (fieldValidation, dryRun, fieldManager)
 * and which kind a path is about. */
#include "base/check.h"
#include "codec/json.h"
#include "schema/custom.h"
#include "schema/openapi_priv.h"

struct param {
    const char *name, *type, *doc;
};

/* Parameters by what an operation does. */
static const struct param for_write[] = {
    {"dryRun", "string", "\"All\": everything is checked and answered, nothing is stored."},
    {"fieldManager", "string", "Name of the program or person that makes the change."},
    {"fieldValidation", "string", "What unknown and duplicate fields do: Ignore, Warn or Strict."},
};
static const struct param for_apply[] = {
    {"force", "boolean", "Apply takes fields over from other managers."},
};
static const struct param for_delete[] = {
    {"dryRun", "string", "\"All\": everything is checked and answered, nothing is deleted."},
    {"gracePeriodSeconds", "integer", "Seconds to end in before the object is removed."},
    {"orphanDependents", "boolean", "Older form of propagationPolicy."},
    {"propagationPolicy", "string",
     "What happens to dependents: Orphan, Background or Foreground."},
};
static const struct param for_list[] = {
    {"allowWatchBookmarks", "boolean", "Watches may get bookmark events."},
    {"continue", "string", "Token of the next part of a list."},
    {"fieldSelector", "string", "Restricts the list by fields."},
    {"labelSelector", "string", "Restricts the list by labels."},
    {"limit", "integer", "Most objects in one answer."},
    {"resourceVersion", "string", "Version to list or watch from."},
    {"resourceVersionMatch", "string", "How resourceVersion is meant."},
    {"sendInitialEvents", "boolean", "A watch begins with the objects that exist."},
    {"timeoutSeconds", "integer", "Ends the call after so many seconds."},
    {"watch", "boolean", "Changes are sent as they happen."},
};
static const struct param for_path[] = {
    {"name", "string", "Name of the object."},
    {"namespace", "string", "Namespace of the object."},
};
static const struct param for_all[] = {
    {"pretty", "string", "Asks for output that is easy to read."},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct path {
    struct openapi *o;
    const struct schema_kind *kind;
    const struct schema_subresource *sub; /* NULL: the kind itself */
    bool one;                             /* .../{name} */
    yyjson_mut_val *item;
};

static void put_val(struct openapi *o, yyjson_mut_val *obj, const char *key, yyjson_mut_val *value)
{
    (void)yyjson_mut_obj_add(obj, json_new_str(o->doc, span_cstr(key)), value);
}

static void add_param(struct openapi *o, yyjson_mut_val *list, const char *in,
                      const struct param *p)
{
    yyjson_mut_val *out = yyjson_mut_obj(o->doc), *holder = out;
    openapi_put(o, out, "name", p->name);
    openapi_put(o, out, "in", in);
    openapi_put(o, out, "description", p->doc);
    if (strcmp(in, "path") == 0) {
        put_val(o, out, "required", yyjson_mut_bool(o->doc, true));
    }
    if (o->v3) {
        holder = yyjson_mut_obj(o->doc);
        put_val(o, out, "schema", holder);
    }
    openapi_put(o, holder, "type", p->type);
    put_val(o, holder, "uniqueItems", yyjson_mut_bool(o->doc, true));
    (void)yyjson_mut_arr_append(list, out);
}

static void add_params(struct openapi *o, yyjson_mut_val *list, const struct param *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add_param(o, list, "query", &p[i]);
    }
}

/* The type that a body or answer has; NULL when it has no rows (logs and streams are plain text).
 */
static const struct schema_type *type_of(const struct path *p)
{
    bool own = p->sub && p->kind->custom && strcmp(p->sub->kind, p->kind->kind) == 0;
    if (!p->sub || own) {
        return p->kind->type;
    }
    return p->sub->kind ? schema_type_find(p->sub->group, p->sub->version, p->sub->kind) : NULL;
}

static yyjson_mut_val *ref_or_string(struct openapi *o, const struct schema_type *type)
{
    yyjson_mut_val *out;
    if (type) {
        return openapi_ref(o, type);
    }
    out = yyjson_mut_obj(o->doc);
    openapi_put(o, out, "type", "string");
    return out;
}

static void put_content(struct openapi *o, yyjson_mut_val *out, const char *const *types,
                        yyjson_mut_val *schema)
{
    yyjson_mut_val *content = yyjson_mut_obj(o->doc);
    for (size_t i = 0; types[i]; i++) {
        yyjson_mut_val *holder = yyjson_mut_obj(o->doc);
        put_val(o, holder, "schema", yyjson_mut_val_mut_copy(o->doc, schema));
        put_val(o, content, types[i], holder);
    }
    put_val(o, out, "content", content);
}

static const char *const any_type[] = {"*/*", NULL};
static const char *const patch_types[] = {
    "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json", "application/apply-patch+yaml", NULL};
/* Custom kinds have no merge keys: clients see here that a strategic merge is not for them. */
static const char *const custom_patch_types[] = {"application/json-patch+json",
                                                 "application/merge-patch+json",
                                                 "application/apply-patch+yaml", NULL};

/* types: NULL terminated. */
static void put_body(struct openapi *o, yyjson_mut_val *op, yyjson_mut_val *params,
                     const char *const *types, bool required, yyjson_mut_val *schema)
{
    yyjson_mut_val *body = yyjson_mut_obj(o->doc);
    if (o->v3) {
        put_content(o, body, types, schema);
        if (required) {
            put_val(o, body, "required", yyjson_mut_bool(o->doc, true));
        }
        put_val(o, op, "requestBody", body);
        return;
    }
    yyjson_mut_val *consumes = yyjson_mut_arr(o->doc);
    for (size_t i = 0; types[i]; i++) {
        (void)yyjson_mut_arr_append(consumes, json_new_str(o->doc, span_cstr(types[i])));
    }
    put_val(o, op, "consumes", consumes);
    openapi_put(o, body, "name", "body");
    openapi_put(o, body, "in", "body");
    put_val(o, body, "required", yyjson_mut_bool(o->doc, required));
    put_val(o, body, "schema", schema);
    (void)yyjson_mut_arr_append(params, body);
}

static void put_response(struct openapi *o, yyjson_mut_val *responses, const char *code,
                         const char *text, yyjson_mut_val *schema)
{
    static const char *const json[] = {"application/json", NULL};
    yyjson_mut_val *out = yyjson_mut_obj(o->doc);
    openapi_put(o, out, "description", text);
    if (schema && o->v3) {
        put_content(o, out, json, schema);
    } else if (schema) {
        put_val(o, out, "schema", schema);
    }
    put_val(o, responses, code, out);
}

static const struct schema_type *list_type(const struct schema_kind *k)
{
    return k->custom ? custom_list_type(k)
                     : schema_type_find(k->group, k->version, k->list_kind ? k->list_kind : "");
}

static const struct schema_type *meta_type(const char *name)
{
    return schema_type_find("meta", "v1", name);
}

/* "createAppsV1NamespacedStatefulSet" */
static void put_id(const struct path *p, yyjson_mut_val *op, const char *action)
{
    struct openapi *o = p->o;
    struct span g = span_cstr(p->kind->group), first = span_first(g, span_find(g, '.'));
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    const char *parts[] = {p->kind->version, p->kind->namespaced ? "namespaced" : "", p->kind->kind,
                           p->sub ? p->sub->name : ""};
    strbuf_puts(&b, action);
    for (size_t i = 0; i < COUNT(parts) + 1; i++) {
        struct span part = i > 0 ? span_cstr(parts[i - 1]) : g.n > 0 ? first : SPAN("core");
        if (part.n > 0) {
            char c = part.p[0];
            strbuf_putc(&b, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
            strbuf_put(&b, span_from(part, 1));
        }
    }
    openapi_put(o, op, "operationId", arena_dup(o->a, strbuf_span(&b)).p);
}

static void put_answers(const struct path *p, yyjson_mut_val *op, const char *action)
{
    struct openapi *o = p->o;
    const struct schema_type *type = type_of(p);
    yyjson_mut_val *responses = yyjson_mut_obj(o->doc);
    bool removes = strcmp(action, "delete") == 0 || strcmp(action, "deletecollection") == 0;
    bool makes =
        strcmp(action, "post") == 0 || strcmp(action, "put") == 0 || strcmp(action, "patch") == 0;
    if (strcmp(action, "list") == 0) {
        type = list_type(p->kind);
    } else if (removes) {
        type = meta_type("Status");
    } else if (strcmp(action, "connect") == 0) {
        type = NULL;
    }
    put_response(o, responses, "200", "OK", ref_or_string(o, type));
    if (makes) {
        put_response(o, responses, "201", "Created", ref_or_string(o, type));
    }
    put_response(o, responses, "401", "Unauthorized", NULL);
    put_val(o, op, "responses", responses);
}

static void put_parameters(const struct path *p, yyjson_mut_val *op, const char *action)
{
    struct openapi *o = p->o;
    yyjson_mut_val *params = yyjson_mut_arr(o->doc);
    bool post = strcmp(action, "post") == 0, put = strcmp(action, "put") == 0;
    bool patch = strcmp(action, "patch") == 0, all = strcmp(action, "deletecollection") == 0;
    if (post || put || patch) {
        yyjson_mut_val *schema =
            patch ? openapi_ref_name(o, SPAN(OPENAPI_META "Patch")) : ref_or_string(o, type_of(p));
        const char *const *patches = p->kind->custom ? custom_patch_types : patch_types;
        put_body(o, op, params, patch ? patches : any_type, true, schema);
        add_params(o, params, for_write, COUNT(for_write));
    }
    if (patch) {
        add_params(o, params, for_apply, COUNT(for_apply));
    }
    if (all || strcmp(action, "delete") == 0) {
        put_body(o, op, params, any_type, false, ref_or_string(o, meta_type("DeleteOptions")));
        add_params(o, params, for_delete, COUNT(for_delete));
    }
    if (strcmp(action, "list") == 0) {
        add_params(o, params, for_list, COUNT(for_list));
    } else if (all) {
        /* dryRun and the grace period are there already; a deletion is no watch. */
        add_params(o, params, for_list + 1, COUNT(for_list) - 2);
    }
    put_val(o, op, "parameters", params);
}

/* method is the HTTP method in small letters, action Kubernetes' word for what it does. */
static void add_op(const struct path *p, const char *method, const char *action, const char *id)
{
    struct openapi *o = p->o;
    yyjson_mut_val *op = yyjson_mut_obj(o->doc);
    put_id(p, op, id);
    put_parameters(p, op, action);
    put_answers(p, op, action);
    openapi_put(o, op, "x-kubernetes-action", action);
    put_val(o, op, "x-kubernetes-group-version-kind",
            p->sub && p->sub->kind
                ? openapi_gvk(o, span_cstr(p->sub->group), span_cstr(p->sub->version),
                              span_cstr(p->sub->kind))
                : openapi_gvk(o, span_cstr(p->kind->group), span_cstr(p->kind->version),
                              span_cstr(p->kind->kind)));
    put_val(o, p->item, method, op);
}

static void add_ops(const struct path *p, uint16_t verbs)
{
    bool connects = p->sub && (verbs & SCHEMA_VERB_CREATE) && (verbs & SCHEMA_VERB_GET);
    if (p->one) {
        if (verbs & SCHEMA_VERB_GET) {
            add_op(p, "get", connects ? "connect" : "get", connects ? "connectGet" : "read");
        }
        if (verbs & SCHEMA_VERB_UPDATE) {
            add_op(p, "put", "put", "replace");
        }
        if (p->sub && (verbs & SCHEMA_VERB_CREATE)) {
            add_op(p, "post", connects ? "connect" : "post", connects ? "connectPost" : "create");
        }
        if (verbs & SCHEMA_VERB_DELETE) {
            add_op(p, "delete", "delete", "delete");
        }
        if (verbs & SCHEMA_VERB_PATCH) {
            add_op(p, "patch", "patch", "patch");
        }
        return;
    }
    if (verbs & SCHEMA_VERB_LIST) {
        add_op(p, "get", "list", "list");
    }
    if (verbs & SCHEMA_VERB_CREATE) {
        add_op(p, "post", "post", "create");
    }
    if (verbs & SCHEMA_VERB_DELETECOLLECTION) {
        add_op(p, "delete", "deletecollection", "deleteCollection");
    }
}

static void add_path(struct openapi *o, yyjson_mut_val *paths, const struct schema_kind *kind,
                     const struct schema_subresource *sub, const char *tail, uint16_t verbs)
{
    const char *group = kind->group;
    struct span path = arena_printf(o->a, "/%s%s%s/%s%s/%s%s", group[0] ? "apis" : "api",
                                    group[0] ? "/" : "", group, kind->version,
                                    kind->namespaced && tail ? "/namespaces/{namespace}" : "",
                                    kind->plural, tail ? tail : "");
    bool one = tail && span_starts(span_cstr(tail), SPAN("/{name}"));
    struct path p = {.o = o, .kind = kind, .sub = sub, .one = one, .item = yyjson_mut_obj(o->doc)};
    yyjson_mut_val *params = yyjson_mut_arr(o->doc);
    add_ops(&p, verbs);
    if (yyjson_mut_obj_size(p.item) == 0) {
        return;
    }
    if (one) {
        add_param(o, params, "path", &for_path[0]);
    }
    if (kind->namespaced && tail) {
        add_param(o, params, "path", &for_path[1]);
    }
    add_params(o, params, for_all, COUNT(for_all));
    put_val(o, p.item, "parameters", params);
    put_val(o, paths, path.p, p.item);
}

void openapi_paths_of(struct openapi *o, yyjson_mut_val *paths, const struct schema_kind *kind)
{
    assert(kind);
    assert(kind->plural);
    add_path(o, paths, kind, NULL, "", kind->verbs);
    add_path(o, paths, kind, NULL, "/{name}", kind->verbs);
    if (kind->namespaced) { /* across all namespaces */
        add_path(o, paths, kind, NULL, NULL, kind->verbs & SCHEMA_VERB_LIST);
    }
    for (size_t i = 0; i < kind->subresource_count; i++) {
        const struct schema_subresource *sub = &kind->subresources[i];
        struct span tail = arena_printf(o->a, "/{name}/%s", sub->name);
        add_path(o, paths, kind, sub, tail.p, sub->verbs);
    }
}
