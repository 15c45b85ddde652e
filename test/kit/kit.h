/* test/kit/kit.h: the test kit: TAP on standard output, one process a test, a time limit, values
 * printed on failure.
 *
 *     TEST(arena_memory_is_zeroed) { CHECK_EQ(x, 0); CHECK_SPAN(name, "redis-0"); }
 *
 * A test registers itself by existing. Exit codes of a test program: 0 all passed, 1 a failure.
 * SKIP("reason") ends a test as skipped. KIT_SEED (environment) fixes kit_random(); the seed is
 * printed. A unit test may include its .c. */
#ifndef TEST_KIT_KIT_H
#define TEST_KIT_KIT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/span.h"

struct kit_test {
    const char *name;
    void (*fn)(void);
    int timeout_s;
    struct kit_test *next;
};

void kit_register(struct kit_test *test);
_Noreturn void kit_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void kit_skip(const char *reason);
/* Prints a "# ..." line that belongs to the running test. */
void kit_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
uint64_t kit_random(void);
/* A fresh empty directory, removed when the test ends. */
const char *kit_tmpdir(void);
/* Puts the test into namespaces of its own (CLONE_NEWNS, CLONE_NEWNET, ...), or skips it where that
 * needs root. What it mounts nobody else gets to hold, not even who makes such a namespace
 * meanwhile. */
void kit_own_world(int namespaces);
/* A connection to 127.0.0.1 whose reads fail after ten seconds of silence. */
int kit_dial(uint16_t port);

#define TEST_T(test_name, seconds)                                                                 \
    static void test_##test_name(void);                                                            \
    __attribute__((constructor)) static void register_##test_name(void)                            \
    {                                                                                              \
        static struct kit_test t = {#test_name, test_##test_name, (seconds), NULL};                \
        kit_register(&t);                                                                          \
    }                                                                                              \
    static void test_##test_name(void)
#define TEST(test_name) TEST_T(test_name, 20)
#define SKIP(reason) kit_skip(reason)

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            kit_fail(__FILE__, __LINE__, "%s", #cond);                                             \
        }                                                                                          \
    } while (0)
#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        int64_t kit_a = (int64_t)(a), kit_b = (int64_t)(b);                                        \
        if (kit_a != kit_b) {                                                                      \
            kit_fail(__FILE__, __LINE__, "%s == %s: %lld is not %lld", #a, #b, (long long)kit_a,   \
                     (long long)kit_b);                                                            \
        }                                                                                          \
    } while (0)
#define CHECK_SPAN(got, want_cstr)                                                                 \
    do {                                                                                           \
        struct span kit_a = (got), kit_b = span_cstr(want_cstr);                                   \
        if (!span_eq(kit_a, kit_b)) {                                                              \
            kit_fail(__FILE__, __LINE__, "%s: got  \"%.*s\"\n#   wanted \"%.*s\"", #got,           \
                     SPAN_ARG(kit_a), SPAN_ARG(kit_b));                                            \
        }                                                                                          \
    } while (0)

#endif
