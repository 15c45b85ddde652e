/* codec/json and codec/object. */
#include "kit/kit.h"

#include "base/limits.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "codec/json_build.h"
#include "codec/json_fault.h"
#include "codec/json_pretty.h"
#include "codec/json_share.h"
#include "codec/object.h"

TEST(json_parse_names_line_and_column)
{
    struct arena *a cleanup_arena = arena_new();
    struct err e = {0};
    yyjson_doc *doc;
    CHECK_EQ(json_parse(a, SPAN("{\n \"a\": 1,\n \"b\" 2}"), &doc, &e), -1);
    CHECK_EQ(e.reason, ERR_BAD_REQUEST);
    CHECK(span_starts(e.message, SPAN("invalid JSON at line 3, column ")));
}

TEST(json_depth_is_bounded_on_both_sides)
{
    struct arena *a cleanup_arena = arena_new();
    for (int extra = 0; extra < 2; extra++) {
        struct strbuf b cleanup_strbuf = STRBUF_INIT;
        for (int i = 0; i < LIMIT_JSON_DEPTH + extra; i++) {
            strbuf_putc(&b, '[');
        }
        for (int i = 0; i < LIMIT_JSON_DEPTH + extra; i++) {
            strbuf_putc(&b, ']');
        }
        yyjson_doc *doc;
        struct err e = {0};
        CHECK_EQ(json_parse(a, strbuf_span(&b), &doc, &e), extra ? -1 : 0);
        doc = json_parse_heap(strbuf_span(&b));
        CHECK_EQ(doc == NULL, extra);
        yyjson_doc_free(doc);
    }
}

/* Brackets in texts and containers that have ended do not count. */
TEST(json_depth_counts_what_is_open)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    strbuf_putc(&b, '[');
    for (int i = 0; i < 2 * LIMIT_JSON_DEPTH; i++) {
        strbuf_put(&b, SPAN("{\"a]\\\"[[[\":[[],[1]]},"));
    }
    strbuf_put(&b, SPAN("0]"));
    yyjson_doc *doc;
    CHECK_EQ(json_parse(a, strbuf_span(&b), &doc, NULL), 0);
}

TEST(json_iterates_and_chains_through_absent_values)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *doc;
    CHECK_EQ(json_parse(a, SPAN("{\"l\":[1,[2],{\"x\":3},\"s\"],\"o\":{\"k\":\"v\",\"n\":{}}}"),
                        &doc, NULL),
             0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    size_t n = 0;
    JSON_EACH(it, json_get(root, "l"))
    {
        CHECK(it.key == NULL);
        n++;
    }
    CHECK_EQ(n, 4);
    n = 0;
    JSON_EACH(it, json_get(root, "o"))
    {
        CHECK_EQ(json_str(it.key).n, 1);
        n++;
    }
    CHECK_EQ(n, 2);
    JSON_EACH(it, json_get(root, "absent"))
    {
        CHECK(false);
    }
    CHECK_SPAN(json_str(json_path(root, "o", "k", NULL)), "v");
    CHECK(json_path(root, "o", "k", "deeper", "still", NULL) == NULL);
    CHECK_EQ(json_int(json_get(root, "o"), 7), 7);
}

static bool equal(const char *x, const char *y)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *dx, *dy;
    CHECK_EQ(json_parse(a, span_cstr(x), &dx, NULL), 0);
    CHECK_EQ(json_parse(a, span_cstr(y), &dy, NULL), 0);
    return json_equal(yyjson_doc_get_root(dx), yyjson_doc_get_root(dy));
}

enum { KEY_MAX = 40 };

/* As many members as the keys have bytes: each key differs from the others in one byte. Every other
 * value is a container. */
static yyjson_mut_val *with_keys_of(struct arena *a, yyjson_mut_doc *doc, size_t n)
{
    yyjson_mut_val *obj = yyjson_mut_obj(doc);
    for (size_t i = 0; i <= n; i++) {
        char key[KEY_MAX];
        memset(key, 'a', sizeof key);
        key[i < n ? i : 0] = i < n ? 'b' : 'a';
        yyjson_mut_val *number = yyjson_mut_uint(doc, i), *value = yyjson_mut_arr(doc);
        yyjson_mut_arr_append(value, number);
        json_put_span(doc, obj, arena_dup(a, span_of(key, n)),
                      i % 2 ? value : yyjson_mut_uint(doc, i));
    }
    return obj;
}

