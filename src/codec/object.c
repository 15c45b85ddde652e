#include "codec/object.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "codec/object_tree.h"

enum { UID_BYTES = 36 };

/* Where in the JSON a member of the reference to the controller is; n 0: it has none. */
struct owner_parts {
    uint32_t at[OBJECT_OWNER_PARTS];
    uint8_t n[OBJECT_OWNER_PARTS];
};

/* What the first look at a document has found out, for those who come without one. */
struct sketch {
    uint64_t labels;        /* object_labels_sketch */
    uint32_t owners_at;     /* which value of the document ownerReferences are; 0: there are none */
    uint32_t controller_at; /* the same of the one among them that is the controller */
    struct owner_parts parts;
    bool has_parts; /* the document says no more of the controller than `parts` */
    bool deleting;
    bool has_uid; /* one of the usual form */
    char uid[UID_BYTES];
};

/* One allocation: this head, the key, then the JSON with the revision spliced in. */
struct object {
    uint32_t refs;
    uint32_t key_n;
    uint32_t json_n;
    uint32_t splice_at; /* the spliced part within the JSON */
    uint8_t splice_n;
    bool glanced; /* within a glance: the document will not be kept */
    bool wanted;  /* somebody keeps values of the document */
    uint8_t warm; /* how many said object_warm() */
    bool has_sketch;
    bool is_ownerless, is_staying; /* the text says so: there may be no sketch */
    uint32_t managed_n;            /* bytes of managedFields behind the splice; NOT_SOUGHT */
    uint32_t list_bytes;           /* object_list_bytes */
    uint32_t ns_at, name_at;       /* in the key; 0: it has no such part */
    int64_t rev;
    yyjson_doc *doc;
    struct sketch sketch; /* if has_sketch */
#ifdef BERTH_VERIFY
    uint64_t born_hash;
#endif
    char bytes[];
};

enum { NOT_SOUGHT = -1 };
static const char metadata_open[] = "\"metadata\":{";

/* Offset just after `"metadata":{` of a body that starts as object.h describes; 0 when it does not.
 * The members before it are two plain strings without braces: metadata has the second brace. */
static size_t metadata_offset(struct span body)
{
    const size_t open = sizeof metadata_open - 1;
    if (body.n < open + 2) {
        return 0;
    }
    const char *brace = memchr(body.p + 1, '{', (body.n < 512 ? body.n : 512) - 1);
    size_t at = brace ? (size_t)(brace - body.p) + 1 : 0;
    return at > open && memcmp(body.p + at - open, metadata_open, open) == 0 ? at : 0;
}

bool object_body_ok(struct span body)
{
    assert(body.p || body.n == 0);
    size_t at = metadata_offset(body);
    return at > 0 && at < body.n && body.n <= LIMIT_BODY_BYTES && body.p[0] == '{';
}

static char *json_of(const struct object *o)
{
    return (char *)(uintptr_t)o->bytes + o->key_n;
}

/* "resourceVersion":"REV" to where there is room for SPLICE_BYTES, with a comma unless it stands
 * alone. Returns its length. */
enum { SPLICE_BYTES = sizeof "\"resourceVersion\":\"9223372036854775807\"," };

static size_t put_splice(char *to, int64_t rev, bool alone)
{
    static const char start[] = "\"resourceVersion\":\"";
    char digits[SPAN_NUMBER_BYTES];
    struct span number = span_u64(digits, (uint64_t)rev);
    size_t n = sizeof start - 1;
    memcpy(to, start, n);
    memcpy(to + n, number.p, number.n);
    n += number.n;
    to[n++] = '"';
    to[n] = ',';
    return n + !alone;
}

struct object *object_new(struct span key, int64_t rev, struct span body)
{
    size_t at = metadata_offset(body);
    assert(rev >= 0 && at > 0);
    assert(at < body.n && body.n < UINT32_MAX / 2);
    bool alone = body.p[at] == '}'; /* metadata has no other member: no comma */
    char splice[SPLICE_BYTES];
    size_t n = rev ? put_splice(splice, rev, alone) : 0;
    size_t first = span_find(key, '/'), last = span_rfind(key, '/');
    struct object *o = malloc(sizeof *o + key.n + body.n + n + 1);
    assert(o);
    *o = (struct object){.refs = 1,
                         .key_n = (uint32_t)key.n,
                         .json_n = (uint32_t)(body.n + n),
                         .splice_at = (uint32_t)at,
                         .splice_n = (uint8_t)n,
                         .managed_n = (uint32_t)NOT_SOUGHT,
                         .ns_at = first < last && last < key.n ? (uint32_t)first + 1 : 0,
                         .name_at = last < key.n ? (uint32_t)last + 1 : 0,
                         .rev = rev};
    memcpy(o->bytes, key.p, key.n);
    char *json = json_of(o);
    memcpy(json, body.p, at);
    memcpy(json + at, splice, n);
    memcpy(json + at + n, body.p + at, body.n - at);
    json[o->json_n] = '\0';
#ifdef BERTH_VERIFY
    o->born_hash = map_hash(span_of(json, o->json_n));
#endif
    return o;
}

