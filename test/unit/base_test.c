/* base/: arena, span, strbuf, map, heap, err. */
#include "kit/kit.h"

#include <limits.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/format.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/strbuf.h"

TEST(arena_memory_is_zeroed_after_clear)
{
    struct arena *a cleanup_arena = arena_new();
    for (int round = 0; round < 3; round++) {
        for (size_t n = 1; n < 20000; n = n * 3 + 1) {
            unsigned char *p = arena_alloc(a, n);
            for (size_t i = 0; i < n; i++) {
                CHECK_EQ(p[i], 0);
            }
            memset(p, 0xff, n);
        }
        arena_clear(a);
    }
}

static int order[3], order_n;
static void note_order(void *data)
{
    order[order_n++] = *(int *)data;
}

TEST(arena_cleanups_run_latest_first)
{
    static int one = 1, two = 2;
    struct arena *a = arena_new();
    arena_on_clear(a, note_order, &one);
    arena_on_clear(a, note_order, &two);
    arena_free(a);
    CHECK_EQ(order_n, 2);
    CHECK_EQ(order[0], 2);
    CHECK_EQ(order[1], 1);
}

TEST(span_numbers_reject_overflow_and_junk)
{
    int64_t v;
    uint64_t u;
    CHECK(span_to_i64(SPAN("-9223372036854775808"), &v) && v == INT64_MIN);
    CHECK(span_to_i64(SPAN("9223372036854775807"), &v) && v == INT64_MAX);
    CHECK(!span_to_i64(SPAN("9223372036854775808"), &v));
    CHECK(!span_to_i64(SPAN("-9223372036854775809"), &v));
    CHECK(!span_to_i64(SPAN(""), &v));
    CHECK(!span_to_i64(SPAN("-"), &v));
    CHECK(!span_to_i64(SPAN(" 1"), &v));
    CHECK(!span_to_i64(SPAN("1x"), &v));
    CHECK(span_to_u64(SPAN("18446744073709551615"), &u) && u == UINT64_MAX);
    CHECK(!span_to_u64(SPAN("18446744073709551616"), &u));
}

TEST(numbers_and_parts_become_text)
{
    char digits[SPAN_NUMBER_BYTES];
    struct arena *a cleanup_arena = arena_new();
    CHECK_SPAN(span_i64(digits, INT64_MIN), "-9223372036854775808");
    CHECK_SPAN(span_i64(digits, -7), "-7");
    CHECK_SPAN(span_i64(digits, 0), "0");
    CHECK_SPAN(span_u64(digits, UINT64_MAX), "18446744073709551615");
    struct span key = ARENA_JOIN(a, SPAN("pods"), SPAN_NULL, SPAN("/"), span_u64(digits, 12));
    CHECK_SPAN(key, "pods/12");
    CHECK_EQ(key.p[key.n], '\0');
}

/* Lengths around each way of comparing, and a difference in each place. */
TEST(short_texts_are_compared_whole)
{
    char a[41], b[41];
    for (size_t n = 0; n < sizeof a; n++) {
        memset(a, 'x', n);
        memset(b, 'x', n);
        CHECK(span_same_short(a, b, n));
        for (size_t i = 0; i < n; i++) {
            b[i] = 'y';
            CHECK_EQ(span_same_short(a, b, n), false);
            b[i] = 'x';
        }
    }
}

TEST(span_cut_and_find)
{
    struct span rest = SPAN("a/b//c");
    CHECK_SPAN(span_cut(&rest, '/'), "a");
    CHECK_SPAN(span_cut(&rest, '/'), "b");
    CHECK_SPAN(span_cut(&rest, '/'), "");
    CHECK_SPAN(span_cut(&rest, '/'), "c");
    CHECK(rest.p == NULL && rest.n == 0);
    CHECK_EQ(span_rfind(SPAN("a-b-c"), '-'), 3);
    CHECK_SPAN(span_trim(SPAN(" \t x y \n")), "x y");
    CHECK(span_cmp(SPAN("a"), SPAN("ab")) < 0);
}

TEST(map_agrees_with_a_linear_model)
{
    enum { KEYS = 300, STEPS = 20000 };
    static char names[KEYS][8];
    static int present[KEYS];
    struct map m = MAP_INIT;
    size_t live = 0;
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
    }
    for (int step = 0; step < STEPS; step++) {
        size_t i = kit_random() % KEYS;
        struct span key = span_cstr(names[i]);
        if (kit_random() % 2) {
            CHECK_EQ(map_put(&m, key, names[i]) != NULL, present[i]);
            live += !present[i];
            present[i] = 1;
        } else {
            CHECK_EQ(map_remove(&m, key) != NULL, present[i]);
            live -= (size_t)present[i];
            present[i] = 0;
        }
        CHECK_EQ(m.n, live);
    }
    for (int i = 0; i < KEYS; i++) {
        CHECK_EQ(map_get(&m, span_cstr(names[i])) == names[i], present[i]);
    }
    size_t it = 0, seen = 0;
    while (map_next(&m, &it, NULL)) {
        seen++;
    }
    CHECK_EQ(seen, live);
    map_done(&m);
}