TEST(a_member_is_found_by_every_byte_of_its_key)
{
    for (size_t n = 0; n < KEY_MAX; n++) {
        struct arena *a cleanup_arena = arena_new();
        yyjson_mut_val *making = with_keys_of(a, json_mut_new(a), n);
        const yyjson_val *obj = json_freeze(a, making);
        CHECK_EQ(json_len(obj), n + 1);
        for (size_t i = 0; i <= n; i++) {
            char key[KEY_MAX];
            memset(key, 'a', sizeof key);
            key[i < n ? i : 0] = i < n ? 'b' : 'a';
            yyjson_val *v = json_get_span(obj, span_of(key, n));
            CHECK_EQ(json_int(i % 2 ? yyjson_arr_get_first(v) : v, -1), (int64_t)i);
            yyjson_mut_val *m = json_mut_get_span(making, span_of(key, n));
            CHECK_EQ(yyjson_mut_get_uint(i % 2 ? yyjson_mut_arr_get_first(m) : m), i);
            key[i < n ? i : 0] = 'c';
            CHECK(n == 0 || !json_get_span(obj, span_of(key, n)));
            CHECK(n == 0 || !json_mut_get_span(making, span_of(key, n)));
            CHECK(n + 1 == KEY_MAX || !json_get_span(obj, span_of(key, n + 1)));
        }
    }
}

TEST(json_equality_ignores_member_order_only)
{
    CHECK(equal("{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2],\"a\":1.0}"));
    CHECK(!equal("[1,2]", "[2,1]"));
    CHECK(!equal("{\"a\":1}", "{\"a\":1,\"b\":null}"));
    CHECK(!equal("-1", "18446744073709551615"));
    CHECK(!equal("\"1\"", "1"));
}

TEST(copies_and_frozen_trees_are_what_they_were_made_of)
{
    struct arena *a cleanup_arena = arena_new();
    static const char *const texts[] = {
        "{}",
        "[]",
        "\"\\u00e9\\n\"",
        "[[],{},[{}],null,true,-1,2,3.5,\"\"]",
        "{\"a\":{\"b\":[1,{\"c\":\"d\"},[2,[3]]],\"\":{}},\"e\":[],\"f\":\"g\",\"h\":{\"i\":{}}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        yyjson_doc *doc;
        CHECK_EQ(json_parse(a, span_cstr(texts[i]), &doc, NULL), 0);
        const yyjson_val *root = yyjson_doc_get_root(doc);
        struct span text = json_write(a, root);
        yyjson_mut_val *copy = json_mut_copy(json_mut_new(a), root);
        CHECK_SPAN(json_write_mut(a, copy), text.p);
        const yyjson_val *frozen = json_freeze_shared(a, copy);
        CHECK_SPAN(json_write(a, frozen), text.p);
        CHECK(json_same(frozen, root) && json_equal(root, frozen));
    }
}

/* Small and large ones are made in two ways. */
TEST(frozen_trees_are_the_same_whatever_their_size)
{
    for (size_t n = 240; n < 270; n++) {
        struct arena *a cleanup_arena = arena_new();
        yyjson_mut_doc *doc = json_mut_new(a);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *list = json_mut_obj(doc, root, "o");
        for (size_t i = 0; i < n; i++) { /* the last but one has members of its own */
            yyjson_mut_val *v = i + 2 == n ? yyjson_mut_arr(doc) : yyjson_mut_uint(doc, i);
            for (size_t k = 0; i + 2 == n && k < n % 7; k++) {
                yyjson_mut_arr_append(v, yyjson_mut_obj(doc));
            }
            json_put_span(doc, list, arena_printf(a, "%zu", i), v);
        }
        const yyjson_val *frozen = json_freeze_shared(a, root);
        CHECK(span_eq(json_write(a, frozen), json_write_mut(a, root)));
        CHECK(json_identical(frozen, json_freeze(a, root)));
    }
}