struct object *object_ref(struct object *o)
{
    assert(o);
    assert(o->refs > 0);
    o->refs++;
    return o;
}

static seldom void object_free(struct object *o)
{
#ifdef BERTH_VERIFY
    assert(o->born_hash == map_hash(span_of(json_of(o), o->json_n)));
#endif
    yyjson_doc_free(o->doc);
    free(o);
}

void object_unref(struct object *o)
{
    if (!o) {
        return;
    }
    assert(o->refs > 0);
    if (--o->refs == 0) {
        object_free(o);
    }
}

static void give_back(void *data)
{
    object_unref(data);
}

struct object *object_hold(struct arena *a, struct object *o)
{
    arena_on_clear(a, give_back, object_ref(o));
    return o;
}

int64_t object_rev(const struct object *o)
{
    return o->rev;
}

struct span object_store_key(const struct object *o)
{
    assert(o->key_n > 0);
    return span_of(o->bytes, o->key_n);
}

struct span object_json(const struct object *o)
{
    assert(o->json_n > 0);
    return span_of(json_of(o), o->json_n);
}

void object_body_parts(const struct object *o, struct span ret_parts[2])
{
    assert(o->splice_at + o->splice_n <= o->json_n);
    struct span json = object_json(o);
    ret_parts[0] = span_first(json, o->splice_at);
    ret_parts[1] = span_from(json, o->splice_at + o->splice_n);
}

/* Bytes of a string, of which the opening quote has been read; 0: it does not end. */
static size_t string_length(struct span rest)
{
    const char *end = rest.p + rest.n, *at = rest.p;
    while ((at = memchr(at, '"', (size_t)(end - at))) != NULL) {
        size_t escapes = 0;
        while (at - escapes > rest.p && at[-1 - (ptrdiff_t)escapes] == '\\') {
            escapes++;
        }
        at++;
        if (escapes % 2 == 0) {
            return (size_t)(at - rest.p);
        }
    }
    return 0;
}

