/* Replays what a real API server answered (kube-apiserver 1.20, recorded by us;
 * test/api/transcripts) and compares status, reason, message, causes, defaults and effects. Each
 * case is a list of steps in a fresh namespace, @NS.
 *
 * What was recorded must be found in our answer: "*" stands for any value or none, a text that ends
 * in "*s" for an age, members that only we have are newer fields and are passed over. A step that
 * rightly differs carries "differs": the reason; then only the status is compared (with "ours", if
 * that differs too), and the step must really differ, so that the list stays true. */
#include <stdio.h>
#include <stdlib.h>

#include "base/strbuf.h"
#include "test/kit/api_kit.h"

struct replay {
    struct api_kit k;
    struct arena *a;
    char ns[32];
    int cases, failed, steps, differing;
};

static struct span with_ns(struct replay *r, struct span text)
{
    struct strbuf out = STRBUF_INIT;
    struct span rest = text;
    while (rest.n) {
        const char *at = memmem(rest.p, rest.n, "@NS", 3);
        size_t n = at ? (size_t)(at - rest.p) : rest.n;
        strbuf_put(&out, span_first(rest, n));
        rest = span_from(rest, n + (at ? 3 : 0));
        strbuf_puts(&out, at ? r->ns : "");
    }
    struct span copy = arena_dup(r->a, strbuf_span(&out));
    strbuf_done(&out);
    return copy;
}

static struct span read_file(struct arena *a, const char *path)
{
    FILE *f = fopen(path, "r");
    struct strbuf b = STRBUF_INIT;
    CHECK(f != NULL);
    size_t n;
    while ((n = fread(strbuf_room(&b, 65536), 1, 65536, f)) > 0) {
        strbuf_added(&b, n);
    }
    (void)fclose(f);
    struct span copy = arena_dup(a, strbuf_span(&b));
    strbuf_done(&b);
    return copy;
}

/* Text against a recorded text in which UID and TIME stand for any run without a blank. */
static bool text_fits(struct span want, struct span got)
{
    if (span_ends(want, SPAN("*s")) && want.n <= 3) {
        return got.n > 0;
    }
    if (span_ends(want, SPAN(" UID")) || span_ends(want, SPAN(": N"))) {
        size_t n = span_rfind(want, ' ') + 1;
        return got.n > n && span_eq(span_first(got, n), span_first(want, n));
    }
    return span_eq(want, got) || span_eq(want, SPAN("TIME")) || span_eq(want, SPAN("\xe2\x80\xa6"));
}

static const yyjson_val *member(const yyjson_val *v, struct span key)
{
    return yyjson_obj_getn((yyjson_val *)(uintptr_t)v, key.p, key.n);
}

static bool differ(char *why, size_t why_n, const char *path, const char *what)
{
    (void)snprintf(why, why_n, "%s: %s", path, what);
    return false;
}

static bool fits(const yyjson_val *want, const yyjson_val *got, const char *path, char *why,
                 size_t why_n);

static bool members_fit(const yyjson_val *want, const yyjson_val *got, const char *path, char *why,
                        size_t why_n)
{
    JSON_EACH(it, want)
    {
        char sub[512];
        struct span key = json_str(it.key);
        (void)snprintf(sub, sizeof sub, "%s.%.*s", path, SPAN_ARG(key));
        if (!fits(it.val, member(got, key), sub, why, why_n)) {
            return false;
        }
    }
    return true;
}

static bool items_fit(const yyjson_val *want, const yyjson_val *got, const char *path, char *why,
                      size_t why_n)
{
    size_t i = 0;
    if (json_len(want) != json_len(got)) {
        return differ(why, why_n, path, "another number of items");
    }
    JSON_EACH(it, want)
    {
        char sub[512];
        (void)snprintf(sub, sizeof sub, "%s[%zu]", path, i);
        if (!fits(it.val, yyjson_arr_get((yyjson_val *)(uintptr_t)got, i), sub, why, why_n)) {
            return false;
        }
        i++;
    }
    return true;
}

static bool fits(const yyjson_val *want_c, const yyjson_val *got_c, const char *path, char *why,
                 size_t why_n)
{
    yyjson_val *want = (yyjson_val *)(uintptr_t)want_c, *got = (yyjson_val *)(uintptr_t)got_c;
    if (span_eq(json_str(want), SPAN("*")) || (yyjson_is_null(want) && !got) ||
        (yyjson_is_obj(want) && yyjson_obj_size(want) == 0 && !got)) {
        return true;
    }
    if (!got) {
        return differ(why, why_n, path, "absent");
    }
    if (yyjson_is_obj(want) && yyjson_is_obj(got)) {
        return members_fit(want, got, path, why, why_n);
    }
    if (yyjson_is_arr(want) && yyjson_is_arr(got)) {
        return items_fit(want, got, path, why, why_n);
    }
    if (yyjson_is_str(want) && yyjson_is_str(got)) {
        if (text_fits(json_str(want), json_str(got))) {
            return true;
        }
        (void)snprintf(why, why_n, "%s: \"%.*s\"\n#       recorded: \"%.*s\"", path,
                       SPAN_ARG(span_first(json_str(got), 700)),
                       SPAN_ARG(span_first(json_str(want), 700)));
        return false;
    }
    return json_equal(want, got) ? true : differ(why, why_n, path, "another value");
}