TEST(the_same_is_more_than_equal)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *doc;
    CHECK_EQ(json_parse(a,
                        SPAN("[{\"a\":1,\"b\":[2]},{\"b\":[2],\"a\":1},{\"a\":1.0,\"b\":[2]},"
                             "{\"a\":1,\"b\":2},{\"a\":1,\"b\":[\"2\"]},{\"a\":1,\"c\":[2]}]"),
                        &doc, NULL),
             0);
    static const bool same[] = {true, false, true, false, false, false};
    static const bool equal[] = {true, true, true, false, false, false};
    yyjson_val *list = yyjson_doc_get_root(doc), *first = yyjson_arr_get(list, 0);
    for (size_t i = 0; i < 6; i++) {
        CHECK_EQ(json_same(first, yyjson_arr_get(list, i)), same[i]);
        CHECK_EQ(json_equal(first, yyjson_arr_get(list, i)), equal[i]);
    }
    CHECK(json_same(NULL, NULL) && !json_same(first, NULL) && !json_same(NULL, first));
}

TEST(json_put_replaces_in_place)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    json_put_int(doc, o, "a", 1);
    json_put_str(doc, o, "b", SPAN("x"));
    json_put_int(doc, o, "a", 2);
    CHECK(json_mut_obj(doc, o, "c") != NULL);
    CHECK(json_mut_obj(doc, o, "b") == NULL);
    CHECK_SPAN(json_write_mut(a, o), "{\"a\":2,\"b\":\"x\",\"c\":{}}");
}

/* Literals are taken for plain; other keys may have anything in them. */
TEST(keys_are_escaped_whoever_puts_them)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *obj = yyjson_mut_obj(doc);
    char quoted[] = "a\"b", plain[] = "plain";
    json_put_str(doc, obj, "plain", SPAN("x\ny"));
    json_put_str(doc, obj, quoted, SPAN_NULL);
    json_put(doc, obj, quoted, yyjson_mut_true(doc));
    json_put_text(doc, obj, SPAN("\\"), SPAN("1"));
    json_put_int(doc, obj, "n", 1);
    json_put_str(doc, obj, plain, SPAN("z\t"));
    struct span text = json_write_mut(a, obj);
    CHECK_SPAN(text, "{\"plain\":\"z\\t\",\"a\\\"b\":true,\"\\\\\":\"1\",\"n\":1}");
    CHECK_SPAN(json_write(a, json_freeze_shared(a, obj)), text.p);
    CHECK_SPAN(json_write(a, json_share_mut(a, obj)->root), text.p);
    json_remove(obj, "plain");
    CHECK_SPAN(json_write_mut(a, obj), "{\"a\\\"b\":true,\"\\\\\":\"1\",\"n\":1}");
}

TEST(object_splices_the_revision_and_gives_the_body_back)
{
    const char *bodies[] = {"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\","
                            "\"uid\":\"u\"},\"spec\":{}}",
                            "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{}}"};
    for (int i = 0; i < 2; i++) {
        struct object *o cleanup_object =
            object_new(SPAN("pods/default/a"), 42, span_cstr(bodies[i]));
        CHECK_SPAN(json_str(json_path(object_root(o), "metadata", "resourceVersion", NULL)), "42");
        struct span parts[2];
        object_body_parts(o, parts);
        struct strbuf b cleanup_strbuf = STRBUF_INIT;
        strbuf_put(&b, parts[0]);
        strbuf_put(&b, parts[1]);
        CHECK_SPAN(strbuf_span(&b), bodies[i]);
        CHECK_SPAN(object_name(o), "a");
        CHECK_SPAN(object_namespace(o), "default");
        CHECK(!object_is_deleting(o));
    }
}