/* Bytes of the list that the text starts with; 0: none. */
static size_t list_length(struct span rest)
{
    size_t depth = 0;
    for (size_t i = 0; i < rest.n;) {
        char c = rest.p[i++];
        if (c == '"' && depth) {
            size_t n = string_length(span_from(rest, i));
            if (n == 0) {
                return 0;
            }
            i += n;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (depth == 0) {
            return 0;
        } else if ((c == ']' || c == '}') && --depth == 0) {
            return i;
        }
    }
    return 0;
}

/* The text of metadata.managedFields where it directly follows the spliced revision; else empty. */
static struct span managed_text(struct object *o)
{
    static const char name[] = "\"managedFields\":";
    struct span rest = span_from(object_json(o), o->splice_at + o->splice_n);
    if (!span_starts(rest, span_of(name, sizeof name - 1))) {
        return SPAN_NULL;
    }
    rest = span_from(rest, sizeof name - 1);
    if (o->managed_n == (uint32_t)NOT_SOUGHT) {
        o->managed_n = (uint32_t)list_length(rest);
    }
    return span_first(rest, o->managed_n);
}

/* The document with a number where managedFields stand, which then becomes the raw value. */
static yyjson_doc *parse_but(const struct object *o, struct span managed)
{
    struct span json = object_json(o);
    size_t before = (size_t)(managed.p - json.p);
    struct span after = span_from(json, before + managed.n);
    char *text = malloc(before + 1 + after.n);
    assert(text);
    memcpy(text, json.p, before);
    text[before] = '0';
    memcpy(text + before + 1, after.p, after.n);
    yyjson_doc *doc = json_parse_own(span_of(text, before + 1 + after.n), !o->glanced);
    free(text);
    yyjson_val *v =
        doc ? json_path(yyjson_doc_get_root(doc), "metadata", "managedFields", NULL) : NULL;
    if (v) {
        yyjson_set_raw(v, managed.p, managed.n);
    }
    return doc;
}

uint64_t object_label_bits(struct span key, const struct span *value)
{
    uint64_t k = map_hash(key), bits = UINT64_C(1) << (k & 63);
    if (value) {
        uint64_t v = map_hash(*value) * 31 + k;
        bits |= UINT64_C(1) << (v >> 58) | UINT64_C(1) << (v >> 52 & 63);
    }
    return bits;
}

uint32_t object_list_bytes(const struct object *o)
{
    return o->list_bytes;
}

void object_set_list_bytes(struct object *o, uint32_t bytes)
{
    assert(bytes && (!o->list_bytes || o->list_bytes == bytes)); /* a version never changes */
    o->list_bytes = bytes;
}

uint64_t object_labels_sketch(const struct object *o)
{
    assert(o);
    return o->has_sketch ? o->sketch.labels : UINT64_MAX;
}

/* Strings still lie in a copy of the text that was parsed, where they were in it. What was parsed
 * had one byte in place of managedFields. */
static size_t place_of(struct object *o, const yyjson_val *string)
{
    struct span managed = managed_text(o);
    size_t at = (size_t)(string->uni.str - json_doc_text(o->doc));
    bool behind = managed.n && at > (size_t)(managed.p - json_of(o));
    return behind ? at + managed.n - 1 : at;
}

static const struct span part_keys[OBJECT_OWNER_PARTS] = {
    [OBJECT_OWNER_VERSION] = SPAN("apiVersion"),
    [OBJECT_OWNER_KIND] = SPAN("kind"),
    [OBJECT_OWNER_NAME] = SPAN("name"),
    [OBJECT_OWNER_UID] = SPAN("uid"),
};

static size_t part_of(struct span key)
{
    size_t i = 0;
    while (i < OBJECT_OWNER_PARTS && !span_eq(key, part_keys[i])) {
        i++;
    }
    return i;
}

/* Only what the text has as it is, and not in escapes: else who asks needs the document. */
static void sketch_controller(struct object *o, const yyjson_val *controller)
{
    const yyjson_val *first = controller + 1;
    size_t first_at = place_of(o, first);
    o->sketch.has_parts = true;
    JSON_EACH(it, controller)
    {
        size_t part = part_of(json_str(it.key));
        struct span value = json_str(it.val);
        if (part < OBJECT_OWNER_PARTS && value.n && o->sketch.parts.n[part] == 0) {
            size_t at = first_at + (size_t)(value.p - first->uni.str);
            assert(at + value.n <= o->json_n);
            o->sketch.parts.at[part] = (uint32_t)at;
            o->sketch.parts.n[part] = (uint8_t)value.n;
            o->sketch.has_parts = o->sketch.has_parts && value.n <= UINT8_MAX &&
                                  span_eq(value, span_of(json_of(o) + at, value.n));
        }
    }
}

static void sketch_owners(struct object *o, const yyjson_val *root, const yyjson_val *owners)
{
    o->sketch.owners_at = (uint32_t)(owners - root);
    JSON_EACH(it, owners)
    {
        bool first = o->sketch.controller_at == 0 && json_get_bool(it.val, "controller", false);
        o->sketch.controller_at = first ? (uint32_t)(it.val - root) : o->sketch.controller_at;
    }
    if (o->sketch.controller_at) {
        sketch_controller(o, root + o->sketch.controller_at);
    }
}

static void sketch_labels(struct object *o, const yyjson_val *labels)
{
    JSON_EACH(label, labels)
    {
        struct span value = json_str(label.val);
        o->sketch.labels |= object_label_bits(json_str(label.key), &value);
    }
}

/* What is asked of nearly every version, also long after its document was dropped: the members in
 * one go. */
static void sketch(struct object *o)
{
    const yyjson_val *root = yyjson_doc_get_root(o->doc);
    JSON_EACH(it, json_get(root, "metadata"))
    {
        struct span key = json_str(it.key), text = json_str(it.val);
        if (span_eq(key, SPAN("uid")) && text.n == UID_BYTES) {
            o->sketch.has_uid = true;
            memcpy(o->sketch.uid, text.p, UID_BYTES);
        } else if (span_eq(key, SPAN("labels"))) {
            sketch_labels(o, it.val);
        } else if (span_eq(key, SPAN("ownerReferences"))) {
            sketch_owners(o, root, it.val);
        } else if (span_eq(key, SPAN("deletionTimestamp"))) {
            o->sketch.deleting = true;
        }
    }
    o->has_sketch = true;
}

/* Apart from the revision, which both have. */
static bool is_same_body(const struct object *o, const struct object *p)
{
    struct span of_o[2], of_p[2];
    object_body_parts(o, of_o);
    object_body_parts(p, of_p);
    return o->splice_n && p->splice_n && of_o[0].n == of_p[0].n && span_eq(of_o[1], of_p[1]) &&
           span_eq(of_o[0], of_p[0]);
}

void object_take_sketch(struct object *o, const struct object *known)
{
    if (o->has_sketch || !known->has_sketch || !is_same_body(o, known)) {
        return;
    }
    o->has_sketch = true;
    o->managed_n = known->managed_n;
    o->sketch = known->sketch;
    for (size_t i = 0; i < OBJECT_OWNER_PARTS; i++) { /* all stand behind the revision */
        o->sketch.parts.at[i] += (uint32_t)o->splice_n - known->splice_n;
    }
}

static seldom yyjson_val *first_root(struct object *o)
{
    if (!o->doc) {
        struct span managed = managed_text(o);
        o->doc = managed.n ? parse_but(o, managed) : json_parse_own(object_json(o), !o->glanced);
        assert(o->doc); /* bodies are written by our own serialiser or checked when loaded */
    } else if (!o->glanced && !o->wanted) {
        o->doc = json_pack(o->doc); /* of a warm version: nobody has had a value to keep */
    }
    if (!o->has_sketch) {
        sketch(o);
    }
    o->wanted = o->wanted || !o->glanced;
    return yyjson_doc_get_root(o->doc);
}

yyjson_val *object_root(struct object *o)
{
    bool is_usual = o->doc && o->has_sketch && (o->glanced || o->wanted);
    return is_usual ? yyjson_doc_get_root(o->doc) : first_root(o);
}

struct span object_member_text(struct object *o, const struct json_iter *member)
{
    assert(o->doc);
    assert(member->key);
    assert(member->val);
    struct span json = object_json(o);
    const yyjson_val *next = member->left ? unsafe_yyjson_get_next(member->val) : NULL;
    size_t from = place_of(o, member->key) + yyjson_get_len(member->key) + sizeof "\":" - 1;
    size_t to = next ? place_of(o, next) - (sizeof ",\"" - 1) : json.n - (sizeof "}" - 1);
    bool found =
        from < to && to < json.n && json.p[from - 1] == ':' && json.p[to] == (next ? ',' : '}');
    return found ? span_of(json.p + from, to - from) : SPAN_NULL;
}

static bool is_own_text(const struct object *o, struct span managed)
{
    yyjson_doc *parsed = managed.n ? parse_but(o, managed) : json_parse_own(object_json(o), false);
    bool same = json_equal(yyjson_doc_get_root(parsed), yyjson_doc_get_root(o->doc));
    yyjson_doc_free(parsed);
    return same;
}

void object_adopt_tree(struct object *o, const struct object_body *body)
{
    assert(!o->doc);
    assert(o->warm);
    yyjson_val *list = (yyjson_val *)(uintptr_t)object_tree_managed(body);
    if (yyjson_is_raw(list) && o->managed_n == (uint32_t)NOT_SOUGHT) {
        o->managed_n = (uint32_t)unsafe_yyjson_get_len(list);
    }
    struct span managed = list ? managed_text(o) : SPAN_NULL;
    o->doc =
        object_tree(body, object_json(o), span_of(json_of(o) + o->splice_at, o->splice_n), managed);
    verify(!o->doc || is_own_text(o, managed));
}

bool object_has_root(const struct object *o)
{
    assert(o);
    return o->doc != NULL;
}

bool object_is_parsed(const struct object *o)
{
    assert(o);
    return o->doc || o->warm;
}

void object_forget_root(struct object *o)
{
    assert(o->refs > 0);
    yyjson_doc_free(o->doc);
    o->doc = NULL;
    o->wanted = false;
}

static void forget_unless_used(struct object *o)
{
    if (!o->wanted && !o->glanced && o->warm == 0) {
        object_forget_root(o);
    }
}

void object_warm(struct object *o)
{
    assert(o->warm < UINT8_MAX);
    o->warm++;
}

void object_cool(struct object *o)
{
    assert(o->warm > 0);
    o->warm--;
    forget_unless_used(o);
}

struct object_glance object_glance_begin(struct object *o)
{
    if (!o) {
        return (struct object_glance){0};
    }
    bool had_root = o->wanted || o->glanced; /* or an outer glance decides */
    assert(o->refs > 0);
    o->glanced = o->glanced || !had_root;
    (void)object_ref(o);
    return (struct object_glance){o, o->refs, had_root};
}

void object_glance_end(struct object_glance *glance)
{
    struct object *o = glance->object;
    if (o && !glance->had_root) {
        assert(o->glanced);
        o->glanced = false;
        o->wanted = o->doc && o->refs > glance->refs;
        forget_unless_used(o);
    }
    object_unref(TAKE_PTR(glance->object));
}

struct span object_resource(const struct object *o)
{
    return o->ns_at ? span_of(o->bytes, o->ns_at - 1) : SPAN_NULL;
}

struct span object_place(const struct object *o)
{
    assert(o->ns_at > 0);
    return span_from(object_store_key(o), o->ns_at);
}

struct span object_place_of(struct strbuf *b, struct span ns, struct span name)
{
    strbuf_clear(b);
    char *at = strbuf_room(b, ns.n + 1 + name.n);
    span_copy_short(at, ns.p, ns.n);
    at[ns.n] = '/';
    span_copy_short(at + ns.n + 1, name.p, name.n);
    strbuf_added(b, ns.n + 1 + name.n);
    return strbuf_span(b);
}

struct span object_name(struct object *o)
{
    assert(o);
    return o->name_at ? span_from(object_store_key(o), o->name_at) : SPAN_NULL;
}

struct span object_namespace(struct object *o)
{
    assert(o);
    size_t end = o->name_at ? o->name_at - 1 : 0; /* the slash before the name */
    return o->ns_at && o->ns_at < end ? span_of(o->bytes + o->ns_at, end - o->ns_at) : SPAN("");
}

struct span object_uid(struct object *o)
{
    if (o->sketch.has_uid) {
        return span_of(o->sketch.uid, UID_BYTES);
    }
    return json_str(json_path(object_root(o), "metadata", "uid", NULL));
}

/* Most of what was loaded has neither owners nor an end, and no document either: who asks for
 * nothing else need not parse it. False: the text has no such key (our serialiser escapes no
 * letters, and in managedFields names begin otherwise), which *absent remembers. */
static seldom bool may_have(struct object *o, const char *key, bool *absent)
{
    if (!o->doc && !*absent) {
        struct span json = object_json(o);
        *absent = !memmem(json.p, json.n, key, strlen(key));
    }
    if (o->doc || !*absent) {
        (void)object_root(o);
    }
    return !*absent;
}

bool object_is_deleting(struct object *o)
{
    if (!o->has_sketch && !may_have(o, "\"deletionTimestamp\"", &o->is_staying)) {
        return false;
    }
    assert(o->has_sketch);
    return o->sketch.deleting;
}

static const char owners_key[] = "\"ownerReferences\"";

/* The values of a version's document are the same ones in the same order, whoever made it. */
yyjson_val *object_owners(struct object *o)
{
    assert(o);
    if (!o->has_sketch && !may_have(o, owners_key, &o->is_ownerless)) {
        return NULL;
    }
    yyjson_val *owners = o->sketch.owners_at ? object_root(o) + o->sketch.owners_at : NULL;
    verify(owners == json_path(object_root(o), "metadata", "ownerReferences", NULL));
    return owners;
}

bool object_has_controller(struct object *o)
{
    if (!o->has_sketch && !may_have(o, owners_key, &o->is_ownerless)) {
        return false;
    }
    assert(!o->sketch.controller_at || o->sketch.controller_at > o->sketch.owners_at);
    return o->sketch.controller_at > 0;
}

yyjson_val *object_controller(struct object *o)
{
    return object_has_controller(o) ? object_root(o) + o->sketch.controller_at : NULL;
}

struct span object_controller_part(struct object *o, enum object_owner_part part)
{
    assert(part < OBJECT_OWNER_PARTS);
    if (!object_has_controller(o)) {
        return SPAN_NULL;
    }
    return o->sketch.has_parts
               ? span_of(json_of(o) + o->sketch.parts.at[part], o->sketch.parts.n[part])
               : json_str(json_get_span(object_controller(o), part_keys[part]));
}

struct span object_key(struct arena *a, struct span resource, struct span ns, struct span name)
{
    assert(resource.n);
    return ARENA_JOIN(a, resource, SPAN("/"), ns, SPAN("/"), name);
}

bool object_key_split(struct span key, struct span *ret_resource, struct span *ret_ns,
                      struct span *ret_name)
{
    assert(ret_resource);
    assert(ret_ns);
    assert(ret_name);
    size_t first = span_find(key, '/'), last = span_rfind(key, '/');
    if (first == 0 || first >= last || last == key.n) {
        return false;
    }
    struct span ns = span_of(key.p + first + 1, last - first - 1);
    if (span_find(ns, '/') < ns.n) {
        return false;
    }
    *ret_resource = span_first(key, first);
    *ret_ns = ns;
    *ret_name = span_from(key, last + 1);
    return true;
}
