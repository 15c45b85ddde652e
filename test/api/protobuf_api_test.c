/* Answers in protobuf: objects, lists, partial metadata, Statuses and watch frames are what the
 * JSON answers say; what has no protobuf form comes as the next form that the client names. */
#include "codec/pb.h"
#include "schema/kinds.h"
#include "schema/protobuf.h"
#include "test/kit/api_kit.h"

#define PB "application/vnd.kubernetes.protobuf"
#define MAPS "/api/v1/namespaces/default/configmaps"

static struct api_kit k;
static struct arena *a;

static void begin(void)
{
    a = arena_new();
    api_kit_start(&k, NULL);
    for (int i = 0; i < 3; i++) {
        struct span body = arena_printf(
            a, "{\"metadata\":{\"name\":\"m%d\",\"labels\":{\"n\":\"%d\"}},\"data\":{\"a\":\"1\"}}",
            i, i);
        (void)api_expect(&k, 201, "POST", MAPS, "", body.p);
    }
}

static const yyjson_val *decoded(struct span body)
{
    yyjson_doc *doc = NULL;
    struct err e = {0};
    if (protobuf_decode(a, body, &doc, &e) < 0) {
        kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(e.message));
    }
    return yyjson_doc_get_root(doc);
}

static struct api_reply ask(int status, const char *path, const char *accept)
{
    return api_expect(&k, status, "GET", path, arena_printf(a, "Accept: %s\r\n", accept).p, NULL);
}

TEST(an_object_is_the_same_in_both_forms)
{
    begin();
    struct api_reply json = api_get(&k, MAPS "/m1"), pb = ask(200, MAPS "/m1", PB);
    CHECK_SPAN(api_header(&pb, "content-type"), PB);
    CHECK(json_equal(decoded(pb.body), json.json));
    pb = ask(200, MAPS "/m1", PB ",application/json");
    CHECK_SPAN(api_header(&pb, "content-type"), PB);
    pb = ask(200, MAPS "/m1", "application/json," PB);
    CHECK_SPAN(api_header(&pb, "content-type"), "application/json");
    pb = api_expect(&k, 201, "POST", MAPS, "Accept: " PB "\r\nContent-Type: application/json\r\n",
                    "{\"metadata\":{\"name\":\"new\"}}");
    CHECK_SPAN(json_get_str(json_get(decoded(pb.body), "metadata"), "name"), "new");
    api_kit_stop(&k);
}

/* The raw message of an envelope. */
static struct span raw_of(struct span body, const char *kind)
{
    struct pb_reader r = pb_read(span_from(body, 4));
    struct pb_field f, g;
    struct span raw = SPAN_NULL;
    while (pb_next(&r, &f)) {
        struct pb_reader meta = pb_read(f.number == 1 ? f.bytes : SPAN_NULL);
        while (pb_next(&meta, &g)) {
            if (g.number == 2) {
                CHECK_SPAN(g.bytes, kind);
            }
        }
        raw = f.number == 2 ? f.bytes : raw;
    }
    CHECK(!r.bad && protobuf_is(body));
    return raw;
}

static size_t items_in(struct span list, struct span *ret_token)
{
    struct pb_reader r = pb_read(list);
    struct pb_field f, g;
    size_t n = 0;
    while (pb_next(&r, &f)) {
        n += f.number == 2;
        struct pb_reader meta = pb_read(f.number == 1 ? f.bytes : SPAN_NULL);
        while (pb_next(&meta, &g)) {
            if (g.number == 3) {
                *ret_token = g.bytes;
            }
        }
    }
    CHECK(!r.bad);
    return n;
}

TEST(a_long_list_is_made_in_turns_and_whole)
{
    enum { MANY = 200 };
    begin();
    for (int i = 0; i < MANY; i++) {
        char body[64];
        (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"long-%d\"}}", i);
        (void)api_expect(&k, 201, "POST", MAPS, "", body);
    }
    struct span token = SPAN_NULL;
    struct api_reply all = ask(200, MAPS, PB);
    size_t n = items_in(raw_of(all.body, "ConfigMapList"), &token);
    CHECK(n >= MANY);
    CHECK_EQ(token.n, 0);
    struct api_reply page = ask(200, MAPS "?limit=150", PB);
    CHECK_EQ(items_in(raw_of(page.body, "ConfigMapList"), &token), 150);
    CHECK(token.n > 0);
    page = ask(200, MAPS "?labelSelector=none%3Dsuch", PB);
    CHECK_EQ(items_in(raw_of(page.body, "ConfigMapList"), &token), 0);
    api_kit_stop(&k);
}

