/* schema/custom_path.c: the JSONPaths of printer columns, and the cells made by them. */
#include <math.h>

#include "base/check.h"
#include "codec/time.h"
#include "schema/custom_priv.h"
#include "schema/hooks.h"

enum { STEPS_MAX = 32 };

struct scan {
    struct arena *a;
    struct span rest;
    const char *err;
};

static bool take(struct scan *s, const char *text)
{
    if (!span_starts(s->rest, span_cstr(text))) {
        return false;
    }
    s->rest = span_from(s->rest, strlen(text));
    return true;
}

/* A name after a dot; a backslash takes the next byte as it is. */
static struct span take_name(struct scan *s)
{
    char *out = arena_alloc_raw(s->a, s->rest.n + 1);
    size_t n = 0, i = 0;
    for (; i < s->rest.n && s->rest.p[i] != '.' && s->rest.p[i] != '['; i++) {
        if (s->rest.p[i] == '\\' && i + 1 < s->rest.n) {
            i++;
        }
        out[n++] = s->rest.p[i];
    }
    s->rest = span_from(s->rest, i);
    return span_of(out, n);
}

static struct span take_quoted(struct scan *s)
{
    char quote = s->rest.n ? s->rest.p[0] : 0;
    if (quote != '"' && quote != '\'') {
        s->err = "a quoted word is missing";
        return SPAN("");
    }
    s->rest = span_from(s->rest, 1);
    size_t end = span_find(s->rest, quote);
    struct span out = span_first(s->rest, end);
    if (end == s->rest.n) {
        s->err = "a quote is not closed";
    }
    s->rest = span_from(s->rest, end + 1);
    return out;
}

static void skip_space(struct scan *s)
{
    while (s->rest.n && s->rest.p[0] == ' ') {
        s->rest = span_from(s->rest, 1);
    }
}

/* ?(@.type=="Ready") */
static struct custom_step take_filter(struct scan *s)
{
    struct custom_step step = {.what = STEP_FILTER};
    size_t n = 0;
    while (n < s->rest.n && s->rest.p[n] != '=' && s->rest.p[n] != ' ' && s->rest.p[n] != ')') {
        n++;
    }
    step.name = span_first(s->rest, n);
    s->rest = span_from(s->rest, n);
    skip_space(s);
    if (!take(s, "==")) {
        s->err = "filters are of the form [?(@.name==\"value\")]";
        return step;
    }
    skip_space(s);
    step.value = take_quoted(s);
    skip_space(s);
    if (!s->err && !take(s, ")]")) {
        s->err = "filters are of the form [?(@.name==\"value\")]";
    }
    return step;
}

static struct custom_step take_bracket(struct scan *s)
{
    struct custom_step step = {.what = STEP_ALL};
    if (take(s, "?(@.")) {
        return take_filter(s);
    }
    if (take(s, "*]")) {
        return step;
    }
    if (s->rest.n && (s->rest.p[0] == '\'' || s->rest.p[0] == '"')) {
        step = (struct custom_step){.what = STEP_NAME, .name = take_quoted(s)};
        if (!s->err && !take(s, "]")) {
            s->err = "a bracket is not closed";
        }
        return step;
    }
    size_t end = span_find(s->rest, ']');
    step.what = STEP_INDEX;
    if (end == s->rest.n || !span_to_i64(span_first(s->rest, end), &step.index)) {
        s->err = "only indexes, names, * and filters by equality are supported in brackets";
    }
    s->rest = span_from(s->rest, end + 1);
    return step;
}

