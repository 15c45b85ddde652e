/* codec/json.h: thin, bounded helpers around yyjson. Documents are immutable once published.
 *
 * Reading: json_parse() checks size and depth. Values are yyjson_val *, const in spirit;
 * every getter accepts NULL and a value of another type and then returns its "absent" result, so
 * paths can be chained. Writing: build a yyjson_mut_doc (json_mut_new: memory from the arena), then
 * json_write(). */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

/* Parses one document into arena memory (the text is copied). Errors ERR_BAD_REQUEST with line,
 * column and remedy; over LIMIT_BODY_BYTES ERR_TOO_LARGE; deeper than LIMIT_JSON_DEPTH
 * ERR_BAD_REQUEST. Returns 0 or -1. */
int json_parse(struct arena *a, struct span text, yyjson_doc **ret, struct err *reterr);
/* Heap-allocated document for long-lived caches; free with yyjson_doc_free. NULL when malformed. */
yyjson_doc *json_parse_heap(struct span text);
/* The same of text that our own writers made and that is known to be well nested; packed: in one
 * block of the size it needs, for what is kept; otherwise made and freed sooner. */
yyjson_doc *json_parse_own(struct span text, bool packed);
/* One that is not packed, packed: takes doc, returns the other. */
yyjson_doc *json_pack(yyjson_doc *doc);
/* A packed document to be filled: room for so many values and bytes of text. */
yyjson_doc *json_doc_new(size_t values, size_t text);
/* The text in which the strings of a document lie, each where it stood in what was parsed. */
const char *json_doc_text(const yyjson_doc *doc);

/* A mutable document whose memory is the arena's; never free it. */
yyjson_mut_doc *json_mut_new(struct arena *a);
/* Compact serialisation in arena memory. */
struct span json_write(struct arena *a, const yyjson_val *v);
struct span json_write_mut(struct arena *a, const yyjson_mut_val *v);
/* An immutable copy of a tree in one arena block, for readers and validators (strings are copied).
 */
yyjson_val *json_freeze(struct arena *a, const yyjson_mut_val *v);
/* The same, for readers that are done before the tree's strings go: those are shared. */
yyjson_val *json_freeze_shared(struct arena *a, const yyjson_mut_val *v);
/* The same of an object or a list, into the room of n values. Returns how many they are; 0: more.
 */
size_t json_freeze_into(yyjson_val *to, size_t n, const yyjson_mut_val *v);
/* An object with those members of another that are wanted; their strings are shared. */
const yyjson_val *json_only(struct arena *a, const yyjson_val *obj,
                            bool (*wanted)(struct span key));
/* A raw value (see object_root()) parsed into the arena; any other value as it is. NULL: a raw
 * value that is no JSON. */
const yyjson_val *json_whole(struct arena *a, const yyjson_val *v);
/* A value that is written as this text, which is JSON and lives as long as doc. */
yyjson_mut_val *json_new_raw(yyjson_mut_doc *doc, struct span text);
/* Deep copy of an immutable value into a mutable document (strings are shared: keep the source
 * alive). */
yyjson_mut_val *json_mut_copy(yyjson_mut_doc *doc, const yyjson_val *v);

/* ---- reading ---- */

/* yyjson's readers take pointers without const although they do not write. */
static inline yyjson_val *json_unconst(const yyjson_val *v)
{
    return (yyjson_val *)(uintptr_t)v;
}
/* Member by key; NULL when v is no object or has no such key. */
yyjson_val *json_get_span(const yyjson_val *v, struct span key);
/* The same; inline, so that the length of a literal is known when it is compiled. */
static inline yyjson_val *json_get(const yyjson_val *v, const char *key)
{
    return json_get_span(v, span_of(key, strlen(key)));
}
/* json_path(v, "metadata", "name", NULL): up to five keys. A macro for the same reason. */
#define json_path(...)                                                                             \
    JSON_PATH_OF(__VA_ARGS__, JSON_PATH5, JSON_PATH4, JSON_PATH3, JSON_PATH2, JSON_PATH1, 0)       \
    (__VA_ARGS__)
