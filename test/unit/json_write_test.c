/* codec/json_write: byte for byte what yyjson writes, of strings of every length with a special
 * byte at every place, of all kinds of numbers, and of random trees. */
#include <stdlib.h>

#include "codec/json.h"
#include "codec/json_text.h"
#include "kit/kit.h"

static void check(struct arena *a, yyjson_mut_val *v)
{
    char *mine = yyjson_mut_val_write(v, 0, NULL);
    CHECK_SPAN(json_write_mut(a, v), mine);
    CHECK_SPAN(json_write(a, json_freeze(a, v)), mine);
    free(mine);
}

TEST(strings_are_written_as_yyjson_writes_them_wherever_a_special_byte_stands)
{
    static const char special[] = {'\0', '\n', 0x1f, ' ', '!', '"', '#', '[', '\\', ']', '/', 0x7f};
    for (size_t n = 0; n <= 70; n++) {
        struct arena *a cleanup_arena = arena_new();
        yyjson_mut_doc *doc = json_mut_new(a);
        for (size_t at = 0; at <= n; at++) {
            for (size_t i = 0; i < sizeof special; i++) {
                char text[70];
                memset(text, 'a', sizeof text);
                if (at < n) {
                    text[at] = special[i];
                }
                struct span s = span_of(text, n);
                bool plain = at == n || ((unsigned char)special[i] >= ' ' && special[i] != '"' &&
                                         special[i] != '\\');
                CHECK_EQ(json_text_is_plain(s), plain);
                check(a, json_new_str(doc, s));
            }
        }
        check(a, json_new_str(doc, SPAN("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \"")));
    }
}

TEST(numbers_are_written_as_yyjson_writes_them)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_mut_doc *doc = json_mut_new(a);
    for (uint64_t n = 1; n; n = n * 3 < n ? 0 : n * 3) {
        check(a, yyjson_mut_uint(doc, n - 1));
        check(a, yyjson_mut_sint(doc, (int64_t)n));
        check(a, yyjson_mut_sint(doc, -(int64_t)(n / 2)));
        check(a, yyjson_mut_real(doc, (double)n / 7));
    }
    check(a, yyjson_mut_uint(doc, UINT64_MAX));
    check(a, yyjson_mut_sint(doc, INT64_MIN));
    check(a, yyjson_mut_real(doc, -0.0));
}

static uint32_t pick(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % n;
}

static yyjson_mut_val *any(yyjson_mut_doc *doc, uint32_t *state, int depth)
{
    static const char *const texts[] = {
        "", "a", "name", "a \"quote\"", "a longer text than sixteen", "two\nlines"};
    yyjson_mut_val *v;
    switch (pick(state, depth < 5 ? 8 : 6)) {
    case 0:
        return yyjson_mut_null(doc);
    case 1:
        return yyjson_mut_bool(doc, pick(state, 2));
    case 2:
        return yyjson_mut_sint(doc, (int64_t)pick(state, 2000) - 1000);
    case 3:
        return json_new_raw(doc, SPAN("{\"raw\":[1]}"));
    case 4:
    case 5:
        return json_new_str(doc, span_cstr(texts[pick(state, 6)]));
    case 6:
        v = yyjson_mut_arr(doc);
        for (uint32_t n = pick(state, 5); n; n--) {
            yyjson_mut_arr_append(v, any(doc, state, depth + 1));
        }
        return v;
    default:
        v = yyjson_mut_obj(doc);
        for (uint32_t n = pick(state, 5); n; n--) {
            yyjson_mut_obj_add(v, json_new_str(doc, span_cstr(texts[pick(state, 6)])),
                               any(doc, state, depth + 1));
        }
        return v;
    }
}

TEST(trees_are_written_as_yyjson_writes_them)
{
    for (uint32_t seed = 1; seed <= 3000; seed++) {
        struct arena *a cleanup_arena = arena_new();
        yyjson_mut_doc *doc = json_mut_new(a);
        uint32_t state = seed * 2654435761u;
        yyjson_mut_val *v = yyjson_mut_arr(doc);
        for (int i = 0; i < 12; i++) {
            yyjson_mut_arr_append(v, any(doc, &state, 0));
        }
        check(a, v);
    }
}
