/* schema/engine_view.c: kinds that show the objects of another kind: one store, two forms. */
#include "base/check.h"
#include "schema/engine.h"

const yyjson_val *schema_view(struct arena *a, const struct schema_kind *view,
                              const yyjson_val *stored)
{
    assert(view);
    assert(view->view_of);
    assert(view->hooks->from_stored);
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *obj = json_mut_copy(doc, stored);
    json_put_str(doc, obj, "kind", span_cstr(view->kind));
    json_put_str(doc, obj, "apiVersion", span_cstr(view->api_version));
    view->hooks->from_stored(doc, obj);
    default_rows(doc, view->type, obj); /* zeros that only the view writes */
    return json_freeze(a, obj);
}

yyjson_mut_val *schema_unview(struct arena *a, const struct schema_kind *view, yyjson_mut_doc *doc,
                              yyjson_mut_val *obj, const yyjson_val *old, struct err *reterr)
{
    assert(view);
    assert(view->view_of);
    assert(view->hooks->to_stored);
    json_put_str(doc, obj, "kind", span_cstr(view->view_of->kind));
    json_put_str(doc, obj, "apiVersion", span_cstr(view->view_of->api_version));
    view->hooks->to_stored(doc, obj, old);
    return schema_decode(a, view->view_of, json_freeze(a, obj), doc, SCHEMA_IGNORE, NULL, reterr);
}