#define JSON_PATH_OF(v, a, b, c, d, e, end, chosen, ...) chosen
#define JSON_PATH1(v, a, end) json_get(v, a)
#define JSON_PATH2(v, a, b, end) json_get(json_get(v, a), b)
#define JSON_PATH3(v, a, b, c, end) json_get(JSON_PATH2(v, a, b, end), c)
#define JSON_PATH4(v, a, b, c, d, end) json_get(JSON_PATH3(v, a, b, c, end), d)
#define JSON_PATH5(v, a, b, c, d, e, end) json_get(JSON_PATH4(v, a, b, c, d, end), e)
/* String value; empty span when absent or of another type. */
static inline struct span json_str(const yyjson_val *v)
{
    yyjson_val *s = json_unconst(v);
    return yyjson_is_str(s) ? span_of(unsafe_yyjson_get_str(s), unsafe_yyjson_get_len(s))
                            : span_of("", 0);
}
static inline struct span json_get_str(const yyjson_val *v, const char *key)
{
    return json_str(json_get(v, key));
}
/* Integer value or `otherwise`. */
int64_t json_int(const yyjson_val *v, int64_t otherwise);
static inline int64_t json_get_int(const yyjson_val *v, const char *key, int64_t otherwise)
{
    return json_int(json_get(v, key), otherwise);
}
static inline bool json_get_bool(const yyjson_val *v, const char *key, bool otherwise)
{
    yyjson_val *b = json_get(v, key);
    return yyjson_is_bool(b) ? unsafe_yyjson_get_bool(b) : otherwise;
}
/* "object", "array", "string", ...: as Go's JSON decoder names what it met. */
const char *json_type_name(const yyjson_val *v);
/* Element count of an array or object; 0 otherwise. */
size_t json_len(const yyjson_val *v);
/* Values of a value: itself and what is in it. They lie one behind the other, keys among them, and
 * know no places but their distances: a run of them may be copied as it is. */
static inline size_t json_values(const yyjson_val *v)
{
    return (size_t)(unsafe_yyjson_get_next(json_unconst(v)) - v);
}
/* Single values of such trees. A string's bytes are shared; a container has no members. */
static inline yyjson_val json_val_str(struct span s)
{
    return (yyjson_val){.tag = (uint64_t)s.n << YYJSON_TAG_BIT | YYJSON_TYPE_STR,
                        .uni.str = s.n ? s.p : ""};
}
/* A text of the program's own, known to need no escapes. */
static inline yyjson_val json_val_plain(struct span s)
{
    yyjson_val v = json_val_str(s);
    v.tag |= YYJSON_SUBTYPE_NOESC;
    return v;
}
static inline yyjson_val json_val_int(int64_t n)
{
    return (yyjson_val){.tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_SINT, .uni.i64 = n};
}
static inline yyjson_val json_val_bool(bool b)
{
    return (yyjson_val){.tag = YYJSON_TYPE_BOOL | (b ? YYJSON_SUBTYPE_TRUE : YYJSON_SUBTYPE_FALSE)};
}
/* values: itself and those that follow. */
static inline yyjson_val json_val_container(uint8_t type, uint64_t members, size_t values)
{
    return (yyjson_val){.tag = members << YYJSON_TAG_BIT | type,
                        .uni.ofs = values * sizeof(yyjson_val)};
}
static inline yyjson_val json_val_none(uint8_t type)
{
    return json_val_container(type, 0, 1);
}
/* Of a tree that may change, whose containers have rings: what the first child (of an object: the
 * first key) follows; NULL: there is none. */
static inline const yyjson_mut_val *json_mut_before_first(const yyjson_mut_val *container,
                                                          bool is_object)
{
    const yyjson_mut_val *last = container->uni.ptr;
    return container->tag >> YYJSON_TAG_BIT == 0 ? NULL : is_object ? last->next : last;
}

/* Iterates an array (key NULL) or an object; NULL or another type iterates nothing:
 *     JSON_EACH(it, json_get(spec, "ports")) { use(it.val); }    JSON_EACH(it, labels) {
 * use(it.key, it.val); } */
struct json_iter {
    yyjson_val *key, *val; /* current; val NULL at the end */
    size_t left;
    bool is_object;
};
static inline struct json_iter json_iter_begin(const yyjson_val *container)
{
    yyjson_val *c = json_unconst(container);
    if (!yyjson_is_ctn(c) || unsafe_yyjson_get_len(c) == 0) {
        return (struct json_iter){0};
    }
    bool is_object = yyjson_is_obj(c);
    yyjson_val *first = unsafe_yyjson_get_first(c);
    return (struct json_iter){.key = is_object ? first : NULL,
                              .val = is_object ? first + 1 : first,
                              .left = unsafe_yyjson_get_len(c) - 1,
                              .is_object = is_object};
}
static inline void json_iter_next(struct json_iter *it)
{
    if (it->left == 0) {
        it->val = it->key = NULL;
        return;
    }
    it->left--;
    yyjson_val *next = unsafe_yyjson_get_next(it->val);
    it->key = it->is_object ? next : NULL;
    it->val = it->is_object ? next + 1 : next;
}
#define JSON_EACH(it, container)                                                                   \
    for (struct json_iter it = json_iter_begin(container); it.val; json_iter_next(&it))