TEST(object_keys_split_or_are_refused)
{
    struct span r, ns, name;
    CHECK(object_key_split(SPAN("nodes//edge"), &r, &ns, &name));
    CHECK_SPAN(ns, "");
    CHECK_SPAN(name, "edge");
    CHECK(!object_key_split(SPAN("nodes"), &r, &ns, &name));
    CHECK(!object_key_split(SPAN("nodes/x"), &r, &ns, &name));
    CHECK(!object_key_split(SPAN("a/b/c/d"), &r, &ns, &name));
}

TEST(outside_bytes_become_text_that_json_can_hold)
{
    struct arena *a = arena_new();
    CHECK_SPAN(json_clean_text(a, SPAN("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), 100),
               "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    CHECK_SPAN(json_clean_text(a, SPAN("\xff\xc3"), 100), "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_SPAN(json_clean_text(a, SPAN("\xc0\x80"), 100), "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_EQ(json_clean_text(a, SPAN("\xed\xa0\x80"), 100).n, 9);
    CHECK_EQ(json_clean_text(a, SPAN("\xf4\x90\x80\x80"), 100).n, 12);
    CHECK_SPAN(json_clean_text(a, SPAN("ab\xc3\xa9"), 3), "ab");
    /* Every pair of bytes can be written. */
    for (int i = 0; i < 65536; i++) {
        char two[2] = {(char)(i >> 8), (char)i};
        yyjson_mut_doc *doc = json_mut_new(a);
        (void)json_write_mut(a, json_new_str(doc, json_clean_text(a, span_of(two, 2), 100)));
        arena_clear(a);
    }
    arena_free(a);
}

TEST(kept_documents_own_their_text)
{
    char text[] =
        "{\"\":\"\",\"a\\n\\u00e9\":[\"x\\\"y\",-1.5,true,null,{\"k\":[]}],\"z\":\"end\"}";
    yyjson_doc *doc = json_parse_heap(span_cstr(text));
    CHECK(doc);
    memset(text, 'X', sizeof text);
    const yyjson_val *root = yyjson_doc_get_root(doc);
    CHECK_EQ(json_len(root), 3);
    CHECK(json_get(root, ""));
    CHECK_SPAN(json_get_str(root, "z"), "end");
    yyjson_val *list = json_get(root, "a\n\u00e9");
    CHECK_EQ(json_len(list), 5);
    CHECK_SPAN(json_str(yyjson_arr_get(list, 0)), "x\"y");
    CHECK(json_get(yyjson_arr_get(list, 4), "k"));
    yyjson_doc_free(doc);
    CHECK(!json_parse_heap(SPAN("{\"a\":")));
}

static struct object *sample(void)
{
    return object_new(SPAN("pods/default/a"), 7,
                      SPAN("{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{"
                           "\"managedFields\":[{\"manager\":\"x\"}],\"uid\":\"u\"}}"));
}

/* The number of members whose text is told, each rightly. */
static size_t texts_told(struct arena *a, struct object *o)
{
    size_t n = 0;
    JSON_EACH(it, object_root(o))
    {
        struct span text = object_member_text(o, &it);
        yyjson_doc *doc;
        if (text.n == 0) {
            continue;
        }
        CHECK_EQ(json_parse(a, text, &doc, NULL), 0);
        if (!span_eq(json_str(it.key), SPAN("metadata"))) {
            CHECK(json_same(yyjson_doc_get_root(doc), it.val));
        }
        n++;
    }
    return n;
}

static bool is_head(struct span key)
{
    return span_eq(key, SPAN("metadata")) || span_eq(key, SPAN("status"));
}

TEST(members_know_their_text_whoever_made_the_document)
{
    struct arena *a cleanup_arena = arena_new();
    static const char *const heads[] = {"", "\"managedFields\":[{\"manager\":\"x]\\\"\"}],"};
    for (size_t i = 0; i < 2; i++) {
        struct span body = arena_printf(
            a,
            "{\"kind\":\"A\",\"apiVersion\":\"v1\",\"metadata\":{%s\"name\":\"n\"},\"spec\":{\"a\":"
            "\"\\u00e9\\\"\",\"b\":[1,{}]},\"n\":-1.5,\"s\\\"\":\"\",\"status\":{\"\":\"\\\\\"}}",
            heads[i]);
        struct object *o cleanup_object = object_new(SPAN("as/d/n"), 7, body);
        struct object_glance glance = object_glance_begin(o);
        CHECK_EQ(texts_told(a, o), 6); /* all but that whose name has escapes */
        yyjson_mut_doc *mut = json_mut_new(a);
        yyjson_mut_val *tree =
            json_mut_copy(mut, json_freeze(a, json_mut_copy(mut, object_root(o))));
        json_remove(json_mut_get(tree, "metadata"), "resourceVersion");
        struct object_body whole = object_body_of(a, json_freeze(a, tree));
        object_glance_end(&glance);
        CHECK_EQ(texts_told(a, o), 6); /* packed */
        struct object *made cleanup_object = object_new(SPAN("as/d/n"), 7, whole.text);
        object_warm(made);
        object_adopt_tree(made, &whole);
        CHECK(object_has_root(made) && json_same(object_root(made), object_root(o)));
        CHECK_EQ(texts_told(a, made), 6);
        json_put_str(mut, json_mut_get(tree, "metadata"), "name", SPAN("\tlonger"));
        json_put(mut, tree, "status", yyjson_mut_arr(mut));
        yyjson_mut_val *head = json_mut_copy(mut, json_only(a, json_freeze(a, tree), is_head));
        struct object_body next = object_body_next(a, o, json_freeze(a, head));
        CHECK(json_identical(next.tree, json_freeze(a, tree)));
        CHECK(memmem(next.text.p, next.text.n, "\\u00e9", 6)); /* as it stood there */
        struct object *later cleanup_object = object_new(SPAN("as/d/n"), 8, next.text);
        object_warm(later);
        object_adopt_tree(later, &next);
        CHECK(object_has_root(later));
        CHECK_EQ(texts_told(a, later), 6);
        struct object *read cleanup_object = object_new(SPAN("as/d/n"), 8, next.text);
        CHECK(json_same(object_root(later), object_root(read)));
        object_cool(later);
        object_cool(made);
    }
}

TEST(numbers_of_another_kind_are_equal_but_not_identical)
{
    static const char *const pairs[][2] = {
        {"[1]", "[1.0]"}, {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"}, {"[-0.0]", "[0]"}};
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        yyjson_doc *x, *y;
        CHECK_EQ(json_parse(a, span_cstr(pairs[i][0]), &x, NULL), 0);
        CHECK_EQ(json_parse(a, span_cstr(pairs[i][1]), &y, NULL), 0);
        CHECK(json_equal(yyjson_doc_get_root(x), yyjson_doc_get_root(y)));
        CHECK(!json_identical(yyjson_doc_get_root(x), yyjson_doc_get_root(y)));
        CHECK(
            json_identical(yyjson_doc_get_root(x),
                           json_freeze(a, json_mut_copy(json_mut_new(a), yyjson_doc_get_root(x)))));
    }
}

TEST(a_glance_leaves_no_document_behind)
{
    struct object *o cleanup_object = sample();
    struct object_glance outer = object_glance_begin(o), inner = object_glance_begin(o);
    CHECK_SPAN(object_uid(o), "u");
    object_glance_end(&inner);
    CHECK(object_has_root(o)); /* the outer one may have kept values */
    object_glance_end(&outer);
    CHECK(!object_has_root(o));
    CHECK_SPAN(object_uid(o), "u");
    CHECK(object_has_root(o));
    struct object_glance none = object_glance_begin(NULL);
    object_glance_end(&none);
}

TEST(a_glance_keeps_a_document_that_others_may_use)
{
    struct object *before cleanup_object = sample(), *taken cleanup_object = sample();
    const yyjson_val *root = object_root(before);
    struct object_glance glance = object_glance_begin(before);
    CHECK(object_root(before) == root);
    object_glance_end(&glance);
    CHECK(object_has_root(before) && object_root(before) == root);

    glance = object_glance_begin(taken);
    root = object_root(taken);
    struct object *kept cleanup_object = object_ref(taken);
    object_glance_end(&glance);
    CHECK(object_has_root(kept) && object_root(kept) == root);
}

TEST(a_warm_version_is_parsed_once)
{
    struct object *o cleanup_object = sample(), *used cleanup_object = sample();
    object_warm(o);
    object_warm(o);
    for (int i = 0; i < 2; i++) {
        struct object_glance glance = object_glance_begin(o);
        CHECK_EQ(object_has_root(o), i > 0);
        CHECK_SPAN(object_uid(o), "u");
        object_glance_end(&glance);
    }
    object_cool(o);
    CHECK(object_has_root(o));
    object_cool(o);
    CHECK(!object_has_root(o));

    object_warm(used);
    struct object_glance glance = object_glance_begin(used);
    CHECK_SPAN(object_uid(used), "u");
    object_glance_end(&glance);
    const yyjson_val *root = object_root(used); /* and kept, from here on */
    object_cool(used);
    CHECK(object_has_root(used) && object_root(used) == root);
}

TEST(a_version_takes_the_tree_that_it_was_written_from)
{
    static const char *const bodies[] = {
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"managedFields\":[{\"a\":1}],"
        "\"uid\":\"u\"},\"spec\":{\"a\":[1,-2,0.5,true,null,\"t\\u0000\"],\"b\":{}}}",
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{},\"metadata2\":[]}",
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"uid\":\"u\"}}"};
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        yyjson_doc *doc = NULL;
        struct span body = span_cstr(bodies[i]);
        CHECK_EQ(json_parse(a, body, &doc, NULL), 0);
        yyjson_mut_doc *mut = json_mut_new(a);
        yyjson_mut_val *tree = json_mut_copy(mut, yyjson_doc_get_root(doc));
        if (i == 0) {
            json_put(mut, json_mut_get(tree, "metadata"), "managedFields",
                     json_new_raw(mut, SPAN("[{\"a\":1}]")));
        }
        struct object_body whole = object_body_of(a, json_freeze(a, tree));
        CHECK_SPAN(whole.text, body.p);
        struct object *o cleanup_object = object_new(SPAN("pods/default/a"), 71, body);
        struct object *parsed cleanup_object = object_new(SPAN("pods/default/a"), 71, body);
        object_warm(o);
        object_adopt_tree(o, &whole);
        CHECK(object_has_root(o));
        CHECK(json_equal(object_root(o), object_root(parsed)));
        CHECK_SPAN(json_write(a, object_root(o)), json_write(a, object_root(parsed)).p);
        object_cool(o);
        CHECK(object_has_root(o)); /* somebody has looked */
        json_put(mut, tree, "other", json_new_raw(mut, SPAN("{}")));
        struct object_body part = object_body_of(a, json_freeze(a, tree));
        struct object *partly cleanup_object = object_new(SPAN("pods/default/a"), 71, part.text);
        object_warm(partly);
        object_adopt_tree(partly, &part);
        CHECK(!object_has_root(partly));
    }
}

TEST(managed_fields_end_where_their_list_ends)
{
    static const char *const lists[] = {"[]",
                                        "[{\"a\":[{}]},{}]",
                                        "[{\"k:{\\\"n\\\":\\\"]\\\"}\":{}}]",
                                        "[{\"manager\":\"x}],\"}]",
                                        "[{\"manager\":\"\\\\\"}]",
                                        "[\"\\\\\\\"]\",\"\"]"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct strbuf body cleanup_strbuf = STRBUF_INIT;
        strbuf_printf(&body, "{\"kind\":\"Pod\",\"metadata\":{\"managedFields\":%s,\"uid\":\"u\"}}",
                      lists[i]);
        struct object *o cleanup_object = object_new(SPAN("pods/d/a"), 3, strbuf_span(&body));
        CHECK_SPAN(object_uid(o), "u");
        const yyjson_val *v = json_path(object_root(o), "metadata", "managedFields", NULL);
        CHECK(span_eq_cstr(span_of(yyjson_get_raw((yyjson_val *)(uintptr_t)v),
                                   yyjson_get_len((yyjson_val *)(uintptr_t)v)),
                           lists[i]));
    }
}

/* yyjson lays out as Go's MarshalIndent does. */
TEST(json_pretty_is_what_other_writers_lay_out_whatever_the_parts)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "7",
        "\"a\\\\\"",
        "{\"a\":{},\"b\":[],\"c\":[{}],\"d\":[1,-2.5,true,null],\"e\":{\"f\":{\"g\":\"h\"}}}",
        "[\"{[,:\\\"]}\",\"\\\\\",[[]],{\"k,\":\":\"}]"};
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct span text = span_cstr(texts[i]);
        yyjson_doc *doc;
        CHECK_EQ(json_parse(a, text, &doc, NULL), 0);
        char *want = yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);
        for (size_t part = 1; part <= text.n; part++) {
            struct strbuf out cleanup_strbuf = STRBUF_INIT;
            struct json_pretty p = {0};
            for (size_t at = 0; at < text.n; at += part) {
                json_pretty_put(&p, span_first(span_from(text, at), part), &out);
            }
            CHECK_SPAN(strbuf_span(&out), want);
        }
        free(want);
    }
}