const char *custom_path_parse(struct arena *a, struct span text, struct custom_path *ret)
{
    assert(a);
    assert(ret);
    struct scan s = {.a = a, .rest = text};
    *ret = (struct custom_path){.at = ARENA_ARRAY(a, struct custom_step, STEPS_MAX)};
    if (!span_starts(text, SPAN("."))) {
        return "must be a simple json path starting with .";
    }
    while (s.rest.n && !s.err) {
        if (ret->n == STEPS_MAX) {
            return "it has too many steps";
        }
        if (take(&s, "[")) {
            ret->at[ret->n++] = take_bracket(&s);
        } else if (take(&s, ".") && s.rest.n && s.rest.p[0] != '.') {
            if (s.rest.p[0] != '[') {
                struct span name = take_name(&s);
                ret->at[ret->n++] = (struct custom_step){.what = STEP_NAME, .name = name};
            }
        } else {
            return "recursive descent and empty names are not supported";
        }
    }
    return s.err;
}

static const yyjson_val *get(const struct custom_step *at, size_t n, const yyjson_val *v)
{
    if (n == 0 || !v) {
        return v;
    }
    yyjson_val *x = (yyjson_val *)v;
    if (at->what == STEP_NAME) {
        return get(at + 1, n - 1, yyjson_obj_getn(x, at->name.p, at->name.n));
    }
    if (at->what == STEP_INDEX) {
        int64_t count = (int64_t)json_len(v), i = at->index < 0 ? count + at->index : at->index;
        return yyjson_is_arr(x) && i >= 0 && i < count
                   ? get(at + 1, n - 1, yyjson_arr_get(x, (size_t)i))
                   : NULL;
    }
    JSON_EACH(it, v)
    {
        yyjson_val *named = yyjson_obj_getn(it.val, at->name.p, at->name.n);
        if (at->what == STEP_FILTER && !span_eq(json_str(named), at->value)) {
            continue;
        }
        const yyjson_val *found = get(at + 1, n - 1, it.val);
        if (found) {
            return found;
        }
    }
    return NULL;
}

/* The first value there; NULL when there is none. */
static const yyjson_val *custom_path_get(const struct custom_path *path, const yyjson_val *obj)
{
    assert(path);
    return get(path->at, path->n, obj);
}

/* ---- cells ---- */

static yyjson_mut_val *number_cell(yyjson_mut_doc *doc, const yyjson_val *v, bool whole)
{
    yyjson_val *x = (yyjson_val *)v;
    if (!yyjson_is_num(x)) {
        return yyjson_mut_null(doc);
    }
    if (yyjson_is_int(x)) {
        return yyjson_mut_sint(doc, yyjson_get_sint(x));
    }
    double d = yyjson_get_real(x);
    return whole && fabs(d) < 9e18 ? yyjson_mut_sint(doc, (int64_t)d) : yyjson_mut_real(doc, d);
}

static yyjson_mut_val *cell_of(struct arena *a, yyjson_mut_doc *doc, const char *type,
                               const yyjson_val *v, int64_t now_ms)
{
    yyjson_val *x = (yyjson_val *)v;
    if (!v || yyjson_is_null(x)) {
        return yyjson_mut_null(doc);
    }
    if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0) {
        return number_cell(doc, v, type[0] == 'i');
    }
    if (strcmp(type, "boolean") == 0) {
        return yyjson_is_bool(x) ? yyjson_mut_bool(doc, yyjson_get_bool(x)) : yyjson_mut_null(doc);
    }
    if (strcmp(type, "date") == 0) {
        return yyjson_is_str(x) ? json_new_str(doc, time_age_since(a, json_str(v), now_ms))
                                : yyjson_mut_null(doc);
    }
    return json_new_str(doc, yyjson_is_str(x) ? json_str(v) : json_write(a, v));
}

void custom_row(struct arena *a, const struct schema_kind *kind, yyjson_mut_doc *doc,
                yyjson_mut_val *cells, const yyjson_val *obj, int64_t now_ms)
{
    assert(kind->custom);
    struct row r = {a, doc, cells, obj, now_ms};
    cell_name(&r);
    for (size_t i = 0; i < kind->custom->column_count; i++) {
        const struct custom_column *c = &kind->custom->columns[i];
        yyjson_mut_arr_append(cells,
                              cell_of(a, doc, c->type, custom_path_get(&c->path, obj), now_ms));
    }
}