TEST(a_list_has_its_items_and_its_token)
{
    begin();
    struct span token = SPAN_NULL;
    struct api_reply pb = ask(200, MAPS "?limit=2", PB);
    CHECK_EQ(items_in(raw_of(pb.body, "ConfigMapList"), &token), 2);
    CHECK(token.n > 0);
    pb = ask(200, MAPS, PB ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    CHECK(items_in(raw_of(pb.body, "PartialObjectMetadataList"), &token) >= 3);
    CHECK(memmem(pb.body.p, pb.body.n, "\n\001a\022\0011", 6) == NULL); /* no data */
    pb = ask(200, MAPS "/m1", PB ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    const yyjson_val *obj = decoded(pb.body);
    CHECK_SPAN(json_get_str(obj, "kind"), "PartialObjectMetadata");
    CHECK_SPAN(json_get_str(json_get(obj, "metadata"), "name"), "m1");
    api_kit_stop(&k);
}

TEST(errors_are_statuses_in_protobuf)
{
    begin();
    struct api_reply pb = ask(404, MAPS "/none", PB);
    const yyjson_val *status = decoded(pb.body);
    CHECK_SPAN(json_get_str(status, "kind"), "Status");
    CHECK_SPAN(json_get_str(status, "reason"), "NotFound");
    CHECK_EQ(json_get_int(status, "code", 0), 404);
    pb = api_expect(&k, 200, "DELETE", MAPS "/m2", "Accept: " PB "\r\n", NULL);
    CHECK_SPAN(json_get_str(decoded(pb.body), "status"), "Success");
    api_kit_stop(&k);
}

TEST(tables_and_discovery_come_as_json_or_not_at_all)
{
    begin();
    struct api_reply r = ask(200, MAPS,
                             PB ";as=Table;g=meta.k8s.io;v=v1,"
                                "application/json;as=Table;g=meta.k8s.io;v=v1");
    CHECK_SPAN(api_str(&r, "kind"), "Table");
    (void)ask(406, MAPS, PB ";as=Table;g=meta.k8s.io;v=v1");
    r = ask(200, "/api/v1", PB ",application/json");
    CHECK_SPAN(api_str(&r, "kind"), "APIResourceList");
    (void)ask(406, MAPS, "application/cbor");
    r = ask(200, MAPS, "application/cbor,application/json");
    CHECK_SPAN(api_str(&r, "kind"), "ConfigMapList");
    r = api_expect(&k, 415, "POST", MAPS, "Content-Type: application/cbor\r\n", "\xa0");
    CHECK_SPAN(api_str(&r, "reason"), "UnsupportedMediaType");
    api_kit_stop(&k);
}

/* One frame off the front: the type and the object. */
static const yyjson_val *take_frame(struct span *rest, struct span *ret_type)
{
    CHECK(rest->n > 4);
    const unsigned char *p = (const unsigned char *)rest->p;
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    CHECK(n <= rest->n - 4);
    struct pb_reader r = pb_read(span_first(span_from(*rest, 4), n));
    *rest = span_from(*rest, n + 4);
    struct pb_field f, g;
    struct span object = SPAN_NULL;
    while (pb_next(&r, &f)) {
        struct pb_reader inner = pb_read(f.bytes);
        if (f.number == 1) {
            *ret_type = f.bytes;
        } else if (f.number == 2 && pb_next(&inner, &g)) {
            object = g.bytes;
        }
    }
    CHECK(!r.bad);
    return decoded(object);
}

TEST(a_watch_is_frames_of_events)
{
    begin();
    struct api_reply r = ask(200,
                             MAPS "?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&"
                                  "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
                                  "labelSelector=n",
                             PB);
    CHECK_SPAN(api_header(&r, "content-type"), PB ";stream=watch");
    struct span rest = r.body, type = SPAN_NULL;
    for (int i = 0; i < 3; i++) {
        const yyjson_val *obj = take_frame(&rest, &type);
        CHECK_SPAN(type, "ADDED");
        struct api_reply json =
            api_get(&k, arena_printf(a, MAPS "/%.*s",
                                     SPAN_ARG(json_get_str(json_get(obj, "metadata"), "name")))
                            .p);
        CHECK(json_equal(obj, json.json));
    }
    const yyjson_val *mark = take_frame(&rest, &type);
    CHECK_SPAN(type, "BOOKMARK");
    CHECK(json_path(mark, "metadata", "annotations", "k8s.io/initial-events-end", NULL) != NULL);
    CHECK_SPAN(json_get_str(mark, "kind"), "ConfigMap");
    api_kit_stop(&k);
}

/* The first time the items are measured; a client that comes later gets the same bytes. */
TEST(a_list_is_the_same_whether_its_length_was_known_or_not)
{
    begin();
    for (int i = 0; i < 100; i++) {
        char body[64];
        (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"long-%d\"}}", i);
        (void)api_expect(&k, 201, "POST", MAPS, "", body);
    }
    struct api_reply first = ask(200, MAPS, PB), second = ask(200, MAPS, PB);
    CHECK(span_eq(first.body, second.body));
    (void)api_expect(&k, 200, "PATCH", MAPS "/long-7",
                     "Content-Type: application/merge-patch+json\r\n", "{\"data\":{\"k\":\"v\"}}");
    struct api_reply third = ask(200, MAPS, PB);
    struct span token = SPAN_NULL;
    CHECK_EQ(items_in(raw_of(third.body, "ConfigMapList"), &token),
             items_in(raw_of(first.body, "ConfigMapList"), &token));
    CHECK(third.body.n > first.body.n);
    /* Shown as another kind they have other lengths. */
    struct api_reply partial =
        ask(200, MAPS, PB ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    (void)raw_of(partial.body, "PartialObjectMetadataList");
    api_kit_stop(&k);
}
