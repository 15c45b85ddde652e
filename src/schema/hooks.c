/* schema/hooks.c: hooks of kinds that need no behaviour beyond their rows, and what all hooks use.
 */
#include "schema/hooks.h"

#include "base/check.h"
#include "base/strbuf.h"
#include "codec/time.h"
#include "schema/engine.h"

bool kind_field_metadata(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    assert(ret);
    return kind_field(a, obj, key, NULL, ret);
}

static bool listed(struct span key, const char *const *keys)
{
    if (span_eq(key, SPAN("metadata.name")) || span_eq(key, SPAN("metadata.namespace"))) {
        return true;
    }
    for (size_t i = 0; keys && keys[i]; i++) {
        if (span_eq_cstr(key, keys[i])) {
            return true;
        }
    }
    return false;
}

bool kind_field(struct arena *a, const yyjson_val *obj, struct span key, const char *const *keys,
                struct span *ret)
{
    assert(ret);
    if (!listed(key, keys)) {
        return false;
    }
    const yyjson_val *v = obj;
    struct span rest = key;
    while (rest.n) {
        struct span part = span_cut(&rest, '.');
        v = yyjson_obj_getn((yyjson_val *)v, part.p, part.n);
    }
    bool plain = !v || yyjson_is_str((yyjson_val *)v) || yyjson_is_null((yyjson_val *)v);
    *ret = plain ? json_str(v) : json_write(a, v);
    return true;
}

bool equal_except(const yyjson_val *a, const yyjson_val *b, const char *const *except)
{
    assert(except);
    const yyjson_val *sides[2] = {a, b};
    for (size_t s = 0; s < 2; s++) {
        JSON_EACH(it, sides[s])
        {
            struct span key = json_str(it.key);
            bool skip = false;
            for (size_t i = 0; except[i]; i++) {
                skip |= span_eq_cstr(key, except[i]);
            }
            yyjson_val *other = yyjson_obj_getn((yyjson_val *)sides[1 - s], key.p, key.n);
            if (!skip && !semantic_equal(it.val, other)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- cells ---- */

void cell(struct row *r, struct span text)
{
    assert(text.p || text.n == 0);
    yyjson_mut_arr_append(r->cells, yyjson_mut_strncpy(r->doc, text.p ? text.p : "", text.n));
}

void cell_or_none(struct row *r, struct span text)
{
    cell(r, text.n ? text : SPAN("<none>"));
}

void cell_int(struct row *r, int64_t n)
{
    yyjson_mut_arr_append(r->cells, yyjson_mut_sint(r->doc, n));
}

void cell_name(struct row *r)
{
    cell(r, json_get_str(json_get(r->obj, "metadata"), "name"));
}

void cell_age(struct row *r)
{
    struct span created = json_get_str(json_get(r->obj, "metadata"), "creationTimestamp");
    cell(r, time_age_since(r->a, created, r->now_ms));
}

struct span joined(struct arena *a, const yyjson_val *list, const char *key)
{
    assert(a);
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    JSON_EACH(it, list)
    {
        strbuf_puts(&b, b.n ? "," : "");
        strbuf_put(&b, key ? json_get_str(it.val, key) : json_str(it.val));
    }
    return arena_dup(a, strbuf_span(&b));
}

const struct schema_hooks schema_hooks_plain = {.field = kind_field_metadata};