TEST(built_tree_is_written_as_it_was_built)
{
    struct arena *a cleanup_arena = arena_new();
    struct json_build b = json_build_new(a), other = json_build_new(a);
    json_build_list(&other, SPAN("empty"));
    json_build_close(&other);
    json_build_str(&b, SPAN("text"), SPAN("a \"quote\""));
    json_build_int(&b, SPAN("least"), INT64_MIN);
    json_build_list(&b, SPAN("list"));
    for (int i = 0; i < 200; i++) { /* more than there is room for at first */
        json_build_object(&b, SPAN_NULL);
        json_build_bool(&b, SPAN("yes"), i == 1);
        json_build_close(&b);
    }
    json_build_str(&b, SPAN_NULL, SPAN_NULL);
    json_build_copy(&b, SPAN_NULL, json_build_done(&other));
    json_build_close(&b);
    const yyjson_val *root = json_build_done(&b), *list = json_get(root, "list");
    CHECK_EQ(json_len(root), 3);
    CHECK_EQ(json_len(list), 202);
    struct span text = json_write(a, root);
    CHECK(span_starts(text, SPAN("{\"text\":\"a \\\"quote\\\"\",\"least\":-9223372036854775808,"
                                 "\"list\":[{\"yes\":false},{\"yes\":true},{")));
    CHECK(span_ends(text, SPAN("{\"yes\":false},\"\",{\"empty\":[]}]}")));
}

