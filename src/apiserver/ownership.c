#include "apiserver/ownership.h"

#include "apiserver/server.h"
#include "base/check.h"
#include "base/limits.h"

struct managed_write ownership_write(struct api_op *op)
{
    assert(op->kind);
    assert(op->server);
    struct span manager = op->options.field_manager;
    if (manager.n == 0) {
        manager = managed_agent(op->arena, op->options.user_agent);
    }
    return (struct managed_write){.kind = op->view ? op->view : op->kind,
                                  .manager = manager,
                                  .subresource = op->sub ? span_cstr(op->sub->name) : SPAN(""),
                                  .now_ms = env_now_ms(op->server->env),
                                  .shapes = op->server->shapes};
}

static void put_first(yyjson_mut_doc *doc, yyjson_mut_val *obj, yyjson_mut_val *managed)
{
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    assert(yyjson_mut_is_obj(meta));
    json_remove(meta, "managedFields");
    if (managed) {
        yyjson_mut_obj_insert(meta, yyjson_mut_str(doc, "managedFields"), managed, 0);
    }
}

/* As the client sees it. */
static const yyjson_val *in_view(struct api_op *op, const yyjson_val *obj)
{
    return op->view ? schema_view(op->arena, op->view, obj) : obj;
}

void ownership_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                      const yyjson_val *given)
{
    assert(doc);
    assert(obj);
    if (op->is_applied) {
        put_first(doc, obj, op->managed);
        return;
    }
    struct managed_write w = ownership_write(op);
    if (op->view || given) {
        const yyjson_val *next = in_view(op, json_freeze(op->arena, obj));
        put_first(doc, obj, managed_update(op->arena, doc, &w, NULL, next, given));
        return;
    }
    put_first(doc, obj, managed_create(op->arena, doc, &w, obj));
}

const yyjson_val *ownership_given(struct api_op *op, const yyjson_mut_val *obj)
{
    assert(obj);
    yyjson_mut_val *given = json_mut_get(json_mut_get(obj, "metadata"), "managedFields");
    return yyjson_mut_is_arr(given) ? json_freeze(op->arena, given) : NULL;
}

void ownership_keep(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old)
{
    assert(doc);
    assert(obj);
    assert(old);
    put_first(doc, obj, json_mut_copy(doc, json_path(old, "metadata", "managedFields", NULL)));
}

static yyjson_val *grown(yyjson_val *container)
{
    container->uni.ofs += 2 * sizeof *container; /* a key and a value */
    return container;
}

const yyjson_val *ownership_frozen(struct arena *a, const yyjson_val *frozen,
                                   const yyjson_mut_val *obj)
{
    static const struct span key = SPAN("managedFields");
    yyjson_mut_val *list = json_mut_get_span(json_mut_get(obj, "metadata"), key);
    const yyjson_val *meta = json_get(frozen, "metadata");
    assert(meta && !json_get_span(meta, key));
    if (!list) {
        return frozen;
    }
    if (!yyjson_mut_is_raw(list)) {
        return json_freeze_shared(a, obj);
    }
    size_t n = frozen->uni.ofs / sizeof *frozen, at = (size_t)(meta - frozen) + 1;
    yyjson_val *out = arena_alloc_raw(a, (n + 2) * sizeof *out);
    memcpy(out, frozen, at * sizeof *out);
    memcpy(out + at + 2, frozen + at, (n - at) * sizeof *out);
    out[at].tag = (uint64_t)key.n << YYJSON_TAG_BIT | YYJSON_TYPE_STR | YYJSON_SUBTYPE_NOESC;
    out[at].uni.str = key.p;
    out[at + 1].tag = list->tag;
    out[at + 1].uni.str = list->uni.str;
    grown(out + at - 1)->tag += UINT64_C(1) << YYJSON_TAG_BIT;
    (void)grown(out);
    verify(json_identical(out, json_freeze_shared(a, obj)));
    return out;
}

static bool same_but_time(const yyjson_val *x, const yyjson_val *y)
{
    size_t other = 0;
    JSON_EACH(it, x)
    {
        struct span key = json_str(it.key);
        yyjson_val *v = yyjson_obj_getn((yyjson_val *)(uintptr_t)y, key.p, key.n);
        if (!span_eq(key, SPAN("time")) && !json_equal(it.val, v)) {
            return false;
        }
    }
    JSON_EACH(it, y)
    {
        other += !span_eq(json_str(it.key), SPAN("time"));
    }
    return other == json_len(x) - (json_get(x, "time") != NULL);
}

static bool same_owners(const yyjson_val *x, const yyjson_val *y)
{
    if (json_len(x) != json_len(y)) {
        return false;
    }
    struct json_iter other = json_iter_begin(y);
    JSON_EACH(it, x)
    {
        if (!same_but_time(it.val, other.val)) {
            return false;
        }
        json_iter_next(&other);
    }
    return true;
}

void ownership_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                      const yyjson_val *next, const yyjson_val *old, const yyjson_val *given,
                      bool *same)
{
    if (op->is_untracked) {
        ownership_keep(doc, obj, old);
        return;
    }
    yyjson_mut_val *managed = op->managed;
    const yyjson_val *were = json_path(old, "metadata", "managedFields", NULL);
    if (!op->is_applied) {
        struct managed_write w = ownership_write(op);
        w.stored = old;
        managed = managed_update(op->arena, doc, &w, in_view(op, old), in_view(op, next), given);
    }
    put_first(doc, obj, managed);
    if (*same) {
        yyjson_mut_val *now = json_mut_get(json_mut_get(obj, "metadata"), "managedFields");
        *same = same_owners(json_whole(op->arena, now ? json_freeze(op->arena, now) : NULL),
                            json_whole(op->arena, were));
    }
}

int ownership_check(struct api_op *op, const yyjson_mut_val *obj)
{
    static const struct {
        const char *member;
        size_t max;
    } texts[] = {{"manager", LIMIT_FIELD_MANAGER_BYTES}, {"subresource", LIMIT_SUBRESOURCE_BYTES}};
    yyjson_mut_val *list = json_mut_get(json_mut_get(obj, "metadata"), "managedFields");
    struct err bad = {0};
    size_t i = 0;
    JSON_EACH(it, json_whole(op->arena, list ? json_freeze(op->arena, list) : NULL))
    {
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            if (json_get_str(it.val, texts[k].member).n > texts[k].max) {
                err_add_cause(
                    op->arena, &bad, "FieldValueTooLong",
                    arena_printf(op->arena, "metadata.managedFields[%zu].%s", i, texts[k].member),
                    arena_printf(op->arena, "Too long: may not be more than %zu bytes",
                                 texts[k].max));
            }
        }
        i++;
    }
    if (!bad.causes) {
        return 0;
    }
    (void)schema_invalid_finish(op->arena, op->kind, op->name, &bad);
    op->err = bad;
    return -1;
}
