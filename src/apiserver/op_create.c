/* create: one parse (the front's), one decode, one serialisation. */
#include "apiserver/admission.h"
#include "apiserver/meta.h"
#include "apiserver/ownership.h"
#include "apiserver/server.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "base/limits.h"
#include "schema/custom.h"
#include "schema/kinds.h"
#include "watch/watch.h"

/* Kinds whose status a client may give at creation: whoever registers a node knows its state. */
static bool keeps_status(const struct schema_kind *kind)
{
    return kind->custom ? !custom_has_status(kind) : strcmp(kind->resource, "nodes") == 0;
}

static int check_names(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *meta)
{
    struct span ns = json_mut_str(json_mut_get(meta, "namespace"));
    if (ns.n && !span_eq(ns, op->ns)) {
        return op->kind->namespaced ? api_op_err(op, ERR_BAD_REQUEST,
                                                 "the namespace of the provided object does "
                                                 "not match the namespace sent on the request")
                                    : api_op_err(op, ERR_BAD_REQUEST,
                                                 "namespace must not be set on an object of a "
                                                 "cluster-scoped kind");
    }
    if (op->kind->namespaced) {
        json_put_str(doc, meta, "namespace", op->ns);
    } else {
        json_remove(meta, "namespace");
    }
    if (json_mut_str(json_mut_get(meta, "resourceVersion")).n) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "resourceVersion should not be set on objects to be created");
    }
    op->name = json_mut_str(json_mut_get(meta, "name"));
    struct span base = json_mut_str(json_mut_get(meta, "generateName"));
    op->name_generated = op->name.n == 0 && base.n;
    if (op->name_generated) {
        op->name = meta_generate_name(op->arena, op->server->env, base);
        json_put_str(doc, meta, "name", op->name);
    }
    return 0;
}

static int exists(struct api_op *op)
{
    return api_op_err(op, ERR_ALREADY_EXISTS, "%s \"%.*s\" already exists", op->kind->resource,
                      SPAN_ARG(op->name));
}

int op_create_attempt(struct api_op *op)
{
    struct arena *a = op->arena;
    yyjson_mut_doc *doc = json_mut_new(a);
    if (op->kind == SCHEMA_KIND(CustomResourceDefinition) &&
        watch_hub_count(op->server->hub, span_cstr(op->kind->resource)) >= LIMIT_CUSTOM_KINDS) {
        return api_op_err(op, ERR_FORBIDDEN,
                          "%s \"%.*s\" is forbidden: this server has %d custom kinds already, its "
                          "limit: delete some",
                          op->kind->resource, SPAN_ARG(op->name), LIMIT_CUSTOM_KINDS);
    }
    if (op->kind->custom && custom_definition_of(op->kind)->is_terminating) {
        return api_op_err(op, ERR_METHOD_NOT_ALLOWED,
                          "create not allowed while custom resource definition is terminating");
    }
    yyjson_mut_val *obj = write_decode(op, op->body, NULL, doc);
    if (!obj || check_names(op, doc, json_mut_get(obj, "metadata")) || admission_namespace(op)) {
        return -1;
    }
    if (!keeps_status(op->kind)) {
        json_remove(obj, "status");
    }
    const yyjson_val *given = ownership_given(op, obj);
    meta_create(doc, obj, op->kind, a, op->server->env);
    write_defaults(op, doc, obj);
    ownership_create(op, doc, obj, given);
    if ((given && ownership_check(op, obj)) || admission_create(op, doc, obj)) {
        return -1;
    }
    yyjson_val *frozen = json_freeze_shared(a, obj); /* its strings are in a, too */
    if ((op->is_foreign ? schema_validate : schema_validate_own)(a, op->kind, frozen, NULL,
                                                                 &op->err)) {
        return -1;
    }
    write_warn_object(op, frozen);
    op->key = object_key(a, span_cstr(op->kind->resource), op->ns, op->name);
    if (store_peek(op->server->store, op->key)) {
        if (op->name_generated && ++op->attempts < 8) {
            service_claims_release(&op->server->services, &op->claimed);
            return op_create_attempt(op);
        }
        return exists(op);
    }
    if (admission_final(op, frozen, NULL)) {
        return -1;
    }
    op->http_status = 201;
    if (op->options.dry_run) {
        service_claims_release(&op->server->services, &op->claimed);
        op->tree = frozen;
        return 1;
    }
    struct object_body body = write_stored(op, doc, obj, frozen);
    return write_submit(op, STORE_ABSENT, &body);
}

void op_create(struct api_op *op)
{
    assert(!op->sub);
    op->attempt = op_create_attempt;
    write_warn(op);
    write_start(op);
}
