#include "codec/yaml_write.h"

#include <stdlib.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/check.h"
#include "codec/json.h"
#include "codec/yaml.h"

struct writer {
    struct arena *a;
    yaml_emitter_t emitter;
};

static int put_bytes(void *data, unsigned char *bytes, size_t n)
{
    strbuf_put(data, span_of((const char *)bytes, n));
    return 1;
}

/* libyaml fails when memory does, when bytes are no UTF-8 (which parsed JSON never holds), or when
 * events come in a wrong order. */
static void emit(struct writer *w, int made, yaml_event_t *event)
{
    int ok = made && yaml_emitter_emit(&w->emitter, event);
    assert(ok);
}

static void put_scalar(struct writer *w, struct span text, yaml_scalar_style_t style)
{
    yaml_event_t e;
    emit(w,
         yaml_scalar_event_initialize(&e, NULL, NULL, (const yaml_char_t *)text.p, (int)text.n, 1,
                                      1, style),
         &e);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80);
}

static struct span skip_digits(struct span s)
{
    while (s.n && is_digit(s.p[0])) {
        s = span_from(s, 1);
    }
    return s;
}

/* 2026-11-21, alone or with a time behind it: a point in time to a reader. */
static bool looks_like_date(struct span s)
{
    struct span month = skip_digits(s), day, rest;
    if (s.n - month.n != 4 || month.n == 0 || month.p[0] != '-') {
        return false;
    }
    day = skip_digits(span_from(month, 1));
    if (day.n == 0 || day.p[0] != '-') {
        return false;
    }
    rest = skip_digits(span_from(day, 1));
    return rest.n == 0 || rest.p[0] == 'T' || rest.p[0] == 't' || rest.p[0] == ' ';
}

/* 22:30: minutes and seconds to readers of YAML 1.1. */
static bool looks_sexagesimal(struct span s)
{
    struct span rest = s.n && (s.p[0] == '-' || s.p[0] == '+') ? span_from(s, 1) : s;
    size_t colon = span_find(rest, ':');
    if (colon == 0 || colon >= rest.n) {
        return false;
    }
    for (size_t i = 0; i < rest.n; i++) {
        if (!is_digit(rest.p[i]) && rest.p[i] != ':' && rest.p[i] != '.' && rest.p[i] != '_') {
            return false;
        }
    }
    return true;
}

/* 1_000, .inf, .NaN: numbers to some readers. */
static bool looks_like_number(struct span s)
{
    struct span rest = s.p[0] == '-' || s.p[0] == '+' ? span_from(s, 1) : s;
    return (rest.n && is_digit(rest.p[0]) && span_find(rest, '_') < rest.n) ||
           span_eq_nocase(rest, SPAN(".inf")) || span_eq_nocase(rest, SPAN(".nan"));
}

/* Whether a reader takes the bare text for a text. */
static bool reads_as_text(struct writer *w, struct span s)
{
    if (s.n == 0 || span_eq(s, SPAN("<<")) || span_eq(s, SPAN("="))) {
        return false;
    }
    char c = s.p[0];
    bool number = is_digit(c) || c == '-' || c == '+' || c == '.';
    if (!number && c != '~' && s.n > 5) {
        return true; /* longer than any word that means something */
    }
    return !looks_like_date(s) && !looks_sexagesimal(s) && !looks_like_number(s) &&
           yaml_plain_is_text(w->a, s);
}

static void put_text(struct writer *w, struct span s)
{
    if (span_find(s, '\n') < s.n) {
        put_scalar(w, s, YAML_LITERAL_SCALAR_STYLE);
    } else {
        put_scalar(w, s,
                   reads_as_text(w, s) ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
    }
}

/* ---- members by name: letters after other characters, numbers by value ---- */

struct member {
    struct span key;
    yyjson_val *value;
};

/* No digits are a zero; of equal numbers the shorter comes first. */
static int compare_numbers(struct span a, struct span b)
{
    struct span x = span_first(a, a.n - skip_digits(a).n),
                y = span_first(b, b.n - skip_digits(b).n);
    size_t x_digits = x.n, y_digits = y.n;
    while (x.n && x.p[0] == '0') {
        x = span_from(x, 1);
    }
    while (y.n && y.p[0] == '0') {
        y = span_from(y, 1);
    }
    if (x.n != y.n) {
        return x.n < y.n ? -1 : 1;
    }
    int order = span_cmp(x, y);
    return order || x_digits == y_digits ? order : x_digits < y_digits ? -1 : 1;
}

/* A name that is there twice: the values in their order. */
static int compare_members(const void *left, const void *right)
{
    const struct member *x = left, *y = right;
    struct span a = x->key, b = y->key;
    size_t i = 0;
    while (i < a.n && i < b.n && a.p[i] == b.p[i]) {
        i++;
    }
    if (i < a.n && i < b.n && is_letter(a.p[i]) != is_letter(b.p[i])) {
        return is_letter(a.p[i]) ? 1 : -1;
    }
    while (i > 0 && is_digit(a.p[i - 1])) {
        i--; /* to the beginning of a number that both have begun */
    }
    int order = i < a.n && i < b.n ? compare_numbers(span_from(a, i), span_from(b, i)) : 0;
    order = order ? order : span_cmp(a, b);
    return order ? order : x->value < y->value ? -1 : 1;
}

static void put_value(struct writer *w, yyjson_val *v);

static void put_object(struct writer *w, yyjson_val *v)
{
    size_t n = 0;
    struct member *members = ARENA_ARRAY(w->a, struct member, yyjson_obj_size(v) + 1);
    JSON_EACH(it, v)
    {
        members[n++] = (struct member){json_str(it.key), it.val};
    }
    assert(n == yyjson_obj_size(v));
    qsort(members, n, sizeof *members, compare_members);
    yaml_event_t e;
    emit(w, yaml_mapping_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE), &e);
    for (size_t i = 0; i < n; i++) {
        put_text(w, members[i].key);
        put_value(w, members[i].value);
    }
    emit(w, yaml_mapping_end_event_initialize(&e), &e);
}

static void put_value(struct writer *w, yyjson_val *v)
{
    if (yyjson_is_obj(v)) {
        put_object(w, v);
    } else if (yyjson_is_arr(v)) {
        yaml_event_t e;
        emit(w, yaml_sequence_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE),
             &e);
        JSON_EACH(it, v)
        {
            put_value(w, it.val);
        }
        emit(w, yaml_sequence_end_event_initialize(&e), &e);
    } else if (yyjson_is_str(v)) {
        put_text(w, json_str(v));
    } else {
        put_scalar(w, json_write(w->a, v), YAML_PLAIN_SCALAR_STYLE);
    }
}

void yaml_write(struct strbuf *out, const yyjson_val *root)
{
    assert(out);
    assert(root);
    struct arena *a cleanup_arena = arena_new();
    struct writer w = {.a = a};
    yaml_event_t e;
    int ok = yaml_emitter_initialize(&w.emitter);
    assert(ok);
    yaml_emitter_set_output(&w.emitter, put_bytes, out);
    yaml_emitter_set_unicode(&w.emitter, 1);
    emit(&w, yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING), &e);
    emit(&w, yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 1), &e);
    put_value(&w, (yyjson_val *)(uintptr_t)root);
    emit(&w, yaml_document_end_event_initialize(&e, 1), &e);
    emit(&w, yaml_stream_end_event_initialize(&e), &e);
    yaml_emitter_delete(&w.emitter);
}
