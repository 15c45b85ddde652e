#include "codec/json.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/json_text.h"

static yyjson_mut_val *unconst_mut(const yyjson_mut_val *v)
{
    return (yyjson_mut_val *)(uintptr_t)v;
}

/* ---- memory: yyjson on an arena ---- */

static void *arena_malloc_cb(void *ctx, size_t size)
{
    return arena_alloc_raw(ctx, size);
}

static void *arena_realloc_cb(void *ctx, void *old, size_t old_size, size_t size)
{
    if (size <= old_size) {
        return old;
    }
    void *p = arena_alloc_raw(ctx, size);
    memcpy(p, old, old_size);
    return p;
}

static void arena_free_cb(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

static yyjson_alc arena_alc(struct arena *a)
{
    return (yyjson_alc){arena_malloc_cb, arena_realloc_cb, arena_free_cb, a};
}

/* ---- parsing ---- */

/* yyjson reads without recursion; what walks its values afterwards does not. A container that has
 * no more values in it than there are levels left cannot be too deep: mostly that is known of all
 * that the root holds. */
static bool is_too_deep(const yyjson_val *v, size_t levels)
{
    if (!yyjson_is_ctn(json_unconst(v)) || json_values(v) <= levels) {
        return false;
    }
    bool deep = levels == 0;
    for (struct json_iter it = json_iter_begin(v); it.val && !deep; json_iter_next(&it)) {
        deep = is_too_deep(it.val, levels - 1);
    }
    return deep;
}

static void line_and_column(struct span text, size_t pos, size_t *line, size_t *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < pos && i < text.n; i++) {
        if (text.p[i] == '\n') {
            (*line)++;
            *column = 1;
        } else {
            (*column)++;
        }
    }
}

int json_parse(struct arena *a, struct span text, yyjson_doc **ret, struct err *reterr)
{
    assert(a);
    assert(ret);
    if (text.n > LIMIT_BODY_BYTES) {
        return err_set(a, reterr, ERR_TOO_LARGE,
                       "the document has %zu bytes, more than the limit of %d: split it", text.n,
                       LIMIT_BODY_BYTES);
    }
    yyjson_alc alc = arena_alc(a);
    yyjson_read_err e;
    yyjson_doc *doc =
        yyjson_read_opts((char *)(uintptr_t)text.p, text.n, YYJSON_READ_NOFLAG, &alc, &e);
    if (!doc) {
        size_t line, column;
        line_and_column(text, e.pos, &line, &column);
        return err_set(a, reterr, ERR_BAD_REQUEST, "invalid JSON at line %zu, column %zu: %s", line,
                       column, e.msg);
    }
    if (is_too_deep(doc->root, LIMIT_JSON_DEPTH)) {
        return err_set(a, reterr, ERR_BAD_REQUEST,
                       "the JSON is nested deeper than the limit of %d levels", LIMIT_JSON_DEPTH);
    }
    *ret = doc;
    return 0;
}

static void *heap_malloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *heap_realloc(void *ctx, void *p, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    return realloc(p, size);
}