/* The first element of a list whose member `key` is that text: a container by its name, a condition
 * by its type. NULL: none. */
static inline yyjson_val *json_find(const yyjson_val *list, const char *key, struct span value)
{
    JSON_EACH(it, list)
    {
        if (span_eq(json_get_str(it.val, key), value)) {
            return it.val;
        }
    }
    return NULL;
}

/* Equal, and with the members in the same order: quick. */
bool json_same(const yyjson_val *a, const yyjson_val *b);
/* The same values in the same order, numbers of the same kind: what is 1 is not 1.0. Quick where
 * the two share texts. Neither is NULL. */
bool json_identical(const yyjson_val *a, const yyjson_val *b);
/* The same of so many values that stand one behind the other, whole subtrees all of them: the last
 * members of an object, keys and all. */
bool json_identical_run(const yyjson_val *a, const yyjson_val *b, size_t n);
/* Deep equality: member order does not matter, element order does; 1 and 1.0 are equal. */
bool json_equal(const yyjson_val *a, const yyjson_val *b);
bool json_mut_equal(const yyjson_mut_val *a, const yyjson_mut_val *b);

/* ---- writing: helpers that take spans (copied by reference: keep them alive as long as the
 * document) ---- */
/* Bytes from outside as text that JSON may hold: at most max bytes, cut between characters, what is
 * not UTF-8 replaced by U+FFFD. (The writers fail on anything else.) */
struct span json_clean_text(struct arena *a, struct span bytes, size_t max);

/* Puts or replaces; key and value belong to the document or a longer-lived arena. */
void json_put_span(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key,
                   yyjson_mut_val *value);
void json_put_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key, struct span value);
/* The same; the key is plain ASCII, which nobody has to look for when it is written. */
void json_put_plain(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key,
                    yyjson_mut_val *value);
void json_put_plain_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key,
                         struct span value);
/* Inline for the same reason as json_get(); literals are plain. */
static inline __attribute__((always_inline)) void json_put(yyjson_mut_doc *doc, yyjson_mut_val *obj,
                                                           const char *key, yyjson_mut_val *value)
{
    size_t n = strlen(key);
    (__builtin_constant_p(n) ? json_put_plain : json_put_span)(doc, obj, span_of(key, n), value);
}
static inline __attribute__((always_inline)) void
json_put_str(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, struct span value)
{
    size_t n = strlen(key);
    (__builtin_constant_p(n) ? json_put_plain_text : json_put_text)(doc, obj, span_of(key, n),
                                                                    value);
}
static inline void json_put_int(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
                                int64_t value)
{
    json_put(doc, obj, key, yyjson_mut_sint(doc, value));
}
static inline void json_put_bool(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
                                 bool value)
{
    json_put(doc, obj, key, yyjson_mut_bool(doc, value));
}
yyjson_mut_val *json_mut_get_span(const yyjson_mut_val *obj, struct span key);
static inline yyjson_mut_val *json_mut_get(const yyjson_mut_val *obj, const char *key)
{
    return json_mut_get_span(obj, span_of(key, strlen(key)));
}
/* The member `key` as an object, created when absent or null. NULL when it exists with another
 * type. */
yyjson_mut_val *json_mut_obj_span(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span key);
static inline yyjson_mut_val *json_mut_obj(yyjson_mut_doc *doc, yyjson_mut_val *obj,
                                           const char *key)
{
    return json_mut_obj_span(doc, obj, span_of(key, strlen(key)));
}
struct span json_mut_str(const yyjson_mut_val *v);
yyjson_mut_val *json_new_str(yyjson_mut_doc *doc, struct span value);
void json_remove_span(yyjson_mut_val *obj, struct span key);
static inline void json_remove(yyjson_mut_val *obj, const char *key)
{
    json_remove_span(obj, span_of(key, strlen(key)));
}

#endif