TEST(shared_tree_is_what_its_text_would_be_parsed_to_and_outlives_its_maker)
{
    struct arena *a = arena_new(), *other = arena_new();
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    json_put_str(doc, root, "plain", arena_dup(a, SPAN("text")));
    json_put_str(doc, root, "escapes", SPAN("a \"quote\", a \\, a \n, a \x01 and \xc3\xa9"));
    json_put_str(doc, root, "cut", SPAN("\xc3"));
    json_put_str(doc, root, "empty", SPAN_NULL);
    json_put_int(doc, root, "one", 1);
    json_put_int(doc, root, "less", -1);
    json_put(doc, root, "half", yyjson_mut_real(doc, 0.5));
    json_put(doc, root, "null", yyjson_mut_null(doc));
    for (int raw = 0; raw < 2; raw++) {
        if (raw) {
            json_put(doc, root, "raw", json_new_raw(doc, SPAN("[{\"f:a\":{}}]")));
        }
        struct json_shared *s = json_share(a, json_freeze_shared(a, root));
        yyjson_doc *parsed = NULL;
        CHECK_EQ(json_parse(a, json_write(a, s->root), &parsed, NULL), 0);
        CHECK(json_identical(s->root, yyjson_doc_get_root(parsed)));
        CHECK_SPAN(json_get_str(s->root, "cut"), "\xef\xbf\xbd");
        CHECK_EQ(json_len(json_get(s->root, "raw")), raw);
        CHECK(json_share_hold(other, s) == s);
        arena_clear(a);
        CHECK_SPAN(json_get_str(s->root, "plain"), "text");
        doc = json_mut_new(a);
        root = json_mut_copy(doc, s->root);
    }
    arena_free(a);
    arena_free(other);
}