/* Also in where things are: who iterates sees one order. */
TEST(seek_and_fill_do_what_get_and_put_do)
{
    enum { KEYS = 200, STEPS = 8000 };
    static char names[KEYS][8];
    struct map one = MAP_INIT, other = MAP_INIT;
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
    }
    for (int step = 0; step < STEPS; step++) {
        size_t i = kit_random() % KEYS;
        struct span key = span_cstr(names[i]);
        if (kit_random() % 5 < 2) {
            CHECK_EQ(map_remove(&one, key) == NULL, map_remove(&other, key) == NULL);
            continue;
        }
        struct map_slot *slot = map_seek(&one, key);
        CHECK_EQ(slot->value == map_get(&other, key), true);
        if (!slot->value && kit_random() % 4) {
            map_fill(&one, slot, key, names[i]);
            CHECK_EQ(map_put(&other, key, names[i]) == NULL, true);
        } else if (!slot->value) { /* was only looked for */
            CHECK_EQ(map_get(&one, key) == NULL, true);
            CHECK_EQ(map_find(&one, key) == NULL, true);
        }
        CHECK_EQ(one.n, other.n);
    }
    size_t at = 0, it = 0;
    for (const char *name; one.cap == other.cap && (name = map_next(&one, &at, NULL));) {
        CHECK_EQ(map_next(&other, &it, NULL) == name, true);
    }
    map_done(&one);
    map_done(&other);
}

TEST(heap_gives_keys_in_order_and_equal_keys_first_in_first_out)
{
    enum { N = 500 };
    static struct heap_node nodes[N];
    struct heap h = {0};
    for (int i = 0; i < N; i++) {
        heap_insert(&h, &nodes[i], (int64_t)(kit_random() % 50));
    }
    for (int i = 0; i < N; i += 3) {
        heap_remove(&h, &nodes[i]);
        heap_remove(&h, &nodes[i]);
    }
    const struct heap_node *last = NULL;
    struct heap_node *node;
    size_t count = 0;
    while ((node = heap_min(&h)) != NULL) {
        heap_remove(&h, node);
        CHECK(!last || last->key < node->key || (last->key == node->key && last->seq < node->seq));
        last = node;
        count++;
    }
    CHECK_EQ(count, N - (N + 2) / 3);
    heap_done(&h);
}

TEST(err_carries_causes_and_context)
{
    struct arena *a cleanup_arena = arena_new();
    struct err e = {0};
    CHECK_EQ(err_set(a, &e, ERR_CONFLICT, "no %d", 7), -1);
    err_wrap(a, &e, "while %s", "trying");
    CHECK_SPAN(e.message, "while trying: no 7");
    err_add_cause(a, &e, "FieldValueInvalid", SPAN("spec.x"), SPAN("bad"));
    err_add_cause(a, &e, "FieldValueRequired", SPAN("spec.y"), SPAN("gone"));
    struct err copy = err_dup(a, &e);
    CHECK_SPAN(copy.causes->next->field, "spec.y");
    CHECK_EQ(err_http_code(ERR_INVALID), 422);
    CHECK_SPAN(span_cstr(err_reason_text(ERR_EXPIRED)), "Expired");
    CHECK_SPAN(span_cstr(code_text(E_DIGEST)), "digest does not match");
}

static int __attribute__((format(printf, 3, 4))) ours(char *to, size_t room, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = format_text(to, room, fmt, ap);
    va_end(ap);
    return n;
}

#define CHECK_FORMAT(...)                                                                          \
    for (size_t room = 0; room < 64; room++) {                                                     \
        char a[64], b[64];                                                                         \
        memset(a, '#', sizeof a);                                                                  \
        memset(b, '#', sizeof b);                                                                  \
        CHECK_EQ(ours(room ? a : NULL, room, __VA_ARGS__), snprintf(b, room, __VA_ARGS__));        \
        CHECK(memcmp(a, b, sizeof a) == 0);                                                        \
    }

TEST(format_text_writes_what_snprintf_writes_into_any_room)
{
    CHECK_FORMAT("%s", "");
    CHECK_FORMAT("plain, 100%% of it");
    CHECK_FORMAT("%s=%.*s;%c", "key", 3, "value", 'x');
    CHECK_FORMAT("%.*s|%.*s", 0, "", 9, "short");
    CHECK_FORMAT("%d %u %d", INT32_MIN, UINT32_MAX, 0);
    CHECK_FORMAT("%lld %llu", (long long)INT64_MIN, (unsigned long long)UINT64_MAX);
    CHECK_FORMAT("%ld %lu %zu", LONG_MAX, ULONG_MAX, SIZE_MAX);
    CHECK_FORMAT("%s then %04d and %x", "known", 7, 255U); /* the rest is vsnprintf's */
    CHECK_FORMAT("%-8s|%5.2f|%8d", "left", 1.5, -3);
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    for (int i = 0; i < 1000; i++) {
        strbuf_printf(&b, "%d,", i);
    }
    CHECK_EQ(b.n, 10 * 2 + 90 * 3 + 900 * 4);
    CHECK(span_ends(strbuf_span(&b), SPAN("998,999,")));
}

TEST(strbuf_grows_and_consumes)
{
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    for (int i = 0; i < 1000; i++) {
        strbuf_printf(&b, "%d,", i);
    }
    strbuf_consume(&b, 2);
    CHECK(span_starts(strbuf_span(&b), SPAN("1,2,3")));
    CHECK_EQ(b.p[b.n], 0);
    strbuf_clear(&b);
    CHECK_EQ(b.n, 0);
}
