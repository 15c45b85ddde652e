/* managed/managed_shape.c: see managed_shape.h. A shape is a list of steps, one for each value that
 * is looked at, in the order in which they stand in the object. */
#include "managed/managed_shape.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/json.h"
#include "managed/typed.h"

enum { SETS = 16, WAYS = 8, STEPS_MAX = 256, TEXT_MAX = 4096, KIND_BYTES = 64 };

enum how {
    AS_EMPTY, /* of the same type, and empty or zero as well, or neither */
    EXACTLY,  /* the same plain value */
    INSIDE    /* a container of as many members, which have steps of their own */
};

struct step {
    const char *key; /* of a member of an object or map */
    uint32_t key_n;
    uint8_t how, class;
    yyjson_val value; /* EXACTLY: this one; INSIDE: a container's tag */
};

struct shape {
    const struct schema_kind *kind;
    struct span fields;
    size_t n;
    struct step steps[]; /* then the texts that they point to, and that of fields */
};

/* Sets by kind; a shape that is used moves ahead in its set. */
struct managed_shapes {
    struct shape *at[SETS][WAYS];
};

struct managed_shapes *managed_shapes_new(void)
{
    return MEM_NEW(struct managed_shapes);
}

void managed_shapes_free(struct managed_shapes *s)
{
    for (size_t i = 0; s && i < SETS * WAYS; i++) {
        free(s->at[i / WAYS][i % WAYS]);
    }
    free(s);
}

static struct shape **set_of(struct managed_shapes *s, const struct schema_kind *kind)
{
    assert(!kind->custom); /* whose tables come and go */
    return s->at[(uintptr_t)kind / KIND_BYTES % SETS];
}

/* ---- comparing ---- */

static inline bool is_container(const yyjson_mut_val *v)
{
    return yyjson_mut_is_ctn((yyjson_mut_val *)(uintptr_t)v);
}

/* Type, and whether it is empty or zero. */
static inline uint8_t class_of(const yyjson_mut_val *v)
{
    uint8_t type = v->tag & YYJSON_TYPE_MASK, subtype = v->tag & YYJSON_SUBTYPE_MASK;
    bool empty = v->tag >> YYJSON_TAG_BIT == 0;
    if (type == YYJSON_TYPE_NUM) {
        empty =
            subtype == YYJSON_SUBTYPE_REAL ? !(v->uni.f64 < 0 || v->uni.f64 > 0) : v->uni.u64 == 0;
    } else if (type == YYJSON_TYPE_BOOL) {
        empty = subtype == YYJSON_SUBTYPE_FALSE;
    }
    return (uint8_t)(type | empty << YYJSON_TYPE_BIT);
}