/* Texts of every length, plain and not, each time a few more, until the tree is a large one. */
TEST(shared_tree_of_any_size_is_what_its_text_would_be_parsed_to)
{
    cleanup_arena struct arena *a = arena_new();
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
    static const char *const odd[] = {"", "\"", "\xc3\xa9", "\x01", "\xc3"};
    char letters[70] = "";
    memset(letters, 'x', sizeof letters - 1);
    json_put(doc, root, "list", list);
    for (size_t i = 0; i < 200; i++) {
        const char *tail = odd[i % (sizeof odd / sizeof *odd)];
        struct span key = arena_printf(a, "%zu", i);
        struct span text = arena_printf(a, "%.*s%s", (int)(i % sizeof letters), letters, tail);
        json_put_span(doc, root, key, json_new_str(doc, text));
        yyjson_mut_arr_append(list, yyjson_mut_sint(doc, 100 - (int64_t)i));
        yyjson_doc *parsed = NULL;
        const struct json_shared *one = json_share_mut(a, root);
        const struct json_shared *same = json_share(a, json_freeze_shared(a, root));
        CHECK(json_identical(one->root, same->root));
        CHECK_EQ(json_len(json_get(one->root, "list")), (int64_t)i + 1);
        CHECK_EQ(json_parse(a, json_write(a, one->root), &parsed, NULL), 0);
        CHECK(json_identical(one->root, yyjson_doc_get_root(parsed)));
        CHECK_SPAN(json_get_str(one->root, key.p), json_clean_text(a, text, 100).p);
    }
}