static struct api_reply send_step(struct replay *r, const yyjson_val *step)
{
    struct span path = with_ns(r, json_get_str(step, "do")), method = span_cut(&path, ' ');
    struct span type = json_get_str(step, "type"), accept = json_get_str(step, "accept");
    const yyjson_val *send = json_get(step, "send");
    struct span body = send ? with_ns(r, json_write(r->a, send)) : SPAN_NULL;
    struct span headers = arena_printf(
        r->a, "%s%.*s%sAccept: %.*s\r\n", type.n ? "Content-Type: " : "", SPAN_ARG(type),
        type.n ? "\r\n" : "", SPAN_ARG(accept.n ? accept : SPAN("application/json")));
    return api_call(&r->k, arena_cstr(r->a, method), arena_cstr(r->a, path),
                    arena_cstr(r->a, headers), send ? arena_cstr(r->a, body) : NULL);
}

static bool compare(struct replay *r, const yyjson_val *step, const struct api_reply *reply,
                    char *why, size_t why_n)
{
    const yyjson_val *want = json_get(step, "want");
    (void)snprintf(why, why_n, "-");
    if (reply->status != json_get_int(step, "status", 0)) {
        (void)snprintf(why, why_n, "status %d, recorded %d: %.*s", reply->status,
                       (int)json_get_int(step, "status", 0),
                       SPAN_ARG(span_first(reply->body, 400)));
        return false;
    }
    if (!want) {
        return true;
    }
    if (yyjson_is_str((yyjson_val *)(uintptr_t)want)) {
        return span_eq(json_str(want), reply->body) ? true
                                                    : differ(why, why_n, "body", "another text");
    }
    yyjson_doc *doc = NULL;
    CHECK_EQ(json_parse(r->a, with_ns(r, json_write(r->a, want)), &doc, NULL), 0);
    return fits(yyjson_doc_get_root(doc), reply->json, "", why, why_n);
}

static void run_case(struct replay *r, struct span name, const yyjson_val *steps)
{
    char body[128], why[2048];
    (void)snprintf(r->ns, sizeof r->ns, "t%d", ++r->cases);
    (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\"}}", r->ns);
    (void)api_expect(&r->k, 201, "POST", "/api/v1/namespaces", "", body);
    int i = 0;
    JSON_EACH(it, steps)
    {
        struct api_reply reply = send_step(r, it.val);
        struct span differs = json_get_str(it.val, "differs");
        bool same = compare(r, it.val, &reply, why, sizeof why);
        r->steps++;
        r->differing += differs.n > 0;
        int64_t status = json_get_int(it.val, "ours", json_get_int(it.val, "status", 0));
        if (same != (differs.n == 0) || reply.status != status) {
            kit_note("%.*s step %d: %s", SPAN_ARG(name), i,
                     same ? "is marked as differing but does not" : why);
            r->failed++;
        }
        i++;
    }
}

static void replay_file(const char *group)
{
    struct replay r = {.a = arena_new()};
    char path[128];
    (void)snprintf(path, sizeof path, "test/api/transcripts/%s.json", group);
    yyjson_doc *doc = NULL;
    struct err e = {0};
    if (json_parse(r.a, read_file(r.a, path), &doc, &e)) {
        kit_fail(__FILE__, __LINE__, "%s: %.*s", path, SPAN_ARG(e.message));
    }
    api_kit_start(&r.k, NULL);
    JSON_EACH(it, yyjson_doc_get_root(doc))
    {
        run_case(&r, json_str(it.key), it.val);
    }
    kit_note("%s: %d cases, %d steps, %d differ for a reason", group, r.cases, r.steps,
             r.differing);
    CHECK_EQ(r.failed, 0);
    api_kit_stop(&r.k);
    arena_free(r.a);
}

TEST(defaults_are_those_of_the_recordings)
{
    replay_file("default");
}

TEST(refusals_are_those_of_the_recordings)
{
    replay_file("invalid");
}

TEST(patches_have_the_recorded_effects)
{
    replay_file("patch");
}

TEST(reads_answer_as_recorded)
{
    replay_file("read");
}

TEST(tables_have_the_recorded_columns_and_cells)
{
    replay_file("table");
}

TEST(writes_answer_as_recorded)
{
    replay_file("write");
}

TEST(discovery_answers_as_recorded)
{
    replay_file("discovery");
}

TEST(server_side_apply_answers_as_recorded)
{
    replay_file("apply");
}

TEST(deletions_answer_as_recorded)
{
    replay_file("delete");
}

TEST(reviews_answer_as_recorded)
{
    replay_file("review");
}