static void heap_free(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

yyjson_doc *json_doc_new(size_t values, size_t text)
{
    assert(values > 0);
    yyjson_doc *doc = malloc(sizeof *doc + values * sizeof *doc->root + text + 1);
    assert(doc);
    *doc = (yyjson_doc){.root = (yyjson_val *)(doc + 1),
                        .alc = {heap_malloc, heap_realloc, heap_free, NULL},
                        .dat_read = text,
                        .val_read = values};
    return doc;
}

const char *json_doc_text(const yyjson_doc *doc)
{
    assert(doc->str_pool || doc->root == (yyjson_val *)(doc + 1));
    return doc->str_pool ? doc->str_pool : (const char *)(doc->root + doc->val_read);
}

/* yyjson reserves values by a guess from the text's length: several times what is used. A document
 * that a cache keeps is moved into one block of the size it needs: values, then the text that its
 * strings lie in, each with a zero in place of the closing quote. */
yyjson_doc *json_pack(yyjson_doc *doc)
{
    if (!doc->str_pool) {
        assert(doc->root == (yyjson_val *)(doc + 1)); /* is that already */
        return doc;
    }
    size_t values = doc->val_read;
    yyjson_doc *to = json_doc_new(values, doc->dat_read);
    char *text = (char *)(uintptr_t)json_doc_text(to);
    memcpy(text, doc->str_pool, doc->dat_read);
    memcpy(to->root, doc->root, values * sizeof *to->root);
    for (size_t i = 0; i < values; i++) {
        yyjson_val *v = to->root + i;
        if (yyjson_is_str(v)) {
            v->uni.str = text + (v->uni.str - doc->str_pool);
        }
    }
    yyjson_doc_free(doc);
    return to;
}

yyjson_doc *json_parse_heap(struct span text)
{
    assert(text.p || text.n == 0);
    yyjson_doc *doc = yyjson_read(text.p, text.n, YYJSON_READ_NOFLAG);
    if (doc && is_too_deep(doc->root, LIMIT_JSON_DEPTH)) {
        yyjson_doc_free(doc);
        return NULL;
    }
    return doc ? json_pack(doc) : NULL;
}

yyjson_doc *json_parse_own(struct span text, bool packed)
{
    assert(text.n > 0);
    yyjson_doc *doc = yyjson_read(text.p, text.n, YYJSON_READ_NOFLAG);
    return doc && packed ? json_pack(doc) : doc;
}

yyjson_mut_doc *json_mut_new(struct arena *a)
{
    yyjson_alc alc = arena_alc(a);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    assert(doc);
    return doc;
}

yyjson_val *json_freeze(struct arena *a, const yyjson_mut_val *v)
{
    yyjson_alc alc = arena_alc(a);
    yyjson_doc *doc =
        yyjson_mut_val_imut_copy((yyjson_mut_val *)(uintptr_t)v, &alc); /* reads only */
    assert(doc);
    return yyjson_doc_get_root(doc);
}

static inline bool is_container(const yyjson_mut_val *v)
{
    uint8_t type = v->tag & YYJSON_TYPE_MASK;
    return type == YYJSON_TYPE_OBJ || type == YYJSON_TYPE_ARR;
}

/* Values within a container, keys included. */
static size_t count_values(const yyjson_mut_val *v)
{
    bool is_object = (v->tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_OBJ;
    size_t left = v->tag >> YYJSON_TAG_BIT, n = is_object ? 2 * left : left;
    const yyjson_mut_val *at = json_mut_before_first(v, is_object);
    for (; left; left--) {
        at = is_object ? at->next->next : at->next;
        if (is_container(at)) {
            n += count_values(at);
        }
    }
    return n;
}

/* Returns where the next value goes; NULL: behind `to` there is no room for all. */
static yyjson_val *freeze_at(yyjson_val *to, const yyjson_mut_val *v, size_t *room)
{
    bool is_object = (v->tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_OBJ;
    size_t left = v->tag >> YYJSON_TAG_BIT, values = is_object ? 2 * left : left;
    const yyjson_mut_val *child = json_mut_before_first(v, is_object);
    yyjson_val *at = to + 1;
    if (*room < values) {
        return NULL;
    }
    *room -= values;
    to->tag = v->tag;
    for (; left; left--) {
        child = child->next;
        if (is_object) {
            at->tag = child->tag;
            at->uni = child->uni;
            at++;
            child = child->next;
        }
        if (is_container(child)) {
            at = freeze_at(at, child, room);
            if (!at) {
                return NULL;
            }
        } else {
            at->tag = child->tag;
            at->uni = child->uni;
            at++;
        }
    }
    to->uni.ofs = (size_t)(at - to) * sizeof *to;
    return at;
}

size_t json_freeze_into(yyjson_val *to, size_t n, const yyjson_mut_val *v)
{
    assert(n > 0);
    assert(is_container(v));
    size_t room = n - 1;
    const yyjson_val *end = freeze_at(to, v, &room);
    return end ? (size_t)(end - to) : 0;
}

enum { FEW_VALUES = 512 };

yyjson_val *json_freeze_shared(struct arena *a, const yyjson_mut_val *v)
{
    assert(a);
    assert(v);
    if (!is_container(v)) {
        yyjson_val *one = arena_alloc_raw(a, sizeof *one);
        one->tag = v->tag;
        one->uni = v->uni;
        return one;
    }
    /* Values know no places. Most trees are small: those are not counted first. */
    yyjson_val few[FEW_VALUES];
    size_t n = json_freeze_into(few, FEW_VALUES, v);
    if (n) {
        return memcpy(arena_alloc_raw(a, n * sizeof *few), few, n * sizeof *few);
    }
    size_t room = 1 + count_values(v);
    yyjson_val *root = arena_alloc_raw(a, room * sizeof *root);
    n = json_freeze_into(root, room, v);
    assert(n == room);
    return root;
}

/* A container, with its members linked into a ring; returns where the next value goes. */
static yyjson_mut_val *thaw_at(yyjson_mut_val *to, const yyjson_val *from)
{
    bool is_object = (from->tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_OBJ;
    yyjson_mut_val *next = to + 1, *last = NULL, *value = NULL;
    const yyjson_val *at = from + 1;
    for (size_t left = from->tag >> YYJSON_TAG_BIT; left; left--) {
        last = value = next;
        if (is_object) {
            last->tag = at->tag;
            last->uni.u64 = at->uni.u64;
            last->next = ++value;
            at++;
        }
        if (yyjson_is_ctn(json_unconst(at))) {
            next = thaw_at(value, at);
            at = unsafe_yyjson_get_next(json_unconst(at));
        } else {
            value->tag = at->tag;
            value->uni.u64 = at->uni.u64;
            next = value + 1;
            at++;
        }
        value->next = next;
    }
    if (value) {
        value->next = to + 1;
    }
    to->tag = from->tag;
    to->uni.ptr = last;
    return next;
}

yyjson_mut_val *json_mut_copy(yyjson_mut_doc *doc, const yyjson_val *v)
{
    if (!v) {
        return NULL;
    }
    size_t n = json_values(v);
    yyjson_mut_val *out = unsafe_yyjson_mut_val(doc, n);
    assert(out);
    if (yyjson_is_ctn(json_unconst(v))) {
        yyjson_mut_val *end = thaw_at(out, v);
        assert(end == out + n);
    } else {
        out->tag = v->tag;
        out->uni.u64 = v->uni.u64;
    }
    return out;
}

const yyjson_val *json_only(struct arena *a, const yyjson_val *obj, bool (*wanted)(struct span key))
{
    assert(yyjson_is_obj(json_unconst(obj)));
    size_t room = json_values(obj), members = 0;
    yyjson_val *out = arena_alloc_raw(a, room * sizeof *out), *at = out + 1;
    JSON_EACH(it, obj)
    {
        if (wanted(json_str(it.key))) { /* values lie one behind the other and know no places */
            size_t n = 1 + json_values(it.val);
            memcpy(at, it.key, n * sizeof *at);
            at += n;
            members++;
        }
    }
    *out = json_val_container(YYJSON_TYPE_OBJ, members, (size_t)(at - out));
    return out;
}

yyjson_mut_val *json_new_raw(yyjson_mut_doc *doc, struct span text)
{
    assert(text.n);
    yyjson_mut_val *v = yyjson_mut_rawn(doc, text.p, text.n);
    assert(v);
    return v;
}

const yyjson_val *json_whole(struct arena *a, const yyjson_val *v)
{
    assert(a);
    yyjson_doc *doc = NULL;
    if (!yyjson_is_raw(json_unconst(v))) {
        return v;
    }
    struct span text = span_of(yyjson_get_raw(json_unconst(v)), yyjson_get_len(json_unconst(v)));
    return json_parse(a, text, &doc, NULL) ? NULL : yyjson_doc_get_root(doc);
}

/* ---- reading ---- */

/* Is the string value this key? */
static inline bool is_key(const void *value, struct span key)
{
    const yyjson_val *k = value;
    return k->tag >> YYJSON_TAG_BIT == key.n && span_same_short(k->uni.str, key.p, key.n);
}

/* One of that many bytes, which is known when this is compiled. */
static inline __attribute__((always_inline)) uint64_t load_word(const char *p, size_t bytes)
{
    uint64_t word = 0;
    memcpy(&word, p, bytes);
    return word;
}

/* The next key of an object after this one: most values are no containers. */
static inline __attribute__((always_inline)) yyjson_val *next_key(yyjson_val *key)
{
    yyjson_val *v = key + 1;
    return __builtin_expect(unsafe_yyjson_is_ctn(v), 0) ? unsafe_yyjson_get_next(v) : v + 1;
}

/* Without a shift: it is asked of every key that is passed. Texts are shorter than 4 GB. */
static inline bool has_length(const void *text, size_t n)
{
    uint32_t length;
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && YYJSON_TAG_BIT == 8 &&
                       offsetof(yyjson_val, tag) == 0 && offsetof(yyjson_mut_val, tag) == 0,
                   "the length begins at the second byte");
    memcpy(&length, (const char *)text + 1, sizeof length);
    return length == (uint32_t)n;
}

/* The first member whose key has these first and last words, of `word` bytes: two that may overlap.
 */
static inline __attribute__((always_inline)) yyjson_val *find_by_words(const yyjson_val *v,
                                                                       struct span key, size_t word)
{
    const size_t tail = key.n - word;
    const uint64_t first = load_word(key.p, word), last = load_word(key.p + tail, word);
    yyjson_val *k = unsafe_yyjson_get_first(json_unconst(v));
    for (size_t left = unsafe_yyjson_get_len(json_unconst(v)); left; left--) {
        if (has_length(k, key.n) && load_word(k->uni.str, word) == first &&
            load_word(k->uni.str + tail, word) == last) {
            return k + 1;
        }
        k = next_key(k);
    }
    return NULL;
}

static seldom yyjson_val *find_slowly(const yyjson_val *v, struct span key)
{
    yyjson_val *k = unsafe_yyjson_get_first(json_unconst(v));
    for (size_t left = unsafe_yyjson_get_len(json_unconst(v)); left; left--) {
        if (is_key(k, key)) {
            return k + 1;
        }
        k = next_key(k);
    }
    return NULL;
}

/* Of a key that is longer than its two words: what lies between them is looked at once. */
static __attribute__((noinline)) yyjson_val *find_long(const yyjson_val *v, struct span key)
{
    yyjson_val *found = find_by_words(v, key, sizeof(uint64_t));
    bool is_it = !found || memcmp((found - 1)->uni.str, key.p, key.n) == 0;
    return is_it ? found : find_slowly(v, key);
}

static __attribute__((noinline)) yyjson_val *find_short(const yyjson_val *v, struct span key)
{
    return key.n >= sizeof(uint16_t) ? find_by_words(v, key, sizeof(uint16_t))
                                     : find_slowly(v, key);
}

yyjson_val *json_get_span(const yyjson_val *v, struct span key)
{
    if (!yyjson_is_obj(json_unconst(v))) {
        return NULL;
    }
    if (key.n >= sizeof(uint32_t) && key.n <= sizeof(uint64_t)) { /* most are that long */
        return find_by_words(v, key, sizeof(uint32_t));
    }
    if (key.n > sizeof(uint64_t) && key.n <= 2 * sizeof(uint64_t)) {
        return find_by_words(v, key, sizeof(uint64_t));
    }
    return key.n > 2 * sizeof(uint64_t) ? find_long(v, key) : find_short(v, key);
}

int64_t json_int(const yyjson_val *v, int64_t otherwise)
{
    return yyjson_is_int(json_unconst(v)) ? yyjson_get_sint(json_unconst(v)) : otherwise;
}

const char *json_type_name(const yyjson_val *v)
{
    yyjson_val *x = json_unconst(v);
    return yyjson_is_str(x)    ? "string"
           : yyjson_is_num(x)  ? "number"
           : yyjson_is_bool(x) ? "bool"
           : yyjson_is_arr(x)  ? "array"
           : yyjson_is_null(x) ? "null"
                               : "object";
}

size_t json_len(const yyjson_val *v)
{
    return yyjson_is_ctn(json_unconst(v)) ? unsafe_yyjson_get_len(json_unconst(v)) : 0;
}

/* ---- writing ---- */

yyjson_mut_val *json_new_str(yyjson_mut_doc *doc, struct span value)
{
    yyjson_mut_val *v = yyjson_mut_strn(doc, value.p ? value.p : "", value.n);
    assert(v);
    return v;
}

/* As find_by_words(). */
static inline __attribute__((always_inline)) yyjson_mut_val *
mut_find_by_words(const yyjson_mut_val *obj, struct span key, size_t word)
{
    const size_t tail = key.n - word;
    const uint64_t first = load_word(key.p, word), last = load_word(key.p + tail, word);
    size_t left = obj->tag >> YYJSON_TAG_BIT;
    const yyjson_mut_val *at = json_mut_before_first(obj, true);
    for (; left; left--) {
        const yyjson_mut_val *k = at->next;
        at = k->next;
        if (has_length(k, key.n) && load_word(k->uni.str, word) == first &&
            load_word(k->uni.str + tail, word) == last) {
            return unconst_mut(at);
        }
    }
    return NULL;
}

static __attribute__((noinline)) yyjson_mut_val *mut_find_any(const yyjson_mut_val *obj,
                                                              struct span key)
{
    size_t left = obj->tag >> YYJSON_TAG_BIT;
    const yyjson_mut_val *at = json_mut_before_first(obj, true);
    for (; left; left--) {
        const yyjson_mut_val *k = at->next;
        at = k->next;
        if (is_key(k, key)) {
            return unconst_mut(at);
        }
    }
    return NULL;
}

yyjson_mut_val *json_mut_get_span(const yyjson_mut_val *obj, struct span key)
{
    if (!yyjson_mut_is_obj(unconst_mut(obj))) {
        return NULL;
    }
    if (key.n >= sizeof(uint32_t) && key.n <= sizeof(uint64_t)) {
        return mut_find_by_words(obj, key, sizeof(uint32_t));
    }
    if (key.n > sizeof(uint64_t) && key.n <= 2 * sizeof(uint64_t)) {
        return mut_find_by_words(obj, key, sizeof(uint64_t));
    }
    return mut_find_any(obj, key);
}

static inline void set_text(yyjson_mut_val *v, struct span text, uint8_t subtype)
{
    v->tag = (uint64_t)text.n << YYJSON_TAG_BIT | YYJSON_TYPE_STR | subtype;
    v->uni.str = text.p ? text.p : "";
}

static inline void put_value(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key,
                             uint8_t subtype, yyjson_mut_val *value)
{
    assert(yyjson_mut_is_obj(obj));
    assert(value);
    yyjson_mut_val *old = json_mut_get_span(obj, key);
    if (old) { /* keeps its place */
        old->tag = value->tag;
        old->uni = value->uni;
    } else {
        yyjson_mut_val *name = unsafe_yyjson_mut_val(doc, 1);
        assert(name);
        set_text(name, key, subtype);
        unsafe_yyjson_mut_obj_add(obj, name, value, unsafe_yyjson_get_len(obj));
    }
}

static inline void put_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key,
                            uint8_t subtype, struct span value)
{
    assert(yyjson_mut_is_obj(obj));
    assert(key.p);
    yyjson_mut_val *v = json_mut_get_span(obj, key);
    if (!v) {
        yyjson_mut_val *name = unsafe_yyjson_mut_val(doc, 2);
        assert(name);
        set_text(name, key, subtype);
        v = name + 1;
        unsafe_yyjson_mut_obj_add(obj, name, v, unsafe_yyjson_get_len(obj));
    }
    set_text(v, value, YYJSON_SUBTYPE_NONE);
}

void json_put_span(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key, yyjson_mut_val *value)
{
    put_value(doc, obj, key, YYJSON_SUBTYPE_NONE, value);
}

void json_put_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key, struct span value)
{
    put_text(doc, obj, key, YYJSON_SUBTYPE_NONE, value);
}

void json_put_plain(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key,
                    yyjson_mut_val *value)
{
    verify(json_text_is_plain_ascii(key));
    put_value(doc, obj, key, YYJSON_SUBTYPE_NOESC, value);
}

void json_put_plain_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key,
                         struct span value)
{
    verify(json_text_is_plain_ascii(key));
    put_text(doc, obj, key, YYJSON_SUBTYPE_NOESC, value);
}

yyjson_mut_val *json_mut_obj_span(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key)
{
    assert(doc);
    assert(key.p);
    yyjson_mut_val *v = json_mut_get_span(obj, key);
    if (v && !yyjson_mut_is_null(v)) {
        return yyjson_mut_is_obj(v) ? v : NULL;
    }
    v = yyjson_mut_obj(doc);
    json_put_span(doc, obj, key, v);
    return v;
}

struct span json_mut_str(const yyjson_mut_val *v)
{
    yyjson_mut_val *s = unconst_mut(v);
    return yyjson_mut_is_str(s) ? span_of(yyjson_mut_get_str(s), yyjson_mut_get_len(s))
                                : span_of("", 0);
}

void json_remove_span(yyjson_mut_val *obj, struct span key)
{
    assert(key.p);
    if (json_mut_get_span(obj, key)) {
        (void)yyjson_mut_obj_remove_keyn(obj, key.p, key.n);
    }
}