TEST(faults_are_told_in_the_words_of_go)
{
    static const char *const rows[][2] = {
        {"", "unexpected end of JSON input"},
        {"{", "unexpected end of JSON input"},
        {"{\"a\"", "unexpected end of JSON input"},
        {"[1", "unexpected end of JSON input"},
        {"\"a", "unexpected end of JSON input"},
        {"x", "invalid character 'x' looking for beginning of value"},
        {"'", "invalid character '\\'' looking for beginning of value"},
        {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
        {"{a:1}", "invalid character 'a' looking for beginning of object key string"},
        {"{\"a\" 1}", "invalid character '1' after object key"},
        {"{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair"},
        {"[1 2]", "invalid character '2' after array element"},
        {"[1,]", "invalid character ']' looking for beginning of value"},
        {"{} x", "invalid character 'x' after top-level value"},
        {"{}}", "invalid character '}' after top-level value"},
        {"12a", "invalid character 'a' after top-level value"},
        {"01", "invalid character '1' after top-level value"},
        {"-", "invalid character ' ' in numeric literal"},
        {"-a", "invalid character 'a' in numeric literal"},
        {"1.x", "invalid character 'x' after decimal point in numeric literal"},
        {"1ex", "invalid character 'x' in exponent of numeric literal"},
        {"tru", "invalid character ' ' in literal true (expecting 'e')"},
        {"[trux]", "invalid character 'x' in literal true (expecting 'e')"},
        {"nil", "invalid character 'i' in literal null (expecting 'u')"},
        {"\"\n\"", "invalid character '\\n' in string literal"},
        {"\"\x01\"", "invalid character '\\x01' in string literal"},
        {"\"\\x\"", "invalid character 'x' in string escape code"},
        {"\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"},
        {"\xc3", "invalid character '\xc3\x83' looking for beginning of value"},
        {" {\"a\":[1,-2.5e+3,true,false,null,\"\\u00e9\\n\",{}]} ", ""}};
    cleanup_arena struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_SPAN(json_fault(a, span_cstr(rows[i][0])), rows[i][1]);
    }
    char deep[10002];
    memset(deep, '[', sizeof deep);
    CHECK_SPAN(json_fault(a, span_of(deep, 10001)), "exceeded max depth");
    CHECK_SPAN(json_fault(a, span_of(deep, 10000)), "unexpected end of JSON input");
}