static seldom bool is_exactly(const struct step *s, const yyjson_mut_val *v)
{
    const uint64_t escapes = YYJSON_SUBTYPE_MASK;
    if ((v->tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_STR) {
        return (v->tag | escapes) == (s->value.tag | escapes) &&
               memcmp(v->uni.str, s->value.uni.str, v->tag >> YYJSON_TAG_BIT) == 0;
    }
    return v->tag == s->value.tag && v->uni.u64 == s->value.uni.u64;
}

/* Of a container, or a value that is to be one exactly. Returns the step that follows those of v;
 * NULL: it has another shape. */
static __attribute__((noinline)) const struct step *match(const struct step *s,
                                                          const yyjson_mut_val *v)
{
    if (s->how == EXACTLY) {
        return is_exactly(s, v) ? s + 1 : NULL;
    }
    if (v->tag != s->value.tag) {
        return NULL;
    }
    bool is_object = (v->tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_OBJ;
    const yyjson_mut_val *at = json_mut_before_first(v, is_object);
    s++;
    for (size_t left = v->tag >> YYJSON_TAG_BIT; left; left--) {
        at = at->next;
        if (is_object) {
            if (at->tag >> YYJSON_TAG_BIT != s->key_n ||
                !span_same_short(at->uni.str, s->key, s->key_n)) {
                return NULL;
            }
            at = at->next;
        }
        if (s->how == AS_EMPTY) { /* most */
            if (class_of(at) != s->class) {
                return NULL;
            }
            s++;
        } else if (!(s = match(s, at))) {
            return NULL;
        }
    }
    return s;
}

bool managed_shape_find(struct managed_shapes *s, const struct schema_kind *kind,
                        const yyjson_mut_val *obj, struct span *ret)
{
    struct shape **set = set_of(s, kind);
    assert(is_container(obj));
    for (size_t i = 0; i < WAYS && set[i]; i++) {
        struct shape *one = set[i];
        const struct step *end = one->kind == kind ? match(one->steps, obj) : NULL;
        if (end) {
            assert(end == one->steps + one->n);
            set[i] = set[i ? i - 1 : 0]; /* one step ahead */
            set[i ? i - 1 : 0] = one;
            *ret = one->fields;
            return true;
        }
    }
    return false;
}

/* ---- keeping ---- */

struct keeping {
    struct step at[STEPS_MAX];
    char text[TEXT_MAX];
    size_t n, text_n;
    bool has_failed; /* too large */
};

static seldom struct step *add(struct keeping *to, struct span key, enum how how,
                               const yyjson_mut_val *v)
{
    if (to->n == STEPS_MAX || TEXT_MAX - to->text_n < key.n) {
        to->has_failed = true;
        to->n = to->text_n = 0;
        key.n = 0;
    }
    struct step *s = &to->at[to->n++];
    *s = (struct step){.key = to->text + to->text_n,
                       .key_n = (uint32_t)key.n,
                       .how = (uint8_t)how,
                       .class = class_of(v),
                       .value = {.tag = v->tag, .uni.u64 = v->uni.u64}};
    memcpy(to->text + to->text_n, key.p, key.n);
    to->text_n += key.n;
    return s;
}

static struct span text_of(const yyjson_mut_val *v)
{
    return span_of(v->uni.str, v->tag >> YYJSON_TAG_BIT);
}

static bool is_text(uint64_t tag)
{
    return (tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_STR;
}

static seldom void add_exactly(struct keeping *to, struct span key, const yyjson_mut_val *v)
{
    struct step *s = add(to, key, EXACTLY, v);
    size_t n = is_text(v->tag) ? v->tag >> YYJSON_TAG_BIT : 0;
    to->has_failed |= is_container(v) || TEXT_MAX - to->text_n < n;
    if (n && !to->has_failed) {
        s->value.uni.str = to->text + to->text_n;
        memcpy(to->text + to->text_n, v->uni.str, n);
        to->text_n += n;
    }
}

/* Is the name one of those, which commas separate? */
static seldom bool is_among(struct span name, const char *names)
{
    struct span left = span_cstr(names);
    while (left.n) {
        if (span_eq(name, span_cut(&left, ','))) {
            return true;
        }
    }
    return false;
}

static void keep(struct keeping *to, struct span key, struct typed_ref r, const yyjson_mut_val *v);

/* The members of an object or map; keys: such as count exactly; skip: one that does not count. */
static seldom void keep_members(struct keeping *to, struct typed_ref r, const yyjson_mut_val *v,
                                const char *keys, const char *skip)
{
    const yyjson_mut_val *at = json_mut_before_first(v, true);
    for (size_t left = v->tag >> YYJSON_TAG_BIT; left && !to->has_failed; left--) {
        struct span name = text_of(at->next);
        at = at->next->next;
        if (skip && span_eq_cstr(name, skip)) {
            (void)add(to, name, AS_EMPTY, at);
        } else if (keys && is_among(name, keys)) {
            add_exactly(to, name, at);
        } else if (is_container(at) && at->tag >> YYJSON_TAG_BIT > 0) {
            keep(to, name, typed_member(r, name), at);
        } else {
            (void)add(to, name, AS_EMPTY, at);
        }
    }
}

static seldom void keep_elements(struct keeping *to, struct typed_ref r, const yyjson_mut_val *v)
{
    bool is_keyed = r.field->list_kind == SCHEMA_LIST_MAP && r.field->map_keys;
    const yyjson_mut_val *at = json_mut_before_first(v, false);
    for (size_t left = v->tag >> YYJSON_TAG_BIT; left && !to->has_failed; left--) {
        at = at->next;
        if (is_keyed && yyjson_mut_is_obj((yyjson_mut_val *)(uintptr_t)at)) {
            (void)add(to, SPAN(""), INSIDE, at);
            keep_members(to, typed_element(r), at, r.field->map_keys, NULL);
        } else {
            add_exactly(to, SPAN(""), at);
        }
    }
}

/* A container that is not empty. */
static seldom void keep(struct keeping *to, struct span key, struct typed_ref r,
                        const yyjson_mut_val *v)
{
    bool is_object = (v->tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_OBJ;
    enum typed_class class = typed_class_of(r, is_object);
    (void)add(to, key, class == TYPED_LEAF ? AS_EMPTY : INSIDE, v);
    if (class == TYPED_LIST) {
        keep_elements(to, r, v);
    } else if (class != TYPED_LEAF) {
        keep_members(to, r, v, NULL, NULL);
    }
}

/* The texts go with the shape. */
static seldom struct shape *shape_of(const struct keeping *from, const struct schema_kind *kind,
                                     struct span fields)
{
    size_t steps = from->n * sizeof *from->at;
    struct shape *s = malloc(sizeof *s + steps + from->text_n + fields.n);
    assert(s);
    char *text = (char *)(s->steps + from->n);
    *s = (struct shape){
        .kind = kind, .fields = span_of(text + from->text_n, fields.n), .n = from->n};
    memcpy(s->steps, from->at, steps);
    memcpy(text, from->text, from->text_n);
    if (fields.n) {
        memcpy(text + from->text_n, fields.p, fields.n);
    }
    for (size_t i = 0; i < s->n; i++) {
        struct step *step = &s->steps[i];
        step->key = text + (step->key - from->text);
        if (step->how == EXACTLY && is_text(step->value.tag) &&
            step->value.tag >> YYJSON_TAG_BIT > 0) {
            step->value.uni.str = text + (step->value.uni.str - from->text);
        }
    }
    return s;
}

void managed_shape_keep(struct managed_shapes *s, const struct schema_kind *kind, const char *skip,
                        const yyjson_mut_val *obj, struct span fields)
{
    struct shape **set = set_of(s, kind);
    struct keeping to;
    to.n = to.text_n = 0;
    to.has_failed = obj->tag >> YYJSON_TAG_BIT == 0;
    (void)add(&to, SPAN(""), INSIDE, obj);
    keep_members(&to, typed_root(kind), obj, NULL, skip);
    if (!to.has_failed) {
        free(set[WAYS - 1]);
        memmove(set + 1, set, (WAYS - 1) * sizeof *set);
        set[0] = shape_of(&to, kind, fields);
    }
}
